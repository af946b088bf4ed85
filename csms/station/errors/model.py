"""S5: the table of errors."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.errors.rules import OFFLINE, Resolution, Severity, Source
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept

_IS_OPEN = text("resolved_at IS NULL")
_IS_OPEN_OFFLINE = text(f"resolved_at IS NULL AND code = '{OFFLINE}'")


class StationError(Owned, table=True):
    """Something wrong with a station or one of its charge points, from when it was raised until it was resolved."""

    __tablename__ = "station_error"
    __table_args__ = (
        Index("ix_station_error_station_raised", "station_id", "raised_at"),
        Index("ix_station_error_organisation_raised", "organisation_id", "raised_at"),
        Index("ix_station_error_open", "station_id", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        Index(
            "uq_station_error_open_offline",
            "station_id",
            unique=True,
            sqlite_where=_IS_OPEN_OFFLINE,
            postgresql_where=_IS_OPEN_OFFLINE,
        ),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int
    """0: the station itself."""
    connector_number: int | None = None
    """Which connector of it, where the station says so (2.x)."""
    source: Source = Field(sa_type=words(Source))
    code: str
    """OCPP's error code in its spelling, `Faulted` for a fault without one, or `Offline`."""
    vendor_code: str | None = None
    vendor_id: str | None = None
    info: str | None = None
    severity: Severity = Field(sa_type=words(Severity))
    raised_at: datetime = Field(sa_type=UtcDateTime)
    """By the station's clock if that can be believed; of an offline station, since when it is offline."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    """When this system learnt of it."""
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    repeat_count: int = 0
    """How often the station told it again while it was open."""
    resolved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    resolution: Resolution | None = Field(default=None, sa_type=words(Resolution))
    resolved_by: str | None = None
    """Who, if it was a person."""
    in_maintenance_window: bool = False
    maintenance_window_id: int | None = Field(default=None, sa_type=BigInt)


KEPT = (Kept(StationError, "history_kept_days"),)
