"""S27: Authorize over a real socket, and news of a token that another process changed."""

import httpx
import orjson
import pytest
from sqlalchemy import update
from sqlmodel import col

from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import LIVE_SUBJECT, Runtime
from csms.station.tokens import Token
from tests.broker.conftest import Bench, boot, call, eventually

pytestmark = pytest.mark.feature("S27")
UID = "04E91C5A6F2A80"


async def _ask(client: object, version: Version) -> str:
    if version is Version.V16:
        return str((await call(client, "Authorize", idTag=UID))[2]["idTagInfo"]["status"])  # type: ignore[arg-type]
    answer = await call(client, "Authorize", idToken={"idToken": UID, "type": "ISO14443"})  # type: ignore[arg-type]
    return str(answer[2]["idTokenInfo"]["status"])


@pytest.mark.ocpp("1.6 Authorize", "2.x Authorize")
@pytest.mark.octt("TC_C_01_CSMS", "TC_C_06_CSMS")
@pytest.mark.parametrize("version", [Version.V16, *VERSIONS_2])
async def test_a_token_is_judged_over_the_socket_and_blocked_at_once(
    bench: Bench, api: httpx.AsyncClient, version: Version
) -> None:
    async with bench.station(subprotocols=[version.value]) as client:
        if version is Version.V16:
            await boot(client)
        assert await _ask(client, version) in ("Unknown", "Invalid")
        token_id = (await api.post("/api/v1/tokens", json={"uid": UID})).json()["id"]
        assert await _ask(client, version) == "Accepted"
        await api.patch(f"/api/v1/tokens/{token_id}", json={"is_blocked": True})
        assert await _ask(client, version) == "Blocked"


async def test_a_token_that_another_process_blocked_is_refused_as_soon_as_the_news_are_here(
    bench: Bench, runtime: Runtime, api: httpx.AsyncClient
) -> None:
    made = (await api.post("/api/v1/tokens", json={"uid": UID})).json()
    async with bench.station() as client:
        await boot(client)
        assert await _ask(client, Version.V16) == "Accepted"
        async with runtime.store.writing() as work:
            await work.session.exec(update(Token).where(col(Token.id) == int(made["id"])).values(is_blocked=True))
            token = await work.session.get_one(Token, int(made["id"]))
        assert await _ask(client, Version.V16) == "Accepted", "this process has not heard of it"
        news = {"id": "1", "kind": "token_changed", "station": None, "at": "2026-01-01T00:00:00Z", "data": {}}
        await runtime.bus.publish(f"{LIVE_SUBJECT}.{token.organisation_id}", orjson.dumps(news))

        async def is_blocked() -> bool:
            return await _ask(client, Version.V16) == "Blocked"

        await eventually(is_blocked)
