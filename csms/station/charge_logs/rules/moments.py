"""B7: what is unusual about a charge, what a station's times mean, and the keys of repeats."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final


class Flag(StrEnum):
    """What is unusual about a charge."""

    OFFLINE = "offline"
    """It was told more than OFFLINE_AFTER late: the station had no connection."""
    CLOCK_SUSPECT = "clock_suspect"
    NO_TIME = "no_time"
    """The station sent none that can be read; the time of receipt was taken."""
    UNAUTHORISED = "unauthorised"
    """It began although the token was not accepted."""
    OVERLAPPING = "overlapping"
    """Told late, while a younger charge was open at the same charge point."""
    SUPERSEDED = "superseded"
    """Another charge began at the charge point before this one's stop came."""
    METER_RESET = "meter_reset"
    METER_ROLLOVER = "meter_rollover"
    METER_BACKWARDS = "meter_backwards"
    METER_IMPLAUSIBLE = "meter_implausible"
    ESTIMATED_END = "estimated_end"
    LATE_STOP = "late_stop"
    """The stop came after the end had been estimated, and corrected it."""
    OTHER_TOKEN = "other_token"  # noqa: S105  # a word, no secret
    """Stopped with a token neither the same nor of the same group."""
    START_MISSING = "start_missing"
    """The event that tells its start has not come (2.x): it begins with the first that has."""
    NO_METER_START = "no_meter_start"
    """No register has been told yet (2.x)."""
    SEQUENCE_GAP = "sequence_gap"
    """Some of the station's numbered events have not come (2.x)."""
    OUT_OF_ORDER = "out_of_order"
    """Events came in another order than that of their numbers (2.x)."""
    ID_USED_AGAIN = "id_used_again"
    """The station gave an earlier transaction the same id (2.x)."""
    PAIRED = "paired"
    """An operator gave it a stop that matched nothing."""


OFFLINE_AFTER: Final = timedelta(minutes=5)
AHEAD_MAX: Final = timedelta(minutes=5)
BEHIND_MAX: Final = timedelta(days=400)
"""A charge older than that is not an offline one but a wrong clock."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
CLOCK_SET: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""A clock before that was never set: it shows the same times after each boot."""

REGISTER_MAX_WH: Final = 10**15


@dataclass(slots=True)
class Moment:
    """A station's time as it is stored, and what is unusual about it."""

    at: datetime
    flags: frozenset[Flag] = frozenset()


def moment(at: datetime | None, received_at: datetime) -> Moment:
    """A station's time that can be stored: the time of receipt where it sent none, or one out of all bounds."""
    if at is None:
        return Moment(received_at, frozenset({Flag.NO_TIME}))
    if not EARLIEST <= at < LATEST:
        return Moment(received_at, frozenset({Flag.CLOCK_SUSPECT}))
    if at - received_at > AHEAD_MAX or received_at - at > BEHIND_MAX:
        return Moment(at, frozenset({Flag.CLOCK_SUSPECT}))
    return Moment(at, frozenset({Flag.OFFLINE}) if received_at - at > OFFLINE_AFTER else frozenset())


def latest_of_clock(started_at: datetime, start_received_at: datetime, now: datetime) -> datetime:
    """What the clock of a charge's station can show by now, be it as far ahead as it was at the charge's start."""
    return now + AHEAD_MAX + max(timedelta(0), started_at - start_received_at)


def duration_s(started_at: datetime, stopped_at: datetime) -> int:
    """Whole seconds; 0 where the clock ran backwards in between."""
    return max(0, int((stopped_at - started_at).total_seconds()))


def bounded_register(register_wh: int) -> int:
    """A register that can be stored and reckoned with; beyond the bounds lies only rubbish."""
    return max(-REGISTER_MAX_WH, min(REGISTER_MAX_WH, register_wh))


def repeat_key(*parts: object) -> str:
    """What repeats of one message have in common, without showing it."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
