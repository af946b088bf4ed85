"""S25: what stations tell, however odd; and what is forgotten in time or with the station."""

import copy
import random
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.charging_profiles import ChargingProfile
from csms.station.charging_profiles.jobs import forget, settle
from csms.station.charging_profiles.model import ChargingLimit, CompositeSchedule, PriorityCharge, ProfileReport
from csms.station.vehicle_charging.model import VehicleCharging
from csms.store import Store
from tests.builders import CallingStation, connect, make_station

pytestmark = pytest.mark.feature("S25")

Payload = dict[str, Any]
SCHEDULE: Payload = {
    "id": 1,
    "chargingRateUnit": "A",
    "startSchedule": "2026-01-01T00:00:00Z",
    "duration": 3600,
    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": 6.5}],
}
PROFILE: Payload = {
    "id": 3,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Recurring",
    "recurrencyKind": "Daily",
    "validFrom": "2026-01-01T00:00:00Z",
    "chargingSchedule": [SCHEDULE],
}
TELLS: dict[str, Payload] = {
    "ReportChargingProfiles": {
        "requestId": 1,
        "chargingLimitSource": "CSO",
        "evseId": 1,
        "tbc": False,
        "chargingProfile": [PROFILE],
    },
    "NotifyChargingLimit": {
        "evseId": 1,
        "chargingLimit": {"chargingLimitSource": "EMS", "isGridCritical": True},
        "chargingSchedule": [SCHEDULE],
    },
    "ClearedChargingLimit": {"chargingLimitSource": "EMS", "evseId": 1},
    "NotifyEVChargingNeeds": {
        "evseId": 1,
        "maxScheduleTuples": 3,
        "chargingNeeds": {
            "requestedEnergyTransfer": "DC",
            "departureTime": "2026-01-01T06:00:00Z",
            "dcChargingParameters": {"evMaxCurrent": 100, "evMaxVoltage": 400},
        },
    },
    "NotifyEVChargingSchedule": {"evseId": 1, "timeBase": "2026-01-01T00:00:00Z", "chargingSchedule": SCHEDULE},
}
ONLY_21: dict[str, Payload] = {
    "PullDynamicScheduleUpdate": {"chargingProfileId": 3},
    "NotifyPriorityCharging": {"transactionId": "tx-1", "activated": True},
}
ANSWERS: dict[str, tuple[Payload, Payload]] = {
    "SetChargingProfile": ({"evseId": 1, "chargingProfile": PROFILE}, {"status": "Accepted"}),
    "ClearChargingProfile": ({"chargingProfileCriteria": {"evseId": 1}}, {"status": "Accepted"}),
    "GetChargingProfiles": (
        {"requestId": 1, "evseId": 1, "chargingProfile": {"stackLevel": 0}},
        {"status": "NoProfiles", "statusInfo": {"reasonCode": "x"}},
    ),
    "GetCompositeSchedule": (
        {"evseId": 1, "duration": 600},
        {"status": "Accepted", "schedule": {**SCHEDULE, "evseId": 1, "scheduleStart": "2026-01-01T00:00:00Z"}},
    ),
}
ODD: list[Any] = [
    None,
    "",
    "x" * 300,
    -1,
    0,
    2**62,
    1.5,
    True,
    [],
    {},
    [None],
    [{}],
    "9999-12-31T23:59:59Z",
    "tomorrow",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside a payload."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in ((*path, key), *places(inner, (*path, key)))]


def spoilt(payload: Payload, dice: random.Random) -> Payload:
    """The payload with an odd value, or none, at one place."""
    copied = copy.deepcopy(payload)
    *parents, last = dice.choice(places(copied))
    inner: Any = copied
    for key in parents:
        inner = inner[key]
    if isinstance(inner, dict) and dice.random() < 0.25:
        del inner[last]
    else:
        inner[last] = dice.choice(ODD)
    return copied


async def shown(api: httpx.AsyncClient, identity: str) -> None:
    """Every resource that shows what was told can still be read."""
    url = f"/api/v1/stations/{identity}"
    for path in (
        "charging-profiles",
        "charging-limits",
        "charge-points/1/composite-schedule",
        "charge-points/1/vehicle",
    ):
        answer = await api.get(f"{url}/{path}")
        assert answer.status_code in (200, 404), answer.text


async def tell_everything(calling: CallingStation, change: Any) -> None:
    more = ONLY_21 if calling.connected.version is Version.V21 else {}
    for action, payload in {**TELLS, **more}.items():
        await calling.call(action, **change(payload))
    for action, (request, answer) in ANSWERS.items():
        await calling.answered(action, request, change(answer))
        await calling.answered(action, change(request), answer)


@pytest.mark.parametrize("version", VERSIONS_2)
async def test_no_odd_value_makes_a_handler_or_a_page_fail(
    store: Store, api: httpx.AsyncClient, version: Version
) -> None:
    station = await make_station(store, protocol=version.value)
    calling = await connect(store, station, version)
    await api.put("/api/v1/vehicle-charging-policy", json={"plans_for_vehicles": True})
    dice = random.Random(20260101)
    await tell_everything(calling, lambda payload: payload)
    await shown(api, station.identity)
    for turn in range(24):
        await tell_everything(calling, lambda payload: spoilt(payload, dice))
        if turn % 4 == 0:
            await shown(api, station.identity)


TABLES = (ChargingProfile, ChargingLimit, CompositeSchedule, ProfileReport, PriorityCharge, VehicleCharging)


async def counts(store: Store) -> list[int]:
    async with store.reading() as work:
        return [len((await work.session.exec(select(table))).all()) for table in TABLES]


async def test_a_deleted_station_leaves_nothing_behind(store: Store, api: httpx.AsyncClient, runtime: Runtime) -> None:
    station = await make_station(store, protocol=Version.V21.value)
    calling = await connect(store, station, Version.V21)
    await tell_everything(calling, lambda payload: payload)
    async with store.writing() as work:
        owned = {"organisation_id": station.organisation_id, "station_id": station.id, "charge_point_number": 1}
        about = {"transaction_id": "t", "is_active": True, "changed_at": work.now, "is_own_wish": False}
        work.session.add(PriorityCharge(**owned, **about))
    assert 0 not in await counts(store)
    assert (await api.delete(f"/api/v1/stations/{station.identity}")).is_success
    await runtime.outbox.deliver_due()
    assert await counts(store) == [0] * len(TABLES)


async def test_time_ends_and_forgets_profiles(store: Store, runtime: Runtime, clock: FixedClock) -> None:
    station = await make_station(store, protocol=Version.V201.value)
    calling = await connect(store, station, Version.V201)
    for profile_id, valid_to in ((1, None), (2, "2026-01-01T01:00:00Z")):
        profile = {**PROFILE, "id": profile_id, "stackLevel": profile_id}
        profile |= {} if valid_to is None else {"validTo": valid_to}
        await calling.answered("SetChargingProfile", {"evseId": 1, "chargingProfile": profile}, {"status": "Accepted"})
    async with store.writing() as work:
        waiting = (await work.session.exec(select(ChargingProfile).where(ChargingProfile.profile_id == 1))).one()
        values = waiting.model_dump(exclude={"id"}) | {"state": "sent", "profile_id": 3}
        work.session.add(ChargingProfile(**values))
    clock.advance(hours=1)
    await settle(runtime)
    assert await states(store) == {1: "accepted", 2: "ended", 3: "uncertain"}
    clock.advance(days=runtime.settings.history_kept_days - 1)
    await forget(runtime)
    assert len(await states(store)) == 3
    clock.at += timedelta(days=2)
    await forget(runtime)
    assert await states(store) == {1: "accepted"}


async def states(store: Store) -> dict[int, str]:
    async with store.reading() as work:
        rows = await work.session.exec(select(ChargingProfile))
        return {row.profile_id: row.state.value for row in rows}
