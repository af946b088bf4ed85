"""The demo: a handful of simulated stations that are registered, published and charge at once, marked as demo."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from csms.launch.process import Part, Running
from csms.platform.organisations import default_organisation
from csms.routing import Registration
from csms.station.charge_points import ChargePoint, Connector
from csms.station.charge_points.rules import ConnectorFormat, PlugType
from csms.station.information import Station, stations_by_identity
from csms.station.interfaces import InterfaceKind, switch_interface
from csms.station.operational_management import ServicePackage, switch_package
from csms.store import Work
from simulators.driver import Habits
from simulators.fleet import Fleet, FleetPlan

PREFIX = "DEMO-"
PAST_S = 12 * 3600.0
"""The simulated stations begin so far in the past and catch up, so that there is something to see at once."""
CATCH_UP_SPEED = 600.0


@dataclass(frozen=True, slots=True)
class _Site:
    name: str
    address: str
    city: str
    postal_code: str
    country: str
    latitude: float
    longitude: float


SITES = (
    _Site("Harbour", "Rådhusplassen 1", "Oslo", "0037", "NO", 59.9127, 10.7336),
    _Site("Harbour", "Rådhusplassen 3", "Oslo", "0037", "NO", 59.9124, 10.7341),
    _Site("Central station", "Bahnhofplatz 2", "München", "80335", "DE", 48.1402, 11.5600),
    _Site("Museum", "Museumsgatan 7", "Malmö", "211 37", "SE", 55.6050, 12.9870),
    _Site("Depot", "Havnegade 12", "Aarhus", "8000", "DK", 56.1520, 10.2140),
)


Begin = Callable[[Running], Awaitable[None]]


@asynccontextmanager
async def demo_stations() -> AsyncIterator[Begin]:
    """Gives the function that registers the demo's stations and lets them live until the end of the block.

    Enter it before the system is started: then the stations are still there when the broker tells them that it stops.
    """
    lives: list[asyncio.Task[dict[str, Any]]] = []

    async def begin(started: Running) -> None:
        if Part.BROKER in started.parts:
            async with started.runtime.store.writing() as work:
                await _register(work)
            lives.append(asyncio.create_task(_fleet(started).run(), name="demo stations"))

    try:
        yield begin
    finally:
        for life in lives:
            life.cancel()  # a demo need not finish its charges first
        await asyncio.gather(*lives, return_exceptions=True)


def _fleet(started: Running) -> Fleet:
    host = started.runtime.settings.broker_host
    plan = FleetPlan(
        url=f"ws://{host}:{started.broker_port}/ocpp",
        count=len(SITES),
        prefix=PREFIX,
        kind="ac3",
        versions=("1.6", "2.0.1"),
        speed=CATCH_UP_SPEED,
        behind_s=PAST_S,
        habits=Habits(faults_per_hour=0.2),
    )
    return Fleet(plan)


async def _register(work: Work) -> None:
    """Add what is missing; what an operator changed meanwhile stays."""
    identities = [f"{PREFIX}{number:04d}" for number in range(1, len(SITES) + 1)]
    known = await stations_by_identity(work, identities)
    organisation = await default_organisation(work)
    for identity, site in zip(identities, SITES, strict=True):
        if identity not in known:
            await _add(work, organisation.id, identity, site)


async def _add(work: Work, organisation_id: int, identity: str, site: _Site) -> None:
    station = Station(
        organisation_id=organisation_id,
        identity=identity,
        name=f"{site.name} {site.city}",
        site=site.name,
        tags=["demo"],
        registration=Registration.ACCEPTED,
        is_demo=True,
        created_at=work.now,
        address=site.address,
        city=site.city,
        postal_code=site.postal_code,
        country=site.country,
        latitude=site.latitude,
        longitude=site.longitude,
    )
    work.session.add(station)
    await work.session.flush()
    for number in (1, 2):
        await _add_charge_point(work, station, number)
    await work.session.flush()
    await switch_package(work, station, ServicePackage.CHARGEPOINT_OPERATION, is_on=True)
    await switch_interface(work, station, InterfaceKind.GEOJSON, is_on=True)


async def _add_charge_point(work: Work, station: Station, number: int) -> None:
    country = station.country or "NO"
    evse_id = f"{country}*CSM*E{station.identity.removeprefix(PREFIX)}*{number}"
    charge_point = ChargePoint(
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=number,
        label=f"{'AB'[number - 1]}",
        evse_id=evse_id,
        evse_key=evse_id.replace("*", ""),
        created_at=work.now,
    )
    work.session.add(charge_point)
    await work.session.flush()
    work.session.add(
        Connector(
            organisation_id=station.organisation_id,
            station_id=station.id,
            charge_point_id=charge_point.id,
            number=1,
            plug_type=PlugType.IEC_62196_T2,
            format=ConnectorFormat.SOCKET,
            max_power_w=22_000,
            voltage_v=400,
            amperage_a=32,
            phases=3,
        )
    )
