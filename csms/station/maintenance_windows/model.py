"""S16: the table of maintenance windows."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from csms.station.maintenance_windows.rules import Span, WindowState, state_of
from csms.store import BigInt, Owned, UtcDateTime
from csms.store.retention import Kept


class MaintenanceWindow(Owned, table=True):
    """Planned work on a station or one of its charge points: errors inside it are stored, but nobody is told.

    `ends_at` is always the true end: ending a window early sets it to that moment.
    """

    __tablename__ = "maintenance_window"
    __table_args__ = (
        Index("ix_maintenance_window_station_ends", "station_id", "ends_at"),
        Index("ix_maintenance_window_unannounced", "is_end_announced", "ends_at"),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int | None = None
    """None: the whole station."""
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    comment: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    ended_early_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_early_by: str | None = None
    cancelled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Taken back before it began; it was never in force."""
    cancelled_by: str | None = None
    is_end_announced: bool = False
    """Whether `maintenance_window_ended` was emitted; set in the same commit."""

    def state_at(self, now: datetime) -> WindowState:
        return state_of(self.starts_at, self.ends_at, self.cancelled_at, now)

    @property
    def span(self) -> Span:
        return Span(self.id, self.charge_point_number, self.starts_at, self.ends_at)


KEPT = (Kept(MaintenanceWindow, "history_kept_days"),)
