"""S25: what is allowed now and over the next hours, because of what, and what the station says to that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import select

from csms.exceptions import Invalid
from csms.station.charging_profiles.model import ChargingLimit, ChargingProfile, CompositeSchedule
from csms.station.charging_profiles.rules.composite import (
    Difference,
    Site,
    composite,
    differences,
    told_curve,
)
from csms.station.charging_profiles.rules.curve import Curve, Limit, Window, in_unit
from csms.station.charging_profiles.rules.profile import WHOLE_STATION, Unit, after
from csms.station.charging_profiles.rules.wire import read_schedule
from csms.station.charging_profiles.service.known import external_limits, installed_rows, site_of
from csms.station.information import Station
from csms.store import Work

AHEAD: Final = timedelta(days=1)
"""How far what comes next is looked for."""
POINTS_MAX: Final = 5000
"""Of one curve in an answer."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What limits a charge point, or the whole station (0), now."""

    number: int
    amperes: Limit | None
    watts: Limit | None
    because: ChargingProfile | ChargingLimit | None
    changes_at: datetime | None
    """When the limit changes next, within AHEAD."""
    then: Limit | None
    """The limit in amperes from then on."""
    transaction_id: str | None
    has_priority: bool


async def in_force(work: Work, station: Station) -> tuple[list[InForce], list[ChargingLimit]]:
    """For the station and each of its charge points; and the external limits that it told of."""
    site = await site_of(work, station)
    limits = list(await external_limits(work, station.id))
    sources: dict[int, ChargingProfile | ChargingLimit] = {row.id: row for row in limits}
    sources |= {row.id: row for row in await installed_rows(work, station.id)}
    window = Window(work.now, work.now + AHEAD)
    return [_at(site, number, window, sources) for number in (WHOLE_STATION, *site.numbers)], limits


def _at(site: Site, number: int, window: Window, sources: Mapping[int, ChargingProfile | ChargingLimit]) -> InForce:
    amperes = composite(site, number, window, Unit.AMPERE)
    watts = composite(site, number, window, Unit.WATT)
    limit = amperes[0].limit
    value = None if limit is None else limit.value
    later = (step for step in amperes if (None if step.limit is None else step.limit.value) != value)
    changed = next(later, None)
    charge = site.charges.get(number)
    return InForce(
        number=number,
        amperes=limit,
        watts=watts[0].limit,
        because=None if limit is None else sources.get(limit.source),
        changes_at=None if changed is None else changed.at,
        then=None if changed is None else changed.limit,
        transaction_id=None if charge is None else charge.transaction_id,
        has_priority=charge is not None and charge.has_priority,
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """The composite schedule as it is calculated here and as the station told it."""

    window: Window
    unit: Unit
    calculated: Curve
    row: CompositeSchedule | None
    told: Curve | None
    """None if the station told none, or one that is over."""
    differences: list[Difference] | None
    """None without anything to compare."""


async def compare(work: Work, station: Station, number: int, duration: timedelta, unit: Unit) -> Comparison:
    """Calculate the schedule from now on, and compare it with what the station last told. Raises Invalid."""
    site = await site_of(work, station)
    window = Window(work.now, work.now + duration)
    calculated = composite(site, number, window, unit)
    if len(calculated) > POINTS_MAX:
        raise Invalid(f"the curve has more than {POINTS_MAX} points; ask for less time", place="query/duration_s")
    row = await _told(work, station.id, number)
    overlap = None if row is None else _overlap(row, window)
    schedule = read_schedule(row.schedule) if row is not None else None
    if row is None or overlap is None or schedule is None or row.starts_at is None:
        return Comparison(window, unit, calculated, row, None, None)
    supply = site.supply_of(number)
    told = in_unit(told_curve(schedule, row.starts_at, overlap), unit, supply)
    ours = composite(site, number, overlap, unit)
    return Comparison(window, unit, calculated, row, told[:POINTS_MAX], differences(ours, told, overlap))


async def _told(work: Work, station_id: int, number: int) -> CompositeSchedule | None:
    query = select(CompositeSchedule).where(
        CompositeSchedule.station_id == station_id, CompositeSchedule.charge_point_number == number
    )
    return (await work.session.exec(query)).first()


def _overlap(row: CompositeSchedule, window: Window) -> Window | None:
    """The part of the window of which the station told."""
    schedule = read_schedule(row.schedule)
    if not row.is_accepted or schedule is None or row.starts_at is None:
        return None
    lasts_s = row.duration_s if schedule.duration_s is None else schedule.duration_s
    start, end = max(window.start, row.starts_at), window.end
    end = min(end, after(row.starts_at, max(0, lasts_s)))
    return Window(start, end) if start < end else None
