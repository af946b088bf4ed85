"""S15: monitors and events of 2.x stations, over real sockets and the API."""

from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.versions import Version
from csms.station.device_reports.jobs import give_up_late
from csms.station.information import Station
from csms.station.monitoring import DeviceEvent, EventTrigger, told_events
from tests.broker.answering import Answering, answering
from tests.broker.conftest import Bench, eventually
from tests.builders import connect, make_station

pytestmark = pytest.mark.feature("S15")
V2 = pytest.mark.parametrize("version", [Version.V201, Version.V21])
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
async def station(bench: Bench, version: Version) -> Station:
    return await make_station(bench.store, protocol=version.value)


def url(station: Station, rest: str) -> str:
    return f"/api/v1/stations/{station.identity}/{rest}"


async def monitors(api: httpx.AsyncClient, station: Station) -> dict[int, dict[str, Any]]:
    items = (await api.get(url(station, "monitors"))).json()["items"]
    return {item["monitor_id"]: item for item in items}


class Watching:
    """A station that has monitors."""

    def __init__(self) -> None:
        self.next_id = 1
        self.status = "Accepted"

    def set(self, payload: dict[str, Any]) -> dict[str, Any]:
        results = []
        for item in payload["setMonitoringData"]:
            told = {name: item[name] for name in ("component", "variable", "type", "severity")}
            if item["variable"]["name"] == "Nothing":
                results.append(told | {"status": "UnknownVariable"})
                continue
            number = item.get("id", self.next_id)
            self.next_id += 1
            results.append(told | {"status": "Accepted", "id": number})
        return {"setMonitoringResult": results[::-1]}

    def clear(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"clearMonitoringResult": [{"id": number, "status": self.status} for number in payload["id"]]}

    @property
    def answers(self) -> dict[str, Any]:
        return {
            "SetVariableMonitoring": self.set,
            "ClearVariableMonitoring": self.clear,
            "GetMonitoringReport": lambda _: {"status": "Accepted"},
            "SetMonitoringBase": lambda _: {"status": "Accepted"},
            "SetMonitoringLevel": lambda _: {"status": self.status},
        }


AVAILABILITY = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
WANTED = [
    {"name": "EVSE#1.Power", "kind": "upper_threshold", "value": 11000, "severity": 2},
    {"name": "EVSE#1.Power", "kind": "lower_threshold", "value": 0.5, "severity": 5, "is_transaction_only": True},
    {"name": "EVSE#1.Nothing", "kind": "delta", "value": 1, "severity": 8},
]


@V2
@pytest.mark.ocpp("2.x SetVariableMonitoring", "2.x ClearVariableMonitoring")
@pytest.mark.octt("TC_N_08_CSMS", "TC_N_09_CSMS")
async def test_monitors_are_set_shown_and_cleared(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version
) -> None:
    async with answering(bench, station.identity, version, Watching().answers) as connected:
        results = (await api.post(url(station, "monitors"), json={"monitors": WANTED})).json()["results"]
        assert [one["outcome"] for one in results] == ["accepted", "accepted", "unknown"]
        assert [one["monitor_id"] for one in results] == [1, 2, None]
        first = connected.sent("SetVariableMonitoring")[0]["setMonitoringData"][0]
        assert first == {
            "value": 11000,
            "type": "UpperThreshold",
            "severity": 2,
            "component": {"name": "EVSE", "evse": {"id": 1}},
            "variable": {"name": "Power"},
        }
        shown = await monitors(api, station)
        assert (shown[1]["kind"], shown[1]["value"], shown[1]["origin"]) == ("upper_threshold", 11000, "custom_monitor")
        assert (shown[2]["is_transaction_only"], shown[2]["charge_point_number"]) == (True, 1)
        assert (await api.get(url(station, f"monitors/{shown[1]['id']}"))).json() == shown[1]
        cleared = await api.delete(url(station, f"monitors/{shown[1]['id']}"))
        assert cleared.json()["outcome"] == "accepted"
        assert set(await monitors(api, station)) == {2}
        (alone,) = (await api.post(url(station, "monitors"), json={"monitors": WANTED[1:2]})).json()["results"]
        assert alone["outcome"] == "accepted"
        assert len(connected.sent("SetVariableMonitoring")[-1]["setMonitoringData"]) == 1


