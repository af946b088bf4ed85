"""S27: stations forget the tokens that they remember: on demand, and when a token is blocked or removed."""

from collections.abc import AsyncIterator

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.information import find_station
from csms.station.settings import Setting
from csms.station.token_cache.jobs import clear_wanted
from csms.station.token_cache.rules import is_enabled
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted

pytestmark = pytest.mark.feature("S27")
PATH, TOKENS = "/api/v1/stations/CS-1/token-cache", "/api/v1/tokens"


@pytest.fixture(params=[Version.V16, *VERSIONS_2])
async def station(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version(request.param)) as booted:
        booted.answers["ClearCache"] = {"status": "Accepted"}
        yield booted


async def has_cache(bench: Bench, version: Version, value: str = "true") -> None:
    """The station told whether it has one."""
    async with bench.store.writing() as work:
        station = await find_station(work, "CS-1")
        assert station is not None
        component, variable = (None, "AuthorizationCacheEnabled")
        key = variable.lower()
        if version is not Version.V16:
            component, variable, key = "AuthCacheCtrlr", "Enabled", "authcachectrlr/enabled"
        owner = {"organisation_id": station.organisation_id, "station_id": station.id}
        row = {"key": key, "name": key, "component": component, "variable": variable, "value": value}
        work.session.add(Setting(**owner, **row))


async def run(runtime: Runtime, clock: FixedClock, seconds: int = 61) -> None:
    await runtime.outbox.deliver_due()
    clock.advance(seconds=seconds)
    await clear_wanted(runtime)


@pytest.mark.ocpp("1.6 ClearCache", "2.x ClearCache")
@pytest.mark.octt("TC_061_CSMS", "TC_C_37_CSMS")
async def test_a_cache_is_cleared_on_demand(
    station: ScriptedStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    before = (await api.get(PATH)).json()
    assert before == {"station_id": "CS-1", "is_enabled": None, "cleared_at": None, "last_word": None}
    after = (await api.post(f"{PATH}/clear")).json()
    assert (after["outcome"], after["last_word"]) == ("answered", "Accepted")
    assert after["cleared_at"] is not None
    assert len(station.sent("ClearCache")) == 1


@pytest.mark.octt("TC_C_38_CSMS")
async def test_a_station_without_a_cache_says_so(station: ScriptedStation, api: httpx.AsyncClient) -> None:
    station.answers["ClearCache"] = {"status": "Rejected"}
    after = (await api.post(f"{PATH}/clear")).json()
    assert (after["last_word"], after["cleared_at"]) == ("Rejected", None)


async def test_a_blocked_or_removed_token_is_forgotten_by_stations_that_have_a_cache(
    station: ScriptedStation, api: httpx.AsyncClient, runtime: Runtime, clock: FixedClock, bench: Bench
) -> None:
    await has_cache(bench, station.version)
    token_id = (await api.post(TOKENS, json={"uid": "CARD-1"})).json()["id"]
    await run(runtime, clock)
    assert station.requests == [], "a new token is in no cache"
    await api.patch(f"{TOKENS}/{token_id}", json={"is_blocked": True})
    for _ in range(2):
        await run(runtime, clock)
    assert len(station.sent("ClearCache")) == 1, "once is enough"
    await api.delete(f"{TOKENS}/{token_id}")
    await run(runtime, clock, seconds=601)
    assert len(station.sent("ClearCache")) == 2
    assert (await api.get(PATH)).json()["is_enabled"] is True


async def test_a_station_that_remembers_nothing_is_left_alone(
    station: ScriptedStation, api: httpx.AsyncClient, runtime: Runtime, clock: FixedClock, bench: Bench
) -> None:
    for uid, is_told in (("CARD-1", False), ("CARD-2", True)):
        if is_told:
            await has_cache(bench, station.version, "false")
        token_id = (await api.post(TOKENS, json={"uid": uid})).json()["id"]
        await api.delete(f"{TOKENS}/{token_id}")
        await run(runtime, clock, seconds=601)
        assert station.requests == []


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_the_policy_may_leave_caches_alone(
    station: ScriptedStation, api: httpx.AsyncClient, runtime: Runtime, clock: FixedClock, bench: Bench
) -> None:
    await has_cache(bench, station.version)
    await api.put("/api/v1/token-policy", json={"unknown_tokens": "refuse", "is_cache_cleared": False})
    token_id = (await api.post(TOKENS, json={"uid": "CARD-1"})).json()["id"]
    await api.delete(f"{TOKENS}/{token_id}")
    await run(runtime, clock)
    assert station.requests == []


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_a_station_that_does_not_answer_is_told_again_later(
    station: ScriptedStation, api: httpx.AsyncClient, runtime: Runtime, clock: FixedClock, bench: Bench
) -> None:
    del station.answers["ClearCache"]
    await has_cache(bench, station.version)
    token_id = (await api.post(TOKENS, json={"uid": "CARD-1"})).json()["id"]
    await api.delete(f"{TOKENS}/{token_id}")
    await run(runtime, clock)
    await run(runtime, clock)
    assert len(station.sent("ClearCache")) == 1
    station.answers["ClearCache"] = {"status": "Accepted"}
    await run(runtime, clock, seconds=601)
    await run(runtime, clock, seconds=601)
    assert len(station.sent("ClearCache")) == 2


@pytest.mark.parametrize(("value", "expected"), [("true", True), (" TRUE ", True), ("false", False), (None, None)])
def test_whether_there_is_a_cache(value: str | None, *, expected: bool | None) -> None:
    assert is_enabled(value) is expected
