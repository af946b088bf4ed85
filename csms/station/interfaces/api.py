"""S18: the publication switches of a station."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from csms.rights import Area
from csms.station.charge_points import Severity, check_station
from csms.station.information import Station, StationDep, StationToChange
from csms.station.interfaces.model import FED, InterfaceKind
from csms.station.interfaces.service import interfaces_of, switch_interface
from csms.store import Work
from csms.web import Reading, Shown, Strict, Writing, may_read, may_write

router = APIRouter()


class InterfaceShown(Shown):
    """One interface of a station."""

    interface: InterfaceKind
    is_available: bool = Field(description="whether this installation has such a feed")
    is_on: bool
    since: datetime | None = Field(description="when it was switched on; null when it is off")
    switched_by: str | None


class WarningShown(Shown):
    """Why the station is not shown, or badly, though it is switched on; `…/charge-points/check` says the same."""

    severity: Severity
    place: str = Field(examples=["charge_points/1/evse_id"])
    what: str
    todo: str


class Interfaces(Shown):
    """Where the station is published."""

    interfaces: list[InterfaceShown]
    warnings: list[WarningShown] = Field(description="empty while every switch is off")


class InterfaceSwitches(Strict):
    """The switches to set; those left out stay as they are."""

    geojson: bool | None = Field(None, description="/feeds/geojson", examples=[True])
    open_charge_map: bool | None = None
    google: bool | None = None
    ocpi: bool | None = None


async def _show(work: Work, station: Station) -> Interfaces:
    active = await interfaces_of(work, station)
    shown = []
    for kind in InterfaceKind:
        row = active.get(kind)
        shown.append(
            InterfaceShown(
                interface=kind,
                is_available=kind in FED,
                is_on=row is not None,
                since=row.since if row else None,
                switched_by=row.switched_by if row else None,
            )
        )
    problems = await check_station(work, station) if active else []
    return Interfaces(interfaces=shown, warnings=[WarningShown.model_validate(problem) for problem in problems])


@router.get("/stations/{station_id}/interfaces", summary="Where the station is published", dependencies=[may_read()])
async def read_interfaces(station: StationDep, work: Reading) -> Interfaces:
    return await _show(work, station)


@router.put(
    "/stations/{station_id}/interfaces",
    summary="Publish the station, or take it back",
    description="The next request to the feed shows it already. What is still wrong stands in `warnings`.",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "this installation has no such feed"}},
)
async def put_interfaces(station: StationToChange, body: InterfaceSwitches, work: Writing) -> Interfaces:
    for kind in InterfaceKind:
        is_on: bool | None = getattr(body, kind.value)
        if is_on is not None:
            await switch_interface(work, station, kind, is_on=is_on)
    return await _show(work, station)