@V2
@pytest.mark.octt("TC_N_18_CSMS")
async def test_many_monitors_are_cleared_in_messages_of_the_size_that_the_station_takes(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version
) -> None:
    def get_variables(payload: dict[str, Any]) -> dict[str, Any]:
        told = {"attributeStatus": "Accepted", "attributeValue": "3"}
        return {"getVariableResult": [{**item, **told} for item in payload["getVariableData"]]}

    answers = {**Watching().answers, "GetVariables": get_variables}
    wanted = [{**WANTED[0], "severity": number} for number in range(7)]
    async with answering(bench, station.identity, version, answers) as connected:
        results = (await api.post(url(station, "monitors"), json={"monitors": wanted})).json()["results"]
        assert {one["outcome"] for one in results} == {"accepted"}
        ids = [one["id"] for one in (await monitors(api, station)).values()]
        cleared = (await api.post(url(station, "monitors/clear"), json={"ids": ids})).json()["results"]
        assert [len(payload["setMonitoringData"]) for payload in connected.sent("SetVariableMonitoring")] == [3, 3, 1]
        assert [len(payload["id"]) for payload in connected.sent("ClearVariableMonitoring")] == [3, 3, 1]
        asked = [one["getVariableData"][0]["variable"]["instance"] for one in connected.sent("GetVariables")]
    assert asked == ["SetVariableMonitoring", "ClearVariableMonitoring"]
    assert [one["outcome"] for one in cleared] == ["accepted"] * 7
    assert await monitors(api, station) == {}


@V2
@pytest.mark.octt("TC_N_44_CSMS")
async def test_a_monitor_that_the_station_does_not_clear_stays(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version
) -> None:
    watching = Watching()
    async with answering(bench, station.identity, version, watching.answers):
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:2]})
        shown = await monitors(api, station)
        watching.status = "Rejected"
        assert (await api.delete(url(station, f"monitors/{shown[1]['id']}"))).json()["outcome"] == "rejected"
        watching.status = "NotFound"
        assert (await api.delete(url(station, f"monitors/{shown[2]['id']}"))).json()["outcome"] == "unknown"
    assert set(await monitors(api, station)) == {1}


def told(number: int, version: Version, **fields: Any) -> dict[str, Any]:
    monitor = {"id": number, "transaction": False, "value": 70, "type": "UpperThreshold", "severity": 4, **fields}
    if version is Version.V21:
        monitor["eventNotificationType"] = "PreconfiguredMonitor"
    return {
        "component": {"name": "Controller"},
        "variable": {"name": "Temperature"},
        "variableMonitoring": [monitor],
    }


async def send_report(connected: Answering, request_id: int, parts: list[list[dict[str, Any]]], *order: int) -> None:
    for number in order:
        answer = await connected.call(
            "NotifyMonitoringReport",
            requestId=request_id,
            seqNo=number,
            tbc=number < len(parts) - 1,
            generatedAt=AT,
            monitor=parts[number],
        )
        assert answer[2] == {}


