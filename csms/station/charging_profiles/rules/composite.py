"""S25: what all profiles together allow (OCPP 1.6, 3.13.2 and 3.13.3; 2.0.1 K, 3.2 to 3.6; 2.1 K).

At every moment, for one purpose, the profile with the highest stack level that says something then prevails. A
charge's own profile goes before the defaults for charges; the station's maximum and external constraints cap both.
What the standard leaves open is decided so: a recurring schedule says nothing before its `startSchedule`; without a
charge a relative one counts from the window's start; of several schedules of one profile the first counts; power
made on the spot (2.1) raises external constraints only; local time (2.1) is taken as UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from csms.station.charging_profiles.rules.curve import (
    Choice,
    Curve,
    Limit,
    Span,
    Supply,
    Window,
    added,
    combine,
    combine_all,
    curve_of,
    in_unit,
    least,
    over,
    raised,
)
from csms.station.charging_profiles.rules.profile import (
    WHOLE_STATION,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
    after,
)
from csms.station.charging_profiles.rules.wire import decimal


@dataclass(frozen=True, slots=True)
class Installed:
    """A profile that a station has; `source` says whose it is in the curves made of it."""

    number: int
    """Of the charge point; 0 is the whole station."""
    profile: Profile
    source: int = 0


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charging at a charge point."""

    transaction_id: str
    started_at: datetime
    has_priority: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A station with all that limits it."""

    profiles: Sequence[Installed] = ()
    limits: Sequence[Installed] = ()
    """External limits that the station told of: all of them hold, whatever their stack level."""
    numbers: Sequence[int] = ()
    """Its charge points."""
    charges: Mapping[int, Charge] = field(default_factory=dict)
    supplies: Mapping[int, Supply] = field(default_factory=dict)

    def supply_of(self, number: int) -> Supply:
        return self.supplies.get(number) or Supply()


def composite(site: Site, number: int, window: Window, unit: Unit) -> Curve:
    """What may be drawn at that charge point, or by the whole station (0), in that unit; a gap is no limit."""
    station = _station_cap(site, window, unit)
    if number == WHOLE_STATION:
        return combine(_total(site, window, unit), station, least)
    return combine(_charge_point(site, number, window, unit), station, least)


def _station_cap(site: Site, window: Window, unit: Unit) -> Curve:
    supply = site.supply_of(WHOLE_STATION)
    highest = _prevailing(site, Purpose.STATION_MAX, {WHOLE_STATION}, window, WHOLE_STATION)
    external = _external(site, WHOLE_STATION, window, unit)
    extra = _prevailing(site, Purpose.LOCAL_GENERATION, {WHOLE_STATION}, window, WHOLE_STATION)
    external = combine(external, in_unit(extra, unit, supply), raised)
    return combine(in_unit(highest, unit, supply), external, least)


def _charge_point(site: Site, number: int, window: Window, unit: Unit) -> Curve:
    """Without what caps the station as a whole."""
    charge, supply = site.charges.get(number), site.supply_of(number)
    curve = _prevailing(site, Purpose.DEFAULT, {number, WHOLE_STATION}, window, number)
    if charge is not None:
        curve = combine(_prevailing(site, Purpose.TRANSACTION, {number}, window, number), curve, over)
    if charge is not None and charge.has_priority:
        priority = _prevailing(site, Purpose.PRIORITY, {number, WHOLE_STATION}, window, number)
        curve = combine(priority, curve, over)
    return combine(in_unit(curve, unit, supply), _external(site, number, window, unit), least)


def _total(site: Site, window: Window, unit: Unit) -> Curve:
    """What all charge points may draw together; a gap while one of them has no limit."""
    curves = [_charge_point(site, number, window, unit) for number in site.numbers]
    return combine_all(curves, added) or window.gap()


def _external(site: Site, number: int, window: Window, unit: Unit) -> Curve:
    """Every external constraint of that charge point, or of the station as a whole."""
    supply = site.supply_of(number)
    curves = [_prevailing(site, Purpose.EXTERNAL, {number}, window, number)]
    curves += [profile_curve(one, window, None) for one in site.limits if one.number == number]
    return combine_all([in_unit(curve, unit, supply) for curve in curves], least) or window.gap()


def _prevailing(site: Site, purpose: Purpose, numbers: set[int], window: Window, number: int) -> Curve:
    """Of one purpose: highest stack level first, then the charge point's own before the station's, then the newest."""
    charge = site.charges.get(number)
    found = [one for one in site.profiles if one.profile.purpose is purpose and one.number in numbers]
    if purpose is Purpose.TRANSACTION and charge is not None:
        found = [one for one in found if one.profile.transaction_id in (None, charge.transaction_id)]
    found.sort(key=lambda one: (-one.profile.stack_level, one.number == WHOLE_STATION, -one.source))
    started_at = None if charge is None else charge.started_at
    return _all(found, window, started_at, over)


def _all(installed: Iterable[Installed], window: Window, started_at: datetime | None, choose: Choice) -> Curve:
    curves = [profile_curve(one, window, started_at) for one in installed]
    return combine_all(curves, choose) or window.gap()


def profile_curve(installed: Installed, window: Window, charge_started_at: datetime | None) -> Curve:
    """What one profile says inside the window."""
    profile = installed.profile
    valid = Window(
        max(window.start, profile.valid_from or window.start), min(window.end, profile.valid_to or window.end)
    )
    if not profile.schedules or valid.start >= valid.end:
        return window.gap()
    schedule = profile.schedules[0]
    spans = [
        Span(max(span.start, valid.start), min(span.end, valid.end), span.limit)
        for start, end in _occurrences(profile, schedule, valid, charge_started_at or window.start)
        for span in _spans(schedule, start, end, installed.source)
    ]
    return curve_of([span for span in spans if span.start < span.end], window)


def _occurrences(
    profile: Profile, schedule: Schedule, valid: Window, charge_started_at: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """When the schedule begins and ends, as often as that touches the window."""
    starts_at = schedule.starts_at
    if profile.kind is Kind.DYNAMIC and starts_at is None:
        starts_at = valid.start
    if profile.kind is Kind.RELATIVE or starts_at is None:  # 1.6, 7.13: without start it is relative to the charge
        starts_at = charge_started_at
    ends_at = valid.end if schedule.duration_s is None else after(starts_at, schedule.duration_s)
    if profile.kind is not Kind.RECURRING or profile.recurrency is None:
        yield starts_at, ends_at
        return
    span = profile.recurrency.span
    lasts = ends_at - starts_at if schedule.duration_s is not None else span
    occurrence = starts_at + max(0, (valid.start - starts_at) // span) * span
    while occurrence < valid.end:
        yield occurrence, occurrence + min(lasts, span)
        occurrence += span


def _spans(schedule: Schedule, start: datetime, end: datetime, source: int) -> Iterator[Span]:
    periods = sorted(schedule.periods, key=lambda one: one.start_s)
    for index, period in enumerate(periods):
        until = after(start, periods[index + 1].start_s) if index + 1 < len(periods) else end
        yield Span(after(start, period.start_s), min(until, end), _limit(period, schedule.unit, source))


def _limit(period: Period, unit: Unit, source: int) -> Limit:
    value = period.limit
    if value is None and period.more.get("operationMode") == "Idle":
        value = Decimal(0)  # 2.1: neither charging nor discharging
    others = [decimal(period.more.get(name)) for name in ("limit_L2", "limit_L3")]
    phases = [one for one in (value, *others) if one is not None]
    if value is not None and len(phases) > 1:  # 2.1: watts of single phases add up, of amperes the least is safe
        value = sum(phases, Decimal(0)) if unit is Unit.WATT else min(phases)
    return Limit(value, unit, period.phases, source)


def told_curve(schedule: Schedule, starts_at: datetime, window: Window) -> Curve:
    """The curve of a composite schedule that a station told, inside the window."""
    end = window.end if schedule.duration_s is None else after(starts_at, schedule.duration_s)
    return curve_of([span for span in _spans(schedule, starts_at, end, 0) if span.start < span.end], window)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two curves say different things."""

    start: datetime
    end: datetime
    one: Decimal | None
    other: Decimal | None


def differences(one: Curve, other: Curve, window: Window) -> list[Difference]:
    """Where two curves of the same unit differ; no limit differs from every limit."""
    points = sorted({step.at for step in (*one, *other)})
    found: list[Difference] = []
    for start, end in zip(points, [*points[1:], window.end], strict=True):
        mine, others = value_at(one, start), value_at(other, start)
        if mine == others:
            continue
        last = found[-1] if found else None
        if last is not None and (last.end, last.one, last.other) == (start, mine, others):
            found[-1] = Difference(last.start, end, mine, others)
        else:
            found.append(Difference(start, end, mine, others))
    return found


def value_at(curve: Curve, at: datetime) -> Decimal | None:
    """The limit's figure at that moment, which is one of the window's."""
    limit: Any = next(step.limit for step in reversed(curve) if step.at <= at)
    return None if limit is None else limit.value
