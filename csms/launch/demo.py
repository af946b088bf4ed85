"""The demo: a handful of simulated stations that are registered, published and charge at once, marked as demo."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from csms.clock import system_clock
from csms.config import Settings
from csms.ids import ids_by
from csms.launch.process import Running
from csms.platform.organisations import default_organisation
from csms.routing import Registration
from csms.station.charge_points import ChargePoint, Connector
from csms.station.charge_points.rules import ConnectorFormat, PlugType
from csms.station.information import Station, stations_by_identity
from csms.station.interfaces import InterfaceKind, switch_interface
from csms.station.operational_management import ServicePackage, switch_package
from csms.store import Work, open_store
from csms.store.migrate import is_empty
from simulators.clock import LateClock
from simulators.driver import Habits
from simulators.fleet import Fleet, FleetPlan
from simulators.running import catch_up

PREFIX = "DEMO-"
PAST_S = 4 * 3600.0
"""What a new installation's stations live through before it is shown: charges with their curves, a fault or two."""
HABITS = Habits(first_arrival_s=15.0, faults_per_hour=0.2)


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


class Demo:
    """The demo's stations, and the time that the whole system lives in.

    An installation that is new begins in the past, together with its stations: all that they tell comes at its time,
    as it would have if the system had run for so long. After that, and for every other one, the time is the real one.
    """

    def __init__(self, *, is_new: bool) -> None:
        self.past_s = PAST_S if is_new else 0.0
        self._clock = LateClock(system_clock() - timedelta(seconds=self.past_s))
        self._life: asyncio.Task[dict[str, Any]] | None = None

    def clock(self) -> datetime:
        """The system's time."""
        return system_clock() if self._clock.is_running else self._clock.now()

    async def begin(self, started: Running) -> None:
        """Register the stations and let them live; returns when they have come to the present."""
        if started.broker is None:
            return
        async with started.runtime.store.writing() as work:
            await _register(work)
        fleet = Fleet(_plan(started, is_new=self.past_s > 0), self._clock)
        self._life = asyncio.create_task(fleet.run(), name="demo stations")
        await catch_up(fleet.stations, self._clock)

    async def end(self) -> None:
        """At once: a demo need not finish its charges first."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)


@asynccontextmanager
async def demo_stations(settings: Settings) -> AsyncIterator[Demo]:
    """The demo, which ends with the block.

    Enter it before the system is started: then the stations are still there when the broker tells them that it stops.
    """
    store = open_store(settings.database_url.get_secret_value())
    try:
        demo = Demo(is_new=await is_empty(store.engine))
    finally:
        await store.close()
    try:
        with ids_by(demo.clock):
            yield demo
    finally:
        await demo.end()


def _plan(started: Running, *, is_new: bool) -> FleetPlan:
    host = started.runtime.settings.broker_host
    return FleetPlan(
        url=f"ws://{host}:{started.broker_port}/ocpp",
        count=len(SITES),
        prefix=PREFIX,
        kind="ac3",
        versions=("1.6", "2.0.1"),
        seed=1 if is_new else secrets.randbelow(2**31),  # stations that come back begin no charge with an old id
        habits=HABITS,
    )


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
