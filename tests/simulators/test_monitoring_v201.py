from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.v201 import Nameplate, settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, Bench201, bench201
from tests.simulators.station_bench import car

pytestmark = pytest.mark.feature("F5")


def monitor(name: str, kind: str, value: float, severity: int = 3, **more: Any) -> dict[str, Any]:
    component, _, variable = name.partition(".")
    place = {"component": {"name": component, "evse": {"id": 1}}, "variable": {"name": variable}}
    return {"type": kind, "value": value, "severity": severity, **place, **more}


async def watch(b: Bench201, *wanted: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await b.csms.call("SetVariableMonitoring", {"setMonitoringData": list(wanted)})
    results: list[dict[str, Any]] = answer["setMonitoringResult"]
    return results


def events(b: Bench201) -> list[dict[str, Any]]:
    return [event for told in b.csms.payloads("NotifyEvent") for event in told["eventData"]]


@pytest.mark.parametrize("version", BOTH)
async def test_a_threshold_fires_when_the_power_crosses_it_and_again_when_it_falls(version: Version) -> None:
    async with bench201(versions=(version,)) as b:
        (result,) = await watch(b, monitor("EVSE.Power", "UpperThreshold", 5_000))
        assert result["status"] == "Accepted"
        transaction_id = await b.charge()
        await b.wait(60)
        (fired,) = events(b)
        assert (fired["trigger"], fired["cleared"], fired["actualValue"]) == ("Alerting", False, "11000")
        assert (fired["variableMonitoringId"], fired["transactionId"]) == (result["id"], transaction_id)
        assert fired["eventNotificationType"] == "CustomMonitor"
        b.station.charging.unplug(1)
        await settled(b.station)
        assert [one["cleared"] for one in events(b)] == [False, True]


async def test_deltas_of_numbers_and_of_words() -> None:
    async with bench201() as b:
        await watch(
            b,
            monitor("ConnectedEV.StateOfCharge", "Delta", 10),
            monitor("EVSE.AvailabilityState", "Delta", 1),
        )
        await b.charge(soc=0.30, target_soc=0.55)
        await b.wait(4 * 3_600)
        told = [(one["variable"]["name"], one["actualValue"]) for one in events(b)]
        assert ("AvailabilityState", "Occupied") in told
        assert [value for name, value in told if name == "StateOfCharge"] == ["30", "40", "50"]


async def test_periodic_monitors_tell_by_interval_and_by_the_clock() -> None:
    async with bench201() as b:
        await b.wait(100)
        await watch(
            b,
            monitor("FiscalMetering.EnergyImportRegister", "Periodic", 600, 5),
            monitor("EVSE.Power", "PeriodicClockAligned", 900, 5),
        )
        await b.wait(1_800)
        assert [(one["variable"]["name"], one["timestamp"][11:19]) for one in events(b)] == [
            ("EnergyImportRegister", "12:11:40"),
            ("Power", "12:15:00"),
            ("EnergyImportRegister", "12:21:40"),
            ("Power", "12:30:00"),
            ("EnergyImportRegister", "12:31:40"),
        ]
        assert {one["trigger"] for one in events(b)} == {"Periodic"}


async def test_the_level_silences_and_severe_events_wait_for_the_csms() -> None:
    async with bench201() as b:
        await watch(b, monitor("EVSE.Power", "UpperThreshold", 1_000, 3), monitor("EVSE.Power", "Delta", 500, 7))
        assert await b.csms.call("SetMonitoringLevel", {"severity": 9}) == ACCEPTED
        b.station.charging.plug_in(1, car())
        await settled(b.station)
        b.station.authorization.cache.clear()
        assert await b.station.charging.present_tag(1, "04AB")
        b.station.go_offline(600)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(900)
        assert [one["trigger"] for one in events(b)] == ["Alerting"]
        assert await b.csms.call("SetMonitoringLevel", {"severity": 2}) == ACCEPTED
        b.station.charging.unplug(1)
        await b.wait(60)
        assert len(events(b)) == 1
        assert await b.csms.call("SetMonitoringLevel", {"severity": 10}) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (monitor("EVSE.Power", "UpperThreshold", 5_000), "Accepted"),
        (monitor("EVSE.Power", "UpperThreshold", 9_999_999), "Rejected"),
        (monitor("EVSE.Power", "Delta", -1), "Rejected"),
        (monitor("EVSE.AvailabilityState", "UpperThreshold", 1), "UnsupportedMonitorType"),
        (monitor("EVSE.EvseId", "Delta", 1), "Rejected"),
        (monitor("EVSE.Coffee", "Delta", 1), "UnknownVariable"),
        (monitor("Coffee.Strength", "Delta", 1), "UnknownComponent"),
        (monitor("TemperatureSensor.Temperature", "UpperThreshold", 60, 4), "Duplicate"),
        (monitor("EVSE.Power", "UpperThreshold", 5_000, id=77), "Rejected"),
        (monitor("TemperatureSensor.Temperature", "UpperThreshold", 60, 3, id=1), "Rejected"),
    ],
)
async def test_what_can_be_watched(wanted: dict[str, Any], status: str) -> None:
    async with bench201() as b:
        (result,) = await watch(b, wanted)
        assert result["status"] == status


@pytest.mark.parametrize("version", BOTH)
async def test_bases_reports_and_clearing(version: Version) -> None:
    async with bench201(versions=(version,), nameplate=Nameplate(connectors=2)) as b:
        (mine,) = await watch(b, monitor("EVSE.Power", "Delta", 100))

        async def listed(**criteria: Any) -> int:
            before = len(b.csms.payloads("NotifyMonitoringReport"))
            answer = await b.csms.call("GetMonitoringReport", {"requestId": 4, **criteria})
            if answer["status"] == "EmptyResultSet":
                return 0
            await settled(b.station)
            told = b.csms.payloads("NotifyMonitoringReport")[before:]
            return sum(len(entry["variableMonitoring"]) for page in told for entry in page["monitor"])

        assert await listed() == 7
        assert await listed(monitoringCriteria=["DeltaMonitoring"]) == 1
        assert await listed(monitoringCriteria=["PeriodicMonitoring"]) == 0
        power = [{"component": {"name": "EVSE"}, "variable": {"name": "Power"}}]
        assert await listed(componentVariable=power) == 1
        assert await b.csms.call("SetMonitoringBase", {"monitoringBase": "HardWiredOnly"}) == ACCEPTED
        assert await listed() == 2
        assert await b.csms.call("SetMonitoringBase", {"monitoringBase": "All"}) == ACCEPTED
        assert await listed() == 6
        hard_wired = next(key for key, one in b.station.monitors.held.items() if one.origin == "HardWiredMonitor")
        cleared = await b.csms.call("ClearVariableMonitoring", {"id": [mine["id"], hard_wired]})
        assert [one["status"] for one in cleared["clearMonitoringResult"]] == ["NotFound", "Rejected"]