@V2
@pytest.mark.ocpp("2.x GetMonitoringReport", "2.x NotifyMonitoringReport")
@pytest.mark.octt("TC_N_47_CSMS")
async def test_a_report_of_all_monitors_replaces_what_was_known(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version, clock: FixedClock
) -> None:
    async with answering(bench, station.identity, version, Watching().answers) as connected:
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:2]})
        clock.advance(seconds=10)
        refresh = (await api.post(url(station, "monitors/refreshes"), json={})).json()
        assert refresh["state"] == "receiving"
        request_id = connected.sent("GetMonitoringReport")[0]["requestId"]
        parts = [[told(2, version)], [told(30, version), told(31, version, type="Delta", value=1.5)]]
        await send_report(connected, request_id, parts, 1, 0)
        await bench.broker.runtime.outbox.deliver_due()
    ended = (await api.get(url(station, f"monitors/refreshes/{refresh['id']}"))).json()
    assert (ended["state"], ended["part_count"]) == ("complete", 2)
    shown = await monitors(api, station)
    assert set(shown) == {2, 30, 31}
    assert (shown[2]["name"], shown[2]["severity"]) == ("Controller.Temperature", 4)
    assert (shown[31]["kind"], shown[31]["value"]) == ("delta", 1.5)


@V2
@pytest.mark.octt("TC_N_03_CSMS")
async def test_chosen_monitors_leave_the_others_alone(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version, clock: FixedClock
) -> None:
    async with answering(bench, station.identity, version, Watching().answers) as connected:
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:2]})
        clock.advance(seconds=10)
        body = {"names": ["Controller.Temperature"], "criteria": ["threshold", "periodic"]}
        await api.post(url(station, "monitors/refreshes"), json=body)
        asked = connected.sent("GetMonitoringReport")[0]
        await send_report(connected, asked["requestId"], [[told(30, version)]], 0)
        await bench.broker.runtime.outbox.deliver_due()
    assert asked["monitoringCriteria"] == ["ThresholdMonitoring", "PeriodicMonitoring"]
    assert asked["componentVariable"] == [{"component": {"name": "Controller"}, "variable": {"name": "Temperature"}}]
    assert set(await monitors(api, station)) == {1, 2, 30}


@V2
@pytest.mark.ocpp("2.x GetMonitoringReport")
@pytest.mark.parametrize(
    ("body", "asked"),
    [
        pytest.param(
            {"criteria": ["delta"]}, {"monitoringCriteria": ["DeltaMonitoring"]}, marks=pytest.mark.octt("TC_N_01_CSMS")
        ),
        pytest.param(
            {"names": ["EVSE#1.AvailabilityState"]},
            {"componentVariable": [AVAILABILITY]},
            marks=pytest.mark.octt("TC_N_02_CSMS"),
        ),
        pytest.param(
            {"criteria": ["delta"], "names": ["ChargingStation.AvailabilityState", "EVSE#1.AvailabilityState"]},
            {
                "monitoringCriteria": ["DeltaMonitoring"],
                "componentVariable": [{**AVAILABILITY, "component": {"name": "ChargingStation"}}, AVAILABILITY],
            },
            marks=pytest.mark.octt("TC_N_60_CSMS"),
        ),
    ],
    ids=["by kind", "by variable", "by both"],
)
async def test_a_station_without_such_monitors_says_so_at_once(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version, *, body: Any, asked: Any
) -> None:
    answers = {**Watching().answers, "GetMonitoringReport": lambda _: {"status": "EmptyResultSet"}}
    async with answering(bench, station.identity, version, answers) as connected:
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:1]})
        refresh = (await api.post(url(station, "monitors/refreshes"), json=body)).json()
        sent = connected.sent("GetMonitoringReport")[0]
    assert sent == {"requestId": sent["requestId"], **asked}
    assert refresh["state"] == "empty"
    assert set(await monitors(api, station)) == {1}


@V2
async def test_a_monitor_report_that_breaks_off_says_so(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version, clock: FixedClock
) -> None:
    async with answering(bench, station.identity, version, Watching().answers) as connected:
        refresh = (await api.post(url(station, "monitors/refreshes"), json={})).json()
        parts = [[told(2, version)], [told(3, version)], [told(4, version)]]
        await send_report(connected, connected.sent("GetMonitoringReport")[0]["requestId"], parts, 0, 2)
        clock.advance(seconds=300)
        await give_up_late(bench.broker.runtime)
        await bench.broker.runtime.outbox.deliver_due()
    ended = (await api.get(url(station, f"monitors/refreshes/{refresh['id']}"))).json()
    assert ended["state"] == "incomplete"
    assert "1" in ended["detail"]
    assert set(await monitors(api, station)) == {2, 4}


