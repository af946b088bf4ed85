"""S6, B7: charge logs (OCPP's transactions), their meter samples, corrections, and stops that match nothing."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Index, UniqueConstraint, event, text
from sqlalchemy import Table as SqlTable
from sqlmodel import Field

from csms.station.tokens import TokenStatus
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class ChargeState(StrEnum):
    """How far a charge is."""

    RUNNING = "running"
    FINISHED = "finished"
    """The station sent its stop."""
    ESTIMATED_END = "estimated_end"
    """No stop came; the end is the last meter value. A stop that comes later corrects it."""


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
ABANDONED = text("abandoned_at IS NOT NULL")
UNPAIRED = text("paired_at IS NULL")


class ChargeLog(Owned, table=True):
    """One charge: OCPP's transaction, and what the operator sees of it."""

    __tablename__ = "charge_log"
    __table_args__ = (
        UniqueConstraint("station_id", "transaction_id", name="uq_charge_log_station_transaction"),
        UniqueConstraint("station_id", "start_key", name="uq_charge_log_station_start"),
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
    transaction_id: int = Field(sa_type=BigInt)
    """Random, unique within the station: knowing one tells nothing of another."""
    start_key: str
    """What a repeated start has in common with the first (see `rules.start_key`)."""
    reservation_id: int | None = Field(default=None, sa_type=BigInt)

    token: str
    """As the station sent it."""
    token_key: str
    token_group: str | None = None
    holder: str | None = None
    """Who held the token when the charge started."""
    verdict: TokenStatus = Field(sa_type=words(TokenStatus))
    start_answer: dict[str, Any] = Field(sa_type=Json)
    """The idTagInfo that was answered; a repeated start gets the same."""

    state: ChargeState = Field(sa_type=words(ChargeState))
    started_at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    meter_start_wh: int = Field(sa_type=BigInt)
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
    transaction_id: int = Field(sa_type=BigInt)
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


KEPT = (Kept(MeterSample, "samples_kept_days"),)

_logs: SqlTable = ChargeLog.__table__  # type: ignore[attr-defined]  # SQLModel adds it
_samples: SqlTable = MeterSample.__table__  # type: ignore[attr-defined]  # SQLModel adds it

# Samples are looked up by charge or station, charges by organisation and time: Owned's own index would only cost.
_logs.indexes = {index for index in _logs.indexes if index.name != "ix_charge_log_organisation_id"}
_samples.indexes = {index for index in _samples.indexes if index.name != "ix_meter_sample_organisation_id"}


@event.listens_for(_samples, "after_create")
def _create_default_partition(target: SqlTable, connection: Connection, **_: object) -> None:
    """PostgreSQL: a partition for what has no monthly one, so that no sample is ever refused for want of it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f'CREATE TABLE "{target.name}_default" PARTITION OF "{target.name}" DEFAULT')
