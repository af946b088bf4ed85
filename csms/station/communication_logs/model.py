"""S11: one row per OCPP exchange: what was asked, what was answered, what became of it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Index, Table, event, text
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class FrameOutcome(StrEnum):
    """What became of a request, or why a text was none."""

    ANSWERED = "answered"
    """With a CALLRESULT."""
    REFUSED = "refused"
    """With a CALLERROR; `error_code` has its word."""
    TIMED_OUT = "timed_out"
    """No answer within the time allowed."""
    DISCONNECTED = "disconnected"
    """The connection ended before an answer."""
    SENT = "sent"
    """A message that asks for no answer and gets none (2.1 SEND)."""
    ANSWER_REFUSED = "answer_refused"
    """We answered, and the station could not use it (2.1 CALLRESULTERROR); `error_code` has its word."""
    DUPLICATE = "duplicate"
    """A repeated request; it got the remembered answer, or none while the first one is still handled."""
    MALFORMED = "malformed"
    """No OCPP frame; `error_code` has our word where we answered."""
    LATE = "late"
    """An answer that nobody waits for any more (or never did)."""


DEVIATING = text("violation IS NOT NULL")


class Frame(Owned, table=True):
    """One exchange over OCPP. Texts are as they went over the wire, except that secrets are masked."""

    __table_args__ = (
        Index("ix_frame_station_id", "station_id", "id"),
        Index(
            "ix_frame_deviating", "organisation_id", "id", postgresql_where=DEVIATING, sqlite_where=DEVIATING
        ),  # holds only the few that break the standard, so it costs the others nothing
        {"postgresql_partition_by": "RANGE (id)"},
    )

    station_id: int = Field(sa_type=BigInt)
    connection_id: int | None = Field(default=None, sa_type=BigInt)
    at: datetime = Field(sa_type=UtcDateTime)
    """When the request was received, or sent."""
    from_station: bool
    """Who asked."""
    action: str | None = None
    """None for what is no request."""
    message_id: str | None = None
    request: str | None = None
    """None for a late answer, whose request is in a row of its own."""
    answer: str | None = None
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    outcome: FrameOutcome = Field(sa_type=words(FrameOutcome))
    error_code: str | None = None
    """The CALLERROR's code, in the words of the version."""
    repairs: list[str] | None = Field(default=None, sa_type=Json)
    """Names of the repairs made, each once, in the order of the alphabet."""
    violation: str | None = None
    """The first breach of the schema: place and rule, never the value; not null for every row with repairs."""


KEPT = (Kept(Frame, "frames_kept_days"),)

_table: Table = Frame.__table__  # type: ignore[attr-defined]  # SQLModel adds it

# Frames are looked up by station; Owned's index would only slow the table that takes every message.
_table.indexes = {index for index in _table.indexes if index.name != "ix_frame_organisation_id"}


@event.listens_for(_table, "after_create")
def _create_default_partition(target: Table, connection: Connection, **_: object) -> None:
    """PostgreSQL: a partition for what has no monthly one, so that no message is ever refused for want of it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f'CREATE TABLE "{target.name}_default" PARTITION OF "{target.name}" DEFAULT')
