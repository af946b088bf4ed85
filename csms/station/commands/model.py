"""B3: the command log: who told a station what, when, and what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class CommandOutcome(StrEnum):
    """How a command ended; `waiting` until it has."""

    WAITING = "waiting"
    """Queued or sent; no outcome yet."""
    ANSWERED = "answered"
    """The station answered; `payload` says what (which may well be `Rejected`)."""
    REFUSED = "refused"
    """The station answered with a CALLERROR; see `error`."""
    TIMED_OUT = "timed_out"
    """No answer in time; the station may have acted all the same."""
    OFFLINE = "offline"
    """Never sent: the station is not connected."""
    DISCONNECTED = "disconnected"
    """Sent, and the connection ended before the answer; the station may have acted."""
    EXPIRED = "expired"
    """Never sent: it waited too long behind other commands, or too many waited."""
    UNKNOWN = "unknown"
    """The CSMS itself failed before it knew; the station may have acted."""


_WAITING = text("outcome = 'waiting'")


class Command(Owned, table=True):
    """One call of ours to a station. Secrets are masked in every column."""

    __table_args__ = (
        Index("ix_command_station_id", "station_id", "id"),
        Index("ix_command_waiting", "deadline_at", postgresql_where=_WAITING, sqlite_where=_WAITING),
    )

    station_id: int = Field(sa_type=BigInt)
    action: str = Field(max_length=64)
    request: dict[str, Any] = Field(sa_type=Json)
    timeout_s: float
    outcome: CommandOutcome = Field(default=CommandOutcome.WAITING, sa_type=words(CommandOutcome))
    payload: dict[str, Any] | None = Field(default=None, sa_type=Json)
    error: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """The CALLERROR as `code`, `description`, `details`."""
    reason: str | None = None
    """Why there is no answer."""
    sent_at: datetime = Field(sa_type=UtcDateTime)
    """When it was handed over to the node that holds the connection."""
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the outcome was known."""
    deadline_at: datetime = Field(sa_type=UtcDateTime)
    """A command still waiting then has lost its process; the sweeper closes it."""
    sent_by_kind: str
    sent_by_id: int | None = Field(default=None, sa_type=BigInt)
    sent_by: str
    """Name of the person or key."""


KEPT = (Kept(Command, "history_kept_days"),)
