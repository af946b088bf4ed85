"""S5: the errors of a station and of the whole fleet over HTTP, as JSON and CSV."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.ids import Id
from csms.rights import Area
from csms.station.errors.model import StationError
from csms.station.errors.rules import Resolution, Severity, Source
from csms.station.errors.service import get_error, resolve_by_hand
from csms.station.information import Station, StationDep, StationToChange
from csms.store import Work
from csms.tabular import Columns
from csms.web import (
    CSV_RESPONSE,
    ExportDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    Shown,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
    within,
)

router = APIRouter()
ErrorId = Annotated[Id, Path(description="the error's id")]
CHARGE_POINT_NUMBER_MAX = 10_000


class ErrorState(StrEnum):
    """Whether an error goes on."""

    OPEN = "open"
    RESOLVED = "resolved"


class ErrorShown(Shown):
    """An error of a station or one of its charge points."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    charge_point_number: int = Field(description="0: the station itself")
    connector_number: int | None = Field(description="which connector of it, where the station says so (OCPP 2.x)")
    source: Source
    code: str = Field(
        description=(
            "as the station spelt it; `Component.Variable` in OCPP 2.x; `Faulted`: a fault without a code; "
            "`Offline`: offline for too long"
        ),
        examples=["GroundFailure"],
    )
    vendor_code: str | None
    vendor_id: str | None
    info: str | None
    severity: Severity
    raised_at: datetime = Field(description="by the station's clock if that can be believed")
    received_at: datetime
    last_seen_at: datetime
    repeat_count: int = Field(description="how often the station told it again while it was open")
    resolved_at: datetime | None = Field(description="null: open")
    resolution: Resolution | None
    resolved_by: str | None = Field(description="who, if a person resolved it")
    in_maintenance_window: bool = Field(description="whether it began inside a maintenance window")
    maintenance_window_id: Id | None

    @classmethod
    def of(cls, error: StationError, identities: Mapping[int, str]) -> Self:
        fields = {name: getattr(error, name) for name in cls.model_fields}
        return cls(**fields | {"station_id": identities[error.station_id]})


_CSV_COLUMNS: Columns[ErrorShown] = {
    name: attrgetter(name) for name in ErrorShown.model_fields if name != "maintenance_window_id"
}


class StationErrors(Page[ErrorShown]):
    """One page of a station's errors, and whether the station is online now."""

    is_online: bool
    online_since: datetime | None
    offline_since: datetime | None = Field(description="null while it is online, and if it never was")


class ErrorFilter(BaseModel):
    """Which errors to list."""

    state: ErrorState | None = None
    code: str | None = Field(None, max_length=255, description="OCPP error code, `Faulted` or `Offline`")
    vendor_code: str | None = Field(None, max_length=255)
    charge_point_number: int | None = Field(None, ge=0, le=CHARGE_POINT_NUMBER_MAX, description="0: the station itself")
    source: Source | None = None
    severity: Severity | None = None
    in_maintenance_window: bool | None = None


def _query(filters: Annotated[ErrorFilter, Query()], period: PeriodDep) -> SelectOfScalar[StationError]:
    query = select(StationError)
    for name in ("code", "vendor_code", "charge_point_number", "source", "severity", "in_maintenance_window"):
        value = getattr(filters, name)
        if value is not None:
            query = query.where(getattr(StationError, name) == value)
    if filters.state is not None:
        is_open = col(StationError.resolved_at).is_(None)
        query = query.where(is_open if filters.state is ErrorState.OPEN else ~is_open)
    return within(query, col(StationError.raised_at), period)


ErrorsDep = Annotated[SelectOfScalar[StationError], Depends(_query)]
"""The errors that the filters and the period of the request select."""


async def _shown(work: Work, rows: Sequence[StationError]) -> list[ErrorShown]:
    ids = {row.station_id for row in rows}
    pairs = await work.session.exec(select(Station.id, Station.identity).where(col(Station.id).in_(ids)))
    identities = dict(pairs.all())
    return [ErrorShown.of(row, identities) for row in rows]


@router.get(
    "/stations/{station_id}/errors",
    summary="Online or offline now, and all errors",
    openapi_extra=behind("StatusNotification"),
    dependencies=[may_read()],
    response_model=StationErrors,
    responses=CSV_RESPONSE,
)
async def list_station_errors(
    *, station: StationDep, work: Reading, page: PageDep, errors: ErrorsDep, export: ExportDep
) -> StationErrors | Response:
    """Latest first; `from` and `to` are about `raised_at`. With `format=csv` or `Accept: text/csv` all as CSV."""
    query = errors.where(StationError.station_id == station.id)
    if export is not None:
        return await export.csv(_CSV_COLUMNS, query, _shown, by=StationError.raised_at, name="errors.csv")
    rows, cursor = await page_of(work, query, page, by=StationError.raised_at)
    return StationErrors(
        items=await _shown(work, rows),
        next_cursor=cursor,
        is_online=station.is_online,
        online_since=station.online_since if station.is_online else None,
        offline_since=None if station.is_online else station.offline_since,
    )


@router.get("/stations/{station_id}/errors/{error_id}", summary="One error", dependencies=[may_read()])
async def show_error(station: StationDep, work: Reading, error_id: ErrorId) -> ErrorShown:
    """An error of this station, open or resolved."""
    return ErrorShown.of(await get_error(work, station, error_id), {station.id: station.identity})


@router.post(
    "/stations/{station_id}/errors/{error_id}/resolve",
    summary="Resolve an error by hand",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "it is resolved already, or the station is still offline"}},
)
async def resolve_error(station: StationToChange, work: Writing, error_id: ErrorId) -> ErrorShown:
    """For stations that never say that all is well again; when the station tells it again, a new error opens."""
    error = await resolve_by_hand(work, station, error_id)
    return ErrorShown.of(error, {station.id: station.identity})


@router.get(
    "/errors",
    summary="Errors of all stations",
    dependencies=[may_read()],
    response_model=Page[ErrorShown],
    responses=CSV_RESPONSE,
)
async def list_errors(
    *, work: Reading, page: PageDep, errors: ErrorsDep, export: ExportDep
) -> Page[ErrorShown] | Response:
    """Latest first, without those of stations that were deleted; `from` and `to` are about `raised_at`.

    With `format=csv` or `Accept: text/csv` all as CSV.
    """
    query = errors.where(select(Station.id).where(Station.id == StationError.station_id).exists())
    if export is not None:
        return await export.csv(_CSV_COLUMNS, query, _shown, by=StationError.raised_at, name="errors.csv")
    rows, cursor = await page_of(work, query, page, by=StationError.raised_at)
    return Page(items=await _shown(work, rows), next_cursor=cursor)
