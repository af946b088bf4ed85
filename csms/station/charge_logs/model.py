"""S6, B7: charge logs (OCPP's transactions), their meter samples, corrections, and stops that match nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Index, UniqueConstraint, event, text
from sqlalchemy import Table as SqlTable
from sqlmodel import Field

from csms.station.tokens import TokenKind, TokenStatus
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class ChargeState(StrEnum):
    """How far a charge is."""

    RUNNING = "running"
    FINISHED = "finished"
    """The station sent its stop."""
    ESTIMATED_END = "estimated_end"
    """No stop came; the end is the last meter value. A stop that comes later corrects it."""


class EventKind(StrEnum):
    """Where in its transaction an event of 2.x stands."""

    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"


class UnmatchedReason(StrEnum):
    """Why a stop belongs to no charge."""

    NO_TRANSACTION = "no_transaction"
    """Its transaction id is 0 or negative: the station never got one."""
    UNKNOWN_TRANSACTION = "unknown_transaction"
    FOREIGN_TRANSACTION = "foreign_transaction"
    """The id is that of another station's transaction."""
    ALREADY_STOPPED = "already_stopped"
    """The charge has another stop already, or an operator corrected it."""


RUNNING = text("state = 'running'")
REMOTE = text("remote_start_id IS NOT NULL")
ABANDONED = text("abandoned_at IS NOT NULL")
UNPAIRED = text("paired_at IS NULL")


