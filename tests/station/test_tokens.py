"""S27: who may charge, over OCPP and over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.station.information import Station
from csms.station.tokens import TokenPolicy, UnknownTokens
from csms.station.tokens.service import CACHED_FOR, Recent
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S27")
TOKENS = "/api/v1/tokens"
UID = "04E91C5A6F2A80"


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store)


@pytest.fixture
async def calling(store: Store, station: Station) -> CallingStation:
    return await connect(store, station)


async def _asks(calling: CallingStation, uid: str = UID) -> dict[str, Any]:
    answer = await calling.call("Authorize", idTag=uid)
    info: dict[str, Any] = answer["idTagInfo"]
    return info


async def _register(api: httpx.AsyncClient, **fields: Any) -> str:
    answer = await api.post(TOKENS, json={"uid": UID, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_a_registered_token_is_accepted_whatever_its_case(
    api: httpx.AsyncClient, calling: CallingStation
) -> None:
    await _register(api)
    assert await _asks(calling) == {"status": "Accepted"}
    assert await _asks(calling, UID.lower()) == {"status": "Accepted"}


async def test_a_blocked_token_is_refused_at_once_in_this_process(
    api: httpx.AsyncClient, calling: CallingStation
) -> None:
    token_id = await _register(api)
    assert await _asks(calling) == {"status": "Accepted"}
    assert (await api.patch(f"{TOKENS}/{token_id}", json={"is_blocked": True})).json()["is_blocked"] is True
    assert await _asks(calling) == {"status": "Blocked"}


async def test_a_token_holds_from_its_first_to_its_last_moment(
    api: httpx.AsyncClient, calling: CallingStation, clock: FixedClock
) -> None:
    begin, end = clock() + timedelta(hours=1), clock() + timedelta(hours=2)
    await _register(api, valid_from=begin.isoformat(), valid_until=end.isoformat(), group_uid="FLEET")
    rest = {"expiryDate": write(end), "parentIdTag": "FLEET"}
    assert await _asks(calling) == rest | {"status": "Invalid"}
    clock.at = begin
    assert await _asks(calling) == rest | {"status": "Accepted"}
    clock.at = end
    assert await _asks(calling) == rest | {"status": "Expired"}


async def test_an_unknown_token_is_refused_unless_the_policy_or_the_demo_takes_it(
    api: httpx.AsyncClient, store: Store, calling: CallingStation
) -> None:
    demo = await connect(store, await make_station(store, is_demo=True))
    assert await _asks(calling) == {"status": "Invalid"}
    assert await _asks(demo) == {"status": "Accepted"}
    assert (await api.get("/api/v1/token-policy")).json()["unknown_tokens"] == "refuse"
    assert (await api.put("/api/v1/token-policy", json={"unknown_tokens": "accept"})).status_code == 200
    assert await _asks(calling) == {"status": "Accepted"}
    assert (await api.get("/api/v1/token-policy")).json()["unknown_tokens"] == "accept"


async def test_a_blocked_token_is_refused_by_a_demo_too(api: httpx.AsyncClient, store: Store) -> None:
    await _register(api, is_blocked=True)
    assert await _asks(await connect(store, await make_station(store, is_demo=True))) == {"status": "Blocked"}


async def test_tokens_of_one_organisation_are_unknown_in_another(
    api: httpx.AsyncClient, api_as: ApiAs, store: Store
) -> None:
    other = await make_organisation(store, "Other")
    token_id = await _register(api)
    theirs = await api_as("administrator", other)
    assert (await theirs.get(TOKENS)).json()["items"] == []
    assert (await theirs.get(f"{TOKENS}/{token_id}")).status_code == 404
    assert (await theirs.patch(f"{TOKENS}/{token_id}", json={"is_blocked": True})).status_code == 404
    assert (await theirs.delete(f"{TOKENS}/{token_id}")).status_code == 404
    assert (await theirs.post(TOKENS, json={"uid": UID})).status_code == 201
    calling = await connect(store, await make_station(store, other))
    async with store.writing() as work:
        work.session.add(TokenPolicy(organisation_id=other.id, unknown_tokens=UnknownTokens.ACCEPT))
    assert await _asks(calling, "NOBODY") == {"status": "Accepted"}


async def test_the_same_token_twice_is_a_conflict(api: httpx.AsyncClient) -> None:
    await _register(api)
    answer = await api.post(TOKENS, json={"uid": UID.lower()})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"uid": ""},
        {"uid": "a\x00b"},
        {"uid": "ü"},
        {"uid": UID, "colour": "red"},
        {"uid": UID, "valid_from": "2027-01-02T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
        {"uid": UID, "valid_from": "2027-01-02T00:00:00"},
    ],
    ids=["none", "empty", "control character", "not ASCII", "unknown field", "ends before it begins", "no zone"],
)
async def test_what_is_no_token_is_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await api.post(TOKENS, json=body)).status_code == 422


async def test_a_change_that_ends_before_it_begins_is_refused(api: httpx.AsyncClient) -> None:
    token_id = await _register(api, valid_from="2027-01-02T00:00:00Z")
    answer = await api.patch(f"{TOKENS}/{token_id}", json={"valid_until": "2027-01-01T00:00:00Z"})
    assert answer.status_code == 422
    assert (await api.get(f"{TOKENS}/{token_id}")).json()["valid_until"] is None


async def test_tokens_are_found_by_any_of_their_texts(api: httpx.AsyncClient) -> None:
    await _register(api, label="100 % blue", holder="Alex Example")
    await _register(api, uid="OTHER", group_uid="FLEET", is_blocked=True)

    async def found(**params: Any) -> list[str]:
        return [one["uid"] for one in (await api.get(TOKENS, params=params)).json()["items"]]

    assert await found() == ["OTHER", UID]
    assert await found(q="alex") == [UID]
    assert await found(q="1c5a") == [UID]
    assert await found(q="fleet") == ["OTHER"]
    assert await found(q="%") == [UID]
    assert await found(q="_") == []
    assert await found(is_blocked=True) == ["OTHER"]
    assert (await api.get(TOKENS, params={"q": "\0"})).status_code == 422


async def test_a_removed_token_is_unknown(api: httpx.AsyncClient, calling: CallingStation) -> None:
    token_id = await _register(api)
    assert await _asks(calling) == {"status": "Accepted"}
    assert (await api.delete(f"{TOKENS}/{token_id}")).status_code == 204
    assert (await api.get(f"{TOKENS}/{token_id}")).status_code == 404
    assert await _asks(calling) == {"status": "Invalid"}


async def test_users_may_read_and_not_write(api_as: ApiAs, anonymous: httpx.AsyncClient) -> None:
    user = await api_as("user")
    assert (await anonymous.get(TOKENS)).status_code == 401
    assert (await user.get(TOKENS)).status_code == 200
    assert (await user.post(TOKENS, json={"uid": UID})).status_code == 403
    superuser = await api_as("superuser")
    assert (await superuser.post(TOKENS, json={"uid": UID})).status_code == 201
    assert (await superuser.put("/api/v1/token-policy", json={"unknown_tokens": "accept"})).status_code == 403


@pytest.mark.robustness(48)
async def test_no_log_line_shows_a_token(api: httpx.AsyncClient, calling: CallingStation) -> None:
    with structlog.testing.capture_logs() as lines:
        token_id = await _register(api)
        await _asks(calling)
        await api.get(f"{TOKENS}/{token_id}")
    assert UID not in str(lines)


async def test_what_was_read_is_kept_for_a_moment_and_not_for_ever(clock: FixedClock) -> None:
    recent: Recent[int] = Recent(size_max=2)
    reads: list[str] = []

    async def ask(name: str) -> int:
        async def read() -> int:
            reads.append(name)
            return len(reads)

        return await recent.get((1, name), clock(), read)

    assert [await ask("a"), await ask("a")] == [1, 1]
    clock.advance(seconds=CACHED_FOR.total_seconds())
    assert await ask("a") == 2
    clock.advance(seconds=-1)
    assert await ask("a") == 3, "a clock set back ends it too"
    for name in ("b", "a", "c"):
        await ask(name)
    assert len(recent) == 2
    await ask("a")
    assert reads == ["a", "a", "a", "b", "c"], "the least recently used one was dropped"
    recent.forget(2)
    await ask("a")
    assert len(reads) == 5
    recent.forget(1)
    await ask("a")
    assert reads[5:] == ["a"]
