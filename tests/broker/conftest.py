"""A broker on a free port, and clients that behave as well or as badly as a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from sqlmodel import col, select
from websockets.asyncio.client import ClientConnection, connect

from broker.server import Broker
from csms.config import Settings, UnknownStations
from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.connections import Connection
from csms.store import Store
from tests.builders import make_organisation

DEADLINE_S = 10.0


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """The condition's value once it is true; fails after DEADLINE_S."""
    async with asyncio.timeout(DEADLINE_S):
        while not (value := await condition()):  # noqa: ASYNC110  # polls what another connection writes
            await asyncio.sleep(0.01)
        return value


class Bench:
    """A broker under test."""

    def __init__(self, broker: Broker, port: int, store: Store) -> None:
        self.broker = broker
        self.port = port
        self.store = store

    @asynccontextmanager
    async def station(self, identity: str = "CS-1", **options: Any) -> AsyncIterator[ClientConnection]:
        """A connected WebSocket client; `options` go to websockets' `connect`."""
        values: dict[str, Any] = {"subprotocols": ["ocpp1.6"], "compression": None, **options}
        url = f"ws://127.0.0.1:{self.port}/ocpp/{quote(identity, safe='')}"
        async with connect(url, **values) as client:
            yield client

    async def history(self, identity: str = "CS-1") -> list[Connection]:
        """The identity's connection history, oldest first."""
        async with self.store.reading() as work:
            query = select(Connection).where(Connection.identity == identity).order_by(col(Connection.id))
            return list((await work.session.exec(query)).all())

    async def closed(self, identity: str = "CS-1") -> Connection:
        """The last row of the identity's history, once it is closed."""

        async def last() -> Connection | None:
            rows = await self.history(identity)
            return rows[-1] if rows and rows[-1].closed_at else None

        return await eventually(last)

    async def is_registered(self, identity: str = "CS-1") -> None:
        """Wait until the broker holds the identity's connection."""

        async def held() -> bool:
            return identity in self.broker.node.connections

        await eventually(held)


async def call(client: ClientConnection, action: str, /, **payload: Any) -> list[Any]:
    """Send a call and return the whole answer frame; answers to other ids are skipped."""
    message_id = uuid4().hex
    await client.send(json.dumps([2, message_id, action, payload]))
    while True:
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        if frame[0] in (3, 4) and frame[1] == message_id:
            return frame  # type: ignore[no-any-return]


async def boot(client: ClientConnection, version: Version = Version.V16) -> list[Any]:
    if version is Version.V16:
        return await call(client, "BootNotification", chargePointVendor="V", chargePointModel="M")
    station = {"vendorName": "V", "model": "M"}
    return await call(client, "BootNotification", chargingStation=station, reason="PowerUp")


@pytest.fixture
def unknown() -> UnknownStations:
    """What becomes of unregistered stations; tests override it."""
    return UnknownStations.ACCEPT


@pytest.fixture
def broker_settings(settings: Settings) -> Settings:
    """Tests override it to change limits."""
    return settings.model_copy(update={"probe_timeout_s": 0.2, "login_refusal_s": 0.0})


@pytest.fixture
async def bench(runtime: Runtime, unknown: UnknownStations, broker_settings: Settings) -> AsyncIterator[Bench]:
    """A running broker on the test's database."""
    await make_organisation(runtime.store)
    runtime.settings = broker_settings
    broker = Broker(runtime, unknown=unknown)
    port = await broker.start()
    yield Bench(broker, port, runtime.store)
    await broker.stop()
