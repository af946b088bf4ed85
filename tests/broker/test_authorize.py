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
from tests.broker.scripted import scripted

pytestmark = pytest.mark.feature("S27")
UID = "04E91C5A6F2A80"


async def _ask(client: object, version: Version) -> str:
    if version is Version.V16:
        return str((await call(client, "Authorize", idTag=UID))[2]["idTagInfo"]["status"])  # type: ignore[arg-type]
    answer = await call(client, "Authorize", idToken={"idToken": UID, "type": "ISO14443"})  # type: ignore[arg-type]
    return str(answer[2]["idTokenInfo"]["status"])


@pytest.mark.ocpp("1.6 Authorize", "2.x Authorize")
@pytest.mark.parametrize("version", [Version.V16, *VERSIONS_2])
@pytest.mark.octt("TC_023_1_CSMS", "TC_023_3_CSMS", "TC_C_02_CSMS", "TC_C_06_CSMS")
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


@pytest.mark.ocpp("1.6 StopTransaction", "2.x TransactionEvent")
@pytest.mark.octt("TC_C_39_CSMS")
@pytest.mark.parametrize("version", [Version.V16, *VERSIONS_2])
@pytest.mark.parametrize(("stopper", "is_stranger"), [("PARENT", False), ("MEMBER-2", False), ("STRANGER", True)])
async def test_a_charge_is_stopped_by_its_group_and_marked_when_by_another(
    bench: Bench, api: httpx.AsyncClient, version: Version, *, stopper: str, is_stranger: bool
) -> None:
    for uid, group in (("MEMBER-1", "PARENT"), ("MEMBER-2", "PARENT"), ("PARENT", None), ("STRANGER", None)):
        await api.post("/api/v1/tokens", json={"uid": uid, "group_uid": group})
    async with scripted(bench, version) as station:
        at = {"timestamp": "2026-01-01T00:00:00Z"}
        if version is Version.V16:
            started = await station.call("StartTransaction", connectorId=1, idTag="MEMBER-1", meterStart=0, **at)
            transaction_id = started["transactionId"]
            stopped = await station.call(
                "StopTransaction", transactionId=transaction_id, idTag=stopper, meterStop=9, reason="Local", **at
            )
            first, last = started["idTagInfo"], stopped["idTagInfo"]
            groups = first.get("parentIdTag"), last.get("parentIdTag")
        else:
            event = {"transactionInfo": {"transactionId": "T-1"}, "evse": {"id": 1, "connectorId": 1}, **at}
            first, last = [
                (
                    await station.call(
                        "TransactionEvent",
                        eventType=kind,
                        triggerReason=trigger,
                        seqNo=number,
                        idToken={"idToken": uid, "type": "ISO14443"},
                        **event,
                    )
                )["idTokenInfo"]
                for number, kind, trigger, uid in (
                    (0, "Started", "Authorized", "MEMBER-1"),
                    (1, "Ended", "StopAuthorized", stopper),
                )
            ]
            groups = first["groupIdToken"]["idToken"], last.get("groupIdToken", {}).get("idToken")
        assert (first["status"], last["status"]) == ("Accepted", "Accepted")
        assert groups == ("PARENT", None if is_stranger else "PARENT")
        (log,) = (await api.get("/api/v1/charge-logs")).json()["items"]
        assert log["state"] == "finished"
        assert ("other_token" in log["flags"]) is is_stranger


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
        await runtime.bus.publish(f"{LIVE_SUBJECT}.{token.organisation_id}", orjson.dumps([news]))

        async def is_blocked() -> bool:
            return await _ask(client, Version.V16) == "Blocked"

        await eventually(is_blocked)
