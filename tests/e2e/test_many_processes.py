"""P7, DESIGN 6: the full size: broker, API and worker in processes of their own, on PostgreSQL and NATS."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.system import ADMIN_KEY, HEADERS, CsmsProcess, eventually, quiet_port
from tests.servers import PostgresServer, nats_server

pytestmark = [pytest.mark.slow, pytest.mark.feature("P7")]

DATABASE = "many_processes"


class Parts:
    """Two brokers, an API and a worker on one database and one bus."""

    def __init__(self, folder: Path, database_url: str, bus_url: str) -> None:
        self._folder = folder
        self._settings: dict[str, Any] = {
            "database_url": database_url,
            "bus_url": bus_url,
            "secret_key": "one pepper for all",
            "admin_key": ADMIN_KEY,
            "unknown_stations": "accept",
        }
        self.broker_ports = [quiet_port(), quiet_port()]
        self.api_port = quiet_port()
        self.processes: list[CsmsProcess] = []

    async def start(self) -> None:
        for number, port in enumerate(self.broker_ports, 1):
            await self._start("broker", f"broker-{number}", broker_port=port, node_name=f"broker-{number}")
        await self._start("api", "api", api_port=self.api_port)
        await self._start("worker", "worker")

    async def _start(self, part: str, name: str, **settings: Any) -> None:
        folder = self._folder / name
        folder.mkdir()
        process = CsmsProcess(folder, part, data_dir=str(folder), **self._settings, **settings)
        self.processes.append(process)

        async def is_up() -> bool:
            assert process.is_running(), process.log()
            return "is running" in process.output()

        await eventually(is_up, timeout_s=60)

    async def stop(self) -> list[int | None]:
        return [await process.end(signal.SIGTERM) for process in reversed(self.processes)]

    @asynccontextmanager
    async def station(self, broker: int) -> AsyncIterator[ClientConnection]:
        url = f"ws://127.0.0.1:{self.broker_ports[broker]}/ocpp/CS-1"
        async with connect(url, subprotocols=["ocpp1.6"]) as client:  # type: ignore[list-item]  # plain text will do
            await client.send('[2,"b","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]')
            assert json.loads(await client.recv())[2]["status"] == "Accepted"
            yield client


@pytest.fixture
async def parts(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        await postgres.create_database(DATABASE)
        stack.push_async_callback(postgres.drop_database, DATABASE)
        bus = stack.enter_context(nats_server(user="csms", password="secret"))
        started = Parts(
            tmp_path,
            postgres.url(DATABASE).replace("postgresql+asyncpg", "postgresql"),
            bus.url.replace("://", "://csms:secret@"),
        )
        stack.push_async_callback(started.stop)
        await started.start()
        yield started


async def answer_calls(client: ClientConnection, status: str) -> None:
    """Answer every call of the system until the connection ends."""
    try:
        async for text in client:
            frame = json.loads(text)
            if frame[0] == 2:
                await client.send(json.dumps([3, frame[1], {"status": status}]))
    except ConnectionClosed:
        pass


async def test_a_command_reaches_the_broker_that_holds_the_station(parts: Parts) -> None:
    address = f"http://127.0.0.1:{parts.api_port}/api/v1/stations/CS-1"
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as api:
        async with parts.station(1) as client:
            answering = asyncio.create_task(answer_calls(client, "Accepted"))
            sent = (await api.post(f"{address}/commands/ClearCache", json={})).json()
            assert (sent["outcome"], sent["payload"]) == ("answered", {"status": "Accepted"})
            assert (await api.get(address)).json()["communication"]["is_online"]
            answering.cancel()
        offline = (await api.post(f"{address}/commands/ClearCache", json={})).json()
        assert offline["outcome"] == "offline"


@pytest.mark.feature("B12")
@pytest.mark.robustness(36)
async def test_a_station_that_comes_to_another_broker_is_served_there_and_only_there(parts: Parts) -> None:
    address = f"http://127.0.0.1:{parts.api_port}/api/v1/stations/CS-1"
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(httpx.AsyncClient(headers=HEADERS, timeout=30))
        old = await stack.enter_async_context(parts.station(0))
        old.transport.pause_reading()  # its line is dead: one that is alive and has no password would be kept (B11)
        new = await stack.enter_async_context(parts.station(1))
        old.transport.resume_reading()
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(old.recv(), 30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001  # replaced
        answering = asyncio.create_task(answer_calls(new, "Rejected"))
        sent = (await api.post(f"{address}/commands/ClearCache", json={})).json()
        assert (sent["outcome"], sent["payload"]) == ("answered", {"status": "Rejected"})
        assert (await api.get(address)).json()["communication"]["is_online"]
        history = (await api.get(f"{address}/connection-history")).json()["items"]
        assert [(row["node"], row["cause"]) for row in history] == [("broker-2", None), ("broker-1", "replaced")]
        answering.cancel()


async def test_all_parts_end_with_0_when_told_to(parts: Parts) -> None:
    async with parts.station(0):
        codes = await parts.stop()
    assert codes == [0, 0, 0, 0]
