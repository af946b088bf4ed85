"""Transactions of OCPP 2.x: ids of text, what they tell, and their events

Revision: e8e2eb268a55, after cf57a8713803
"""

import sqlalchemy as sa
from alembic import op

from csms.store.table import BigInt, Json, UtcDateTime

revision = "e8e2eb268a55"
down_revision = "357b1b4eba60"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "charge_event",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_log_id", BigInt(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("seq_no", BigInt(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("trigger_reason", sa.String(), nullable=True),
        sa.Column("charging_state", sa.String(), nullable=True),
        sa.Column("is_offline", sa.Boolean(), nullable=False),
        sa.Column("event_key", sa.String(), nullable=False),
        sa.Column("answer", Json(), nullable=True),
        sa.Column("details", Json(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute('CREATE TABLE "charge_event_default" PARTITION OF "charge_event" DEFAULT')
    with op.batch_alter_table("charge_event", schema=None) as batch_op:
        batch_op.create_index("ix_charge_event_charge_log_seq_no", ["charge_log_id", "seq_no"], unique=False)

    with op.batch_alter_table("charge_log", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connector_number", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("token_kind", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("remote_start_id", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("charging_state", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("charging_s", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("phases_used", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("cable_max_a", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("missing_events", BigInt(), nullable=True))
        batch_op.add_column(sa.Column("details", Json(), nullable=True))
        batch_op.add_column(sa.Column("is_ongoing", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("has_queued_messages", sa.Boolean(), nullable=True))
        batch_op.add_column(sa.Column("status_told_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("cost_told", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("cost_told_at", UtcDateTime(), nullable=True))
        batch_op.alter_column(
            "transaction_id",
            existing_type=BigInt(),
            type_=sa.String(),
            existing_nullable=False,
            postgresql_using="transaction_id::text",
        )
        batch_op.alter_column("verdict", existing_type=sa.VARCHAR(length=40), nullable=True)
        batch_op.drop_constraint(batch_op.f("uq_charge_log_station_transaction"), type_="unique")
        batch_op.create_index(
            "ix_charge_log_remote_start",
            ["station_id", "remote_start_id"],
            unique=False,
            postgresql_where=sa.text("remote_start_id IS NOT NULL"),
            sqlite_where=sa.text("remote_start_id IS NOT NULL"),
        )
        batch_op.create_index("ix_charge_log_station_transaction", ["station_id", "transaction_id"], unique=False)

    with op.batch_alter_table("unmatched_stop", schema=None) as batch_op:
        batch_op.alter_column(
            "transaction_id",
            existing_type=BigInt(),
            type_=sa.String(),
            existing_nullable=False,
            postgresql_using="transaction_id::text",
        )


def downgrade() -> None:
    with op.batch_alter_table("unmatched_stop", schema=None) as batch_op:
        batch_op.alter_column(
            "transaction_id",
            existing_type=sa.String(),
            type_=BigInt(),
            existing_nullable=False,
            postgresql_using="transaction_id::bigint",
        )

    with op.batch_alter_table("charge_log", schema=None) as batch_op:
        batch_op.drop_index("ix_charge_log_station_transaction")
        batch_op.drop_index(
            "ix_charge_log_remote_start",
            postgresql_where=sa.text("remote_start_id IS NOT NULL"),
            sqlite_where=sa.text("remote_start_id IS NOT NULL"),
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_charge_log_station_transaction"), ["station_id", "transaction_id"]
        )
        batch_op.alter_column("verdict", existing_type=sa.VARCHAR(length=40), nullable=False)
        batch_op.alter_column(
            "transaction_id",
            existing_type=sa.String(),
            type_=BigInt(),
            existing_nullable=False,
            postgresql_using="transaction_id::bigint",
        )
        batch_op.drop_column("cost_told_at")
        batch_op.drop_column("cost_told")
        batch_op.drop_column("status_told_at")
        batch_op.drop_column("has_queued_messages")
        batch_op.drop_column("is_ongoing")
        batch_op.drop_column("details")
        batch_op.drop_column("missing_events")
        batch_op.drop_column("cable_max_a")
        batch_op.drop_column("phases_used")
        batch_op.drop_column("charging_s")
        batch_op.drop_column("charging_state")
        batch_op.drop_column("remote_start_id")
        batch_op.drop_column("token_kind")
        batch_op.drop_column("connector_number")

    with op.batch_alter_table("charge_event", schema=None) as batch_op:
        batch_op.drop_index("ix_charge_event_charge_log_seq_no")

    op.drop_table("charge_event")
