"""S17: the tables of diagnosis requests and of what stations said about their uploads."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.diagnosis.rules import DiagnosisKind, DiagnosisState
from csms.station.file_transfers import StatusTold
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept

_OPEN = text("ended_at IS NULL")


class Diagnosis(Owned, table=True):
    """A log that a station was asked to upload, here or (by a raw command) elsewhere."""

    __table_args__ = (
        Index("ix_diagnosis_station", "station_id", "id"),
        Index("ix_diagnosis_request", "station_id", "request_id"),
        Index("ix_diagnosis_transfer", "transfer_id"),
        Index("ix_diagnosis_open", "deadline_at", postgresql_where=_OPEN, sqlite_where=_OPEN),
    )

    station_id: int = Field(sa_type=BigInt)
    kind: DiagnosisKind = Field(sa_type=words(DiagnosisKind))
    action: str = Field(max_length=32)
    request_id: int | None = Field(default=None, sa_type=BigInt)
    transfer_id: int | None = Field(default=None, sa_type=BigInt)
    """None: to a server that is not ours."""
    location: str
    """Scheme, host and port."""
    period_start: datetime | None = Field(default=None, sa_type=UtcDateTime)
    period_end: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: DiagnosisState = Field(default=DiagnosisState.REQUESTED, sa_type=words(DiagnosisState))
    reason: str | None = None
    file_name: str | None = None
    """As the station announced it."""
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    deadline_at: datetime = Field(sa_type=UtcDateTime)
    """When waiting for it ends."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_status: str | None = None
    last_status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DiagnosisStatus(StatusTold, table=True):
    """What a station said about an upload. Without `diagnosis_id` nobody knows which."""

    __tablename__ = "diagnosis_status"
    __table_args__ = (Index("ix_diagnosis_status", "station_id", "diagnosis_id"),)

    diagnosis_id: int | None = Field(default=None, sa_type=BigInt)
    action: str = Field(max_length=32)


KEPT = (Kept(Diagnosis, "history_kept_days"), Kept(DiagnosisStatus, "history_kept_days"))
