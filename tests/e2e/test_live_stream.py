"""F1: a client of the live stream over real HTTP sees charges, loses its connection, and misses nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms.ocpp.timestamps import write as timestamp
from tests.e2e.system import DEADLINE_S, System

pytestmark = [pytest.mark.slow, pytest.mark.feature("F1")]

KINDS = ["charge_started", "charge_stopped"]
Event = dict[str, Any]


class EventClient:
    """What a browser's EventSource does: takes events, remembers the last id, sends it when it comes again."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api
        self._last_id: str | None = None
        self._seen: set[str] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AsyncIterator[Event]]:
        """A connection to the stream; the events of station LIVE-1 that were not seen yet."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        parameters = {"station": "LIVE-1", "kind": KINDS}
        async with self._api.stream("GET", "/api/v1/events", params=parameters, headers=headers) as response:
            assert response.status_code == httpx.codes.OK
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = response.aiter_lines()
            assert (await anext(lines)).startswith("retry:"), "from now on nothing is missed"
            yield self._events(lines)

    async def _events(self, lines: AsyncIterator[str]) -> AsyncIterator[Event]:
        async for line in lines:
            name, _, value = line.partition(": ")
            if name == "id":
                self._last_id = value
            elif name == "data" and self._last_id not in self._seen:  # those of the last seconds may come again
                self._seen.add(str(self._last_id))
                yield json.loads(value)


async def take(events: AsyncIterator[Event], count: int) -> list[Event]:
    """The next events."""
    async with asyncio.timeout(DEADLINE_S):
        return [await anext(events) for _ in range(count)]


class Charger:
    """A station that charges when it is told to."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._sent_count = 0

    async def call(self, action: str, **payload: Any) -> Any:
        self._sent_count += 1
        await self._client.send(json.dumps([2, str(self._sent_count), action, payload]))
        frame = json.loads(await self._client.recv())
        assert frame[:2] == [3, str(self._sent_count)], frame
        return frame[2]

    async def charge(self, energy_wh: int) -> None:
        now = timestamp(datetime.now(UTC))
        started = await self.call("StartTransaction", connectorId=1, idTag="LIVE", meterStart=0, timestamp=now)
        stop = {
            "transactionId": started["transactionId"],
            "meterStop": energy_wh,
            "timestamp": timestamp(datetime.now(UTC)),
        }
        await self.call("StopTransaction", **stop)


@asynccontextmanager
async def charger(system: System, identity: str) -> AsyncIterator[Charger]:
    async with connect(f"{system.url}/{identity}", subprotocols=[Subprotocol("ocpp1.6")], proxy=None) as client:
        made = Charger(client)
        await made.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        yield made


def check(events: list[Event], *energies_wh: int) -> None:
    """Each charge once, started before it stopped, in order."""
    assert [event["kind"] for event in events] == KINDS * len(energies_wh)
    assert {event["station_id"] for event in events} == {"LIVE-1"}
    stops = [event["data"] for event in events if event["kind"] == "charge_stopped"]
    assert [stop["energy_wh"] for stop in stops] == list(energies_wh)


async def test_a_live_client_sees_charges_and_resumes_where_it_was_cut_off(system: System) -> None:
    client = EventClient(system.api)
    async with charger(system, "LIVE-1") as station, charger(system, "LIVE-2") as other:
        async with client.listening() as events:
            await other.charge(1)  # another station's events are not for this client
            await station.charge(100)
            check(await take(events, 2), 100)

        await station.charge(200)  # while nobody listens
        await station.charge(300)

        async with client.listening() as events:
            check(await take(events, 4), 200, 300)
            await station.charge(400)
            check(await take(events, 2), 400)

    history = await system.items("events/history", station="LIVE-1", kind=KINDS)
    check(history[::-1], 100, 200, 300, 400)
    logs = await system.items("stations/LIVE-1/charge-logs")
    assert {log["id"] for log in logs} == {event["data"]["charge_log_id"] for event in history}
