"""The first schema.

Revision: 0001
"""

import sqlalchemy as sa
from alembic import op

from csms.store.table import BigInt, Json, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRIGGERS = {
    "postgresql": (
        (
            "CREATE OR REPLACE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit log can only grow' USING ERRCODE = "
            "'restrict_violation'; END $$"
        ),
        (
            "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "
            "audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()"
        ),
    ),
    "sqlite": (
        (
            "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT "
            "RAISE(ABORT, 'the audit log can only grow'); END"
        ),
        (
            "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT "
            "RAISE(ABORT, 'the audit log can only grow'); END"
        ),
    ),
}


def upgrade() -> None:
    op.create_table(
        "active_package",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("package", sa.String(length=40), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("station_id", "package", name="uq_active_package_station_package"),
    )
    with op.batch_alter_table("active_package", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_active_package_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "api_key",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("scopes", Json(), nullable=True),
        sa.Column("prefix", sa.String(length=40), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=254), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "app_user",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_login_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
    )
    with op.batch_alter_table("app_user", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_app_user_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "audit_head",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("number", BigInt(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("number", BigInt(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", BigInt(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("remote_address", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("object_table", sa.String(), nullable=False),
        sa.Column("object_id", BigInt(), nullable=True),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", "number", name="uq_audit_log_organisation_number"),
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index("ix_audit_log_organisation_at", ["organisation_id", "at"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_log_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(
            "ix_audit_log_organisation_object", ["organisation_id", "object_table", "object_id"], unique=False
        )

    op.create_table(
        "broker_node",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("alive_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "charge_log",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_point_number", BigInt(), nullable=False),
        sa.Column("charge_point_id", BigInt(), nullable=True),
        sa.Column("transaction_id", BigInt(), nullable=False),
        sa.Column("start_key", sa.String(), nullable=False),
        sa.Column("reservation_id", BigInt(), nullable=True),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("token_key", sa.String(), nullable=False),
        sa.Column("token_group", sa.String(), nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("verdict", sa.String(length=40), nullable=False),
        sa.Column("start_answer", Json(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("meter_start_wh", BigInt(), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=True),
        sa.Column("stop_received_at", UtcDateTime(), nullable=True),
        sa.Column("meter_stop_wh", BigInt(), nullable=True),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("stop_token", sa.String(), nullable=True),
        sa.Column("stop_key", sa.String(), nullable=True),
        sa.Column("stop_answer", Json(), nullable=True),
        sa.Column("energy_wh", BigInt(), nullable=True),
        sa.Column("duration_s", BigInt(), nullable=True),
        sa.Column("flags", Json(), nullable=False),
        sa.Column("last_sample_at", UtcDateTime(), nullable=True),
        sa.Column("last_register_wh", sa.Float(), nullable=True),
        sa.Column("last_power_w", sa.Float(), nullable=True),
        sa.Column("last_soc_percent", sa.Float(), nullable=True),
        sa.Column("abandoned_at", UtcDateTime(), nullable=True),
        sa.Column("abandoned_because", sa.String(), nullable=True),
        sa.Column("is_corrected", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("station_id", "start_key", name="uq_charge_log_station_start"),
        sa.UniqueConstraint("station_id", "transaction_id", name="uq_charge_log_station_transaction"),
    )
    with op.batch_alter_table("charge_log", schema=None) as batch_op:
        batch_op.create_index(
            "ix_charge_log_abandoned",
            ["abandoned_at"],
            unique=False,
            postgresql_where=sa.text("abandoned_at IS NOT NULL"),
            sqlite_where=sa.text("abandoned_at IS NOT NULL"),
        )
        batch_op.create_index("ix_charge_log_organisation_started", ["organisation_id", "started_at"], unique=False)
        batch_op.create_index(
            "ix_charge_log_running",
            ["station_id"],
            unique=False,
            postgresql_where=sa.text("state = 'running'"),
            sqlite_where=sa.text("state = 'running'"),
        )
        batch_op.create_index("ix_charge_log_station_started", ["station_id", "started_at"], unique=False)
        batch_op.create_index("ix_charge_log_transaction", ["transaction_id"], unique=False)

    op.create_table(
        "charge_log_correction",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("charge_log_id", BigInt(), nullable=False),
        sa.Column("corrected_at", UtcDateTime(), nullable=False),
        sa.Column("corrected_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("before", Json(), nullable=False),
        sa.Column("after", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("charge_log_correction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_charge_log_correction_charge_log_id"), ["charge_log_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_charge_log_correction_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "charge_point",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("evse_id", sa.String(length=48), nullable=True),
        sa.Column("evse_key", sa.String(length=48), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("status_word", sa.String(), nullable=True),
        sa.Column("status_at", UtcDateTime(), nullable=True),
        sa.Column("status_received_at", UtcDateTime(), nullable=True),
        sa.Column("is_operative", sa.Boolean(), nullable=False),
        sa.Column("is_announced", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("evse_key"),
        sa.UniqueConstraint("station_id", "number", name="uq_charge_point_station_number"),
    )
    with op.batch_alter_table("charge_point", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_charge_point_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "command",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("request", Json(), nullable=False),
        sa.Column("timeout_s", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("payload", Json(), nullable=True),
        sa.Column("error", Json(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("deadline_at", UtcDateTime(), nullable=False),
        sa.Column("sent_by_kind", sa.String(), nullable=False),
        sa.Column("sent_by_id", BigInt(), nullable=True),
        sa.Column("sent_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_command_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_command_station_id", ["station_id", "id"], unique=False)
        batch_op.create_index(
            "ix_command_waiting",
            ["deadline_at"],
            unique=False,
            postgresql_where=sa.text("outcome = 'waiting'"),
            sqlite_where=sa.text("outcome = 'waiting'"),
        )

    op.create_table(
        "connection_history",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=True),
        sa.Column("identity", sa.String(length=255), nullable=False),
        sa.Column("remote_address", sa.String(), nullable=False),
        sa.Column("offered", sa.String(), nullable=True),
        sa.Column("protocol", sa.String(), nullable=True),
        sa.Column("node", sa.String(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("last_message_at", UtcDateTime(), nullable=True),
        sa.Column("code", sa.String(length=4), nullable=True),
        sa.Column("closed_by", sa.String(length=40), nullable=True),
        sa.Column("cause", sa.String(length=40), nullable=True),
        sa.Column("code_received", sa.Integer(), nullable=True),
        sa.Column("reason_received", sa.String(), nullable=True),
        sa.Column("code_sent", sa.Integer(), nullable=True),
        sa.Column("reason_sent", sa.String(), nullable=True),
        sa.Column("network_error", sa.String(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("messages_in", sa.Integer(), nullable=False),
        sa.Column("messages_out", sa.Integer(), nullable=False),
        sa.Column("bytes_in", BigInt(), nullable=False),
        sa.Column("bytes_out", BigInt(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("connection_history", schema=None) as batch_op:
        batch_op.create_index(
            "ix_connection_history_open",
            ["node"],
            unique=False,
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_connection_history_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_connection_history_station", ["station_id", "id"], unique=False)

    op.create_table(
        "connector",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_point_id", BigInt(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plug_type", sa.String(length=40), nullable=True),
        sa.Column("format", sa.String(length=40), nullable=True),
        sa.Column("max_power_w", sa.Integer(), nullable=True),
        sa.Column("voltage_v", sa.Integer(), nullable=True),
        sa.Column("amperage_a", sa.Integer(), nullable=True),
        sa.Column("phases", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charge_point_id", "number", name="uq_connector_charge_point_number"),
    )
    with op.batch_alter_table("connector", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_connector_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_connector_station_id"), ["station_id"], unique=False)

    op.create_table(
        "data_transfer",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("vendor_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("data", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("data_transfer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_data_transfer_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_data_transfer_station", ["station_id", "id"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("message_id", BigInt(), nullable=False),
        sa.Column("rule_id", BigInt(), nullable=False),
        sa.Column("rule_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("error_count", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_message", ["message_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_delivery_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_delivery_organisation_newest", ["organisation_id", "id"], unique=False)
        batch_op.create_index("ix_delivery_rule_created", ["rule_id", "created_at"], unique=False)
        batch_op.create_index("ix_delivery_state_next", ["state", "next_attempt_at"], unique=False)

    op.create_table(
        "delivery_attempt",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("delivery_id", BigInt(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("result", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("delivery_id", "number", name="uq_delivery_attempt_number"),
    )
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_delivery_attempt_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "escalation",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("rule_id", BigInt(), nullable=False),
        sa.Column("rule_name", sa.String(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("error_id", BigInt(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("group_key", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("hold_off_until", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("window_id", BigInt(), nullable=True),
        sa.Column("message_id", BigInt(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("rule_id", "error_id", "kind", name="uq_escalation_rule_error_kind"),
    )
    with op.batch_alter_table("escalation", schema=None) as batch_op:
        batch_op.create_index("ix_escalation_error", ["error_id"], unique=False)
        batch_op.create_index("ix_escalation_message", ["message_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_escalation_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_escalation_state_due", ["state", "due_at"], unique=False)
        batch_op.create_index("ix_escalation_station", ["station_id", "id"], unique=False)

    op.create_table(
        "escalation_rule",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("codes", Json(), nullable=False),
        sa.Column("sources", Json(), nullable=False),
        sa.Column("severities", Json(), nullable=False),
        sa.Column("sites", Json(), nullable=False),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("stations", Json(), nullable=False),
        sa.Column("hold_off_s", sa.Integer(), nullable=False),
        sa.Column("roll_up_s", sa.Integer(), nullable=False),
        sa.Column("group_by", sa.String(length=40), nullable=False),
        sa.Column("messages_per_hour_max", sa.Integer(), nullable=False),
        sa.Column("sends_all_clear", sa.Boolean(), nullable=False),
        sa.Column("escalates_open_after_window", sa.Boolean(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("recipients", Json(), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("secret_salt", sa.String(), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("escalation_rule", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_escalation_rule_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=True),
        sa.Column("station", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_station_id"), ["station_id"], unique=False)

    op.create_table(
        "frame",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("connection_id", BigInt(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("from_station", sa.Boolean(), nullable=False),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("request", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("error_code", sa.String(), nullable=True),
        sa.Column("repairs", Json(), nullable=True),
        sa.Column("violation", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )
    with op.batch_alter_table("frame", schema=None) as batch_op:
        batch_op.create_index(
            "ix_frame_deviating",
            ["organisation_id", "id"],
            unique=False,
            postgresql_where=sa.text("violation IS NOT NULL"),
            sqlite_where=sa.text("violation IS NOT NULL"),
        )
        batch_op.create_index("ix_frame_station_id", ["station_id", "id"], unique=False)

    op.create_table(
        "job_lease",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=False),
        sa.Column("last_ended_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "login_token",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("user_id", BigInt(), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    with op.batch_alter_table("login_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_token_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "maintenance_window",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_point_number", sa.Integer(), nullable=True),
        sa.Column("starts_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ended_early_at", UtcDateTime(), nullable=True),
        sa.Column("ended_early_by", sa.String(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_by", sa.String(), nullable=True),
        sa.Column("is_end_announced", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("maintenance_window", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_maintenance_window_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_maintenance_window_station_ends", ["station_id", "ends_at"], unique=False)
        batch_op.create_index("ix_maintenance_window_unannounced", ["is_end_announced", "ends_at"], unique=False)

    op.create_table(
        "meter_sample",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_point_number", BigInt(), nullable=False),
        sa.Column("charge_log_id", BigInt(), nullable=True),
        sa.Column("measured_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("context", sa.String(), nullable=True),
        sa.Column("sampled_values", Json(), nullable=False),
        sa.Column("energy_wh", sa.Float(), nullable=True),
        sa.Column("power_w", sa.Float(), nullable=True),
        sa.Column("soc_percent", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        postgresql_partition_by="RANGE (id)",
    )
    with op.batch_alter_table("meter_sample", schema=None) as batch_op:
        batch_op.create_index("ix_meter_sample_charge_log_measured", ["charge_log_id", "measured_at"], unique=False)
        batch_op.create_index("ix_meter_sample_station_measured", ["station_id", "measured_at"], unique=False)

    op.create_table(
        "organisation",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("event_id", BigInt(), nullable=False),
        sa.Column("consumer", sa.String(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("has_failed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index("ix_outbox_due", ["due_at"], unique=False)

    op.create_table(
        "package_switch",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("package", sa.String(length=40), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("switched_at", UtcDateTime(), nullable=False),
        sa.Column("switched_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("package_switch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_package_switch_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_package_switch_station", ["station_id", "id"], unique=False)

    op.create_table(
        "role_rights",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("rights", Json(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", "role", name="uq_role_rights_organisation_role"),
    )
    with op.batch_alter_table("role_rights", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_rights_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "station",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("identity", sa.String(length=48), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("site", sa.String(), nullable=True),
        sa.Column("tags", Json(), nullable=False),
        sa.Column("registration", sa.String(length=40), nullable=False),
        sa.Column("leniency", sa.String(length=40), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("city", sa.String(), nullable=True),
        sa.Column("postal_code", sa.String(), nullable=True),
        sa.Column("country", sa.String(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("vendor", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("serial_number", sa.String(), nullable=True),
        sa.Column("firmware_version", sa.String(), nullable=True),
        sa.Column("iccid", sa.String(), nullable=True),
        sa.Column("imsi", sa.String(), nullable=True),
        sa.Column("meter_type", sa.String(), nullable=True),
        sa.Column("meter_serial_number", sa.String(), nullable=True),
        sa.Column("last_boot_at", UtcDateTime(), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("status_at", UtcDateTime(), nullable=True),
        sa.Column("security_profile", sa.Integer(), nullable=False),
        sa.Column("password_hashes", Json(), nullable=True),
        sa.Column("is_online", sa.Boolean(), nullable=False),
        sa.Column("online_since", UtcDateTime(), nullable=True),
        sa.Column("offline_since", UtcDateTime(), nullable=True),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("last_heartbeat_at", UtcDateTime(), nullable=True),
        sa.Column("protocol", sa.String(), nullable=True),
        sa.Column("remote_address", sa.String(), nullable=True),
        sa.Column("connection_id", BigInt(), nullable=True),
        sa.Column("fence", BigInt(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("identity"),
        sa.UniqueConstraint("public_id"),
    )
    with op.batch_alter_table("station", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_station_is_online"), ["is_online"], unique=False)
        batch_op.create_index(batch_op.f("ix_station_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_station_organisation_identity", ["organisation_id", "identity"], unique=False)
        batch_op.create_index(batch_op.f("ix_station_site"), ["site"], unique=False)

    op.create_table(
        "station_error",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("charge_point_number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("vendor_code", sa.String(), nullable=True),
        sa.Column("vendor_id", sa.String(), nullable=True),
        sa.Column("info", sa.String(), nullable=True),
        sa.Column("severity", sa.String(length=40), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("repeat_count", sa.Integer(), nullable=False),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("resolution", sa.String(length=40), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("in_maintenance_window", sa.Boolean(), nullable=False),
        sa.Column("maintenance_window_id", BigInt(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("station_error", schema=None) as batch_op:
        batch_op.create_index(
            "ix_station_error_open",
            ["station_id"],
            unique=False,
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_station_error_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index("ix_station_error_organisation_raised", ["organisation_id", "raised_at"], unique=False)
        batch_op.create_index("ix_station_error_station_raised", ["station_id", "raised_at"], unique=False)
        batch_op.create_index(
            "uq_station_error_open_offline",
            ["station_id"],
            unique=True,
            sqlite_where=sa.text("resolved_at IS NULL AND code = 'Offline'"),
            postgresql_where=sa.text("resolved_at IS NULL AND code = 'Offline'"),
        )

    op.create_table(
        "station_interface",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("switched_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "station_id", name="uq_station_interface_kind_station"),
    )
    with op.batch_alter_table("station_interface", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_station_interface_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_station_interface_station_id"), ["station_id"], unique=False)

    op.create_table(
        "token",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("uid_key", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("group_uid", sa.String(), nullable=True),
        sa.Column("valid_from", UtcDateTime(), nullable=True),
        sa.Column("valid_until", UtcDateTime(), nullable=True),
        sa.Column("is_blocked", sa.Boolean(), nullable=False),
        sa.Column("is_exclusive", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", "uid_key", name="uq_token_organisation_uid"),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "token_policy",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("unknown_tokens", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organisation_id", name="uq_token_policy_organisation"),
    )
    with op.batch_alter_table("token_policy", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_policy_organisation_id"), ["organisation_id"], unique=False)

    op.create_table(
        "unmatched_stop",
        sa.Column("id", BigInt(), autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigInt(), nullable=False),
        sa.Column("station_id", BigInt(), nullable=False),
        sa.Column("transaction_id", BigInt(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("stopped_at", UtcDateTime(), nullable=False),
        sa.Column("meter_stop_wh", BigInt(), nullable=False),
        sa.Column("stop_reason", sa.String(), nullable=True),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("stop_key", sa.String(), nullable=False),
        sa.Column("answer", Json(), nullable=True),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("paired_charge_log_id", BigInt(), nullable=True),
        sa.Column("paired_at", UtcDateTime(), nullable=True),
        sa.Column("paired_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("station_id", "stop_key", name="uq_unmatched_stop_station_key"),
    )
    with op.batch_alter_table("unmatched_stop", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unmatched_stop_organisation_id"), ["organisation_id"], unique=False)
        batch_op.create_index(
            "ix_unmatched_stop_unpaired",
            ["station_id", "id"],
            unique=False,
            postgresql_where=sa.text("paired_at IS NULL"),
            sqlite_where=sa.text("paired_at IS NULL"),
        )

    _partition()
    _guard_audit_log()


def _partition() -> None:
    """PostgreSQL: what has no monthly partition goes to a default one, so that no row is ever refused."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("frame", "meter_sample"):
            op.execute(f'CREATE TABLE "{table}_default" PARTITION OF "{table}" DEFAULT')


def _guard_audit_log() -> None:
    """The audit log is only ever added to."""
    for statement in TRIGGERS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table("unmatched_stop", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_unmatched_stop_unpaired",
            postgresql_where=sa.text("paired_at IS NULL"),
            sqlite_where=sa.text("paired_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_unmatched_stop_organisation_id"))

    op.drop_table("unmatched_stop")
    with op.batch_alter_table("token_policy", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_token_policy_organisation_id"))

    op.drop_table("token_policy")
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_token_organisation_id"))

    op.drop_table("token")
    with op.batch_alter_table("station_interface", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_station_interface_station_id"))
        batch_op.drop_index(batch_op.f("ix_station_interface_organisation_id"))

    op.drop_table("station_interface")
    with op.batch_alter_table("station_error", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_station_error_open_offline",
            sqlite_where=sa.text("resolved_at IS NULL AND code = 'Offline'"),
            postgresql_where=sa.text("resolved_at IS NULL AND code = 'Offline'"),
        )
        batch_op.drop_index("ix_station_error_station_raised")
        batch_op.drop_index("ix_station_error_organisation_raised")
        batch_op.drop_index(batch_op.f("ix_station_error_organisation_id"))
        batch_op.drop_index(
            "ix_station_error_open",
            sqlite_where=sa.text("resolved_at IS NULL"),
            postgresql_where=sa.text("resolved_at IS NULL"),
        )

    op.drop_table("station_error")
    with op.batch_alter_table("station", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_station_site"))
        batch_op.drop_index("ix_station_organisation_identity")
        batch_op.drop_index(batch_op.f("ix_station_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_station_is_online"))

    op.drop_table("station")
    with op.batch_alter_table("role_rights", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_role_rights_organisation_id"))

    op.drop_table("role_rights")
    with op.batch_alter_table("package_switch", schema=None) as batch_op:
        batch_op.drop_index("ix_package_switch_station")
        batch_op.drop_index(batch_op.f("ix_package_switch_organisation_id"))

    op.drop_table("package_switch")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_due")

    op.drop_table("outbox")
    op.drop_table("organisation")
    with op.batch_alter_table("meter_sample", schema=None) as batch_op:
        batch_op.drop_index("ix_meter_sample_station_measured")
        batch_op.drop_index("ix_meter_sample_charge_log_measured")

    op.drop_table("meter_sample")
    with op.batch_alter_table("maintenance_window", schema=None) as batch_op:
        batch_op.drop_index("ix_maintenance_window_unannounced")
        batch_op.drop_index("ix_maintenance_window_station_ends")
        batch_op.drop_index(batch_op.f("ix_maintenance_window_organisation_id"))

    op.drop_table("maintenance_window")
    with op.batch_alter_table("login_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_token_user_id"))
        batch_op.drop_index(batch_op.f("ix_login_token_organisation_id"))

    op.drop_table("login_token")
    op.drop_table("job_lease")
    with op.batch_alter_table("frame", schema=None) as batch_op:
        batch_op.drop_index("ix_frame_station_id")
        batch_op.drop_index(
            "ix_frame_deviating",
            postgresql_where=sa.text("violation IS NOT NULL"),
            sqlite_where=sa.text("violation IS NOT NULL"),
        )

    op.drop_table("frame")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_event_station_id"))
        batch_op.drop_index(batch_op.f("ix_event_organisation_id"))

    op.drop_table("event")
    with op.batch_alter_table("escalation_rule", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_escalation_rule_organisation_id"))

    op.drop_table("escalation_rule")
    with op.batch_alter_table("escalation", schema=None) as batch_op:
        batch_op.drop_index("ix_escalation_station")
        batch_op.drop_index("ix_escalation_state_due")
        batch_op.drop_index(batch_op.f("ix_escalation_organisation_id"))
        batch_op.drop_index("ix_escalation_message")
        batch_op.drop_index("ix_escalation_error")

    op.drop_table("escalation")
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_delivery_attempt_organisation_id"))

    op.drop_table("delivery_attempt")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_state_next")
        batch_op.drop_index("ix_delivery_rule_created")
        batch_op.drop_index("ix_delivery_organisation_newest")
        batch_op.drop_index(batch_op.f("ix_delivery_organisation_id"))
        batch_op.drop_index("ix_delivery_message")

    op.drop_table("delivery")
    with op.batch_alter_table("data_transfer", schema=None) as batch_op:
        batch_op.drop_index("ix_data_transfer_station")
        batch_op.drop_index(batch_op.f("ix_data_transfer_organisation_id"))

    op.drop_table("data_transfer")
    with op.batch_alter_table("connector", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_connector_station_id"))
        batch_op.drop_index(batch_op.f("ix_connector_organisation_id"))

    op.drop_table("connector")
    with op.batch_alter_table("connection_history", schema=None) as batch_op:
        batch_op.drop_index("ix_connection_history_station")
        batch_op.drop_index(batch_op.f("ix_connection_history_organisation_id"))
        batch_op.drop_index(
            "ix_connection_history_open",
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("connection_history")
    with op.batch_alter_table("command", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_command_waiting",
            postgresql_where=sa.text("outcome = 'waiting'"),
            sqlite_where=sa.text("outcome = 'waiting'"),
        )
        batch_op.drop_index("ix_command_station_id")
        batch_op.drop_index(batch_op.f("ix_command_organisation_id"))

    op.drop_table("command")
    with op.batch_alter_table("charge_point", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_charge_point_organisation_id"))

    op.drop_table("charge_point")
    with op.batch_alter_table("charge_log_correction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_charge_log_correction_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_charge_log_correction_charge_log_id"))

    op.drop_table("charge_log_correction")
    with op.batch_alter_table("charge_log", schema=None) as batch_op:
        batch_op.drop_index("ix_charge_log_transaction")
        batch_op.drop_index("ix_charge_log_station_started")
        batch_op.drop_index(
            "ix_charge_log_running",
            postgresql_where=sa.text("state = 'running'"),
            sqlite_where=sa.text("state = 'running'"),
        )
        batch_op.drop_index("ix_charge_log_organisation_started")
        batch_op.drop_index(
            "ix_charge_log_abandoned",
            postgresql_where=sa.text("abandoned_at IS NOT NULL"),
            sqlite_where=sa.text("abandoned_at IS NOT NULL"),
        )

    op.drop_table("charge_log")
    op.drop_table("broker_node")
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_log_organisation_object")
        batch_op.drop_index(batch_op.f("ix_audit_log_organisation_id"))
        batch_op.drop_index("ix_audit_log_organisation_at")

    op.drop_table("audit_log")
    op.drop_table("audit_head")
    with op.batch_alter_table("app_user", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_app_user_organisation_id"))

    op.drop_table("app_user")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_organisation_id"))

    op.drop_table("api_key")
    with op.batch_alter_table("active_package", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_active_package_organisation_id"))

    op.drop_table("active_package")