@V2
@pytest.mark.ocpp("2.x SetMonitoringBase", "2.x SetMonitoringLevel")
@pytest.mark.octt("TC_N_05_CSMS", "TC_N_16_CSMS", "TC_N_17_CSMS")
async def test_base_and_level(bench: Bench, api: httpx.AsyncClient, station: Station, version: Version) -> None:
    watching = Watching()
    async with answering(bench, station.identity, version, watching.answers) as connected:
        assert set((await api.get(url(station, "monitoring"))).json().values()) == {None}
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:2]})
        base = (await api.put(url(station, "monitoring/base"), json={"base": "factory_default"})).json()
        for other in ("all", "hard_wired_only", "factory_default"):
            assert (await api.put(url(station, "monitoring/base"), json={"base": other})).json()[
                "outcome"
            ] == "accepted"
        level = (await api.put(url(station, "monitoring/level"), json={"level": 4})).json()
        assert (base["outcome"], level["outcome"]) == ("accepted", "accepted")
        bases = [sent["monitoringBase"] for sent in connected.sent("SetMonitoringBase")]
        assert bases == ["FactoryDefault", "All", "HardWiredOnly", "FactoryDefault"]
        assert connected.sent("SetMonitoringLevel") == [{"severity": 4}]
        watching.status = "Rejected"
        assert (await api.put(url(station, "monitoring/level"), json={"level": 9})).json()["outcome"] == "rejected"
    shown = (await api.get(url(station, "monitoring"))).json()
    assert (shown["base"], shown["level"]) == ("factory_default", 4)
    assert await monitors(api, station) == {}


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "eventId": number,
        "timestamp": AT,
        "trigger": "Alerting",
        "actualValue": "72",
        "eventNotificationType": "CustomMonitor",
        "component": {"name": "EVSE", "evse": {"id": 1, "connectorId": 2}},
        "variable": {"name": "Temperature"},
        **fields,
    }


async def events(api: httpx.AsyncClient, station: Station, **query: Any) -> list[dict[str, Any]]:
    return (await api.get(url(station, "device-events"), params=query)).json()["items"]  # type: ignore[no-any-return]


@V2
@pytest.mark.ocpp("2.x NotifyEvent")
@pytest.mark.octt("TC_N_21_CSMS", "TC_N_24_CSMS", "TC_N_48_CSMS", "TC_N_49_CSMS", "TC_N_50_CSMS")
async def test_events_are_kept_with_the_severity_of_their_monitor(
    bench: Bench, api: httpx.AsyncClient, station: Station, version: Version
) -> None:
    async with answering(bench, station.identity, version, Watching().answers) as connected:
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:1]})
        connection = bench.broker.node.connections[station.identity]

        async def hears_of_it() -> bool:
            return "monitors_updated" in connection.outdated_by

        await eventually(hears_of_it)
        first = [
            event(7, variableMonitoringId=1, techCode="E1", techInfo="hot", transactionId="T-1"),
            event(8, trigger="Periodic", variableMonitoringId=99, component={"name": "Controller"}),
            event(6, eventNotificationType="HardWiredMonitor", component={"name": "FanControl"}),
        ]
        answer = await connected.call("NotifyEvent", generatedAt=AT, seqNo=0, tbc=True, eventData=first)
        assert answer[2] == {}
        last = [event(9, cleared=True, cause=7, variableMonitoringId=1, actualValue="")]
        await connected.call("NotifyEvent", generatedAt=AT, seqNo=1, eventData=last)
    shown = await events(api, station)
    assert [one["event_id"] for one in shown] == [9, 6, 8, 7]
    assert (shown[1]["origin"], shown[1]["trigger"], shown[1]["component"]) == (
        "hard_wired_monitor",
        "alerting",
        "FanControl",
    )
    alarm = shown[3]
    assert (alarm["severity"], alarm["trigger"], alarm["tech_code"], alarm["tech_info"]) == (2, "alerting", "E1", "hot")
    assert (alarm["charge_point_number"], alarm["connector_number"], alarm["transaction_id"]) == (1, 2, "T-1")
    assert (alarm["actual_value"], alarm["origin"], alarm["is_cleared"]) == ("72", "custom_monitor", False)
    assert (shown[0]["is_cleared"], shown[0]["cause_event_id"], shown[0]["severity"]) == (True, 7, 2)
    assert (shown[2]["severity"], shown[2]["charge_point_number"]) == (None, None)
    assert [one["event_id"] for one in await events(api, station, trigger="periodic")] == [8]
    assert [one["event_id"] for one in await events(api, station, severity_up_to=2)] == [9, 7]
    assert [one["event_id"] for one in await events(api, station, transaction_id="T-1")] == [7]
    assert [one["event_id"] for one in await events(api, station, charge_point_number=1)] == [9, 7]
    assert await events(api, station, component="Cooler") == []


