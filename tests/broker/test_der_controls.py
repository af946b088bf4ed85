"""B2: grid controls of OCPP 2.1 over a real socket and the API."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from csms.ocpp.versions import Version
from csms.runtime import Runtime
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = pytest.mark.feature("B2", "B3")
PATH = "/api/v1/stations/CS-1/der-controls"
HALF = {"priority": 0, "pctMaxDischargePower": 50, "startTime": "2026-01-01T10:00:00Z", "duration": 3600}
VOLT_WATT = {"priority": 1, "yUnit": "PctMaxW", "curveData": [{"x": 100, "y": 100}, {"x": 106, "y": 20}]}
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
async def station(bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version.V21) as booted:
        for action in ("SetDERControl", "ClearDERControl", "GetDERControl", "AFRRSignal"):
            booted.answers[action] = {"status": "Accepted"}
        yield booted


async def install(api: httpx.AsyncClient, kind: str = "LimitMaxDischarge", **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"control_type": kind, "values": HALF, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def state_of(api: httpx.AsyncClient, control: dict[str, Any]) -> str:
    return str((await api.get(f"{PATH}/{control['id']}")).json()["state"])


@pytest.mark.ocpp("2.1 SetDERControl", "2.1 NotifyDERStartStop")
async def test_a_control_is_set_starts_and_gives_way(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    first = await install(api)
    assert (first["state"], first["starts_at"], first["duration_s"]) == ("installed", "2026-01-01T10:00:00Z", 3600)
    request = station.sent("SetDERControl")[0]
    assert (request["controlType"], request["limitMaxDischarge"]) == ("LimitMaxDischarge", HALF)
    await station.call("NotifyDERStartStop", controlId=first["control_id"], started=True, timestamp=AT)
    assert await state_of(api, first) == "active"
    station.answers["SetDERControl"] = {"status": "Accepted", "supersededIds": [first["control_id"]]}
    second = await install(api, "VoltWatt", values=VOLT_WATT, is_default=True)
    assert station.sent("SetDERControl")[1]["curve"] == VOLT_WATT
    assert (await state_of(api, first), await state_of(api, second)) == ("superseded", "installed")


@pytest.mark.ocpp("2.1 SetDERControl")
async def test_values_that_break_the_schema_are_not_sent(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    answer = await api.post(PATH, json={"control_type": "FixedVar", "values": {"priority": 1, "setpoint": 5}})
    assert answer.status_code == 422
    assert "unit" in answer.json()["detail"]
    assert station.sent("SetDERControl") == []


@pytest.mark.ocpp("2.1 SetDERControl")
async def test_a_refusal_says_why(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    station.answers["SetDERControl"] = {"status": "NotSupported"}
    refused = await install(api)
    assert (refused["state"], refused["reason"]) == ("refused", "the station does not have this kind of control")


@pytest.mark.ocpp("2.1 ClearDERControl")
async def test_a_control_is_cleared(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    one, other = await install(api), await install(api)
    assert (await api.delete(f"{PATH}/{one['id']}")).json()["state"] == "cleared"
    assert station.sent("ClearDERControl") == [{"isDefault": False, "controlId": one["control_id"]}]
    assert await state_of(api, other) == "installed"
    assert (await api.delete(f"{PATH}/{one['id']}")).status_code == 409


@pytest.mark.ocpp("2.1 GetDERControl", "2.1 ReportDERControl")
async def test_what_the_station_does_not_name_any_more_is_gone(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    kept, lost = await install(api), await install(api)
    assert (await api.post(f"{PATH}/refresh")).json()["status"] == "Accepted"
    request_id = station.sent("GetDERControl")[0]["requestId"]
    told = {"id": kept["control_id"], "isDefault": False, "isSuperseded": False, "limitMaxDischarge": HALF}
    curve = {"id": "grid-1", "curveType": "VoltWatt", "isDefault": True, "isSuperseded": True, "curve": VOLT_WATT}
    await station.call("ReportDERControl", requestId=request_id, limitMaxDischarge=[told], tbc=True)
    await station.call("ReportDERControl", requestId=request_id, curve=[curve])
    await runtime.outbox.deliver_due()
    rows = {one["control_id"]: one for one in (await api.get(PATH)).json()["items"]}
    assert {key: row["state"] for key, row in rows.items()} == {
        kept["control_id"]: "installed",
        lost["control_id"]: "gone",
        "grid-1": "superseded",
    }
    assert (rows["grid-1"]["control_type"], rows["grid-1"]["created_by"]) == ("VoltWatt", "the station")


@pytest.mark.ocpp("2.1 NotifyDERAlarm")
async def test_alarms_are_kept(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    alarm = {"controlType": "HVMustTrip", "timestamp": AT}
    await station.call("NotifyDERAlarm", **alarm, gridEventFault="OverVoltage", extraInfo="L2")
    await station.call("NotifyDERAlarm", **alarm, alarmEnded=True)
    ended, begun = (await api.get("/api/v1/stations/CS-1/der-alarms")).json()["items"]
    assert (begun["fault"], begun["info"], begun["has_ended"]) == ("OverVoltage", "L2", False)
    assert (ended["control_type"], ended["has_ended"]) == ("HVMustTrip", True)


@pytest.mark.ocpp("2.1 AFRRSignal")
async def test_a_balancing_signal_reaches_the_station(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    signal = {"timestamp": AT, "signal": 75}
    answer = await api.post("/api/v1/stations/CS-1/commands/AFRRSignal", json=signal)
    assert answer.json()["payload"] == {"status": "Accepted"}
    assert station.sent("AFRRSignal") == [signal]


async def test_older_versions_have_no_controls(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V201.value)
    answer = await api.post(PATH, json={"control_type": "LimitMaxDischarge", "values": HALF})
    assert answer.status_code == 409
