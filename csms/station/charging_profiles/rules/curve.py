"""S25: limits over time: steps that each hold until the next, inside one window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from csms.station.charging_profiles.rules.profile import Unit

TENTH: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may be drawn, and because of what."""

    value: Decimal | None
    """None: what is in force sets no limit."""
    unit: Unit
    phases: int | None = None
    source: int = 0
    """Whose it is; 0 for a sum of several."""


@dataclass(frozen=True, slots=True)
class Step:
    """From `at` on; no limit is a gap, which others may fill."""

    at: datetime
    limit: Limit | None


Curve = tuple[Step, ...]
"""Steps by time; the first is at the window's start, and neighbours differ."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` until just before `end`."""

    start: datetime
    end: datetime

    def gap(self) -> Curve:
        return (Step(self.start, None),)


@dataclass(frozen=True, slots=True)
class Supply:
    """What turns amperes into watts; direct current counts as one phase."""

    voltage_v: Decimal = Decimal(230)
    phases: int = 3


@dataclass(frozen=True, slots=True)
class Span:
    """A limit from `start` until just before `end`."""

    start: datetime
    end: datetime
    limit: Limit


def curve_of(spans: Sequence[Span], window: Window) -> Curve:
    """The curve of spans that are in order and do not overlap, cut to the window."""
    steps: list[Step] = []
    covered_until = window.start
    for span in spans:
        start, end = max(span.start, window.start), min(span.end, window.end)
        if start >= end:
            continue
        if start > covered_until:
            steps.append(Step(covered_until, None))
        steps.append(Step(start, span.limit))
        covered_until = end
    if covered_until < window.end or not steps:
        steps.append(Step(covered_until, None))
    return _merged(steps)


def _merged(steps: Sequence[Step]) -> Curve:
    return tuple(step for index, step in enumerate(steps) if index == 0 or step.limit != steps[index - 1].limit)


Choice = Callable[[Limit | None, Limit | None], Limit | None]


def combine(first: Curve, second: Curve, choose: Choice) -> Curve:
    """The curve that `choose` makes of both at every moment. Both have the same window."""
    steps: list[Step] = []
    i = j = 0
    while True:
        at = max(first[i].at, second[j].at)
        steps.append(Step(at, choose(first[i].limit, second[j].limit)))
        next_first = first[i + 1].at if i + 1 < len(first) else None
        next_second = second[j + 1].at if j + 1 < len(second) else None
        if next_first is None and next_second is None:
            return _merged(steps)
        if next_second is None or (next_first is not None and next_first <= next_second):
            i += 1
        if next_first is None or (next_second is not None and next_second <= next_first):
            j += 1


def combine_all(curves: Sequence[Curve], choose: Choice) -> Curve | None:
    """All of them, in pairs, so that the work grows with their steps and not with their square."""
    if not curves:
        return None
    while len(curves) > 1:
        pairs = [curves[index : index + 2] for index in range(0, len(curves), 2)]
        curves = [combine(pair[0], pair[1], choose) if pair[1:] else pair[0] for pair in pairs]
    return curves[0]


def over(upper: Limit | None, lower: Limit | None) -> Limit | None:
    """The upper one where there is one."""
    return lower if upper is None else upper


def least(one: Limit | None, other: Limit | None) -> Limit | None:
    """The stricter of two limits of the same unit; the first of two that are equal."""
    if one is None or other is None:
        return over(one, other)
    if one.value is None or other.value is None:
        return over(one if one.value is not None else None, other)
    return one if one.value <= other.value else other


def added(one: Limit | None, other: Limit | None) -> Limit | None:
    """Both together, of the same unit; without limit if one of them is."""
    if one is None or other is None or one.value is None or other.value is None:
        return None
    return Limit(one.value + other.value, one.unit)


def raised(base: Limit | None, extra: Limit | None) -> Limit | None:
    """The limit with what comes on top of it."""
    if base is None or base.value is None or extra is None or extra.value is None:
        return base
    return replace(base, value=base.value + extra.value)


def converted(limit: Limit | None, unit: Unit, supply: Supply) -> Limit | None:
    """The limit in that unit, rounded down to a tenth so that it never allows more."""
    if limit is None or limit.unit is unit:
        return limit
    if limit.value is None:
        return replace(limit, unit=unit)
    factor = supply.voltage_v * _phases(limit.phases, supply)
    value = limit.value * factor if unit is Unit.WATT else limit.value / factor
    return replace(limit, value=value.quantize(TENTH, ROUND_FLOOR), unit=unit)


def _phases(phases: int | None, supply: Supply) -> int:
    return min(phases, supply.phases) if phases is not None and phases > 0 else supply.phases


def in_unit(curve: Curve, unit: Unit, supply: Supply) -> Curve:
    return _merged([Step(step.at, converted(step.limit, unit, supply)) for step in curve])
