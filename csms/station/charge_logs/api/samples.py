"""S6, B6: the curve of a charge and meter samples over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import col, select

from csms.station.charge_logs.api.shown import REGISTER_MAX_WH, ChargeLogId, Curve, MeterSampleShown, PointShown
from csms.station.charge_logs.model import (
    MeterSample,
)
from csms.station.charge_logs.rules import (
    thinned,
)
from csms.station.charge_logs.service.records import (
    curve_of,
    get_charge_log,
)
from csms.station.information import StationDep
from csms.web import (
    Page,
    PageDep,
    PeriodDep,
    Reading,
    behind,
    may_read,
    page_of,
    within,
)

router = APIRouter()


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
    openapi_extra=behind("MeterValues"),
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
