"""S15: the settings and monitors of simulated stations of every version, at the whole system."""

from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators import v16, v201
from simulators.battery import CARS, Battery
from tests.e2e.system import System, eventually, until

pytestmark = [pytest.mark.slow, pytest.mark.feature("S15")]
V2 = pytest.mark.parametrize("version", [Version.V201, Version.V21])


async def refreshed(system: System, station: str, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """The refresh when it has ended."""
    started = await system.post(f"stations/{station}/{what}/refreshes", body)

    async def ended() -> Any:
        refresh = await system.get(f"stations/{station}/{what}/refreshes/{started['id']}")
        return refresh if refresh["ended_at"] else None

    return await eventually(ended)  # type: ignore[no-any-return]


async def setting(system: System, station: str, name: str) -> dict[str, Any]:
    rows = await system.items(f"stations/{station}/settings", q=name.rsplit(".", maxsplit=1)[-1])
    return next(row for row in rows if row["name"] == name)


@V2
async def test_a_2_x_station_tells_its_device_model_and_is_changed(system: System, version: Version) -> None:
    async with v201.running_station(system.url, "SIM-201", versions=(version,)) as station:
        await until(lambda: station.is_online and not station.is_busy)
        refresh = await refreshed(system, "SIM-201", "settings", {})
        assert refresh["state"] == "complete", refresh
        assert refresh["item_count"] > 100
        beat = await setting(system, "SIM-201", "OCPPCommCtrlr.HeartbeatInterval")
        assert (beat["common_name"], beat["data_type"], beat["mutability"]) == (
            "heartbeat_interval",
            "integer",
            "read_write",
        )
        changes = [
            {"name": "heartbeat_interval", "value": 77},
            {"name": "connection_timeout", "value": 45},
            {"name": "sampled_interval", "value": 30},
        ]
        answer = await system.api.patch("/api/v1/stations/SIM-201/settings", json={"changes": changes})
        results = answer.json()["results"]
        assert [one["outcome"] for one in results] == ["accepted"] * 3, results
        await refreshed(system, "SIM-201", "settings", {"names": ["heartbeat_interval", "connection_timeout"]})
        assert (await setting(system, "SIM-201", "OCPPCommCtrlr.HeartbeatInterval"))["value"] == "77"
        chosen = await refreshed(system, "SIM-201", "settings", {"components": [{"component": "TxCtrlr"}]})
        assert chosen["state"] == "complete", chosen


@V2
async def test_a_2_x_station_is_watched(system: System, version: Version) -> None:
    async with v201.running_station(system.url, "SIM-201", versions=(version,)) as station:
        await until(lambda: station.is_online and not station.is_busy)
        wanted = {"name": "Connector#1.1.AvailabilityState", "kind": "delta", "value": 1, "severity": 6}
        results = (await system.post("stations/SIM-201/monitors", {"monitors": [wanted]}))["results"]
        assert results[0]["outcome"] == "accepted", results
        await refreshed(system, "SIM-201", "monitors", {})
        rows = await system.items("stations/SIM-201/monitors")
        mine = next(row for row in rows if row["monitor_id"] == results[0]["monitor_id"])
        assert (mine["name"], mine["severity"]) == ("Connector#1.1.AvailabilityState", 6)
        station.charging.plug_in(1, Battery(CARS[3], station.nameplate.supply, soc=0.3))

        async def told() -> Any:
            events = await system.items("stations/SIM-201/device-events")
            return [event for event in events if event["monitor_id"] == mine["monitor_id"]]

        events = await eventually(told)
        assert {event["severity"] for event in events} == {6}
        cleared = (await system.post("stations/SIM-201/monitors/clear", {"ids": [mine["id"]]}))["results"]
        assert cleared[0]["outcome"] == "accepted"


async def test_a_1_6_station_tells_its_keys_and_is_changed(system: System) -> None:
    async with v16.running_station(system.url, "SIM-16") as station:
        await until(lambda: station.is_online)
        refresh = await refreshed(system, "SIM-16", "settings", {})
        assert refresh["state"] == "complete", refresh
        assert refresh["item_count"] > 20
        changes = [{"name": "heartbeat_interval", "value": 77}, {"name": "sampled_interval", "value": 30}]
        answer = await system.api.patch("/api/v1/stations/SIM-16/settings", json={"changes": changes})
        assert [one["outcome"] for one in answer.json()["results"]] == ["accepted", "accepted"], answer.text
        await refreshed(system, "SIM-16", "settings", {"names": ["heartbeat_interval"]})
        assert (await setting(system, "SIM-16", "HeartbeatInterval"))["value"] == "77"