@V2
@pytest.mark.robustness(48)
async def test_odd_events_hurt_nobody_and_secrets_are_masked(bench: Bench, station: Station, version: Version) -> None:
    calling = await connect(bench.store, station, version)
    odd: list[Any] = [
        event(1, component=None),
        event(-1, trigger="Whatever", timestamp="later", variableMonitoringId="x", severity=77),
        event(2, variable={"name": "BasicAuthPassword"}, actualValue="correct horse"),
        "nothing",
    ]
    assert await calling.call("NotifyEvent", generatedAt=AT, seqNo=0, eventData=odd) == {}
    assert await calling.call("NotifyEvent", eventData=None) == {}
    async with bench.store.reading() as work:
        rows = (await work.session.exec(select(DeviceEvent))).all()
    assert {row.actual_value for row in rows} == {"72", "(hidden)"}


@pytest.mark.parametrize("version", [Version.V21])
async def test_other_features_read_alarms_and_their_clearing(bench: Bench, station: Station, version: Version) -> None:
    calling = await connect(bench.store, station, version)
    payload = {"eventData": [event(1, severity=3), event(2, cleared=True), event(3, trigger="Delta")]}
    alarm, cleared, change = told_events(calling.connected, payload, bench.store.clock())
    assert (alarm.trigger, alarm.severity, alarm.is_cleared) == (EventTrigger.ALERTING, 3, False)
    assert cleared.is_cleared
    assert alarm.source == cleared.source
    assert change.trigger is EventTrigger.DELTA


@pytest.mark.parametrize("version", [Version.V16])
async def test_1_6_has_no_monitors(api: httpx.AsyncClient, station: Station, version: Version) -> None:
    for answer in (
        await api.post(url(station, "monitors"), json={"monitors": WANTED[:1]}),
        await api.post(url(station, "monitors/refreshes"), json={}),
        await api.put(url(station, "monitoring/level"), json={"level": 4}),
    ):
        assert (answer.status_code, "OCPP 1.6" in answer.text) == (409, True)


@pytest.mark.parametrize("version", [Version.V201])
@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ({"name": "Power"}, "name"),
        ({"kind": "target_delta"}, "kind"),
        ({"kind": "periodic", "value": 0}, "value"),
    ],
    ids=["name", "kind", "value"],
)
async def test_monitors_that_cannot_be(
    api: httpx.AsyncClient, station: Station, version: Version, *, wanted: dict[str, Any], place: str
) -> None:
    answer = await api.post(url(station, "monitors"), json={"monitors": [{**WANTED[0], **wanted}]})
    assert answer.status_code == 422
    assert f"body/monitors/0/{place}" in answer.text
