"""S6: charge logs over HTTP: lists, CSV, details, corrections."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import select

from csms.rights import Area
from csms.station.charge_logs.api.shown import (
    REGISTER_MAX_WH,
    Asked,
    ChargeEventShown,
    ChargeLogDetail,
    ChargeLogId,
    ChargeLogShown,
    ChargePointSum,
    Correction,
    Summary,
    SumShown,
)
from csms.station.charge_logs.model import ChargeEvent, ChargeLog, ChargeState
from csms.station.charge_logs.service.records import (
    Filter,
    charge_logs_query,
    correct,
    corrections_of,
    get_charge_log,
    identities_of,
    sums_by_charge_point,
)
from csms.station.information import StationDep, StationToChange
from csms.store import Work
from csms.tabular import Columns
from csms.web import (
    CSV_RESPONSE,
    Export,
    ExportDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter()


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


def _column(name: str) -> Any:
    return lambda row: getattr(row, name)


_CSV_COLUMNS: Final[Columns[ChargeLogShown]] = {name: _column(name) for name in ChargeLogShown.model_fields}


async def _list(
    work: Reading, page: PageDep, wanted: Filter, *, sort: str, export: Export | None
) -> Page[ChargeLogShown] | Response:
    query, is_descending, by = charge_logs_query(wanted), sort.startswith("-"), ChargeLog.started_at
    if export is not None:
        return await export.csv(_CSV_COLUMNS, query, _shown, by=by, descending=is_descending, name="charge-logs.csv")
    rows, cursor = await page_of(work, query, page, by=by, descending=is_descending)
    return Page(items=await _shown(work, rows), next_cursor=cursor)


async def _shown(work: Work, logs: Sequence[ChargeLog]) -> list[ChargeLogShown]:
    identities = await identities_of(work, logs)
    return [ChargeLogShown.of(log, identities.get(log.station_id, ""), work.now) for log in logs]


@router.get(
    "/charge-logs",
    summary="Charges of all your stations",
    dependencies=[may_read()],
    response_model=Page[ChargeLogShown],
    responses=CSV_RESPONSE,
)
async def list_all_charge_logs(
    *, work: Reading, page: PageDep, wanted: WantedDep, export: ExportDep, sort: SortQuery = "-started_at"
) -> Page[ChargeLogShown] | Response:
    """A page as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV. The period is that of starts."""
    return await _list(work, page, wanted, sort=sort, export=export)


@router.get(
    "/stations/{station_id}/charge-logs",
    openapi_extra=behind("StartTransaction", "StopTransaction", "TransactionEvent"),
    summary="Charges of the station",
    dependencies=[may_read()],
    response_model=Page[ChargeLogShown],
    responses=CSV_RESPONSE,
)
async def list_charge_logs(
    station: StationDep,
    work: Reading,
    page: PageDep,
    wanted: WantedDep,
    *,
    export: ExportDep,
    sort: SortQuery = "-started_at",
) -> Page[ChargeLogShown] | Response:
    """A page as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV. The period is that of starts."""
    return await _list(work, page, _of(wanted, station.id), sort=sort, export=export)


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


@router.get(
    "/stations/{station_id}/charge-logs/{charge_log_id}/events",
    summary="What the station told of a charge, event by event",
    dependencies=[may_read()],
    openapi_extra=behind("TransactionEvent"),
)
async def list_charge_events(
    station: StationDep, work: Reading, page: PageDep, charge_log_id: ChargeLogId
) -> Page[ChargeEventShown]:
    """In the order of the station's clock. Of OCPP 2.x; 1.6 has no such events. Meter values are at …/meter-values."""
    log = await get_charge_log(work, charge_log_id, station.id)
    query = select(ChargeEvent).where(ChargeEvent.charge_log_id == log.id)
    rows, cursor = await page_of(work, query, page, by=ChargeEvent.at, descending=False)
    return Page(items=[ChargeEventShown.model_validate(row) for row in rows], next_cursor=cursor)


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
