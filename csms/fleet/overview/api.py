"""F1: the list of stations and the counts of the fleet."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from csms.fleet.overview.service import (
    Details,
    Order,
    SortBy,
    StationFilter,
    count_fleet,
    details_of,
    list_stations,
    read_order,
)
from csms.ids import Id
from csms.routing import Registration
from csms.station.charge_points import ChargePointStatus
from csms.station.information import Station
from csms.store import Work
from csms.tabular import Columns
from csms.web import CHUNK_ROWS, CSV_RESPONSE, ExportDep, Page, PageDep, Read, Reading, Shown, may_read

router = APIRouter()

Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


class ChargePointState(Shown):
    """What one charge point of a listed station does."""

    number: int
    label: str | None
    status: ChargePointStatus


class StationListed(Shown):
    """A station in the list; everything else stands in its datasheet."""

    id: Id
    station_id: str = Field(description="the OCPP identity", examples=["CP-0001"])
    name: str | None
    site: str | None
    tags: list[str]
    registration: Registration
    is_online: bool
    online_since: datetime | None
    offline_since: datetime | None
    last_seen_at: datetime | None
    vendor: str | None
    model: str | None
    serial_number: str | None
    firmware_version: str | None
    address: str | None
    city: str | None
    postal_code: str | None
    country: str | None
    latitude: float | None
    longitude: float | None
    is_demo: bool
    open_errors: int = Field(description="errors not resolved yet")
    charge_points: list[ChargePointState]


class FleetOverview(Shown):
    """The whole fleet in numbers."""

    stations: int
    online: int = Field(description="accepted stations that are connected")
    offline: int = Field(description="accepted stations that are not")
    pending: int = Field(description="stations that wait to be accepted")
    rejected: int
    with_open_errors: int = Field(description="stations with at least one error not resolved yet")
    charging: int = Field(description="charge points that charge right now")
    charge_points: dict[ChargePointStatus, int] = Field(description="how many charge points are in each state")


def station_filter(
    *,
    q: Annotated[Word, Query(description="part of identity, name, serial number, address or site")] = None,
    is_online: Annotated[bool | None, Query()] = None,
    registration: Annotated[Registration | None, Query()] = None,
    has_open_errors: Annotated[bool | None, Query()] = None,
    status: Annotated[list[ChargePointStatus] | None, Query(description="a charge point is in one of these")] = None,
    site: Word = None,
    firmware: Word = None,
    vendor: Word = None,
    model: Word = None,
    tag: Word = None,
    is_demo: Annotated[bool | None, Query()] = None,
) -> StationFilter:
    return StationFilter(
        search=q,
        is_online=is_online,
        registration=registration,
        has_open_errors=has_open_errors,
        status=tuple(status or ()),
        site=site,
        firmware=firmware,
        vendor=vendor,
        model=model,
        tag=tag,
        is_demo=is_demo,
    )


def sort_order(
    sort: Annotated[
        str,
        Query(
            max_length=40,
            description="with - before it descending",
            examples=["-last_seen_at"],
            json_schema_extra={"enum": [f"{sign}{by.value}" for by in SortBy for sign in ("", "-")]},
        ),
    ] = "identity",
) -> Order:
    return read_order(sort)


def _listed(station: Station, details: Details) -> StationListed:
    charge_points = details.charge_points.get(station.id, [])
    return StationListed.model_validate(
        station.model_dump(exclude={"password_hashes"})
        | {
            "station_id": station.identity,
            "open_errors": details.open_errors.get(station.id, 0),
            "charge_points": [ChargePointState.model_validate(one) for one in charge_points],
        }
    )


def _states(charge_points: list[ChargePointState]) -> str:
    return " ".join(f"{one.number}:{one.status}" for one in charge_points)


def _columns() -> Columns[StationListed]:
    columns: dict[str, Any] = {name: attrgetter(name) for name in StationListed.model_fields}
    del columns["id"], columns["is_demo"]
    return columns | {"charge_points": lambda station: _states(station.charge_points)}


_COLUMNS: Final = _columns()


def _reader(wanted: StationFilter, order: Order) -> Read[StationListed]:
    async def read(work: Work, cursor: str | None) -> tuple[list[StationListed], str | None]:
        stations, following = await list_stations(work, wanted, order, CHUNK_ROWS, cursor)
        details = await details_of(work, stations)
        return [_listed(station, details) for station in stations], following

    return read


@router.get(
    "/stations",
    summary="Find stations",
    description="A page of stations as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV.",
    dependencies=[may_read()],
    response_model=Page[StationListed],
    responses=CSV_RESPONSE,
)
async def read_stations(
    *,
    work: Reading,
    page: PageDep,
    wanted: Annotated[StationFilter, Depends(station_filter)],
    order: Annotated[Order, Depends(sort_order)],
    export: ExportDep,
) -> Page[StationListed] | Response:
    if export is not None:
        return export.download(_COLUMNS, _reader(wanted, order), "stations.csv")
    stations, cursor = await list_stations(work, wanted, order, page.limit, page.cursor)
    details = await details_of(work, stations)
    return Page(items=[_listed(station, details) for station in stations], next_cursor=cursor)


@router.get("/fleet/overview", summary="The fleet in numbers", dependencies=[may_read()])
async def read_overview(work: Reading) -> FleetOverview:
    counts = await count_fleet(work)
    return FleetOverview(
        stations=counts.stations,
        online=counts.online,
        offline=counts.offline,
        pending=counts.by_registration[Registration.PENDING],
        rejected=counts.by_registration[Registration.REJECTED],
        with_open_errors=counts.with_open_errors,
        charging=counts.charging,
        charge_points=counts.charge_points,
    )
