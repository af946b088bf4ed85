"""S1: when a station charges, and how much."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

HOURS: Final = 24
WEEKDAYS: Final = 7
SPAN_MAX: Final = timedelta(days=31)
"""A longer charge is cut: it is a wrong clock or a forgotten car, and would outweigh all others."""


PartOf = Callable[[datetime, tzinfo], str]
"""`day_of` or `month_of`."""


@dataclass(frozen=True, slots=True)
class Span:
    """One charge as statistics see it."""

    started_at: datetime
    duration_s: int
    energy_wh: int


@dataclass(slots=True)
class Use:
    """What happened in a stretch of time; charges count where they began."""

    charges: int = 0
    charging_s: float = 0.0
    energy_wh: float = 0.0

    def add(self, charges: int, charging_s: float, energy_wh: float) -> None:
        self.charges += charges
        self.charging_s += charging_s
        self.energy_wh += energy_wh


def usage(spans: Iterable[Span], zone: tzinfo) -> list[list[Use]]:
    """Use by weekday (0 is Monday) and hour of the day in that zone; energy is spread evenly over a charge's time."""
    week = [[Use() for _ in range(HOURS)] for _ in range(WEEKDAYS)]
    for span in spans:
        local = span.started_at.astimezone(zone)
        whole_s = min(span.duration_s, SPAN_MAX.total_seconds())
        first = week[local.weekday()][local.hour]
        first.add(1, 0, span.energy_wh if whole_s == 0 else 0)
        for weekday, hour, part_s in _by_hour(span.started_at, whole_s, zone):
            week[weekday][hour].add(0, part_s, span.energy_wh * part_s / whole_s)
    return week


def _by_hour(started_at: datetime, duration_s: float, zone: tzinfo) -> Iterable[tuple[int, int, float]]:
    """A stretch of time cut at the full hours of the zone's clocks: weekday, hour, seconds."""
    at, left_s = started_at.astimezone(UTC), duration_s
    while left_s > 0:
        local = at.astimezone(zone)
        part_s = min(left_s, 3600 - local.minute * 60 - local.second - local.microsecond / 1e6)
        yield local.weekday(), local.hour, part_s
        at += timedelta(seconds=max(part_s, 1e-3))  # a microsecond lost in rounding must not stand still
        left_s -= part_s


def day_of(at: datetime, zone: tzinfo) -> str:
    """The day in that zone, as 2026-01-31."""
    return at.astimezone(zone).date().isoformat()


def month_of(at: datetime, zone: tzinfo) -> str:
    """The month in that zone, as 2026-01."""
    return day_of(at, zone)[:7]


def consumption(spans: Iterable[Span], parts: Sequence[str], part_of: PartOf, zone: tzinfo) -> dict[str, Use]:
    """Use by part (day or month), parts without any included; a charge counts where it began."""
    found = {part: Use() for part in parts}
    for span in spans:
        part = part_of(span.started_at, zone)
        if part in found:
            found[part].add(1, span.duration_s, span.energy_wh)
    return found


def parts_between(start: datetime, end: datetime, part_of: PartOf, zone: tzinfo) -> list[str]:
    """The days or months of that zone that a period touches, in order; `end` is not in it."""
    parts: dict[str, None] = {}
    day, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    while day <= last:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        parts[part_of(noon, zone)] = None
        day += timedelta(days=1)
    return list(parts)
