"""S6, S1: charge logs, their curves, corrections and statistics, and stops that match nothing, over HTTP."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints
from sqlmodel import col, select

from csms.exceptions import Invalid
from csms.ids import Id
from csms.rights import Area
from csms.station.charge_logs.model import (
    ChargeLog,
    ChargeLogCorrection,
    ChargeState,
    MeterSample,
    UnmatchedReason,
    UnmatchedStop,
)
from csms.station.charge_logs.rules import (
    HOURS,
    WEEKDAYS,
    consumption,
    day_of,
    duration_s,
    month_of,
    parts_between,
    quantity,
    thinned,
    usage,
)
from csms.station.charge_logs.service.records import (
    Filter,
    charge_logs_query,
    correct,
    corrections_of,
    curve_of,
    get_charge_log,
    get_unmatched_stop,
    identities_of,
    pair,
    spans_of,
    suggestions,
    sums_by_charge_point,
)
from csms.station.information import StationDep, StationToChange
from csms.station.tokens import TokenStatus
from csms.tabular import Columns, csv_text, wants_csv
from csms.web import (
    Page,
    PageDep,
    Period,
    PeriodDep,
    Reading,
    Shown,
    Strict,
    Writing,
    may_read,
    may_write,
    page_of,
    within,
)

router = APIRouter()
CSV_ROWS_MAX: Final = 20_000
DAYS_MAX: Final = 400
REGISTER_MAX_WH: Final = 10**15
_CSV_RESPONSE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}},
    422: {"description": f"more than {CSV_ROWS_MAX} rows as CSV, or a wrong parameter"},
}


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such time") from error


UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
Register = Annotated[int, Field(ge=-REGISTER_MAX_WH, le=REGISTER_MAX_WH)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00]*$")]
Asked = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
ChargeLogId = Annotated[Id, Path(description="the charge log's id")]
StopId = Annotated[Id, Path(description="the unmatched stop's id")]


class ChargeLogShown(Shown):
    """One charge."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    charge_point_number: int = Field(examples=[1])
    transaction_id: int = Field(description="as the station knows it", examples=[1203948])
    state: ChargeState
    token: str = Field(description="as the station sent it", examples=["04E91C5A6F2A80"])
    holder: str | None = Field(description="who held the token when the charge started")
    verdict: TokenStatus = Field(description="what the station was answered about the token")
    reservation_id: int | None
    started_at: datetime = Field(description="by the station's clock")
    received_at: datetime
    meter_start_wh: int
    stopped_at: datetime | None = Field(description="by the station's clock; null while it runs")
    stop_received_at: datetime | None = Field(description="null while it runs and for an estimated end")
    meter_stop_wh: int | None
    stop_reason: str | None = Field(examples=["EVDisconnected"])
    stop_token: str | None
    energy_wh: int | None = Field(description="while it runs: as of `last_sample_at`")
    duration_s: int | None = Field(description="while it runs: until now")
    flags: list[str] = Field(description="what is unusual", examples=[["offline", "meter_reset"]])
    last_sample_at: datetime | None = Field(description="up to half a minute behind")
    last_power_w: float | None
    last_soc_percent: float | None
    is_corrected: bool

    @classmethod
    def of(cls, log: ChargeLog, identity: str, now: datetime) -> Self:
        fields = {name: getattr(log, name, None) for name in cls.model_fields}
        if log.state is ChargeState.RUNNING:
            fields["duration_s"] = duration_s(log.started_at, now)
        return cls.model_validate({**fields, "station_id": identity})


class CorrectionShown(Shown):
    """What an operator changed: columns before and after."""

    id: Id
    corrected_at: datetime
    corrected_by: str
    reason: str
    before: dict[str, Any] = Field(examples=[{"energy_wh": 12000}])
    after: dict[str, Any] = Field(examples=[{"energy_wh": 11800}])


class ChargeLogDetail(ChargeLogShown):
    """One charge with what was corrected in it."""

    corrections: list[CorrectionShown] = Field(description="oldest first; the first one's `before` is the original")

    @classmethod
    def with_corrections(
        cls, log: ChargeLog, identity: str, now: datetime, corrections: Sequence[ChargeLogCorrection]
    ) -> Self:
        shown = ChargeLogShown.of(log, identity, now).model_dump()
        return cls.model_validate(
            {**shown, "corrections": [CorrectionShown.model_validate(one) for one in corrections]}
        )


