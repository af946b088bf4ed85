"""B2, B10: the table of security events."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class EventSource(StrEnum):
    """Who noticed."""

    STATION = "station"
    """The station told (SecurityEventNotification)."""
    SYSTEM = "system"
    """This system noticed it about the station."""


class SecurityEvent(Owned, table=True):
    """One security event; the same told again within an hour is counted in its row."""

    __tablename__ = "security_event"
    __table_args__ = (
        Index("ix_security_event_station", "station_id", "id"),
        Index("ix_security_event_seen", "station_id", "last_seen_at"),
        Index("ix_security_event_organisation_newest", "organisation_id", "id"),
    )

    station_id: int | None = Field(default=None, sa_type=BigInt)
    """None: somebody who is none of our stations."""
    identity: str | None = None
    """The station's, as it was then."""
    source: EventSource = Field(sa_type=words(EventSource))
    type: str = Field(max_length=50)
    is_critical: bool
    happened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """By the station's clock; None where its text is no time."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    repeat_count: int = 0
    tech_info: str | None = None
    details: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """What this system noticed beside the type."""


KEPT = (Kept(SecurityEvent, "history_kept_days"),)
