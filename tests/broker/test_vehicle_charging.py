"""S25: what vehicles need and plan, over a real socket and the API, and the limits calculated for them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.vehicle_charging.jobs import send_due
from csms.station.vehicle_charging.rules import read_needs
from tests.broker.conftest import Bench
from tests.broker.desk import NOON, PROFILES, URL, Desk, Payload, schedule, sitting, start

pytestmark = [pytest.mark.feature("S25"), pytest.mark.parametrize("version", VERSIONS_2)]
Sit = Callable[[Version], AbstractAsyncContextManager[Desk]]
VEHICLE = f"{URL}/charge-points/1/vehicle"
POLICY = "/api/v1/vehicle-charging-policy"
AC: Payload = {
    "requestedEnergyTransfer": "AC_three_phase",
    "departureTime": "2026-01-01T18:00:00Z",
    "acChargingParameters": {"energyAmount": 30000, "evMinCurrent": 6, "evMaxCurrent": 20, "evMaxVoltage": 400},
}
DC: Payload = {
    "requestedEnergyTransfer": "DC",
    "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 400, "stateOfCharge": 33, "energyAmount": 40000},
}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def sit(bench: Bench, api: httpx.AsyncClient) -> Sit:
    return partial(sitting, bench, api)


async def switch_on(desk: Desk) -> None:
    shown = (await desk.api.put(POLICY, json={"plans_for_vehicles": True})).json()
    assert shown["plans_for_vehicles"] is True


async def limit_default(desk: Desk) -> None:
    """16 A at once, 32 A from 14:00."""
    periods = [{"start_s": 0, "limit": 16}, {"start_s": 7200, "limit": 32}]
    await desk.profile(charge_point_number=0, schedules=[{**schedule(0)[0], "periods": periods}])


def plan_of(desk: Desk) -> Payload:
    action, request = desk.asked[-1]
    assert action == "SetChargingProfile"
    return dict(request["chargingProfile"])


@pytest.mark.ocpp("2.x NotifyEVChargingNeeds", "2.x SetChargingProfile")
@pytest.mark.octt("TC_K_53_CSMS")
async def test_limits_are_calculated_and_sent_where_that_is_switched_on(
    sit: Sit, version: Version, runtime: Runtime
) -> None:
    async with sit(version) as desk:
        await switch_on(desk)
        await limit_default(desk)
        transaction_id = await start(desk)
        answer = await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=AC, maxScheduleTuples=5)
        assert answer == {"status": "Accepted"}
        await desk.do(send_due(runtime))
        sent = plan_of(desk)
        assert (sent["chargingProfilePurpose"], sent["transactionId"]) == ("TxProfile", transaction_id)
        about = sent["chargingSchedule"][0]
        assert (about["chargingRateUnit"], about["startSchedule"]) == ("A", "2026-01-01T12:00:00.000Z")
        assert about["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 16, "numberPhases": 3},
            {"startPeriod": 7200, "limit": 20, "numberPhases": 3},
        ]
        shown = (await desk.api.get(VEHICLE)).json()
        profile = (await desk.api.get(f"{PROFILES}/{shown['plan_profile_id']}")).json()
        await send_due(runtime)  # nothing is due any more
    assert (shown["plan_state"], shown["needs_answer"], shown["transaction_id"]) == ("sent", "Accepted", transaction_id)
    assert (shown["energy_wh"], shown["max_current_a"], shown["departs_at"]) == (30000, 20, "2026-01-01T18:00:00Z")
    assert shown["needs"] == AC
    assert (profile["state"], profile["sent_by"]) == ("accepted", "system")


@pytest.mark.ocpp("2.x NotifyEVChargingNeeds")
@pytest.mark.octt("TC_K_126_CSMS")
async def test_without_it_the_station_is_told_that_no_limits_will_come(
    sit: Sit, version: Version, runtime: Runtime
) -> None:
    async with sit(version) as desk:
        await start(desk)
        answer = await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=DC)
        assert answer["status"] == ("NoChargingProfile" if version is Version.V21 else "Rejected")
        await send_due(runtime)
        shown = (await desk.api.get(VEHICLE)).json()
    assert (shown["plan_state"], shown["transfer"], shown["max_power_w"]) == ("none", "DC", 80000)
    assert shown["state_of_charge_percent"] == 33


async def test_the_charge_may_be_told_of_a_moment_later(sit: Sit, version: Version, runtime: Runtime) -> None:
    async with sit(version) as desk:
        await switch_on(desk)
        answer = await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=DC)
        assert answer == {"status": "Processing"}
        await send_due(runtime)
        assert (await desk.api.get(VEHICLE)).json()["plan_state"] == "due"
        await start(desk)
        await desk.do(send_due(runtime))
        about = plan_of(desk)["chargingSchedule"][0]
        assert (about["chargingRateUnit"], about["chargingSchedulePeriod"]) == (
            "W",
            [{"startPeriod": 0, "limit": 80000}],
        )


async def test_a_plan_without_a_charge_is_given_up(
    sit: Sit, version: Version, runtime: Runtime, clock: FixedClock
) -> None:
    async with sit(version) as desk:
        await switch_on(desk)
        await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=DC)
        clock.advance(seconds=61)
        await send_due(runtime)
        shown = (await desk.api.get(VEHICLE)).json()
    assert (shown["plan_state"], shown["plan_reason"]) == ("failed", "no charge was told of")


@pytest.mark.ocpp("2.x NotifyEVChargingSchedule")
@pytest.mark.octt("TC_K_55_CSMS")
async def test_what_the_vehicle_plans_is_compared_and_answered_with_a_new_plan(
    sit: Sit, version: Version, runtime: Runtime
) -> None:
    periods = [{"startPeriod": 0, "limit": 11000}, {"startPeriod": 3600, "limit": 13000}]
    planned = {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": periods}
    within = {**planned, "chargingSchedulePeriod": periods[:1]}
    base = {"evseId": 1, "timeBase": "2026-01-01T12:00:00Z"}
    async with sit(version) as desk:
        await switch_on(desk)
        await limit_default(desk)
        await start(desk)
        await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=AC)
        await desk.do(send_due(runtime))
        answer = await desk.call("NotifyEVChargingSchedule", **base, chargingSchedule=planned)
        assert answer == {"status": "Rejected", "statusInfo": {"reasonCode": "ValueTooHigh"}}
        shown = (await desk.api.get(VEHICLE)).json()
        assert (shown["is_within_limits"], shown["plan_state"]) == (False, "due")
        assert shown["exceeds"] == [{"at": "2026-01-01T13:00:00Z", "allowed_w": 11040, "planned_w": 13000}]
        await desk.do(send_due(runtime))
        assert await desk.call("NotifyEVChargingSchedule", **base, chargingSchedule=within) == {"status": "Accepted"}
        shown = (await desk.api.get(VEHICLE)).json()
        assert (shown["is_within_limits"], shown["plan_state"], shown["schedule"]) == (True, "sent", within)


@pytest.mark.ocpp("2.x SetChargingProfile")
@pytest.mark.octt("TC_K_58_CSMS", "TC_K_113_CSMS")
async def test_an_operator_has_a_plan_sent_anew(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        await desk.refused(desk.api.post(f"{VEHICLE}/plan"), 404)
        await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=AC)
        await desk.refused(desk.api.post(f"{VEHICLE}/plan"), 409)
        await start(desk)
        first = (await desk.do(desk.api.post(f"{VEHICLE}/plan"))).json()
        await limit_default(desk)
        second = (await desk.do(desk.api.post(f"{VEHICLE}/plan"))).json()
        assert [one["limit"] for one in plan_of(desk)["chargingSchedule"][0]["chargingSchedulePeriod"]] == [16, 20]
        states = {item["id"]: item["state"] for item in (await desk.api.get(PROFILES)).json()["items"]}
        assert states[first["charging_profile_id"]] == "superseded"
        assert states[second["charging_profile_id"]] == "accepted"
        assert (await desk.api.get(VEHICLE)).json()["plan_profile_id"] == second["charging_profile_id"]


@pytest.mark.ocpp("2.x NotifyEVChargingNeeds", "2.x SetChargingProfile")
@pytest.mark.octt("TC_K_57_CSMS", "TC_K_59_CSMS")
async def test_a_vehicle_that_needs_something_else_gets_a_new_plan(
    sit: Sit, version: Version, runtime: Runtime
) -> None:
    limits = []
    async with sit(version) as desk:
        await switch_on(desk)
        await start(desk)
        for most in (20, 10, 13):
            if most == 13:  # K16: this time the operator begins
                await desk.do(desk.api.post(f"{VEHICLE}/plan"))
            needs = {**AC, "acChargingParameters": {**AC["acChargingParameters"], "evMaxCurrent": most}}
            assert (await desk.call("NotifyEVChargingNeeds", evseId=1, chargingNeeds=needs))["status"] == "Accepted"
            await desk.do(send_due(runtime))
            limits.append([one["limit"] for one in plan_of(desk)["chargingSchedule"][0]["chargingSchedulePeriod"]])
    assert limits == [[20], [10], [13]]
    assert [action for action, _ in desk.asked] == ["SetChargingProfile"] * 4


async def test_odd_needs_are_rejected_and_kept(sit: Sit, version: Version) -> None:
    async with sit(version) as desk:
        await switch_on(desk)
        odd = {"requestedEnergyTransfer": "DC"}
        answer = await desk.call("NotifyEVChargingNeeds", evseId=2, chargingNeeds=odd)
        assert answer["status"] == ("NoChargingProfile" if version is Version.V21 else "Rejected")
        await desk.call("NotifyEVChargingNeeds", evseId=5000, chargingNeeds=DC)
        assert (await desk.api.get(f"{URL}/charge-points/2/vehicle")).json()["needs"] == odd
        assert (await desk.api.get(f"{URL}/charge-points/5000/vehicle")).status_code == 404


@pytest.mark.ocpp("2.1 NotifyAllowedEnergyTransfer")
async def test_which_energy_transfer_is_allowed(sit: Sit, version: Version) -> None:
    url = f"{URL}/charge-points/1/allowed-energy-transfer"
    kinds = {"kinds": ["AC_three_phase", "AC_BPT"]}
    async with sit(version) as desk:
        await desk.refused(desk.api.post(url, json=kinds), 409)
        transaction_id = await start(desk)
        if version is Version.V201:
            await desk.refused(desk.api.post(url, json=kinds), 404)
            return
        await desk.do(desk.api.post(url, json=kinds))
        request = {"transactionId": transaction_id, "allowedEnergyTransfer": kinds["kinds"]}
        assert desk.asked[-1] == ("NotifyAllowedEnergyTransfer", request)
        assert (await desk.api.get(VEHICLE)).json()["allowed_transfer"] == kinds["kinds"]


@pytest.mark.parametrize("needs", [None, [], 5, {}, {"acChargingParameters": 7}, {"departureTime": 12}])
def test_reading_needs_bears_everything(version: Version, needs: Any) -> None:
    read = read_needs(needs)
    assert (read.is_known, read.departs_at) == (False, None)


def test_power_of_single_phases_of_2_1_adds_up(version: Version) -> None:
    v2x = {"maxChargePower": 4000, "maxChargePower_L2": 3000, "maxChargePower_L3": 2000.5}
    assert read_needs({"requestedEnergyTransfer": "AC_BPT", "v2xChargingParameters": v2x}).most_w == 9000.5
