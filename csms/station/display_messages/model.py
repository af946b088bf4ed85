"""S3: what a station was told to show, and what came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.station.display_messages.rules import DisplayMessageState, Priority, ShownWhile
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

_IS_LIVE = text("state IN ('requested', 'installed')")


class DisplayMessage(Owned, table=True):
    """A message, in one or several languages."""

    __tablename__ = "display_message"
    __table_args__ = (
        UniqueConstraint("station_id", "number", name="uq_display_message_station_number"),
        Index("ix_display_message_live", "station_id", postgresql_where=_IS_LIVE, sqlite_where=_IS_LIVE),
    )

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    """OCPP's message id, unique within the station."""
    priority: Priority = Field(sa_type=words(Priority))
    shown_while: ShownWhile | None = Field(default=None, sa_type=words(ShownWhile))
    """None: whatever the station does."""
    shown_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    shown_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    transaction_id: str | None = None
    """Shown only while this transaction lasts."""
    charge_point_number: int | None = Field(default=None, sa_type=BigInt)
    """On whose display; None: the station's main one."""
    texts: list[dict[str, Any]] = Field(sa_type=Json)
    """OCPP's MessageContent objects: format, language, content."""
    state: DisplayMessageState = Field(sa_type=words(DisplayMessageState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    """Why it is so, in plain words."""
    station_word: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    told_in: int | None = Field(default=None, sa_type=BigInt)
    """The request id of the last report in which the station named it."""


KEPT = (Kept(DisplayMessage, "history_kept_days"),)
