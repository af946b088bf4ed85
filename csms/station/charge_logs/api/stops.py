"""B7: stops that match nothing over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import col, select

from csms.rights import Area
from csms.station.charge_logs.api.shown import ChargeLogShown, Pairing, StopId, UnmatchedStopDetail, UnmatchedStopShown
from csms.station.charge_logs.model import (
    UnmatchedStop,
)
from csms.station.charge_logs.service.records import (
    get_charge_log,
    get_unmatched_stop,
    pair,
    suggestions,
)
from csms.station.information import StationDep, StationToChange
from csms.web import (
    Page,
    PageDep,
    Reading,
    Writing,
    may_read,
    may_write,
    page_of,
)

router = APIRouter()


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
