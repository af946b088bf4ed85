"""F1: the list of stations and the counts of the fleet."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from csms.fleet.overview.service import (
    Details,
    Order,
    StationFilter,
    count_fleet,
    details_of,
    export_stations,
    list_stations,
    read_order,
)
from csms.ids import Id
from csms.routing import Registration
from csms.station.charge_points import ChargePoint, ChargePointStatus
from csms.station.information import Station
from csms.tabular import Columns, csv_text, wants_csv
from csms.web import Page, PageDep, Reading, Shown, may_read

router = APIRouter()

CSV_ROWS_MAX = 50_000
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
            description="identity, name, last_seen_at, online_since or created_at; with - before it descending",
            examples=["-last_seen_at"],
        ),
    ] = "identity",
) -> Order:
    return read_order(sort)


def csv_wanted(
    request: Request,
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="instead of Accept")] = None,
) -> bool:
    return form == "csv" if form is not None else wants_csv(request.headers.get("Accept"))


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


def _states(charge_points: list[ChargePoint]) -> str:
    return " ".join(f"{one.number}:{one.status}" for one in charge_points)


def _columns(details: Details) -> Columns[Station]:
    plain = (
        "name",
        "site",
        "tags",
        "registration",
        "is_online",
        "online_since",
        "offline_since",
        "last_seen_at",
        "vendor",
        "model",
        "serial_number",
        "firmware_version",
        "address",
        "city",
        "postal_code",
        "country",
        "latitude",
        "longitude",
    )
    columns: dict[str, Any] = {"station_id": lambda station: station.identity}
    for name in plain:
        columns[name] = lambda station, name=name: getattr(station, name)
    columns["open_errors"] = lambda station: details.open_errors.get(station.id, 0)
    columns["charge_points"] = lambda station: _states(details.charge_points.get(station.id, []))
    return columns


@router.get(
    "/stations",
    summary="Find stations",
    description="A page of stations as JSON, or with `format=csv` or `Accept: text/csv` all of them as CSV.",
    dependencies=[may_read()],
    response_model=Page[StationListed],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def read_stations(
    *,
    work: Reading,
    page: PageDep,
    wanted: Annotated[StationFilter, Depends(station_filter)],
    order: Annotated[Order, Depends(sort_order)],
    is_csv: Annotated[bool, Depends(csv_wanted)],
) -> Page[StationListed] | Response:
    if is_csv:
        stations = await export_stations(work, wanted, order, CSV_ROWS_MAX)
        text = csv_text(_columns(await details_of(work, stations)), stations)
        headers = {"Content-Disposition": 'attachment; filename="stations.csv"', "Vary": "Accept"}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
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
