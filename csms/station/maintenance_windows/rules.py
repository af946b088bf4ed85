"""S16: when a window is in force, and for which charge points."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

WHOLE_STATION = 0
"""OCPP's number of the station itself; only a window for the whole station covers it."""


class WindowState(StrEnum):
    """Where a window is in its life."""

    PLANNED = "planned"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Span:
    """A window as far as silence is concerned: in force from `starts_at` until just before `ends_at`."""

    window_id: int
    charge_point_number: int | None
    """None: the whole station, with all its charge points."""
    starts_at: datetime
    ends_at: datetime

    def covers(self, number: int, at: datetime) -> bool:
        """Whether something that happened to that charge point (0: the station) at that time lies inside."""
        if self.charge_point_number is not None and self.charge_point_number != number:
            return False
        return self.starts_at <= at < self.ends_at


def covering(spans: Iterable[Span], number: int, at: datetime) -> Span | None:
    """The window in force for that charge point at that time; of several, the one that ends last."""
    found = [span for span in spans if span.covers(number, at)]
    return max(found, key=lambda span: span.ends_at, default=None)


def state_of(starts_at: datetime, ends_at: datetime, cancelled_at: datetime | None, now: datetime) -> WindowState:
    """Windows begin and end by the clock alone; nothing has to run for it."""
    if cancelled_at is not None:
        return WindowState.CANCELLED
    if now < starts_at:
        return WindowState.PLANNED
    return WindowState.ACTIVE if now < ends_at else WindowState.ENDED