class ChargeLog(Owned, table=True):
    """One charge: OCPP's transaction, and what the operator sees of it."""

    __tablename__ = "charge_log"
    __table_args__ = (
        UniqueConstraint("station_id", "start_key", name="uq_charge_log_station_start"),
        Index("ix_charge_log_station_transaction", "station_id", "transaction_id"),
        Index(
            "ix_charge_log_remote_start", "station_id", "remote_start_id", postgresql_where=REMOTE, sqlite_where=REMOTE
        ),
        Index("ix_charge_log_station_started", "station_id", "started_at"),
        Index("ix_charge_log_organisation_started", "organisation_id", "started_at"),
        Index("ix_charge_log_transaction", "transaction_id"),  # whose is a transaction that is not this station's?
        Index("ix_charge_log_running", "station_id", postgresql_where=RUNNING, sqlite_where=RUNNING),
        Index("ix_charge_log_abandoned", "abandoned_at", postgresql_where=ABANDONED, sqlite_where=ABANDONED),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    charge_point_id: int | None = Field(default=None, sa_type=BigInt)
    """None for a number that no charge point can have."""
    connector_number: int | None = Field(default=None, sa_type=BigInt)
    """Which of its connectors, where the station says so (2.x)."""
    transaction_id: str
    """1.6: a random number made here. 2.x: made by the station, unique within it unless its counter began again."""
    start_key: str
    """What a repeated start has in common with the first; in 2.x, what all events of the transaction have."""
    reservation_id: int | None = Field(default=None, sa_type=BigInt)

    token: str
    """As the station sent it; empty while it has told none (2.x)."""
    token_kind: TokenKind | None = Field(default=None, sa_type=words(TokenKind))
    """2.x; 1.6 does not tell."""
    token_key: str
    token_group: str | None = None
    holder: str | None = None
    """Who held the token when the charge started."""
    verdict: TokenStatus | None = Field(default=None, sa_type=words(TokenStatus))
    """None while the station has told no token (2.x)."""
    start_answer: dict[str, Any] = Field(sa_type=Json)
    """The idTagInfo that was answered (1.6); a repeated start gets the same. 2.x: see `ChargeEvent.answer`."""

    state: ChargeState = Field(sa_type=words(ChargeState))
    started_at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    meter_start_wh: int = Field(sa_type=BigInt)
    """0 and flagged `no_meter_start` while the station has told none (2.x)."""
    stopped_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stop_received_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    meter_stop_wh: int | None = Field(default=None, sa_type=BigInt)
    stop_reason: str | None = None
    stop_token: str | None = None
    stop_key: str | None = None
    """What a repeated stop has in common with the first."""
    stop_answer: dict[str, Any] | None = Field(default=None, sa_type=Json)

    energy_wh: int | None = Field(default=None, sa_type=BigInt)
    """While it runs: as of `last_sample_at`."""
    duration_s: int | None = Field(default=None, sa_type=BigInt)
    flags: list[str] = Field(sa_type=Json)
    """What is unusual (see `rules.Flag`)."""
    last_sample_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Up to `service.PROGRESS_EVERY` behind; the samples themselves are never late."""
    last_register_wh: float | None = None
    last_power_w: float | None = None
    last_soc_percent: float | None = None
    abandoned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the station said something that leaves no room for this charge (it booted, the place is free)."""
    abandoned_because: str | None = None
    """The stop reason to assume."""
    is_corrected: bool = False

    # What only 2.x tells
    remote_start_id: int | None = Field(default=None, sa_type=BigInt)
    """That of the RequestStartTransaction that it follows."""
    charging_state: str | None = None
    """The latest chargingState, in OCPP's words."""
    charging_s: int | None = Field(default=None, sa_type=BigInt)
    """For how long energy has flowed (timeSpentCharging)."""
    phases_used: int | None = Field(default=None, sa_type=BigInt)
    cable_max_a: int | None = Field(default=None, sa_type=BigInt)
    missing_events: int | None = Field(default=None, sa_type=BigInt)
    """How many of the station's numbered events have not come (yet)."""
    details: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """The latest of what else it tells: tariff, limits, operation mode, preconditioning, cost details, custom data."""
    is_ongoing: bool | None = None
    """Whether the station says that the transaction goes on (GetTransactionStatus)."""
    has_queued_messages: bool | None = None
    """Whether it says that messages of it wait to be sent."""
    status_told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cost_told: float | None = None
    """The running cost that the station was sent last (CostUpdated)."""
    cost_told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ChargeEvent(Owned, table=True):
    """A TransactionEvent of 2.x without its meter values, which are samples; and what it was answered."""

    __tablename__ = "charge_event"
    __table_args__ = (
        Index("ix_charge_event_charge_log_seq_no", "charge_log_id", "seq_no"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    station_id: int = Field(sa_type=BigInt)
    charge_log_id: int = Field(sa_type=BigInt)
    kind: EventKind = Field(sa_type=words(EventKind))
    seq_no: int = Field(sa_type=BigInt)
    at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    trigger_reason: str | None = None
    charging_state: str | None = None
    is_offline: bool = False
    """It says that it had no connection when this happened."""
    event_key: str
    """What a repetition has in common with it."""
    answer: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """Where it was answered more than nothing; a repetition gets the same."""
    details: dict[str, Any] | None = Field(default=None, sa_type=Json)


class ChargeLogCorrection(Owned, table=True):
    """What an operator changed in a finished charge log; the first one's `before` is the original."""

    __tablename__ = "charge_log_correction"

    charge_log_id: int = Field(sa_type=BigInt, index=True)
    corrected_at: datetime = Field(sa_type=UtcDateTime)
    corrected_by: str
    reason: str
    before: dict[str, Any] = Field(sa_type=Json)
    after: dict[str, Any] = Field(sa_type=Json)


class MeterSample(Owned, table=True):
    """The values of one moment, as sent and read; `charge_log_id` is None outside a charge."""

    __tablename__ = "meter_sample"
    __table_args__ = (
        Index("ix_meter_sample_charge_log_measured", "charge_log_id", "measured_at"),
        Index("ix_meter_sample_station_measured", "station_id", "measured_at"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    charge_log_id: int | None = Field(default=None, sa_type=BigInt)
    measured_at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    context: str | None = None
    sampled_values: list[dict[str, Any]] = Field(sa_type=Json)
    """OCPP's SampledValue objects, untouched."""
    energy_wh: float | None = None
    """The import register, whatever unit it came in."""
    power_w: float | None = None
    soc_percent: float | None = None


class UnmatchedStop(Owned, table=True):
    """A stop that belongs to no charge: answered, kept with its meter values, and offered to be paired."""

    __tablename__ = "unmatched_stop"
    __table_args__ = (
        UniqueConstraint("station_id", "stop_key", name="uq_unmatched_stop_station_key"),
        Index("ix_unmatched_stop_unpaired", "station_id", "id", postgresql_where=UNPAIRED, sqlite_where=UNPAIRED),
    )

    station_id: int = Field(sa_type=BigInt)
    transaction_id: str
    reason: UnmatchedReason = Field(sa_type=words(UnmatchedReason))
    received_at: datetime = Field(sa_type=UtcDateTime)
    stopped_at: datetime = Field(sa_type=UtcDateTime)
    meter_stop_wh: int = Field(sa_type=BigInt)
    stop_reason: str | None = None
    token: str | None = None
    stop_key: str
    answer: dict[str, Any] | None = Field(default=None, sa_type=Json)
    payload: dict[str, Any] = Field(sa_type=Json)
    """The whole request, with its meter values."""
    paired_charge_log_id: int | None = Field(default=None, sa_type=BigInt)
    paired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paired_by: str | None = None


KEPT = (Kept(MeterSample, "samples_kept_days"), Kept(ChargeEvent, "samples_kept_days"))

_logs: SqlTable = ChargeLog.__table__  # type: ignore[attr-defined]  # SQLModel adds it
_samples: SqlTable = MeterSample.__table__  # type: ignore[attr-defined]  # SQLModel adds it
_events: SqlTable = ChargeEvent.__table__  # type: ignore[attr-defined]  # SQLModel adds it

# Samples are looked up by charge or station, charges by organisation and time: Owned's own index would only cost.
_logs.indexes = {index for index in _logs.indexes if index.name != "ix_charge_log_organisation_id"}
_samples.indexes = {index for index in _samples.indexes if index.name != "ix_meter_sample_organisation_id"}
_events.indexes = {index for index in _events.indexes if index.name != "ix_charge_event_organisation_id"}


@event.listens_for(_samples, "after_create")
@event.listens_for(_events, "after_create")
def _create_default_partition(target: SqlTable, connection: Connection, **_: object) -> None:
    """PostgreSQL: a partition for what has no monthly one, so that no sample is ever refused for want of it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f'CREATE TABLE "{target.name}_default" PARTITION OF "{target.name}" DEFAULT')
