"""S25: charging profiles over a real socket and the API: set, replaced, cleared, reported, in force."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.charging_profiles.jobs import settle
from csms.station.information import get_station
from csms.station.settings import Setting
from tests.broker.conftest import Bench
from tests.broker.desk import NOON, PERIODS, PROFILES, URL, Desk, Payload, schedule, sitting, start, stop, wanted
from tests.broker.scripted import refuse_next

pytestmark = pytest.mark.feature("S25")

ALL = (Version.V16, *VERSIONS_2)
Sit = Callable[[Version], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def sit(bench: Bench, api: httpx.AsyncClient) -> Sit:
    return partial(sitting, bench, api)


@pytest.mark.robustness(25)
@pytest.mark.ocpp("1.6 SetChargingProfile", "2.x SetChargingProfile")
@pytest.mark.octt("TC_056_CSMS", "TC_K_01_CSMS")
@pytest.mark.parametrize("version", ALL)
async def test_a_profile_goes_out_and_comes_back_to_the_last_digit(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        shown = await desk.profile()
        action, request = desk.asked[0]
        again = (await desk.api.get(f"{PROFILES}/{shown['id']}")).json()
    sent = request["csChargingProfiles" if version is Version.V16 else "chargingProfile"]
    written = sent["chargingSchedule"] if version is Version.V16 else sent["chargingSchedule"][0]
    assert (action, request["connectorId" if version is Version.V16 else "evseId"]) == ("SetChargingProfile", 1)
    assert json.dumps(written["chargingSchedulePeriod"]) == json.dumps(
        [{"startPeriod": 0, "limit": 21.4, "numberPhases": 3}, {"startPeriod": 3600, "limit": 6}]
    )
    assert (written["startSchedule"], written["duration"]) == ("2026-01-01T12:00:00.000Z", 86400)
    assert (shown["state"], shown["profile_id"], shown["sent_by"]) == ("accepted", 1, again["sent_by"])
    assert again["payload"] == sent
    assert [period["limit"] for period in again["schedules"][0]["periods"]] == [21.4, 6]


@pytest.mark.parametrize(
    ("reply", "state", "reason"),
    [
        ({"status": "Rejected"}, "rejected", "the station answered Rejected"),
        (
            {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidSchedule", "additionalInfo": "too long"}},
            "rejected",
            "InvalidSchedule: too long",
        ),
    ],
)
@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.octt("TC_K_15_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_what_the_station_rejects_is_kept_with_its_reason(
    sit: Sit, version: Version, reply: Payload, state: str, reason: str
) -> None:
    async with sit(version) as desk:
        shown = await desk.profile(reply)
        assert (shown["state"], shown["reason"]) == (state, reason)
        assert (await desk.limits())["current_a"] is None


@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.octt("TC_K_15_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_station_of_2_x_that_does_not_support_profiles(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        asking = asyncio.create_task(desk.api.post(PROFILES, json=wanted()))
        await refuse_next(desk.client, "NotSupported")
        shown = (await asking).json()
        assert (shown["state"], "NotSupported" in shown["reason"]) == ("rejected", True)
        assert (await desk.limits())["current_a"] is None


@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.octt("TC_K_02_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_raw_profile_of_no_charge_is_kept_as_the_station_took_it(sit: Sit, version: Version) -> None:
    words = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    about = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7}]}
    body = {"evseId": 1, "chargingProfile": {"id": 71, **words, "transactionId": "tx", "chargingSchedule": [about]}}
    async with sit(version) as desk:
        info = {"reasonCode": "TxNotFound"}
        answer = {"status": "Rejected", "statusInfo": info}
        told = (await desk.do(desk.api.post(f"{URL}/commands/SetChargingProfile", json=body), answer)).json()
        assert (told["payload"], desk.asked[-1]) == (answer, ("SetChargingProfile", body))
        assert await desk.states() == {71: "rejected"}
        assert (await desk.limits())["current_a"] is None


async def test_a_station_of_1_6_that_does_not_support_profiles(sit: Sit) -> None:
    async with sit(Version.V16) as desk:
        shown = await desk.profile({"status": "NotSupported"})
    assert (shown["state"], shown["reason"]) == ("rejected", "the station answered NotSupported")


async def test_a_profile_for_a_station_that_is_offline_is_undelivered(
    sit: Sit, bench: Bench, api: httpx.AsyncClient
) -> None:
    async with sit(Version.V201):
        pass
    await bench.closed()
    answer = await api.post(PROFILES, json=wanted())
    assert answer.status_code == 201
    assert (answer.json()["state"], answer.json()["reason"]) == ("undelivered", "the station is not connected")


@pytest.mark.parametrize("version", ALL)
async def test_a_wrong_profile_never_leaves_and_each_place_is_told(sit: Sit, version: Version) -> None:
    wrong = schedule(-1, duration_s=0)
    wrong[0]["periods"] += [{"start_s": 60, "limit": 6.25}, {"start_s": 60, "limit": 6, "phases": 4}]
    async with sit(version) as desk:
        problem = await desk.refused(desk.api.post(PROFILES, json=wanted(purpose="station_max", schedules=wrong)), 422)
        assert await desk.states() == {}
    places = [error["place"] for error in problem["errors"]]
    assert places[0] == "body/charge_point_number"
    expected = {"duration_s", "periods/0/limit", "periods/2/start_s", "periods/2/phases"}
    if version is not Version.V21:
        expected.add("periods/1/limit")
    assert set(places[1:]) == {f"body/schedules/0/{place}" for place in expected}


@pytest.mark.ocpp("1.6 SetChargingProfile", "2.x SetChargingProfile")
@pytest.mark.parametrize("version", ALL)
@pytest.mark.octt("TC_057_CSMS", "TC_K_60_CSMS")
async def test_a_profile_of_a_charge_prevails_and_ends_with_it(sit: Sit, runtime: Runtime, version: Version) -> None:
    async with sit(version) as desk:
        own = {"purpose": "transaction", "kind": "relative", "schedules": [{"unit": "A", "periods": PERIODS}]}
        refused = await desk.refused(desk.api.post(PROFILES, json=wanted(**own, transaction_id="7")), 422)
        assert refused["errors"][0]["place"] == "body/transaction_id"
        await desk.profile(stack_level=3, schedules=schedule(10))
        transaction_id = await start(desk)
        shown = await desk.profile(**own, transaction_id=transaction_id)
        request = desk.asked[-1][1]
        sent = request["csChargingProfiles" if version is Version.V16 else "chargingProfile"]
        assert sent["transactionId"] == (int(transaction_id) if version is Version.V16 else transaction_id)
        limits = await desk.limits()
        assert (limits["current_a"], limits["transaction_id"]) == (21.4, transaction_id)
        assert limits["because"]["charging_profile_id"] == shown["id"]
        await stop(desk, transaction_id)
        await settle(runtime)
        assert (await desk.states())[shown["profile_id"]] == "ended"
        assert (await desk.limits())["current_a"] == 10


@pytest.mark.ocpp("1.6 SetChargingProfile")
async def test_1_6_replaces_the_profile_of_the_same_purpose_level_and_connector(sit: Sit) -> None:
    async with sit(Version.V16) as desk:
        first = await desk.profile()
        other = await desk.profile(charge_point_number=2)
        second = await desk.profile(schedules=schedule(8))
        third = await desk.profile({"status": "Rejected"}, schedules=schedule(9))
        states = await desk.states()
        assert (await desk.limits())["current_a"] == 8
    assert [states[one["profile_id"]] for one in (first, other, second, third)] == [
        "superseded",
        "accepted",
        "accepted",
        "rejected",
    ]


@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.octt("TC_K_04_CSMS", "TC_K_10_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_2_x_replaces_by_id_and_refuses_what_would_collide(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        first = await desk.profile(charge_point_number=0)
        assert desk.asked[-1][1]["evseId"] == 0
        for place in (0, 1):  # K01.FR.06, FR.53
            problem = await desk.refused(desk.api.post(PROFILES, json=wanted(charge_point_number=place)), 422)
            assert problem["errors"][0]["place"] == "body/stack_level"
        again = await desk.profile(charge_point_number=0, profile_id=first["profile_id"], schedules=schedule(8))
        assert again["profile_id"] == first["profile_id"]
        items = (await desk.api.get(PROFILES, params={"state": ["accepted", "superseded"]})).json()["items"]
        assert [(item["id"], item["state"]) for item in items] == [
            (again["id"], "accepted"),
            (first["id"], "superseded"),
        ]
        assert (await desk.limits(2))["current_a"] == 8


@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.octt("TC_K_03_CSMS", "TC_K_19_CSMS", "TC_K_70_CSMS")
async def test_the_stations_maximum_and_a_recurring_profile(sit: Sit, version: Version) -> None:
    daily = {"kind": "recurring", "recurrency": "daily", "schedules": schedule(32, duration_s=3600)}
    async with sit(version) as desk:
        await desk.profile(charge_point_number=0, purpose="station_max", schedules=schedule(40))
        await desk.profile(charge_point_number=0, **daily)
        assert desk.asked[0][1]["chargingProfile"]["chargingProfilePurpose"] == "ChargingStationMaxProfile"
        assert desk.asked[1][1]["chargingProfile"]["recurrencyKind"] == "Daily"
        answer = await desk.api.get(f"{URL}/charge-points/1/composite-schedule", params={"duration_s": 90_000})
        points = [(point["at"][:16], point["limit"]) for point in answer.json()["calculated"]]
        assert (await desk.limits(0))["current_a"] == 40
    assert points == [
        ("2026-01-01T12:00", 32),
        ("2026-01-01T13:00", 40),
        ("2026-01-02T12:00", 32),
    ]


@pytest.mark.ocpp("1.6 ClearChargingProfile", "2.x ClearChargingProfile")
@pytest.mark.octt("TC_067_CSMS", "TC_K_05_CSMS")
@pytest.mark.parametrize("version", ALL)
async def test_a_profile_is_removed_by_its_number(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        shown = await desk.profile()
        removed = await desk.do(desk.api.delete(f"{PROFILES}/{shown['id']}"))
        assert removed.json()["state"] == "cleared"
        name = "id" if version is Version.V16 else "chargingProfileId"
        assert desk.asked[-1] == ("ClearChargingProfile", {name: 1})
        assert (await desk.limits())["current_a"] is None
        await desk.refused(desk.api.delete(f"{PROFILES}/{shown['id']}"), 409)


@pytest.mark.ocpp("1.6 ClearChargingProfile", "2.x ClearChargingProfile")
@pytest.mark.octt("TC_K_06_CSMS", "TC_K_08_CSMS")
@pytest.mark.parametrize("version", ALL)
async def test_profiles_are_removed_by_what_they_have_in_common(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        low, high = await desk.profile(), await desk.profile(stack_level=1)
        other = await desk.profile(charge_point_number=2)
        criteria = {"charge_point_number": 1, "purpose": "transaction_default", "stack_level": 1}
        answer = await desk.do(desk.api.post(f"{PROFILES}/clear", json=criteria))
        assert answer.json()["commands"][0]["status"] == "Accepted"
        words = {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 1}
        if version is Version.V16:
            assert desk.asked[-1][1] == {"connectorId": 1, **words}
        else:
            assert desk.asked[-1][1] == {"chargingProfileCriteria": {"evseId": 1, **words}}
        states = await desk.states()
        assert [states[one["profile_id"]] for one in (low, high, other)] == ["accepted", "cleared", "accepted"]
        await desk.do(desk.api.post(f"{PROFILES}/clear", json={"charge_point_number": 2}), {"status": "Unknown"})
        shown = (await desk.api.get(f"{PROFILES}/{other['id']}")).json()
        assert (shown["state"], shown["reason"]) == ("cleared", "the station does not have it")


@pytest.mark.parametrize("version", ALL)
async def test_what_a_raw_command_sets_and_clears_is_known_too(sit: Sit, version: Version) -> None:
    periods = [{"startPeriod": 0, "limit": 13.3}]
    words = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    about = {"chargingRateUnit": "A", "startSchedule": "2026-01-01T12:00:00Z", "chargingSchedulePeriod": periods}
    body: Payload = {"evseId": 1, "chargingProfile": {"id": 70, **words, "chargingSchedule": [{"id": 1, **about}]}}
    if version is Version.V16:
        profile = {"chargingProfileId": 70, **words, "chargingSchedule": about}
        body = {"connectorId": 1, "csChargingProfiles": profile}
    async with sit(version) as desk:
        await desk.do(desk.api.post(f"{URL}/commands/SetChargingProfile", json=body))
        (item,) = (await desk.api.get(PROFILES)).json()["items"]
        assert (item["profile_id"], item["state"], item["sent_by"]) == (70, "accepted", None)
        assert (await desk.limits())["current_a"] == 13.3
        clear = {"id": 70} if version is Version.V16 else {"chargingProfileId": 70}
        await desk.do(desk.api.post(f"{URL}/commands/ClearChargingProfile", json=clear))
        assert await desk.states() == {70: "cleared"}


@pytest.mark.ocpp("1.6 RemoteStartTransaction", "2.x RequestStartTransaction")
@pytest.mark.octt("TC_059_CSMS", "TC_K_37_CSMS")
@pytest.mark.parametrize("version", ALL)
async def test_a_profile_that_comes_with_a_remote_start_is_for_its_charge(
    sit: Sit, runtime: Runtime, version: Version
) -> None:
    about = {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7400.5}]}
    words = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    action = "RemoteStartTransaction" if version is Version.V16 else "RequestStartTransaction"
    token = {"idToken": "TAG", "type": "ISO14443"}
    profile: Payload = {"id": 5, **words, "chargingSchedule": [{"id": 1, **about}]}
    body: Payload = {"evseId": 1, "remoteStartId": 1, "idToken": token, "chargingProfile": profile}
    if version is Version.V16:
        profile = {"chargingProfileId": 5, **words, "chargingSchedule": about}
        body = {"connectorId": 1, "idTag": "TAG", "chargingProfile": profile}
    async with sit(version) as desk:
        await desk.do(desk.api.post(f"{URL}/commands/{action}", json=body))
        assert (await desk.limits())["power_w"] is None
        transaction_id = await start(desk)
        await settle(runtime)
        (item,) = (await desk.api.get(PROFILES)).json()["items"]
        assert (item["state"], item["transaction_id"]) == ("accepted", transaction_id)
        assert (await desk.limits())["power_w"] == 7400.5


async def test_a_remote_start_whose_charge_never_begins_leaves_nothing(
    sit: Sit, runtime: Runtime, clock: FixedClock
) -> None:
    words = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    periods = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}
    body = {
        "evseId": 1,
        "remoteStartId": 1,
        "idToken": {"idToken": "TAG", "type": "ISO14443"},
        "chargingProfile": {"id": 5, **words, "chargingSchedule": [periods]},
    }
    async with sit(Version.V201) as desk:
        await desk.do(desk.api.post(f"{URL}/commands/RequestStartTransaction", json=body))
        assert await desk.states() == {5: "accepted"}
        clock.advance(minutes=11)
        await settle(runtime)
        assert await desk.states() == {5: "ended"}


@pytest.mark.parametrize("version", ALL)
async def test_an_operator_limits_a_charge_point_and_takes_it_back(sit: Sit, version: Version) -> None:
    url = f"{URL}/charge-points/1/charging-limit"
    async with sit(version) as desk:
        await desk.profile(stack_level=2, schedules=schedule(32))
        shown = (await desk.do(desk.api.put(url, json={"power_w": 11000, "until": "2026-01-01T18:00:00Z"}))).json()
        assert (shown["state"], shown["stack_level"], shown["purpose"]) == ("accepted", 3, "transaction_default")
        limits = await desk.limits()
        assert (limits["power_w"], limits["current_a"]) == (11000, 15.9)
        assert (limits["changes_at"], limits["then_current_a"]) == ("2026-01-01T18:00:00Z", 32)
        await desk.do(desk.api.put(url, json={"current_a": 16}))
        assert (await desk.limits())["current_a"] == 16
        items = (await desk.api.get(PROFILES, params={"state": "accepted"})).json()["items"]
        assert len(items) == 2
        answer = await desk.do(desk.api.delete(url))
        assert answer.json()["commands"][0]["status"] == "Accepted"
        assert (await desk.limits())["current_a"] == 32
        await desk.refused(desk.api.delete(url), 404)


async def test_an_operator_limits_the_charge_that_runs_and_the_station(sit: Sit) -> None:
    async with sit(Version.V16) as desk:
        charge = {"current_a": 16, "only_this_charge": True, "phases": 1}
        await desk.refused(desk.api.put(f"{URL}/charge-points/1/charging-limit", json=charge), 409)
        await desk.refused(desk.api.put(f"{URL}/charge-points/9/charging-limit", json={"current_a": 6}), 404)
        transaction_id = await start(desk)
        await desk.do(desk.api.put(f"{URL}/charge-points/1/charging-limit", json=charge))
        sent = desk.asked[-1][1]["csChargingProfiles"]
        assert (sent["transactionId"], sent["chargingProfilePurpose"]) == (int(transaction_id), "TxProfile")
        assert (await desk.limits())["power_w"] == 3680
        await desk.do(desk.api.put(f"{URL}/charge-points/0/charging-limit", json={"current_a": 10}))
        assert desk.asked[-1][1]["csChargingProfiles"]["chargingProfilePurpose"] == "ChargePointMaxProfile"
        assert [(await desk.limits(number))["current_a"] for number in (0, 1, 2)] == [10, 10, 10]


@pytest.mark.ocpp("1.6 GetCompositeSchedule", "2.x GetCompositeSchedule")
@pytest.mark.octt("TC_066_CSMS", "TC_K_43_CSMS")
@pytest.mark.parametrize("version", ALL)
async def test_the_stations_own_schedule_is_compared_with_the_calculation(sit: Sit, version: Version) -> None:
    told = {"chargingRateUnit": "W", "duration": 7200}
    told["chargingSchedulePeriod"] = [{"startPeriod": 0, "limit": 14766}, {"startPeriod": 1800, "limit": 4140}]  # type: ignore[assignment]
    start = {"scheduleStart": "2026-01-01T12:00:00Z"}
    reply: Payload = {"status": "Accepted", "schedule": {**told, **start, "evseId": 1}}
    if version is Version.V16:
        reply = {"status": "Accepted", "connectorId": 1, **start, "chargingSchedule": told}
    url = f"{URL}/charge-points/1/composite-schedule"
    async with sit(version) as desk:
        await desk.profile()
        assert (await desk.api.get(url)).json()["told"] is None
        answer = (await desk.do(desk.api.post(url, params={"duration_s": 7200, "unit": "W"}), reply)).json()
        name = "connectorId" if version is Version.V16 else "evseId"
        assert desk.asked[-1] == ("GetCompositeSchedule", {name: 1, "duration": 7200, "chargingRateUnit": "W"})
        kept = (await desk.api.get(url, params={"duration_s": 7200, "unit": "A"})).json()
    assert [(point["at"][11:16], point["limit"]) for point in answer["calculated"]] == [
        ("12:00", 14766),
        ("13:00", 4140),
    ]
    assert [(point["at"][11:16], point["limit"]) for point in answer["told"]["points"]] == [
        ("12:00", 14766),
        ("12:30", 4140),
    ]
    assert answer["differences"] == [
        {
            "starts_at": "2026-01-01T12:30:00Z",
            "ends_at": "2026-01-01T13:00:00Z",
            "calculated": 14766,
            "told": 4140,
        }
    ]
    assert answer["command"]["status"] == "Accepted"
    assert [point["limit"] for point in kept["told"]["points"]] == [21.4, 6]


@pytest.mark.ocpp("2.x GetCompositeSchedule")
@pytest.mark.octt("TC_K_44_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_station_that_tells_no_schedule(sit: Sit, version: Version) -> None:
    url = f"{URL}/charge-points/0/composite-schedule"
    async with sit(version) as desk:
        answer = (await desk.do(desk.api.post(url), {"status": "Rejected"})).json()
        assert (desk.asked[-1][0], desk.asked[-1][1]["evseId"]) == ("GetCompositeSchedule", 0)
    assert (answer["command"]["status"], answer["told"]["is_accepted"]) == ("Rejected", False)
    assert (answer["differences"], answer["told"]["points"]) == (None, None)


def reported(profile_id: int, limit: float = 16, **more: Any) -> Payload:
    words = {"stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute"}
    about = {"chargingRateUnit": "A", "startSchedule": "2026-01-01T10:00:00Z"}
    periods = [{"startPeriod": 0, "limit": limit}]
    return {
        "id": profile_id,
        **words,
        **more,
        "chargingSchedule": [{"id": 1, **about, "chargingSchedulePeriod": periods}],
    }


@pytest.mark.ocpp("2.x GetChargingProfiles", "2.x ReportChargingProfiles")
@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.parametrize("is_in_order", [True, False], ids=["in order", "last page first"])
async def test_the_station_reports_its_profiles_in_pages(
    sit: Sit, version: Version, is_in_order: bool, clock: FixedClock
) -> None:
    async with sit(version) as desk:
        gone = await desk.profile()
        kept = await desk.profile(charge_point_number=2)
        clock.advance(seconds=1)
        report = (await desk.do(desk.api.post(f"{PROFILES}/refresh", json={}))).json()
        request = desk.asked[-1][1]
        assert (report["state"], request["chargingProfile"]) == ("asked", {})
        about = {"requestId": request["requestId"], "chargingLimitSource": "CSO"}
        ours = {**kept["payload"], "chargingSchedule": [{**kept["payload"]["chargingSchedule"][0], "id": 9}]}
        pages = [
            {**about, "evseId": 2, "chargingProfile": [ours], "tbc": True},
            {**about, "evseId": 0, "chargingProfile": [reported(-4, 11)], "chargingLimitSource": "EMS"},
        ]
        for page in pages if is_in_order else reversed(pages):
            clock.advance(seconds=1)
            assert await desk.call("ReportChargingProfiles", **page) == {}
        shown = (await desk.api.get(f"{URL}/charging-profile-reports/{report['id']}")).json()
        assert (shown["state"], shown["pages"], shown["profiles"]) == ("complete", 2, 2)
        items = {item["profile_id"]: item for item in (await desk.api.get(PROFILES)).json()["items"]}
    assert {number: item["state"] for number, item in items.items()} == {
        gone["profile_id"]: "cleared",
        kept["profile_id"]: "reported",
        -4: "reported",
    }
    assert items[gone["profile_id"]]["reason"] == "the station no longer reports it"
    assert (items[-4]["source"], items[-4]["charge_point_number"]) == ("EMS", 0)


@pytest.mark.ocpp("2.x GetChargingProfiles")
@pytest.mark.parametrize(
    ("criteria", "place", "asked"),
    [
        pytest.param(
            {"charge_point_number": 0, "purpose": "station_max"},
            0,
            {"chargingProfilePurpose": "ChargingStationMaxProfile"},
            marks=pytest.mark.octt("TC_K_29_CSMS"),
        ),
        pytest.param(
            {"charge_point_number": 1, "purpose": "transaction_default"},
            1,
            {"chargingProfilePurpose": "TxDefaultProfile"},
            marks=pytest.mark.octt("TC_K_30_CSMS", "TC_K_35_CSMS"),
        ),
        pytest.param(
            {"purpose": "transaction"},
            None,
            {"chargingProfilePurpose": "TxProfile"},
            marks=pytest.mark.octt("TC_K_31_CSMS"),
        ),
        pytest.param(
            {"profile_ids": [7, 8]}, None, {"chargingProfileId": [7, 8]}, marks=pytest.mark.octt("TC_K_32_CSMS")
        ),
        pytest.param(
            {"charge_point_number": 1, "stack_level": 0}, 1, {"stackLevel": 0}, marks=pytest.mark.octt("TC_K_33_CSMS")
        ),
        pytest.param(
            {"charge_point_number": 1, "sources": ["CSO", "EMS"]},
            1,
            {"chargingLimitSource": ["CSO", "EMS"]},
            marks=pytest.mark.octt("TC_K_34_CSMS"),
        ),
        pytest.param(
            {"charge_point_number": 1, "purpose": "transaction_default", "stack_level": 2},
            1,
            {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2},
            marks=pytest.mark.octt("TC_K_36_CSMS"),
        ),
    ],
)
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_report_may_be_of_some_profiles_only(
    sit: Sit, version: Version, criteria: Payload, place: int | None, asked: Payload
) -> None:
    async with sit(version) as desk:
        other = await desk.profile(charge_point_number=2, stack_level=4)
        answer = await desk.do(desk.api.post(f"{PROFILES}/refresh", json=criteria), {"status": "NoProfiles"})
        request = desk.asked[-1][1]
        assert (request.get("evseId"), request["chargingProfile"]) == (place, asked)
        assert answer.json()["state"] == "no_profiles"
        assert await desk.states() == {other["profile_id"]: "accepted"}


async def test_a_report_that_cannot_be(sit: Sit) -> None:
    async with sit(Version.V16) as desk:
        await desk.refused(desk.api.post(f"{PROFILES}/refresh", json={}), 409)
    async with sit(Version.V201) as desk:
        both = {"profile_ids": [1], "stack_level": 1}
        await desk.refused(desk.api.post(f"{PROFILES}/refresh", json=both), 422)
        await desk.refused(desk.api.post(f"{PROFILES}/refresh", json={"purpose": "priority_charging"}), 422)


@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_station_cannot_flood_the_list(sit: Sit, version: Version, runtime: Runtime) -> None:
    async with sit(version) as desk:
        asked = desk.do(desk.api.post(f"{PROFILES}/refresh", json={}))
        report = (await asked).json()
        about = {"requestId": desk.asked[-1][1]["requestId"], "chargingLimitSource": "CSO", "evseId": 1}
        for first in range(0, 300, 100):
            page = [reported(number) for number in range(first, first + 100)]
            await desk.call("ReportChargingProfiles", **about, chargingProfile=page, tbc=first < 200)
        for number in range(100):
            source = {"chargingLimitSource": "Other" if version is Version.V201 else f"S{number}"}
            await desk.call("NotifyChargingLimit", evseId=number, chargingLimit=source)
        shown = (await desk.api.get(f"{URL}/charging-profile-reports/{report['id']}")).json()
        limits = (await desk.api.get(f"{URL}/charging-limits")).json()
    assert (shown["state"], shown["profiles"], shown["ignored"]) == ("complete", 200, 100)
    assert len(limits["external_limits"]) == 64


@pytest.mark.ocpp("2.x NotifyChargingLimit", "2.x ClearedChargingLimit")
@pytest.mark.octt("TC_K_48_CSMS", "TC_K_50_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_external_limits_are_part_of_what_is_in_force(sit: Sit, version: Version, clock: FixedClock) -> None:
    periods = [{"startPeriod": 0, "limit": 12.5}, {"startPeriod": 3600, "limit": 8}]
    schedules = [{"id": 1, "chargingRateUnit": "A", "duration": 7200, "chargingSchedulePeriod": periods}]
    ems = {"chargingLimitSource": "EMS", "isGridCritical": True}
    async with sit(version) as desk:
        await desk.profile(charge_point_number=0, schedules=schedule(32))
        assert await desk.call("NotifyChargingLimit", evseId=1, chargingLimit=ems, chargingSchedule=schedules) == {}
        assert await desk.call("NotifyChargingLimit", chargingLimit={"chargingLimitSource": "SO"}) == {}
        shown = (await desk.api.get(f"{URL}/charging-limits")).json()
        first, second = shown["charge_points"]
        assert (first["current_a"], first["then_current_a"], second["current_a"]) == (12.5, 8, 32)
        assert first["because"]["source"] == "EMS"
        assert [
            (one["source"], one["is_grid_critical"], one["charge_point_number"]) for one in shown["external_limits"]
        ] == [
            ("EMS", True, 1),
            ("SO", None, 0),
        ]
        clock.advance(hours=1)
        await desk.call("NotifyChargingLimit", evseId=1, chargingLimit=ems, chargingSchedule=schedules)
        assert (await desk.limits())["current_a"] == 12.5
        assert await desk.call("ClearedChargingLimit", chargingLimitSource="EMS", evseId=1) == {}
        after = (await desk.api.get(f"{URL}/charging-limits")).json()
        assert [one["source"] for one in after["external_limits"]] == ["SO"]
        assert after["charge_points"][0]["current_a"] == 32


DYNAMIC: Payload = {
    "kind": "dynamic",
    "dynamic_update_interval_s": 60,
    "schedules": [{"unit": "W", "starts_at": "2026-01-01T12:00:00Z", "periods": [{"start_s": 0, "limit": 5000}]}],
}


@pytest.mark.ocpp("2.1 UpdateDynamicSchedule", "2.1 PullDynamicScheduleUpdate")
@pytest.mark.octt("TC_K_121_CSMS")
async def test_a_dynamic_profile_is_pushed_and_pulled(sit: Sit) -> None:
    async with sit(Version.V21) as desk:
        shown = await desk.profile(**DYNAMIC)
        assert desk.asked[-1][1]["chargingProfile"]["dynUpdateInterval"] == 60
        url = f"{PROFILES}/{shown['id']}/figures"
        pushed = await desk.do(desk.api.post(url, json={"limit": 7000.5, "discharge_limit": -2000}))
        assert pushed.status_code == 200
        update = {"limit": 7000.5, "dischargeLimit": -2000}
        assert desk.asked[-1] == ("UpdateDynamicSchedule", {"chargingProfileId": 1, "scheduleUpdate": update})
        assert (await desk.limits())["power_w"] == 7000.5
        rejected = await desk.do(desk.api.post(url, json={"limit": 1}), {"status": "Rejected"})
        assert rejected.status_code == 409
        kept = (await desk.api.post(url, json={"limit": 6000, "send_now": False})).json()
        assert kept["schedules"][0]["periods"][0]["only_2_1"] == {"discharge_limit": -2000}
        answer = await desk.call("PullDynamicScheduleUpdate", chargingProfileId=1)
        assert answer == {"status": "Accepted", "scheduleUpdate": {"limit": 6000, "dischargeLimit": -2000}}
        unknown = await desk.call("PullDynamicScheduleUpdate", chargingProfileId=2)
        assert unknown["status"] == "Rejected"
        await desk.refused(desk.api.post(url, json={}), 422)


@pytest.mark.ocpp("2.1 SetChargingProfile")
@pytest.mark.octt("TC_K_100_CSMS", "TC_K_101_CSMS", "TC_K_102_CSMS", "TC_K_104_CSMS", "TC_K_106_CSMS")
async def test_what_only_2_1_has_goes_out_and_is_kept(sit: Sit) -> None:
    period = {
        "start_s": 0,
        "operation_mode": "CentralSetpoint",
        "setpoint": -3000.25,
        "limit": 11000,
        "limit_l2": 10,
        "limit_l3": 20,
        "v2x_frequency_curve": [{"frequency": 50, "power": 0}],
    }
    about = {
        "unit": "W",
        "starts_at": "2026-01-01T12:00:00Z",
        "randomized_delay_s": 30,
        "limit_at_soc": {"soc": 80, "limit": 3000},
        "periods": [period],
    }
    async with sit(Version.V21) as desk:
        more = {"max_offline_duration_s": 600, "invalid_after_offline_duration": True}
        shown = await desk.profile(schedules=[about], **more)
        sent = desk.asked[-1][1]["chargingProfile"]
        assert (sent["maxOfflineDuration"], sent["invalidAfterOfflineDuration"]) == (600, True)
        assert sent["chargingSchedule"][0]["limitAtSoC"] == {"soc": 80, "limit": 3000}
        assert sent["chargingSchedule"][0]["chargingSchedulePeriod"][0] == {
            "startPeriod": 0,
            "limit": 11000,
            "limit_L2": 10,
            "limit_L3": 20,
            "setpoint": -3000.25,
            "operationMode": "CentralSetpoint",
            "v2xFreqWattCurve": [{"frequency": 50, "power": 0}],
        }
        assert shown["only_2_1"] == more
        assert shown["schedules"][0]["periods"][0]["only_2_1"]["setpoint"] == -3000.25
        priority = await desk.profile(charge_point_number=0, purpose="priority_charging", schedules=schedule(32))
        assert priority["state"] == "accepted"
        wrong = [{**about, "periods": [{"start_s": 0, "operation_mode": "CentralSetpoint"}]}]
        problem = await desk.refused(desk.api.post(PROFILES, json=wanted(stack_level=5, schedules=wrong)), 422)
        assert problem["errors"][0]["place"] == "body/schedules/0/periods/0/setpoint"
    async with sit(Version.V201) as desk:
        problem = await desk.refused(desk.api.post(PROFILES, json=wanted(stack_level=6, schedules=[about])), 422)
        assert "only OCPP 2.1 has" in problem["detail"] + str(problem["errors"])


@pytest.mark.ocpp("2.1 UsePriorityCharging", "2.1 NotifyPriorityCharging")
@pytest.mark.octt("TC_K_118_CSMS")
async def test_a_charge_with_priority(sit: Sit) -> None:
    url = f"{URL}/charge-points/1/priority-charging"
    async with sit(Version.V21) as desk:
        await desk.profile(charge_point_number=0, schedules=schedule(6))
        await desk.profile(charge_point_number=0, purpose="priority_charging", schedules=schedule(32))
        await desk.refused(desk.api.post(url, json={"is_active": True}), 409)
        transaction_id = await start(desk)
        none = await desk.do(desk.api.post(url, json={"is_active": True}), {"status": "NoProfile"})
        assert (none.json()["status"], (await desk.limits())["has_priority"]) == ("NoProfile", False)
        await desk.do(desk.api.post(url, json={"is_active": True}))
        assert desk.asked[-1] == ("UsePriorityCharging", {"transactionId": transaction_id, "activate": True})
        limits = await desk.limits()
        assert (limits["current_a"], limits["has_priority"]) == (32, True)
        assert await desk.call("NotifyPriorityCharging", transactionId=transaction_id, activated=False) == {}
        assert (await desk.limits())["current_a"] == 6
        assert await desk.call("NotifyPriorityCharging", transactionId="unknown", activated=True) == {}


@pytest.mark.parametrize("version", ALL)
async def test_what_the_station_said_that_it_can_is_kept_to(sit: Sit, version: Version, runtime: Runtime) -> None:
    keys = {
        Version.V16: {
            "ChargeProfileMaxStackLevel": "2",
            "ChargingScheduleAllowedChargingRateUnit": "Current",
            "ChargingScheduleMaxPeriods": "1",
        }
    }
    named = keys.get(version) or {"ProfileStackLevel": "2", "RateUnit": "A", "PeriodsPerSchedule": "1"}
    async with sit(version) as desk:
        async with runtime.store.writing() as work:
            station = await get_station(work, "CS-1")
            for name, value in named.items():
                component = None if version is Version.V16 else "SmartChargingCtrlr"
                address = name.lower() if component is None else f"{component}/{name}".lower()
                owned = {"organisation_id": station.organisation_id, "station_id": station.id}
                words = {"key": address, "name": name, "component": component, "variable": name, "value": value}
                work.session.add(Setting(**owned, **words))
        two = [{**schedule(6)[0], "unit": "W", "periods": PERIODS}]
        problem = await desk.refused(desk.api.post(PROFILES, json=wanted(stack_level=3, schedules=two)), 422)
        assert [error["place"] for error in problem["errors"]] == [
            "body/stack_level",
            "body/schedules/0/unit",
            "body/schedules/0/periods",
        ]
        shown = (await desk.do(desk.api.put(f"{URL}/charge-points/1/charging-limit", json={"power_w": 11000}))).json()
        assert shown["schedules"][0]["unit"] == "A"
        assert shown["schedules"][0]["periods"][0]["limit"] == 15.9


@pytest.mark.ocpp("2.x ReportChargingProfiles", "2.x ClearedChargingLimit")
@pytest.mark.octt("TC_K_51_CSMS", "TC_K_52_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_an_external_limit_that_is_reported_too_counts_once_and_goes_with_its_source(
    sit: Sit, version: Version
) -> None:
    about = {"chargingRateUnit": "A", "startSchedule": "2026-01-01T10:00:00Z"}
    periods = [{"startPeriod": 0, "limit": 9.5}]
    schedules = [{"id": 1, **about, "chargingSchedulePeriod": periods}]
    external = reported(-4, 9.5, chargingProfilePurpose="ChargingStationExternalConstraints")
    async with sit(version) as desk:
        transaction_id = await start(desk)
        ems = {"chargingLimitSource": "EMS"}
        await desk.call("NotifyChargingLimit", evseId=1, chargingLimit=ems, chargingSchedule=schedules)
        await desk.call(
            "TransactionEvent",
            eventType="Updated",
            timestamp="2026-01-01T12:00:01Z",
            triggerReason="ChargingRateChanged",
            seqNo=1,
            transactionInfo={"transactionId": transaction_id, "chargingState": "Charging"},
        )
        await desk.do(desk.api.post(f"{PROFILES}/refresh", json={"charge_point_number": 1, "sources": ["EMS"]}))
        about_report = {"requestId": desk.asked[-1][1]["requestId"], "evseId": 1}
        await desk.call("ReportChargingProfiles", **about_report, **ems, chargingProfile=[external])
        limits = await desk.limits()
        assert (limits["current_a"], limits["transaction_id"]) == (9.5, transaction_id)
        (item,) = (await desk.api.get(PROFILES)).json()["items"]
        assert (item["purpose"], item["state"], item["source"]) == ("external_constraints", "reported", "EMS")
        clear = await desk.do(desk.api.post(f"{PROFILES}/clear", json={"charge_point_number": 1}))
        assert clear.status_code == 200
        assert await desk.states() == {-4: "reported"}  # K10.FR.06: it is not ours to clear
        await desk.call("ClearedChargingLimit", **ems)
        assert await desk.states() == {-4: "cleared"}
        assert (await desk.limits())["current_a"] is None
