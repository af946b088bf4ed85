"""Short ways to have what a test needs: organisations, stations, and a connected station that calls."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from csms.ids import new_id
from csms.ocpp.versions import Version
from csms.platform.organisations import Organisation
from csms.platform.organisations.service import ensure_default
from csms.routing import ConnectedStation, Routes, find_routes
from csms.station.information import Station
from csms.store import Store

_numbers = count(1)


async def make_organisation(store: Store, name: str | None = None) -> Organisation:
    """A further organisation; without a name, the installation's default one."""
    async with store.writing() as work:
        if name is None:
            return await ensure_default(work)
        organisation = Organisation(name=name, created_at=work.now)
        work.session.add(organisation)
        return organisation


async def make_station(store: Store, organisation: Organisation | None = None, **fields: Any) -> Station:
    """A registered, accepted station; `fields` set columns."""
    owner = organisation or await make_organisation(store)
    async with store.writing() as work:
        values = {"identity": f"CS-{next(_numbers):04}", "organisation_id": owner.id, "created_at": work.now, **fields}
        station = Station(**values)
        work.session.add(station)
        return station


@dataclass
class CallingStation:
    """A station in the broker's memory, without a socket: its calls are handled and committed as the broker does."""

    store: Store
    routes: Routes
    connected: ConnectedStation

    async def call(self, action: str, **payload: Any) -> dict[str, Any]:
        """The answer's payload; raises OcppError where the station would get a CALLERROR."""
        work = self.store.note()
        answer = await self.routes.handle(work, self.connected, action, payload)
        await self.store.commit_all([work])
        return answer

    async def answered(self, action: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """The station answered a call of ours."""
        work = self.store.note()
        await self.routes.answered(work, self.connected, action, request, answer)
        await self.store.commit_all([work])


async def connect(store: Store, station: Station, version: Version = Version.V16) -> CallingStation:
    """Load the station into memory as the broker does when it connects."""
    routes = find_routes()
    connected = ConnectedStation(
        id=station.id,
        organisation_id=station.organisation_id,
        identity=station.identity,
        version=version,
        registration=station.registration,
        connection_id=new_id(),
        remote_address="127.0.0.1",
        is_demo=station.is_demo,
    )
    async with store.reading() as work:
        await routes.load(work, [connected])
    return CallingStation(store, routes, connected)
