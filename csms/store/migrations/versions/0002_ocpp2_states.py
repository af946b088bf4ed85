"""Connectors' states, boot reasons and connectors of errors, as OCPP 2.x tells them

Revision: f4a49c3894ed, after 0001
"""

import sqlalchemy as sa
from alembic import op

from csms.store.table import UtcDateTime

revision = "f4a49c3894ed"
down_revision = "a9f22e52373f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("charge_point", schema=None) as batch_op:
        batch_op.add_column(sa.Column("charging_status", sa.String(length=40), nullable=True))
    with op.batch_alter_table("connector", schema=None) as batch_op:
        batch_op.add_column(sa.Column("status", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("status_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("status_received_at", UtcDateTime(), nullable=True))
    with op.batch_alter_table("station", schema=None) as batch_op:
        batch_op.add_column(sa.Column("boot_reason", sa.String(length=40), nullable=True))
    with op.batch_alter_table("station_error", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connector_number", sa.Integer(), nullable=True))
    with op.batch_alter_table("data_transfer", schema=None) as batch_op:
        batch_op.add_column(sa.Column("is_json", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("data_transfer", schema=None) as batch_op:
        batch_op.alter_column("is_json", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("data_transfer", schema=None) as batch_op:
        batch_op.drop_column("is_json")
    with op.batch_alter_table("station_error", schema=None) as batch_op:
        batch_op.drop_column("connector_number")
    with op.batch_alter_table("station", schema=None) as batch_op:
        batch_op.drop_column("boot_reason")
    with op.batch_alter_table("connector", schema=None) as batch_op:
        batch_op.drop_column("status_received_at")
        batch_op.drop_column("status_at")
        batch_op.drop_column("status")
    with op.batch_alter_table("charge_point", schema=None) as batch_op:
        batch_op.drop_column("charging_status")
