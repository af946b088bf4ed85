"""S1: consumption and use over HTTP."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from csms.exceptions import Invalid
from csms.station.charge_logs.api.shown import (
    DAYS_MAX,
    Consumption,
    ConsumptionPart,
    HourUse,
    UsageShown,
    UseShown,
    WeekdayHours,
)
from csms.station.charge_logs.rules import (
    HOURS,
    WEEKDAYS,
    consumption,
    day_of,
    month_of,
    parts_between,
    usage,
)
from csms.station.charge_logs.service.records import (
    Filter,
    spans_of,
)
from csms.station.information import StationDep
from csms.web import (
    Period,
    PeriodDep,
    Reading,
    may_read,
)

router = APIRouter()


def _zone(
    timezone: Annotated[
        str, Query(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$", description="IANA name", examples=["Europe/Oslo"])
    ] = "UTC",
) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(
            f"there is no time zone «{timezone}»; use a name like Europe/Oslo", place="query/timezone"
        ) from error


ZoneDep = Annotated[ZoneInfo, Depends(_zone)]


def _bounded(period: Period, now: datetime, default: timedelta, longest: timedelta) -> tuple[datetime, datetime]:
    end = period.end or (now if period.start is None else min(now, period.start + longest))
    start = period.start or end - default
    if end - start > longest:
        raise Invalid(f"at most {longest.days} days at once; ask for a shorter period", place="query/from")
    if end <= start:
        raise Invalid("`from` must be in the past", place="query/from")
    return start, end


@router.get("/stations/{station_id}/consumption", summary="Energy by day or month", dependencies=[may_read()])
async def show_consumption(
    station: StationDep,
    work: Reading,
    period: PeriodDep,
    zone: ZoneDep,
    by: Annotated[Literal["day", "month"], Query()] = "day",
) -> Consumption:
    """The last 30 days or 12 months unless a period is given."""
    part_of, days = (day_of, 30) if by == "day" else (month_of, 365)
    longest = timedelta(days=DAYS_MAX if by == "day" else 10 * DAYS_MAX)
    start, end = _bounded(period, work.now, timedelta(days=days), longest)
    spans = await spans_of(work, Filter(station_id=station.id, start=start, end=end))
    found = consumption(spans, parts_between(start, end, part_of, zone), part_of, zone)
    parts = [
        ConsumptionPart(part=part, charges=use.charges, energy_wh=use.energy_wh, charging_s=use.charging_s)
        for part, use in found.items()
    ]
    return Consumption(by=by, timezone=zone.key, parts=parts)


@router.get("/stations/{station_id}/usage", summary="Use by hour of the day and weekday", dependencies=[may_read()])
async def show_usage(station: StationDep, work: Reading, period: PeriodDep, zone: ZoneDep) -> UsageShown:
    """The last 90 days unless a period is given; a charge counts in every hour that it touches."""
    start, end = _bounded(period, work.now, timedelta(days=90), timedelta(days=DAYS_MAX))
    week = usage(await spans_of(work, Filter(station_id=station.id, start=start, end=end)), zone)
    return UsageShown(
        timezone=zone.key,
        hours=[HourUse(hour=hour, **_total([week[day][hour] for day in range(WEEKDAYS)])) for hour in range(HOURS)],
        weekdays=[
            WeekdayHours(
                weekday=day + 1,
                hours=[HourUse(hour=hour, **_total([use])) for hour, use in enumerate(uses)],
                **_total(uses),
            )
            for day, uses in enumerate(week)
        ],
    )


def _total(uses: Sequence[Any]) -> dict[str, Any]:
    return {name: sum(getattr(use, name) for use in uses) for name in UseShown.model_fields}
