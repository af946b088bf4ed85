from datetime import UTC, datetime
from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.battery import Supply
from simulators.v201 import Nameplate, settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, bench201
from tests.simulators.station_bench import car

pytestmark = pytest.mark.feature("F5")


def profile(limit: float, purpose: str = "TxDefaultProfile", profile_id: int = 1, **more: Any) -> dict[str, Any]:
    schedule: dict[str, Any] = {
        "id": 1,
        "chargingRateUnit": "W",
        "startSchedule": "2026-03-01T12:00:00Z",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
    }
    return {
        "id": profile_id,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
        **more,
    }


@pytest.mark.parametrize("version", BOTH)
async def test_a_profile_bends_the_charging_curve_at_its_times(version: Version) -> None:
    async with bench201(versions=(version,)) as b:
        stepped = profile(4_000)
        stepped["chargingSchedule"][0]["chargingSchedulePeriod"] += [
            {"startPeriod": 300, "limit": 0.0},
            {"startPeriod": 600, "limit": 8_000.0},
        ]
        assert await b.csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": stepped}) == ACCEPTED
        await b.charge()
        powers = []
        for _ in range(3):
            await b.wait(200)
            powers.append(b.evse.measure().power_w)
            await b.wait(100)
        assert powers == [4_000, 0, 8_000]
        told = [(one["triggerReason"], one["transactionInfo"]["chargingState"]) for one in b.csms.events()]
        assert ("ChargingStateChanged", "SuspendedEVSE") in told
        assert ("ChargingRateChanged", "Charging") in told
        assert await b.csms.call("ClearChargingProfile", {"chargingProfileId": 1}) == ACCEPTED
        await b.wait(60)
        assert b.evse.measure().power_w == 11_000
        assert await b.csms.call("ClearChargingProfile", {"chargingProfileId": 1}) == {"status": "Unknown"}


async def test_a_transactions_profile_ends_with_it() -> None:
    async with bench201() as b:
        own = profile(5_000, "TxProfile", transactionId="nobody's")
        payload = {"evseId": 1, "chargingProfile": own}
        refused = await b.csms.call("SetChargingProfile", payload)
        assert refused["statusInfo"]["reasonCode"] == "TxNotFound"
        own["transactionId"] = await b.charge()
        assert await b.csms.call("SetChargingProfile", payload) == ACCEPTED
        await b.wait(60)
        assert b.evse.measure().power_w == 5_000
        b.station.charging.unplug(1)
        assert b.station.profiles.held == []


async def test_a_remote_start_brings_its_profile() -> None:
    async with bench201() as b:
        b.station.charging.plug_in(1, car())
        token = {"idToken": "APP", "type": "Central"}
        request = {"idToken": token, "remoteStartId": 1, "evseId": 1, "chargingProfile": profile(6_000, "TxProfile")}
        assert (await b.csms.call("RequestStartTransaction", request))["status"] == "Accepted"
        await b.wait(120)
        assert b.evse.measure().power_w == 6_000
        wrong = {**request, "chargingProfile": profile(6_000)}
        assert (await b.csms.call("RequestStartTransaction", wrong))["status"] == "Rejected"


async def test_the_station_is_shared_by_who_charges() -> None:
    async with bench201(nameplate=Nameplate(connectors=2)) as b:
        most = profile(12_000, "ChargingStationMaxProfile")
        assert await b.csms.call("SetChargingProfile", {"evseId": 0, "chargingProfile": most}) == ACCEPTED
        await b.charge(1)
        await b.wait(60)
        assert b.evse.measure().power_w == 11_000
        await b.charge(2)
        await b.wait(60)
        assert [evse.measure().power_w for evse in b.station.charging.evses.values()] == [6_000, 6_000]


