"""B2: battery swaps of OCPP 2.1 over a real socket and the API."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from csms.ocpp.versions import Version
from csms.runtime import Runtime
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = [pytest.mark.feature("B2", "B3"), pytest.mark.ocpp("2.1 BatterySwap", "2.1 RequestBatterySwap")]
PATH = "/api/v1/stations/CS-1/battery-swaps"
TOKEN = {"idToken": "04E91C5A6F2A80", "type": "ISO14443"}


@pytest.fixture
async def station(bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version.V21) as booted:
        booted.answers["RequestBatterySwap"] = {"status": "Accepted"}
        yield booted


def battery(number: int, charge: float) -> dict[str, Any]:
    return {"evseId": number, "serialNumber": f"B-{number}", "soC": charge, "soH": 97}


async def tell(station: ScriptedStation, request_id: int, event: str, *batteries: dict[str, Any]) -> None:
    await station.call("BatterySwap", requestId=request_id, eventType=event, idToken=TOKEN, batteryData=batteries)


async def test_a_swap_that_was_asked_for_is_followed(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    made = (await api.post(PATH, json={"token": TOKEN["idToken"]})).json()
    assert made["state"] == "accepted"
    (request,) = station.sent("RequestBatterySwap")
    await tell(station, request["requestId"], "BatteryIn", battery(1, 9.5), battery(2, 11))
    assert (await api.get(f"{PATH}/{made['id']}")).json()["state"] == "batteries_in"
    await tell(station, request["requestId"], "BatteryOut", battery(3, 100), battery(4, 98.5))
    done = (await api.get(f"{PATH}/{made['id']}")).json()
    assert (done["state"], [one["soC"] for one in done["batteries_in"]]) == ("done", [9.5, 11])
    assert [one["serialNumber"] for one in done["batteries_out"]] == ["B-3", "B-4"]


async def test_a_swap_that_began_at_the_station_is_kept(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    await tell(station, 7, "BatteryIn", battery(1, 9))
    await tell(station, 7, "BatteryOutTimeout", battery(3, 100))
    (swap,) = (await api.get(PATH)).json()["items"]
    assert (swap["state"], swap["token"]) == ("timed_out", "04E91C5A6F2A80")
    assert swap["requested_by"] == "the driver, at the station"


async def test_a_refusal_says_why(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    station.answers["RequestBatterySwap"] = {"status": "Rejected"}
    refused = (await api.post(PATH, json={"token": "04E9"})).json()
    assert (refused["state"], refused["reason"][:20]) == ("refused", "the station will not")
    del station.answers["RequestBatterySwap"]
    unknown = (await api.post(PATH, json={"token": "04E9"})).json()
    assert unknown["reason"].startswith("the station answered NotSupported")


async def test_older_versions_swap_nothing(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V201.value)
    assert (await api.post(PATH, json={"token": "04E9"})).status_code == 409
