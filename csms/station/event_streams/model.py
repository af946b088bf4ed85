"""B2: the streams of a station and what came through them."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.event_streams.rules import StreamState
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class EventStream(Owned, table=True):
    """A stream; its number is used again when it is opened anew."""

    __tablename__ = "event_stream"
    __table_args__ = (UniqueConstraint("station_id", "number", name="uq_event_stream_station_number"),)

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    monitor_number: int = Field(sa_type=BigInt)
    """The variable monitor whose values flow."""
    interval_s: int | None = Field(default=None, sa_type=BigInt)
    """How often a message comes, at most."""
    values_count: int | None = Field(default=None, sa_type=BigInt)
    """After how many values a message comes."""
    state: StreamState = Field(sa_type=words(StreamState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None


class EventStreamMessage(Owned, table=True):
    """The values of one message."""

    __tablename__ = "event_stream_message"
    __table_args__ = (Index("ix_event_stream_message_stream", "station_id", "number", "id"),)

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    """The stream's."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    pending: int | None = Field(default=None, sa_type=BigInt)
    """Values that the station has yet to send."""
    samples: list[dict[str, str]] = Field(sa_type=Json)
    """`at` and `value`, in order."""


KEPT = (Kept(EventStreamMessage, "samples_kept_days"),)