async def test_profiles_are_reported_and_composed() -> None:
    async with bench201() as b:
        for number, purpose in enumerate(("ChargingStationMaxProfile", "TxDefaultProfile"), 1):
            evse_id = 0 if number == 1 else 1
            payload = {"evseId": evse_id, "chargingProfile": profile(4_000.0 + number, purpose, number)}
            assert await b.csms.call("SetChargingProfile", payload) == ACCEPTED
        b.station.profiles.limit_externally(9_000, "SO", is_grid_critical=True)
        limit = await b.csms.expect("NotifyChargingLimit")
        assert limit["chargingLimit"] == {"chargingLimitSource": "SO", "isGridCritical": True}
        asked = {"requestId": 3, "chargingProfile": {}}
        assert await b.csms.call("GetChargingProfiles", asked) == ACCEPTED
        await b.csms.expect("ReportChargingProfiles", 3)
        told = b.csms.payloads("ReportChargingProfiles")
        assert [(one["evseId"], one["chargingLimitSource"], one["tbc"]) for one in told] == [
            (0, "CSO", True),
            (1, "CSO", True),
            (0, "SO", False),
        ]
        nothing = {"requestId": 4, "chargingProfile": {"stackLevel": 9}}
        assert await b.csms.call("GetChargingProfiles", nothing) == {"status": "NoProfiles"}
        composite = await b.csms.call("GetCompositeSchedule", {"duration": 600, "evseId": 1, "chargingRateUnit": "W"})
        assert composite["schedule"]["chargingSchedulePeriod"] == [
            {"startPeriod": 0, "limit": 4_001.0, "numberPhases": 3}
        ]
        assert await b.csms.call("GetCompositeSchedule", {"duration": 600, "evseId": 5}) == {"status": "Rejected"}
        b.station.profiles.lift_limit("SO")
        assert (await b.csms.expect("ClearedChargingLimit"))["chargingLimitSource"] == "SO"


@pytest.mark.parametrize(
    ("evse_id", "bad", "reason"),
    [
        (9, profile(1), "UnknownEvse"),
        (1, profile(1, "ChargingStationExternalConstraints"), "InvalidProfile"),
        (1, profile(1, "ChargingStationMaxProfile"), "InvalidProfile"),
        (0, profile(1, "TxProfile"), "InvalidProfile"),
        (1, profile(1, stackLevel=99), "InvalidProfile"),
        (1, profile(1, profile_id=2), "DuplicateProfile"),
    ],
)
async def test_profiles_that_cannot_hold_are_refused(evse_id: int, bad: dict[str, Any], reason: str) -> None:
    async with bench201() as b:
        assert await b.csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": profile(9_000)}) == ACCEPTED
        answer = await b.csms.call("SetChargingProfile", {"evseId": evse_id, "chargingProfile": bad})
        assert answer["statusInfo"]["reasonCode"] == reason
        await settled(b.station)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("supply", [Supply.ac(), Supply.dc()], ids=["AC", "DC"])
async def test_a_car_tells_what_it_needs_and_then_what_it_plans(supply: Supply, version: Version) -> None:
    async with bench201(versions=(version,), nameplate=Nameplate(supply=supply)) as b:
        departs_at = datetime(2026, 3, 1, 18, tzinfo=UTC)
        assert not b.station.profiles.tell_needs(1, departs_at)
        b.station.charging.plug_in(1, car(supply=supply))
        assert await b.station.charging.present_tag(1, "04AB")
        assert b.station.profiles.tell_needs(1, departs_at)
        needs = (await b.csms.expect("NotifyEVChargingNeeds"))["chargingNeeds"]
        assert needs["requestedEnergyTransfer"] == ("DC" if supply.is_dc else "AC_three_phase")
        assert needs["departureTime"] == "2026-03-01T18:00:00.000Z"
        assert b.evse.transaction is not None
        own = profile(7_000, "TxProfile", transactionId=b.evse.transaction.transaction_id)
        assert await b.csms.call("SetChargingProfile", {"evseId": 1, "chargingProfile": own}) == ACCEPTED
        plan = await b.csms.expect("NotifyEVChargingSchedule")
        assert plan["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 7_000
