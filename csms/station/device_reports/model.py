"""S15: reports that were asked for, and what stations told that is not sorted in yet."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.device_reports.rules import ReportState, state_of
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

_IS_OPEN = text("ended_at IS NULL")


class Topic(StrEnum):
    """What a report or message is about, that is, which feature sorts it in."""

    SETTINGS = "settings"
    MONITORS = "monitors"


class DeviceReport(Owned, table=True):
    """A report that a station was asked for; it comes in parts, found by `request_id`."""

    __tablename__ = "device_report"
    __table_args__ = (
        Index("ix_device_report_station", "station_id", "request_id"),
        Index("ix_device_report_open", "last_part_at", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
    )

    station_id: int = Field(sa_type=BigInt)
    topic: Topic = Field(sa_type=words(Topic))
    request_id: int = Field(sa_type=BigInt)
    scope: str
    """What was asked for, in a word or two of the topic's own."""
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    status: str | None = None
    """What the station answered to the question, in OCPP's word; None before it has."""
    parts: list[int] = Field(default_factory=list, sa_type=Json)
    """Numbers of the parts that came."""
    last_part: int | None = None
    """Number of the part after which nothing follows."""
    item_count: int = 0
    last_part_at: datetime = Field(sa_type=UtcDateTime)
    """When the latest part came; before the first, when it was asked for."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_complete: bool = False
    detail: str | None = None
    """In words, why it is not complete."""

    @property
    def state(self) -> ReportState:
        return state_of(
            self.status,
            has_parts=bool(self.parts),
            has_ended=self.ended_at is not None,
            is_complete=self.is_complete,
        )


class DeviceMessage(Owned, table=True):
    """What a station told, without secrets, until it is sorted in."""

    __tablename__ = "device_message"
    __table_args__ = (Index("ix_device_message_station", "station_id", "topic", "id"),)

    station_id: int = Field(sa_type=BigInt)
    topic: Topic = Field(sa_type=words(Topic))
    action: str
    at: datetime = Field(sa_type=UtcDateTime)
    request: dict[str, Any] = Field(sa_type=Json)
    """Of a report its part, else our own request."""
    answer: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """What the station answered to our request."""


KEPT = (Kept(DeviceReport, "frames_kept_days"), Kept(DeviceMessage, "frames_kept_days"))
