"""B8: reads the times that stations write, and writes times that every station can read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

MAX_TIMESTAMP_CHARS: Final = 64
_PLAIN_CHARS: Final = (20, 24)  # 2026-01-01T00:00:00Z and 2026-01-01T00:00:00.000Z
_MINUTES_PER_DAY: Final = 24 * 60


class Flag(StrEnum):
    """How a time differs from the form RFC 3339 gives it."""

    NO_ZONE = "no_zone"  # UTC assumed
    NO_SECONDS = "no_seconds"
    SHORT_ZONE = "short_zone"  # +0100 or +01
    COMMA = "comma"
    LONG_FRACTION = "long_fraction"  # cut after microseconds
    END_OF_DAY = "end_of_day"  # 24:00 is the next midnight
    LEAP_SECOND = "leap_second"  # :60 is the next second
    LOOSE = "loose"  # blanks, one-digit fields, lower case


@dataclass(slots=True)
class Reading:
    """A time as a station wrote it: ``at`` in UTC, ``flags`` saying how its text was unusual."""

    at: datetime
    flags: frozenset[Flag] = frozenset()


_TOLERANT: Final = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})[Tt ]+"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:(?P<point>[.,])(?P<fraction>[0-9]*))?)?"
    r" ?(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>[0-9]{2})(?P<colon>:?)(?P<zone_minute>[0-9]{2})?)?"
)
_TIDY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9:]+)?")


def read(text: object) -> Reading | None:
    """Read a station's time; None when it means nothing (or is no text). Never raises."""
    if not isinstance(text, str) or len(text) > MAX_TIMESTAMP_CHARS:
        return None
    if len(text) in _PLAIN_CHARS and text[10] == "T" and text[-1] == "Z" and text.isascii():
        try:
            return Reading(datetime.fromisoformat(text))
        except ValueError:
            pass  # the tolerant way below knows 24:00 and leap seconds
    match = _TOLERANT.fullmatch(text.strip())
    if match is None:
        return None
    try:
        return Reading(_at(match), frozenset(_flags(match, text)))
    except (ValueError, OverflowError):
        return None


def write(at: datetime) -> str:
    """Write ``at`` as ``2026-01-01T00:00:00.000Z``: some stations refuse ``+00:00`` and microseconds.

    Raises ValueError for a time without zone, which is a mistake of the caller.
    """
    if at.tzinfo is None:
        raise ValueError("a time on the wire needs a zone: use datetime.now(UTC)")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _at(match: re.Match[str]) -> datetime:
    hour, second = int(match["hour"]), int(match["second"] or 0)
    is_end_of_day = hour == 24 and int(match["minute"]) == 0 and second == 0  # noqa: PLR2004 ISO 8601 midnight
    is_leap = second == 60  # noqa: PLR2004 RFC 3339, 5.7
    fraction = (match["fraction"] or "").ljust(6, "0")[:6]
    local = datetime(
        int(match["year"]),
        int(match["month"]),
        int(match["day"]),
        0 if is_end_of_day else hour,
        int(match["minute"]),
        59 if is_leap else second,
        int(fraction),
        tzinfo=_zone(match),
    )
    return (local + timedelta(days=is_end_of_day, seconds=is_leap)).astimezone(UTC)


def _zone(match: re.Match[str]) -> timezone:
    if not match["sign"]:
        return UTC
    zone_minute = int(match["zone_minute"] or 0)
    minutes = int(match["zone_hour"]) * 60 + zone_minute
    if zone_minute >= 60 or minutes >= _MINUTES_PER_DAY:  # noqa: PLR2004 an hour
        raise ValueError("no such zone")
    return timezone(timedelta(minutes=-minutes if match["sign"] == "-" else minutes))


def _flags(match: re.Match[str], text: str) -> list[Flag]:
    tests = {
        Flag.NO_ZONE: match["zone"] is None,
        Flag.NO_SECONDS: match["second"] is None,
        Flag.SHORT_ZONE: match["sign"] is not None and not (match["colon"] and match["zone_minute"]),
        Flag.COMMA: match["point"] == ",",
        Flag.LONG_FRACTION: len(match["fraction"] or "") > 6,  # noqa: PLR2004 microseconds
        Flag.END_OF_DAY: int(match["hour"]) == 24,  # noqa: PLR2004 ISO 8601 midnight
        Flag.LEAP_SECOND: match["second"] == "60",
        Flag.LOOSE: _TIDY.fullmatch(text) is None,
    }
    return [flag for flag, is_so in tests.items() if is_so]
