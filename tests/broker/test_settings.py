"""S15: settings read and changed over real sockets and the API, of stations of every version."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.versions import Version
from csms.station.device_reports import DeviceMessage, DeviceReport, Topic
from csms.station.device_reports.jobs import give_up_late
from csms.station.information import Station
from csms.station.settings import Setting
from csms.station.settings.model import SettingChange
from csms.station.settings.service.sorting import sort_in_now
from tests.broker.answering import Answering, answering
from tests.broker.conftest import Bench
from tests.builders import make_station

pytestmark = pytest.mark.feature("S15")
V2 = pytest.mark.parametrize("version", [Version.V201, Version.V21])


def url(station: Station, rest: str = "") -> str:
    return f"/api/v1/stations/{station.identity}/settings{rest}"


async def listed(api: httpx.AsyncClient, station: Station, **query: Any) -> dict[str, dict[str, Any]]:
    """All settings that are shown, by name."""
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        params = {"limit": 500, **query, **({"cursor": cursor} if cursor else {})}
        page = (await api.get(url(station), params=params)).json()
        found |= {row["name"]: row for row in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def sorted_in(bench: Bench) -> None:
    """What the worker does."""
    await bench.broker.runtime.outbox.deliver_due()


# --- OCPP 1.6 ----------------------------------------------------------------------------------------------------

KEYS = {
    "HeartbeatInterval": ("300", False),
    "MeterValuesSampledData": ("Energy.Active.Import.Register,Power.Active.Import", False),
    "NumberOfConnectors": ("2", True),
    "GetConfigurationMaxKeys": ("2", True),
    "AuthorizationKey": (None, False),
    "VendorThing": ("on", False),
}


def get_configuration(payload: dict[str, Any]) -> dict[str, Any]:
    wanted = payload.get("key") or list(KEYS)
    known = [
        {"key": key, "readonly": KEYS[key][1], **({"value": KEYS[key][0]} if KEYS[key][0] else {})}
        for key in wanted
        if key in KEYS
    ]
    return {"configurationKey": known, "unknownKey": [key for key in wanted if key not in KEYS]}


@pytest.fixture
async def old(bench: Bench) -> Station:
    return await make_station(bench.store, protocol=Version.V16.value)


@pytest.mark.ocpp("1.6 GetConfiguration")
@pytest.mark.octt("TC_019_1_CSMS")
async def test_all_keys_of_a_16_station_are_read_and_shown(bench: Bench, api: httpx.AsyncClient, old: Station) -> None:
    async with answering(bench, old.identity, Version.V16, {"GetConfiguration": get_configuration}):
        refresh = await api.post(url(old, "/refreshes"), json={})
    assert refresh.status_code == 201, refresh.text
    assert refresh.json()["state"] == "complete"
    assert refresh.json()["item_count"] == len(KEYS)
    shown = await listed(api, old)
    assert set(shown) == set(KEYS)
    beat = shown["HeartbeatInterval"]
    assert (beat["value"], beat["common_name"], beat["unit"]) == ("300", "heartbeat_interval", "s")
    assert (beat["mutability"], beat["component"], beat["read_at"] is not None) == ("read_write", None, True)
    assert shown["NumberOfConnectors"]["mutability"] == "read_only"
    assert (shown["AuthorizationKey"]["value"], shown["AuthorizationKey"]["is_secret"]) == (None, True)
    assert shown["VendorThing"]["meaning"] is None
    assert set(await listed(api, old, is_writable=True)) == set(KEYS) - {
        "NumberOfConnectors",
        "GetConfigurationMaxKeys",
    }
    assert set(await listed(api, old, q="interval")) == {"HeartbeatInterval"}
    assert "VendorThing" not in await listed(api, old, is_common=True)


@pytest.mark.octt("TC_019_2_CSMS")
async def test_many_keys_are_asked_for_in_as_many_messages_as_the_station_needs(
    bench: Bench, api: httpx.AsyncClient, old: Station
) -> None:
    names = ["heartbeat_interval", "NumberOfConnectors", "VendorThing", "Nonsense", "vendorthing"]
    async with answering(bench, old.identity, Version.V16, {"GetConfiguration": get_configuration}) as station:
        await api.post(url(old, "/refreshes"), json={"names": ["GetConfigurationMaxKeys"]})
        refresh = (await api.post(url(old, "/refreshes"), json={"names": names})).json()
    asked = [payload["key"] for payload in station.sent("GetConfiguration")[1:]]
    assert asked == [["HeartbeatInterval", "NumberOfConnectors"], ["VendorThing", "Nonsense"]]
    assert (refresh["state"], refresh["item_count"]) == ("complete", 3)
    assert "Nonsense" in refresh["detail"]
    shown = await listed(api, old)
    assert shown["Nonsense"]["is_unknown"]
    assert set(await listed(api, old, is_unknown=True)) == {"Nonsense"}


@pytest.mark.ocpp("1.6 ChangeConfiguration")
@pytest.mark.octt("TC_021_CSMS", "TC_040_1_CSMS", "TC_040_2_CSMS")
async def test_keys_are_changed_by_common_name_and_each_has_its_outcome(
    bench: Bench, api: httpx.AsyncClient, old: Station
) -> None:
    status = {"HeartbeatInterval": "Accepted", "VendorThing": "RebootRequired", "BlinkRepeat": "NotSupported"}
    answers = {
        "GetConfiguration": get_configuration,
        "ChangeConfiguration": lambda payload: {"status": status.get(payload["key"], "Rejected")},
    }
    changes = [
        {"name": "heartbeat_interval", "value": 60},
        {"name": "VendorThing", "value": "off"},
        {"name": "BlinkRepeat", "value": "3"},
        {"name": "LightIntensity", "value": "50"},
    ]
    async with answering(bench, old.identity, Version.V16, answers) as station:
        await api.post(url(old, "/refreshes"), json={})
        answer = await api.patch(url(old), json={"changes": changes})
        assert station.sent("ChangeConfiguration")[0] == {"key": "HeartbeatInterval", "value": "60"}
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [one["outcome"] for one in results] == ["accepted", "reboot_required", "unknown", "rejected"]
    assert [one["setting"] for one in results] == ["HeartbeatInterval", "VendorThing", "BlinkRepeat", "LightIntensity"]
    assert all(one["command_id"] and one["detail"] for one in results)
    shown = await listed(api, old)
    beat, thing = shown["HeartbeatInterval"], shown["VendorThing"]
    assert (beat["value"], beat["changed_by"], beat["reboot_required"]) == ("60", results and beat["changed_by"], False)
    assert beat["changed_by"].startswith("test key")
    assert (thing["value"], thing["value_after_reboot"], thing["reboot_required"]) == ("on", "off", True)
    assert shown["BlinkRepeat"]["is_unknown"]
    history = (await api.get(url(old, f"/{beat['id']}/changes"))).json()["items"]
    assert [(one["old_value"], one["new_value"], one["outcome"]) for one in history] == [("300", "60", "accepted")]
    assert history[0]["command_id"] == results[0]["command_id"]
    assert len((await api.get(url(old, "/changes"))).json()["items"]) == 4
    assert set(await listed(api, old, reboot_required=True)) == {"VendorThing"}


async def test_a_new_value_is_in_force_after_the_next_boot_but_not_after_a_triggered_one(
    bench: Bench, api: httpx.AsyncClient, old: Station, clock: FixedClock
) -> None:
    answers = {
        "GetConfiguration": get_configuration,
        "ChangeConfiguration": lambda _: {"status": "RebootRequired"},
        "TriggerMessage": lambda _: {"status": "Accepted"},
    }
    async with answering(bench, old.identity, Version.V16, answers) as station:
        await api.post(url(old, "/refreshes"), json={})
        await api.patch(url(old), json={"changes": [{"name": "VendorThing", "value": "off"}]})
        trigger = {"requestedMessage": "BootNotification"}
        await api.post(f"/api/v1/stations/{old.identity}/commands/TriggerMessage", json=trigger)
        await station.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        await sorted_in(bench)
        assert (await listed(api, old))["VendorThing"]["reboot_required"]
        clock.advance(seconds=120)
        await station.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        await sorted_in(bench)
    thing = (await listed(api, old))["VendorThing"]
    assert (thing["value"], thing["value_after_reboot"], thing["reboot_required"]) == ("off", None, False)


async def test_what_raw_commands_bring_is_kept_as_well_and_others_changes_are_seen(
    bench: Bench, api: httpx.AsyncClient, old: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = f"/api/v1/stations/{old.identity}/commands"
    answers = {"GetConfiguration": get_configuration, "ChangeConfiguration": lambda _: {"status": "Accepted"}}
    async with answering(bench, old.identity, Version.V16, answers):
        await api.post(f"{commands}/GetConfiguration", json={"key": ["HeartbeatInterval"]})
        await sorted_in(bench)
        assert (await listed(api, old))["HeartbeatInterval"]["value"] == "300"
        await api.post(f"{commands}/ChangeConfiguration", json={"key": "heartbeatinterval", "value": "90"})
        await sorted_in(bench)
        shown = await listed(api, old)
        assert (shown["HeartbeatInterval"]["value"], len(shown)) == ("90", 1)
        assert shown["HeartbeatInterval"]["changed_by"].startswith("test key")
        monkeypatch.setitem(KEYS, "HeartbeatInterval", ("7", False))
        await api.post(f"{commands}/GetConfiguration", json={})
        await sorted_in(bench)
    history = (await api.get(url(old, "/changes"))).json()["items"]
    seen = [(one["outcome"], one["old_value"], one["new_value"], bool(one["changed_by"])) for one in history]
    assert seen == [("observed", "90", "7", False), ("accepted", "300", "90", True)]


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": "AuthorizationKey", "value": "x" * 16}, 409, "/password"),
        ({"name": "NumberOfConnectors", "value": "3"}, 422, "read-only"),
        ({"name": "heartbeat_interval", "value": "300", "attribute": "target"}, 422, "actual"),
        ({"name": "offline_threshold", "value": "300"}, 422, "does not exist"),
        ({"name": "VendorThing", "value": "x" * 501}, 422, "500"),
    ],
    ids=["password", "read-only", "attribute", "other version", "too long"],
)
async def test_what_cannot_be_right_is_not_sent(
    bench: Bench, api: httpx.AsyncClient, old: Station, *, change: dict[str, Any], status: int, says: str
) -> None:
    async with answering(bench, old.identity, Version.V16, {"GetConfiguration": get_configuration}) as station:
        await api.post(url(old, "/refreshes"), json={})
        good = {"name": "VendorThing", "value": "on"}
        changes = [change] if change["name"] == "VendorThing" else [good, change]
        answer = await api.patch(url(old), json={"changes": changes})
        assert not station.sent("ChangeConfiguration")
    assert answer.status_code == status
    assert says in answer.text


@pytest.mark.robustness(24)
async def test_an_offline_station_is_told_as_such(api: httpx.AsyncClient, old: Station) -> None:
    changes = [{"name": "HeartbeatInterval", "value": 60}, {"name": "VendorThing", "value": "x"}]
    results = (await api.patch(url(old), json={"changes": changes})).json()["results"]
    assert [one["outcome"] for one in results] == ["not_sent", "not_sent"]
    refresh = (await api.post(url(old, "/refreshes"), json={})).json()
    assert (refresh["state"], refresh["detail"]) == ("refused", "the station is not connected")
    assert (await api.get(url(old, f"/refreshes/{refresh['id']}"))).json() == refresh


# --- OCPP 2.0.1 and 2.1 ------------------------------------------------------------------------------------------


def variable(component: str, name: str, value: str | None = None, **fields: Any) -> dict[str, Any]:
    """An entry of a report."""
    told: dict[str, Any] = {"mutability": fields.pop("mutability", "ReadWrite"), "persistent": True}
    if value is not None:
        told["value"] = value
    instance = fields.pop("instance", None)
    named = {"name": name, **({"instance": instance} if instance else {})}
    described = {"dataType": "string", "supportsMonitoring": False, **fields}
    return {
        "component": {"name": component},
        "variable": named,
        "variableAttribute": [told],
        "variableCharacteristics": described,
    }


INVENTORY = [
    variable("OCPPCommCtrlr", "HeartbeatInterval", "300", dataType="integer", unit="s", minLimit=1, maxLimit=86400),
    variable("SampledDataCtrlr", "TxUpdatedMeasurands", "Voltage", dataType="MemberList", valuesList="Voltage,SoC"),
    variable("DeviceDataCtrlr", "ItemsPerMessage", "2", mutability="ReadOnly", instance="SetVariables"),
    variable("SecurityCtrlr", "BasicAuthPassword", mutability="WriteOnly"),
    variable("AuthCtrlr", "Enabled", "true", dataType="boolean"),
    variable("Display", "Colour", "red", dataType="OptionList", valuesList="red,green"),
]


@pytest.fixture
async def new(bench: Bench, version: Version) -> Station:
    return await make_station(bench.store, protocol=version.value)


async def send_report(station: Answering, request_id: int, parts: list[list[dict[str, Any]]], order: list[int]) -> None:
    """Send the parts of a report in that order."""
    for number in order:
        answer = await station.call(
            "NotifyReport",
            requestId=request_id,
            generatedAt="2026-01-01T00:00:00Z",
            seqNo=number,
            tbc=number < len(parts) - 1,
            **({"reportData": parts[number]} if parts[number] else {}),
        )
        assert answer[2] == {}


async def refreshed(api: httpx.AsyncClient, station: Station, refresh_id: str) -> dict[str, Any]:
    return (await api.get(url(station, f"/refreshes/{refresh_id}"))).json()  # type: ignore[no-any-return]


ACCEPTS = {"GetBaseReport": lambda _: {"status": "Accepted"}, "GetReport": lambda _: {"status": "Accepted"}}


@V2
@pytest.mark.ocpp("2.x GetBaseReport", "2.x NotifyReport")
@pytest.mark.octt("TC_B_13_CSMS")
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 0, 2]], ids=str)
async def test_an_inventory_is_put_together_whatever_the_order_of_its_parts(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version, order: list[int]
) -> None:
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        refresh = (await api.post(url(new, "/refreshes"), json={})).json()
        assert refresh["state"] == "receiving"
        asked = station.sent("GetBaseReport")[0]
        assert asked["reportBase"] == "FullInventory"
        await send_report(station, asked["requestId"], [INVENTORY[:2], INVENTORY[2:4], INVENTORY[4:]], order)
        await sorted_in(bench)
    ended = await refreshed(api, new, refresh["id"])
    assert (ended["state"], ended["part_count"], ended["item_count"]) == ("complete", 3, len(INVENTORY))
    shown = await listed(api, new)
    assert len(shown) == len(INVENTORY)
    beat = shown["OCPPCommCtrlr.HeartbeatInterval"]
    assert (beat["value"], beat["data_type"], beat["unit"], beat["max_limit"]) == ("300", "integer", "s", 86400)
    assert (beat["common_name"], beat["component"], beat["variable"]) == (
        "heartbeat_interval",
        "OCPPCommCtrlr",
        "HeartbeatInterval",
    )
    assert shown["DeviceDataCtrlr.ItemsPerMessage[SetVariables]"]["mutability"] == "read_only"
    assert shown["SecurityCtrlr.BasicAuthPassword"]["is_secret"]
    assert shown["Display.Colour"]["allowed_values"] == ["red", "green"]
    assert set(await listed(api, new, component="AuthCtrlr")) == {"AuthCtrlr.Enabled"}


@V2
async def test_parts_that_stay_away_end_the_refresh_and_what_came_is_kept(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version, clock: FixedClock
) -> None:
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        refresh = (await api.post(url(new, "/refreshes"), json={"scope": "configuration"})).json()
        request_id = station.sent("GetBaseReport")[0]["requestId"]
        await send_report(station, request_id, [INVENTORY[:2], INVENTORY[2:4], INVENTORY[4:]], [0])
        clock.advance(seconds=200)
        await give_up_late(bench.broker.runtime)
        await sorted_in(bench)
        ended = await refreshed(api, new, refresh["id"])
        assert ended["state"] == "incomplete"
        assert len(await listed(api, new)) == 2
        await send_report(station, request_id, [INVENTORY[:2], INVENTORY[2:4], INVENTORY[4:]], [1, 2])
        await sorted_in(bench)
    late = await refreshed(api, new, refresh["id"])
    assert (late["state"], late["detail"]) == ("complete", None)
    assert len(await listed(api, new)) == len(INVENTORY)


@V2
@pytest.mark.octt("TC_B_12_CSMS", "TC_B_13_CSMS", "TC_B_14_CSMS")
async def test_each_inventory_is_asked_for_by_its_name(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        for scope in ("configuration", "all", "summary"):
            await api.post(url(new, "/refreshes"), json={"scope": scope})
            asked = station.sent("GetBaseReport")[-1]
            await send_report(station, asked["requestId"], [INVENTORY[:1]], [0])
        await sorted_in(bench)
        bases = [asked["reportBase"] for asked in station.sent("GetBaseReport")]
    assert bases == ["ConfigurationInventory", "FullInventory", "SummaryInventory"]
    shown = (await api.get(url(new, "/refreshes"))).json()["items"]
    assert [(one["scope"], one["state"]) for one in shown] == [
        ("summary", "complete"),
        ("all", "complete"),
        ("configuration", "complete"),
    ]


@V2
@pytest.mark.parametrize(
    ("status", "state"),
    [("Rejected", "refused"), ("NotSupported", "refused"), ("EmptyResultSet", "empty")],
)
async def test_a_station_that_sends_no_report_says_why(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version, *, status: str, state: str
) -> None:
    answers = {"GetBaseReport": lambda _: {"status": status, "statusInfo": {"reasonCode": "Busy"}}}
    async with answering(bench, new.identity, version, answers):
        refresh = (await api.post(url(new, "/refreshes"), json={"scope": "summary"})).json()
    assert refresh["state"] == state
    assert "Busy" in refresh["detail"]


@V2
@pytest.mark.ocpp("2.x GetReport")
@pytest.mark.octt("TC_B_18_CSMS")
async def test_chosen_components_are_reported(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    body = {
        "components": [{"component": "EVSE", "charge_point_number": 1, "variable": "AvailabilityState"}],
        "criteria": ["problem"],
    }
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        refresh = (await api.post(url(new, "/refreshes"), json=body)).json()
        asked = station.sent("GetReport")[0]
        limited = variable("DeviceDataCtrlr", "ItemsPerMessage", "1", instance="GetReport")
        await send_report(station, 77, [[limited]], [0])
        await sorted_in(bench)
        two = await api.post(url(new, "/refreshes"), json={"components": body["components"] * 2})
        assert (two.status_code, "at most 1" in two.text) == (422, True)
        part = variable("EVSE", "AvailabilityState", "Faulted", mutability="ReadOnly")
        part["component"]["evse"] = {"id": 1}
        await send_report(station, asked["requestId"], [[part]], [0])
        await sorted_in(bench)
    assert asked["componentCriteria"] == ["Problem"]
    assert asked["componentVariable"] == [
        {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}
    ]
    assert (await refreshed(api, new, refresh["id"]))["state"] == "complete"
    shown = await listed(api, new, charge_point_number=1)
    assert shown["EVSE#1.AvailabilityState"]["value"] == "Faulted"


def get_variables(payload: dict[str, Any]) -> dict[str, Any]:
    known = {entry["variable"]["name"]: entry for entry in INVENTORY}
    results = []
    for item in payload["getVariableData"]:
        entry = known.get(item["variable"]["name"])
        told: dict[str, Any] = {"component": item["component"], "variable": item["variable"]}
        if entry is None:
            told["attributeStatus"] = "UnknownVariable"
        else:
            told |= {"attributeStatus": "Accepted", "attributeValue": entry["variableAttribute"][0].get("value", "")}
        results.append(told)
    return {"getVariableResult": results}


@V2
@pytest.mark.ocpp("2.x GetVariables")
@pytest.mark.octt("TC_B_06_CSMS", "TC_B_07_CSMS", "TC_B_08_CSMS")
async def test_variables_are_read_by_name(bench: Bench, api: httpx.AsyncClient, new: Station, version: Version) -> None:
    names = ["heartbeat_interval", "AuthCtrlr.Enabled", "Display.Nothing"]
    async with answering(bench, new.identity, version, {"GetVariables": get_variables}) as station:
        refresh = (await api.post(url(new, "/refreshes"), json={"names": names})).json()
    sizes = [len(asked["getVariableData"]) for asked in station.sent("GetVariables")]
    assert sizes == [1, 2, 1]  # the limit, which is 2, and then what was asked for
    assert station.sent("GetVariables")[1]["getVariableData"][0] == {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "HeartbeatInterval"},
    }
    assert (refresh["state"], refresh["item_count"]) == ("complete", 2)
    shown = await listed(api, new)
    assert (shown["OCPPCommCtrlr.HeartbeatInterval"]["value"], shown["Display.Nothing"]["is_unknown"]) == ("300", True)


def set_variables(payload: dict[str, Any]) -> Any:
    status = {"Enabled": "RebootRequired", "Colour": "Rejected"}
    if len(payload["setVariableData"]) > 2:
        return ("OccurrenceConstraintViolation", "too many")
    return {
        "setVariableResult": [
            {
                "component": item["component"],
                "variable": item["variable"],
                "attributeStatus": status.get(item["variable"]["name"], "Accepted"),
                "attributeStatusInfo": {"reasonCode": "Because"},
            }
            for item in payload["setVariableData"]
        ]
    }


async def inventory(bench: Bench, api: httpx.AsyncClient, new: Station, station: Answering) -> None:
    await api.post(url(new, "/refreshes"), json={})
    await send_report(station, station.sent("GetBaseReport")[0]["requestId"], [INVENTORY], [0])
    await sorted_in(bench)


CHANGES = [
    {"name": "heartbeat_interval", "value": 60},
    {"name": "sampled_measurands", "value": "SoC,Voltage"},
    {"name": "AuthCtrlr.Enabled", "value": False},
    {"name": "display.colour", "value": "green"},
]


@V2
@pytest.mark.ocpp("2.x SetVariables")
@pytest.mark.octt("TC_B_10_CSMS")
async def test_variables_are_changed_in_as_few_messages_as_the_station_takes(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    async with answering(bench, new.identity, version, {**ACCEPTS, "SetVariables": set_variables}) as station:
        await inventory(bench, api, new, station)
        results = (await api.patch(url(new), json={"changes": CHANGES})).json()["results"]
        assert [len(payload["setVariableData"]) for payload in station.sent("SetVariables")] == [2, 2]
    assert [one["outcome"] for one in results] == ["accepted", "accepted", "reboot_required", "rejected"]
    assert "Because" in results[3]["detail"]
    shown = await listed(api, new)
    assert shown["OCPPCommCtrlr.HeartbeatInterval"]["value"] == "60"
    assert shown["AuthCtrlr.Enabled"]["value_after_reboot"] == "false"
    assert shown["Display.Colour"]["value"] == "red"


@V2
async def test_a_station_that_refuses_the_message_is_asked_one_by_one(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    async with answering(bench, new.identity, version, {"SetVariables": set_variables}) as station:
        results = (await api.patch(url(new), json={"changes": CHANGES[:3]})).json()["results"]
        assert [len(payload["setVariableData"]) for payload in station.sent("SetVariables")] == [3, 1, 1, 1]
    assert [one["outcome"] for one in results] == ["accepted", "accepted", "reboot_required"]


@V2
@pytest.mark.octt("TC_B_09_CSMS")
async def test_one_setting_is_changed_by_its_id(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    async with answering(bench, new.identity, version, {**ACCEPTS, "SetVariables": set_variables}) as station:
        await inventory(bench, api, new, station)
        setting = (await listed(api, new))["OCPPCommCtrlr.HeartbeatInterval"]
        result = (await api.put(url(new, f"/{setting['id']}/value"), json={"value": 120})).json()
        refused = await api.put(url(new, f"/{setting['id']}/value"), json={"value": "soon"})
    assert (result["outcome"], result["setting"]) == ("accepted", "OCPPCommCtrlr.HeartbeatInterval")
    assert (await api.get(url(new, f"/{setting['id']}"))).json()["value"] == "120"
    assert (refused.status_code, "whole number" in refused.text) == (422, True)


@V2
@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": "SecurityCtrlr.BasicAuthPassword", "value": "x" * 16}, 409, "/password"),
        ({"name": "heartbeat_interval", "value": 0}, 422, "the least is 1"),
        ({"name": "sampled_measurands", "value": "Speed"}, 422, "Voltage, SoC"),
        ({"name": "Display.Colour", "value": "blue"}, 422, "red, green"),
        ({"name": "AuthCtrlr.Enabled", "value": "maybe"}, 422, "true or false"),
        ({"name": "DeviceDataCtrlr.ItemsPerMessage[SetVariables]", "value": 9}, 422, "read-only"),
        ({"name": "BlinkRepeat", "value": 3}, 422, "does not exist"),
        ({"name": "nonsense", "value": 3}, 422, "Component.Variable"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
async def test_what_the_station_told_of_a_variable_forbids_wrong_values(
    bench: Bench,
    api: httpx.AsyncClient,
    new: Station,
    version: Version,
    *,
    change: dict[str, Any],
    status: int,
    says: str,
) -> None:
    async with answering(bench, new.identity, version, {**ACCEPTS, "SetVariables": set_variables}) as station:
        await inventory(bench, api, new, station)
        answer = await api.patch(url(new), json={"changes": [change]})
        assert not station.sent("SetVariables")
    assert answer.status_code == status, answer.text
    assert says in answer.text


@V2
@pytest.mark.robustness(48)
async def test_secrets_are_nowhere_though_a_station_tells_them(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    secret = "correct horse battery"
    entries = [variable("SecurityCtrlr", "BasicAuthPassword", secret), variable("Vpn", "ApnPassword", secret)]
    async with answering(bench, new.identity, version, {**ACCEPTS, "SetVariables": set_variables}) as station:
        await send_report(station, 7, [entries], [0])
        await sorted_in(bench)
        change = {"changes": [{"name": "Vpn.ApnPassword", "value": "staple " + secret}]}
        result = (await api.patch(url(new), json=change)).json()["results"][0]
        assert station.sent("SetVariables")[0]["setVariableData"][0]["attributeValue"] == "staple " + secret
    assert (result["outcome"], result["value"]) == ("accepted", None)
    for path in ("", "/changes"):
        text = (await api.get(url(new, path))).text
        assert secret not in text
        assert "ApnPassword" in text


@V2
async def test_odd_reports_hurt_nobody(bench: Bench, api: httpx.AsyncClient, new: Station, version: Version) -> None:
    """ROBUSTNESS: `reportData: []`, parts without a number, names beyond all measure."""
    odd = [
        {"requestId": 1, "seqNo": 0, "generatedAt": "2026-01-01T00:00:00Z", "reportData": []},
        {"requestId": 2, "seqNo": 0, "generatedAt": "yesterday", "reportData": [variable("C" * 3000, "V", "x")]},
        {
            "requestId": 3,
            "seqNo": 0,
            "generatedAt": "2026-01-01T00:00:00Z",
            "reportData": [variable("C", "V", "x" * 3000)],
        },
        {"requestId": 4, "seqNo": 0, "generatedAt": "2026-01-01T00:00:00Z"},
    ]
    async with answering(bench, new.identity, version, {}) as station:
        for payload in odd:
            assert (await station.call("NotifyReport", **payload))[0] in (3, 4)
        await sorted_in(bench)
    assert (await api.get(url(new))).status_code == 200


@V2
async def test_a_raw_report_can_be_followed_too(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    command = f"/api/v1/stations/{new.identity}/commands/GetBaseReport"
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        await api.post(command, json={"requestId": 42, "reportBase": "ConfigurationInventory"})
        await send_report(station, 42, [INVENTORY], [0])
        await sorted_in(bench)
    report = (await api.get(url(new, "/refreshes"))).json()["items"][0]
    assert (report["scope"], report["state"], report["item_count"]) == (
        "ConfigurationInventory",
        "complete",
        len(INVENTORY),
    )


@pytest.mark.robustness(37)
@pytest.mark.parametrize("version", [Version.V201])
async def test_several_processes_sort_in_at_once_and_each_part_counts_once(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    entries = [variable("C", f"V{number}", "1") for number in range(900)]
    parts = [entries[start : start + 10] for start in range(0, 900, 10)]
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        refresh = (await api.post(url(new, "/refreshes"), json={})).json()
        request_id = station.sent("GetBaseReport")[0]["requestId"]
        await send_report(station, request_id, parts, list(range(90)))
        await asyncio.gather(*(sort_in_now(bench.broker.runtime, new.id) for _ in range(4)))
    ended = await refreshed(api, new, refresh["id"])
    assert (ended["state"], ended["part_count"], ended["item_count"]) == ("complete", 90, 900)
    assert len(await listed(api, new)) == 900


@pytest.mark.parametrize("version", [Version.V201])
async def test_what_cannot_be_sorted_in_does_not_stay_for_ever(
    bench: Bench, new: Station, version: Version, clock: FixedClock
) -> None:
    async with bench.store.writing() as work:
        for _ in range(2):
            message = DeviceMessage(
                organisation_id=new.organisation_id,
                station_id=new.id,
                topic=Topic.SETTINGS,
                action="NotifyReport",
                at=clock(),
                request={},
            )
            work.session.add(message)
            clock.advance(hours=20)
    await give_up_late(bench.broker.runtime)
    async with bench.store.reading() as work:
        assert len((await work.session.exec(select(DeviceMessage))).all()) == 1


@pytest.mark.parametrize("version", [Version.V201])
async def test_nothing_of_a_deleted_station_stays_but_its_history(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version
) -> None:
    async with answering(bench, new.identity, version, {**ACCEPTS, "SetVariables": set_variables}) as station:
        await inventory(bench, api, new, station)
        await api.patch(url(new), json={"changes": CHANGES[:1]})
        await station.call("NotifyReport", requestId=9, seqNo=0, tbc=True, generatedAt="2026-01-01T00:00:00Z")
    await bench.closed(new.identity)
    assert (await api.delete(f"/api/v1/stations/{new.identity}")).is_success
    await sorted_in(bench)
    async with bench.store.reading() as work:
        for table in (Setting, DeviceReport, DeviceMessage):
            assert (await work.session.exec(select(table))).all() == [], table
        assert len((await work.session.exec(select(SettingChange))).all()) == 1


async def _seconds(act: Callable[[], Awaitable[Any]]) -> float:
    start = asyncio.get_running_loop().time()
    await act()
    return asyncio.get_running_loop().time() - start


@pytest.mark.parametrize("version", [Version.V201])
async def test_a_device_model_of_3000_variables_in_100_parts(
    bench: Bench, api: httpx.AsyncClient, new: Station, version: Version, record_property: Callable[[str, object], None]
) -> None:
    entries = [
        variable(f"Component{number // 30}", f"Variable{number}", str(number), dataType="integer", unit="W")
        for number in range(3000)
    ]
    parts = [entries[start : start + 30] for start in range(0, 3000, 30)]
    async with answering(bench, new.identity, version, ACCEPTS) as station:
        refresh = (await api.post(url(new, "/refreshes"), json={})).json()
        request_id = station.sent("GetBaseReport")[0]["requestId"]
        for round_number in (1, 2):
            sending = await _seconds(lambda: send_report(station, request_id, parts, list(range(100))))
            sorting = await _seconds(lambda: sorted_in(bench))
            record_property(f"round {round_number}: sent s, sorted in s", (round(sending, 3), round(sorting, 3)))
            print(json.dumps({"round": round_number, "sent_s": sending, "sorted_in_s": sorting}))  # noqa: T201  # the figure
    assert (await refreshed(api, new, refresh["id"]))["state"] == "complete"
    shown = await listed(api, new)
    assert len(shown) == 3000
    assert shown["Component99.Variable2999"]["value"] == "2999"
