"""B2: grid controls of a station, and its alarms."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.der_controls.rules import ControlState
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class DerControl(Owned, table=True):
    """A control, by the id that it was given."""

    __tablename__ = "der_control"
    __table_args__ = (UniqueConstraint("station_id", "control_id", name="uq_der_control_station_control"),)

    station_id: int = Field(sa_type=BigInt)
    control_id: str
    control_type: str
    is_default: bool
    """In force whenever no scheduled one of its type is."""
    values: dict[str, Any] = Field(sa_type=Json)
    """As OCPP writes them: priority, curve or settings, start and duration."""
    starts_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    duration_s: float | None = None
    state: ControlState = Field(sa_type=words(ControlState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    told_in: int | None = Field(default=None, sa_type=BigInt)
    """The request id of the last report that named it."""


class DerAlarm(Owned, table=True):
    """A station told that the grid made it act, or that this is over."""

    __tablename__ = "der_alarm"
    __table_args__ = (Index("ix_der_alarm_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    control_type: str
    fault: str | None = None
    """The standard's word for what is wrong with the grid."""
    has_ended: bool
    told_at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    info: str | None = None


KEPT = (Kept(DerControl, "history_kept_days"), Kept(DerAlarm, "history_kept_days"))
