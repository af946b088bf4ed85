"""S25: what a charging profile is, whatever the version (OCPP 1.6, 3.13 and 7.8; 2.0.1 K; 2.1 K)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

WHOLE_STATION: Final = 0
"""OCPP's number of the station itself."""
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


class Purpose(StrEnum):
    """What a profile limits."""

    STATION_MAX = "station_max"
    """The whole station, whatever charges (1.6 ChargePointMaxProfile, 2.x ChargingStationMaxProfile)."""
    EXTERNAL = "external_constraints"
    """Set by somebody else than this system: a grid operator, a building's energy management."""
    DEFAULT = "transaction_default"
    """Every charge that has no profile of its own (TxDefaultProfile)."""
    TRANSACTION = "transaction"
    """One charge (TxProfile)."""
    PRIORITY = "priority_charging"
    """2.1: charges that were given priority."""
    LOCAL_GENERATION = "local_generation"
    """2.1: power made on the spot, which comes on top of external constraints."""


class Kind(StrEnum):
    """What the seconds of a schedule count from."""

    ABSOLUTE = "absolute"
    RECURRING = "recurring"
    RELATIVE = "relative"
    """From the start of the charge."""
    DYNAMIC = "dynamic"
    """2.1: one limit, changed while it is in force."""


class Recurrency(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"

    @property
    def span(self) -> timedelta:
        """In UTC: a day has 24 hours, whatever clocks on the wall do."""
        return timedelta(days=1 if self is Recurrency.DAILY else 7)


class Unit(StrEnum):
    AMPERE = "A"
    WATT = "W"


@dataclass(frozen=True, slots=True)
class Period:
    """From `start_s` after the schedule's start until the next period."""

    start_s: int
    limit: Decimal | None
    """None only in 2.1, for modes of operation that need no limit."""
    phases: int | None = None
    phase_to_use: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only 2.1 has (limits of single phases, set points, V2X), and customData, in OCPP's own names."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Limits over time. Without `duration_s` the last period goes on."""

    unit: Unit
    periods: tuple[Period, ...]
    starts_at: datetime | None = None
    duration_s: int | None = None
    minimum_rate: Decimal | None = None
    id: int | None = None
    """2.x; None: to be numbered when it is written."""
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A charging profile."""

    id: int
    purpose: Purpose
    stack_level: int
    kind: Kind
    schedules: tuple[Schedule, ...]
    """2.x: up to three that a car may choose from; the first is what is counted with."""
    recurrency: Recurrency | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def overlaps(self, other: "Profile") -> bool:
        """Whether there is a moment at which both are valid."""
        return _is_before(self.valid_from, other.valid_to) and _is_before(other.valid_from, self.valid_to)


def _is_before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def after(at: datetime, seconds: float) -> datetime:
    """`seconds` later; the end of time where that is beyond the calendar (stations send such durations)."""
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return _LATEST