class Correction(Strict):
    """What was wrong in an ended charge log; energy and duration follow from the rest unless they are given."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)] = Field(
        examples=["the customer showed the car's log"]
    )
    started_at: UtcTime | None = None
    stopped_at: UtcTime | None = None
    meter_start_wh: Register | None = None
    meter_stop_wh: Register | None = None
    energy_wh: Annotated[int, Field(ge=0, le=REGISTER_MAX_WH)] | None = None
    token: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[!-~ ]+$")] | None = None
    holder: Text | None = None
    stop_reason: Text | None = None


class Quantity(Shown):
    """One value in base units (Wh, W, A, V, Celsius, Percent, …)."""

    measurand: str = Field(examples=["Power.Active.Import"])
    phase: str | None = Field(examples=["L1"])
    location: str = Field(examples=["Outlet"])
    unit: str = Field(examples=["W"])
    value: float = Field(examples=[7360.0])


class MeterSampleShown(Shown):
    """The values of one moment."""

    id: Id
    charge_log_id: Id | None = Field(description="null outside of a charge")
    charge_point_number: int = Field(description="0 is the station's main meter")
    measured_at: datetime = Field(description="by the station's clock")
    received_at: datetime
    context: str | None = Field(examples=["Sample.Periodic"])
    energy_wh: float | None = Field(description="the import register")
    power_w: float | None
    soc_percent: float | None
    quantities: list[Quantity] = Field(description="all numbers, in base units")
    sampled_values: list[Any] = Field(description="as the station sent them")

    @classmethod
    def of(cls, sample: MeterSample) -> Self:
        read = [quantity(value) for value in sample.sampled_values if isinstance(value, dict)]
        quantities = [Quantity.model_validate(one) for one in read if one is not None]
        return cls.model_validate({**sample.model_dump(), "quantities": quantities})


class PointShown(Shown):
    """The charge at one moment."""

    at: datetime
    energy_wh: float | None = Field(description="since the start")
    power_w: float | None = Field(description="as sent, else from the energy between two samples")
    soc_percent: float | None


class Curve(Shown):
    """A charge's course, ready for a chart."""

    samples: int = Field(description="how many there are; the points are chosen among them")
    points: list[PointShown]


class SumShown(Shown):
    """Charges taken together."""

    charges: int
    running: int
    energy_wh: int
    charging_s: int


class ChargePointSum(SumShown):
    charge_point_number: int


class Summary(Shown):
    total: SumShown
    charge_points: list[ChargePointSum]


class ConsumptionPart(Shown):
    """One day or month; charges count where they began."""

    part: str = Field(examples=["2026-01-31"])
    charges: int
    energy_wh: float
    charging_s: float


class Consumption(Shown):
    by: Literal["day", "month"]
    timezone: str = Field(examples=["Europe/Oslo"])
    parts: list[ConsumptionPart] = Field(description="every day or month of the period, also those without charges")


class UseShown(Shown):
    charges: int = Field(description="that began then")
    charging_s: float
    energy_wh: float


class HourUse(UseShown):
    hour: int = Field(ge=0, lt=HOURS, description="of the day, 0 to 23")


class WeekdayUse(UseShown):
    weekday: int = Field(ge=1, le=WEEKDAYS, description="1 is Monday (ISO 8601)")


class WeekdayHours(WeekdayUse):
    hours: list[HourUse]


class UsageShown(Shown):
    """When the station is used."""

    timezone: str = Field(examples=["Europe/Oslo"])
    hours: list[HourUse] = Field(description="over all weekdays")
    weekdays: list[WeekdayHours]


