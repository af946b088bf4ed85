"""B2: periodic event streams of OCPP 2.1 over a real socket and the API."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.event_streams.rules import STREAMS_MAX
from tests.broker.conftest import Bench, eventually
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = pytest.mark.feature("B2", "B6")
PATH = "/api/v1/stations/CS-1/event-streams"


@pytest.fixture
async def station(bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version.V21) as booted:
        yield booted


def stream(number: int, **params: int) -> dict[str, Any]:
    return {"id": number, "variableMonitoringId": 40 + number, "params": params}


async def send(client: ClientConnection, number: int, *values: tuple[float, str]) -> None:
    """A SEND: type 6, nothing comes back."""
    payload = {
        "id": number,
        "pending": 0,
        "basetime": "2026-01-01T00:00:00Z",
        "data": [{"t": offset_s, "v": value} for offset_s, value in values],
    }
    await client.send(json.dumps([6, f"send-{number}", "NotifyPeriodicEventStream", payload]))


async def streams(api: httpx.AsyncClient) -> dict[int, str]:
    return {one["number"]: one["state"] for one in (await api.get(PATH)).json()["items"]}


@pytest.mark.ocpp("2.1 OpenPeriodicEventStream", "2.1 NotifyPeriodicEventStream", "2.1 ClosePeriodicEventStream")
async def test_values_flow_while_a_stream_is_open(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    answer = await station.call("OpenPeriodicEventStream", constantStreamData=stream(1, interval=60))
    assert answer == {"status": "Accepted"}
    await send(station._client, 1, (0, "21.5"), (30.5, "22.0"))
    await send(station._client, 2, (0, "nobody opened this one"))
    await station.call("ClosePeriodicEventStream", id=1)
    await send(station._client, 1, (60, "too late"))
    await station.call("Heartbeat")
    (message,) = (await api.get(f"{PATH}/1/messages")).json()["items"]
    assert [(one["at"], one["value"]) for one in message["samples"]] == [
        ("2026-01-01T00:00:00Z", "21.5"),
        ("2026-01-01T00:00:30.500000Z", "22.0"),
    ]
    (row,) = (await api.get(PATH)).json()["items"]
    assert (row["monitor_number"], row["interval_s"], row["state"]) == (41, 60, "closed")
    assert row["reason"] == "the station closed it"


@pytest.mark.ocpp("2.1 OpenPeriodicEventStream")
async def test_more_streams_than_there_is_room_for_are_rejected(station: ScriptedStation) -> None:
    for number in range(STREAMS_MAX):
        answer = await station.call("OpenPeriodicEventStream", constantStreamData=stream(number))
        assert answer["status"] == "Accepted"
    again = await station.call("OpenPeriodicEventStream", constantStreamData=stream(0, values=5))
    assert again["status"] == "Accepted"
    answer = await station.call("OpenPeriodicEventStream", constantStreamData=stream(STREAMS_MAX))
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "OutOfStorage")


@pytest.mark.ocpp("2.1 AdjustPeriodicEventStream")
async def test_an_operator_asks_for_another_pace(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    await station.call("OpenPeriodicEventStream", constantStreamData=stream(1, interval=60))
    station.answers["AdjustPeriodicEventStream"] = {"status": "Rejected"}
    refused = (await api.put(f"{PATH}/1/pace", json={"interval_s": 5})).json()
    assert (refused["status"], refused["stream"]["interval_s"]) == ("Rejected", 60)
    station.answers["AdjustPeriodicEventStream"] = {"status": "Accepted"}
    taken = (await api.put(f"{PATH}/1/pace", json={"interval_s": 5})).json()
    assert (taken["status"], taken["stream"]["interval_s"]) == ("Accepted", 5)
    assert station.sent("AdjustPeriodicEventStream")[-1] == {"id": 1, "params": {"interval": 5}}
    assert (await api.put(f"{PATH}/9/pace", json={"interval_s": 5})).status_code == 404


@pytest.mark.ocpp("2.1 GetPeriodicEventStream")
async def test_the_station_tells_which_streams_there_are(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    for number in (1, 2):
        await station.call("OpenPeriodicEventStream", constantStreamData=stream(number))
    station.answers["GetPeriodicEventStream"] = {"constantStreamData": [stream(2, interval=9), stream(3)]}
    assert (await api.post(f"{PATH}/refresh")).json()["outcome"] == "answered"

    async def told() -> dict[int, str] | None:
        found = await streams(api)
        return found if 3 in found else None

    assert await eventually(told) == {1: "closed", 2: "open", 3: "open"}


async def test_streams_are_known_after_a_reconnect(api: httpx.AsyncClient, bench: Bench) -> None:
    async with scripted(bench, Version.V21) as first:
        await first.call("OpenPeriodicEventStream", constantStreamData=stream(1))
    await bench.closed()
    async with scripted(bench, Version.V21) as second:
        await send(second._client, 1, (0, "again"))
        await second.call("Heartbeat")
    assert len((await api.get(f"{PATH}/1/messages")).json()["items"]) == 1


async def test_older_versions_have_no_streams(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V201.value)
    answer = await api.post(f"{PATH}/refresh")
    assert (answer.status_code, answer.json()["detail"][:31]) == (409, "event streams came with OCPP 2.")