class UnmatchedStopShown(Shown):
    """A StopTransaction that belongs to no charge; it was answered normally."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity")
    transaction_id: int = Field(description="as the station sent it")
    reason: UnmatchedReason
    received_at: datetime
    stopped_at: datetime
    meter_stop_wh: int
    stop_reason: str | None
    token: str | None
    paired_charge_log_id: Id | None
    paired_at: datetime | None
    paired_by: str | None

    @classmethod
    def of(cls, stop: UnmatchedStop, identity: str) -> Self:
        return cls.model_validate({**stop.model_dump(), "station_id": identity})


class UnmatchedStopDetail(UnmatchedStopShown):
    payload: dict[str, Any] = Field(description="the whole request")
    suggestions: list[ChargeLogShown] = Field(
        description="charges without a stop of their own, the likeliest first, by token, register and time"
    )


class Pairing(Strict):
    charge_log_id: Id = Field(description="an open charge, or one whose end was estimated")


# Charge logs


def _wanted(
    period: PeriodDep,
    charge_point_number: Annotated[int | None, Query(ge=0, le=REGISTER_MAX_WH)] = None,
    token: Asked = None,
    person: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="part of a holder")] = None,
    state: Annotated[list[ChargeState], Query(description="one or several", max_length=3)] = [],  # noqa: B006  # FastAPI copies it
) -> Filter:
    return Filter(
        charge_point_number=charge_point_number,
        start=period.start,
        end=period.end,
        token=token,
        person=person,
        states=state,
    )


WantedDep = Annotated[Filter, Depends(_wanted)]
SortQuery = Annotated[Literal["-started_at", "started_at"], Query(description="`-`: latest first")]


def _is_csv(
    request: Request,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="instead of Accept")] = None,
) -> bool:
    return form == "csv" if form is not None else wants_csv(request.headers.get("Accept"))


CsvDep = Annotated[bool, Depends(_is_csv)]


def _column(name: str) -> Any:
    return lambda row: getattr(row, name)


_CSV_COLUMNS: Final[Columns[ChargeLogShown]] = {name: _column(name) for name in ChargeLogShown.model_fields}


async def _list(
    work: Reading, page: PageDep, wanted: Filter, *, sort: str, is_csv: bool
) -> Page[ChargeLogShown] | Response:
    query, is_descending = charge_logs_query(wanted), sort.startswith("-")
    if not is_csv:
        rows, cursor = await page_of(work, query, page, by=ChargeLog.started_at, descending=is_descending)
        return Page(items=await _shown(work, rows), next_cursor=cursor)
    order = col(ChargeLog.started_at).desc() if is_descending else col(ChargeLog.started_at)
    logs = (await work.session.exec(query.order_by(order, col(ChargeLog.id)).limit(CSV_ROWS_MAX + 1))).all()
    if len(logs) > CSV_ROWS_MAX:
        raise Invalid(f"more than {CSV_ROWS_MAX} charge logs; ask for a shorter period", place="query/from")
    headers = {"Content-Disposition": 'attachment; filename="charge-logs.csv"', "Vary": "Accept"}
    text = csv_text(_CSV_COLUMNS, await _shown(work, logs))
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def _shown(work: Reading, logs: Sequence[ChargeLog]) -> list[ChargeLogShown]:
    identities = await identities_of(work, logs)
    return [ChargeLogShown.of(log, identities.get(log.station_id, ""), work.now) for log in logs]


@router.get(
    "/charge-logs",
    summary="Charges of all your stations",
    dependencies=[may_read()],
    response_model=Page[ChargeLogShown],
    responses=_CSV_RESPONSE,
)
async def list_all_charge_logs(
    work: Reading, page: PageDep, wanted: WantedDep, is_csv: CsvDep, sort: SortQuery = "-started_at"
) -> Page[ChargeLogShown] | Response:
    """A page as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV. The period is that of starts."""
    return await _list(work, page, wanted, sort=sort, is_csv=is_csv)


@router.get(
    "/stations/{station_id}/charge-logs",
    summary="Charges of the station",
    dependencies=[may_read()],
    response_model=Page[ChargeLogShown],
    responses=_CSV_RESPONSE,
)
async def list_charge_logs(
    station: StationDep,
    work: Reading,
    page: PageDep,
    wanted: WantedDep,
    *,
    is_csv: CsvDep,
    sort: SortQuery = "-started_at",
) -> Page[ChargeLogShown] | Response:
    """A page as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV. The period is that of starts."""
    return await _list(work, page, _of(wanted, station.id), sort=sort, is_csv=is_csv)


def _of(wanted: Filter, station_id: int) -> Filter:
    return replace(wanted, station_id=station_id)


@router.get("/stations/{station_id}/charge-logs/summary", summary="Sums per charge point", dependencies=[may_read()])
async def summarise_charge_logs(station: StationDep, work: Reading, wanted: WantedDep) -> Summary:
    """Number, energy and duration of the charges that match; running ones count with what they have had so far."""
    sums = [ChargePointSum.model_validate(one) for one in await sums_by_charge_point(work, _of(wanted, station.id))]
    total = {name: sum(getattr(one, name) for one in sums) for name in SumShown.model_fields}
    return Summary(total=SumShown.model_validate(total), charge_points=sums)


@router.get("/stations/{station_id}/charge-logs/{charge_log_id}", summary="One charge", dependencies=[may_read()])
async def show_charge_log(station: StationDep, work: Reading, charge_log_id: ChargeLogId) -> ChargeLogDetail:
    """With all corrections, so that the original can be read."""
    log = await get_charge_log(work, charge_log_id, station.id)
    return ChargeLogDetail.with_corrections(log, station.identity, work.now, await corrections_of(work, log))


@router.patch(
    "/stations/{station_id}/charge-logs/{charge_log_id}",
    summary="Correct an ended charge",
    dependencies=[may_write(Area.DATA_ACCESS)],
    responses={409: {"description": "the charge still runs"}},
)
async def correct_charge_log(
    station: StationToChange, work: Writing, charge_log_id: ChargeLogId, body: Correction
) -> ChargeLogDetail:
    """The original is kept. A stop that the station sends later no longer changes this log."""
    log = await get_charge_log(work, charge_log_id, station.id)
    given = body.model_dump(exclude={"reason"}, exclude_none=True)
    await correct(work, log, given, body.reason)
    await work.session.flush()
    return ChargeLogDetail.with_corrections(log, station.identity, work.now, await corrections_of(work, log))


# Samples


@router.get(
    "/stations/{station_id}/charge-logs/{charge_log_id}/meter-curve",
    summary="A charge's course for a chart",
    dependencies=[may_read()],
)
async def show_curve(
    station: StationDep,
    work: Reading,
    charge_log_id: ChargeLogId,
    points: Annotated[int, Query(ge=4, le=2000, description="at most so many")] = 300,
) -> Curve:
    """Energy since the start, power and state of charge; peaks survive the thinning."""
    log = await get_charge_log(work, charge_log_id, station.id)
    whole = await curve_of(work, log)
    return Curve(samples=len(whole), points=[PointShown.model_validate(one) for one in thinned(whole, points)])


@router.get(
    "/stations/{station_id}/charge-logs/{charge_log_id}/meter-values",
    summary="A charge's samples as sent",
    dependencies=[may_read()],
)
async def list_charge_samples(
    station: StationDep, work: Reading, page: PageDep, charge_log_id: ChargeLogId
) -> Page[MeterSampleShown]:
    """Oldest first."""
    log = await get_charge_log(work, charge_log_id, station.id)
    query = select(MeterSample).where(MeterSample.charge_log_id == log.id)
    rows, cursor = await page_of(work, query, page, by=MeterSample.measured_at, descending=False)
    return Page(items=[MeterSampleShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/meter-values",
    summary="All samples of the station, also those outside of charges",
    dependencies=[may_read()],
)
async def list_samples(
    station: StationDep,
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    charge_point_number: Annotated[int | None, Query(ge=0, le=REGISTER_MAX_WH)] = None,
) -> Page[MeterSampleShown]:
    """Newest first."""
    query = select(MeterSample).where(MeterSample.station_id == station.id)
    if charge_point_number is not None:
        query = query.where(MeterSample.charge_point_number == charge_point_number)
    query = within(query, col(MeterSample.measured_at), period)
    rows, cursor = await page_of(work, query, page, by=MeterSample.measured_at)
    return Page(items=[MeterSampleShown.of(row) for row in rows], next_cursor=cursor)


# Statistics


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


# Stops that match nothing


@router.get("/stations/{station_id}/unmatched-stops", summary="Stops without a charge", dependencies=[may_read()])
async def list_unmatched_stops(
    station: StationDep,
    work: Reading,
    page: PageDep,
    is_paired: Annotated[bool | None, Query(description="only those that an operator has paired, or has not")] = None,
) -> Page[UnmatchedStopShown]:
    """Newest first."""
    query = select(UnmatchedStop).where(UnmatchedStop.station_id == station.id)
    if is_paired is not None:
        paired_at = col(UnmatchedStop.paired_at)
        query = query.where(paired_at.is_not(None) if is_paired else paired_at.is_(None))
    rows, cursor = await page_of(work, query, page)
    return Page(items=[UnmatchedStopShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/unmatched-stops/{stop_id}",
    summary="One of them, and the charges that it may belong to",
    dependencies=[may_read()],
)
async def show_unmatched_stop(station: StationDep, work: Reading, stop_id: StopId) -> UnmatchedStopDetail:
    """With the whole request, meter values included."""
    stop = await get_unmatched_stop(work, station, stop_id)
    fitting = [] if stop.paired_at is not None else await suggestions(work, stop)
    shown = [ChargeLogShown.of(log, station.identity, work.now) for log in fitting]
    fields = UnmatchedStopShown.of(stop, station.identity).model_dump()
    return UnmatchedStopDetail.model_validate({**fields, "payload": stop.payload, "suggestions": shown})


@router.post(
    "/stations/{station_id}/unmatched-stops/{stop_id}/pair",
    summary="Give a charge this stop",
    dependencies=[may_write(Area.DATA_ACCESS)],
    responses={409: {"description": "one of the two has its other half already, or the charge went on after the stop"}},
)
async def pair_unmatched_stop(
    station: StationToChange, work: Writing, stop_id: StopId, body: Pairing
) -> ChargeLogShown:
    """The charge is finished as if the station had named it, with the stop's meter values, flagged `paired`."""
    stop = await get_unmatched_stop(work, station, stop_id)
    log = await get_charge_log(work, body.charge_log_id, station.id)
    await pair(work, station, stop, log)
    return ChargeLogShown.of(log, station.identity, work.now)
