"""B3, S6: an operator's wishes in the words of OCPP 2.0.1 and 2.1, and what becomes of remote starts."""

from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.calls import Answered
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeLog
from csms.station.information import Station
from csms.station.tokens import Token, TokenKind, token_key
from csms.store import Store
from tests.builders import connect, make_station
from tests.station.test_commands import Node

pytestmark = [pytest.mark.feature("B3", "S6"), pytest.mark.parametrize("version", VERSIONS_2)]
AT = "2026-01-01T00:00:00Z"


@pytest.fixture
async def station(store: Store, version: Version) -> Station:
    return await make_station(store, protocol=version.value)


@pytest.fixture
async def node(runtime: Runtime, station: Station) -> Node:
    node = Node(runtime)
    await node.hold(station)
    return node


async def ordered(api: httpx.AsyncClient, node: Node, path: str, body: Any = None) -> tuple[str, Any]:
    """What the station was sent for that wish."""
    answer = await api.post(f"/api/v1/stations/{node.identity}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "answered"
    return node.orders[-1].action, node.orders[-1].payload


@pytest.mark.ocpp("2.x Reset", "2.x UnlockConnector", "2.x ChangeAvailability")
@pytest.mark.octt("TC_B_20_CSMS", "TC_B_21_CSMS", "TC_B_22_CSMS", "TC_B_25_CSMS", "TC_F_20_CSMS", "TC_G_03_CSMS")
@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        (("restart", {}), ("Reset", {"type": "Immediate"})),
        (("restart", {"kind": "hard"}), ("Reset", {"type": "Immediate"})),
        (("restart", {"kind": "when_idle"}), ("Reset", {"type": "OnIdle"})),
        (("restart", {"charge_point_number": 2}), ("Reset", {"type": "Immediate", "evseId": 2})),
        (("charge-points/1/unlock", None), ("UnlockConnector", {"evseId": 1, "connectorId": 1})),
        (("charge-points/1/unlock?connector_number=2", None), ("UnlockConnector", {"evseId": 1, "connectorId": 2})),
        (
            ("charge-points/0/availability", {"state": "inoperative"}),
            ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
        ),
        (
            ("charge-points/2/availability", {"state": "operative", "connector_number": 1}),
            ("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2, "connectorId": 1}}),
        ),
    ],
)
async def test_short_forms_send_the_right_message(
    api: httpx.AsyncClient, node: Node, version: Version, wish: tuple[str, Any], sent: tuple[str, Any]
) -> None:
    assert await ordered(api, node, *wish) == sent
    assert check(version, sent[0], "request", sent[1]) is None


@pytest.mark.ocpp("2.x RequestStartTransaction")
@pytest.mark.octt("TC_F_01_CSMS", "TC_F_03_CSMS")
async def test_a_start_names_the_kind_of_the_token(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version
) -> None:
    async with store.writing() as work:
        owner = {"organisation_id": station.organisation_id, "created_at": work.now}
        work.session.add(Token(**owner, uid="04A2", uid_key=token_key("04A2"), kind=TokenKind.ISO15693))
    numbers = set()
    for body, kind in (
        ({"token": "04a2"}, "ISO15693"),
        ({"token": "app-user-7"}, "Central"),
        ({"token": "DE8AA1A2B3C4D5", "kind": "emaid"}, "eMAID"),
    ):
        action, payload = await ordered(api, node, "charge-points/2/start", body)
        assert (action, payload["evseId"]) == ("RequestStartTransaction", 2)
        assert payload["idToken"] == {"idToken": body["token"], "type": kind}
        assert check(version, action, "request", payload) is None
        numbers.add(payload["remoteStartId"])
    assert len(numbers) == 3
    too_long = await api.post(f"/api/v1/stations/{node.identity}/charge-points/2/start", json={"token": "x" * 256})
    assert too_long.status_code == 422


async def test_the_charge_that_a_remote_start_led_to(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version
) -> None:
    """Also where the station accepts and nothing ever begins; and our own token is good for it."""
    calling = await connect(store, station, version)
    requests = []
    for _ in range(2):
        _, payload = await ordered(api, node, "charge-points/1/start", {"token": "app-user-7"})
        await calling.answered("RequestStartTransaction", payload, {"status": "Accepted"})
        requests.append(payload)
    begun = {
        "eventType": "Started",
        "timestamp": AT,
        "triggerReason": "RemoteStart",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T-1", "remoteStartId": requests[1]["remoteStartId"]},
        "evse": {"id": 1},
        "idToken": requests[1]["idToken"],
    }
    assert (await calling.call("TransactionEvent", **begun))["idTokenInfo"]["status"] == "Accepted"
    commands = (await api.get(f"/api/v1/stations/{station.identity}/commands")).json()["items"]
    (log,) = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs")).json()["items"]
    assert [one["charge_log_id"] for one in commands] == [log["id"], None]
    path = f"/api/v1/stations/{station.identity}/commands/{commands[0]['id']}"
    assert (await api.get(path)).json()["charge_log_id"] == log["id"]
    assert log["remote_start_id"] == requests[1]["remoteStartId"]
    stranger = begun | {"transactionInfo": {"transactionId": "T-2"}, "evse": {"id": 2}}
    assert (await calling.call("TransactionEvent", **stranger))["idTokenInfo"]["status"] != "Accepted"


@pytest.mark.ocpp("2.x RequestStopTransaction", "2.x GetTransactionStatus", "2.x CostUpdated")
@pytest.mark.octt("TC_F_04_CSMS", "TC_E_29_CSMS", "TC_E_30_CSMS", "TC_I_02_CSMS")
async def test_a_running_charge_is_asked_about_told_its_cost_and_stopped(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version
) -> None:
    calling = await connect(store, station, version)
    begun = {"eventType": "Started", "timestamp": AT, "triggerReason": "CablePluggedIn", "seqNo": 0}
    await calling.call("TransactionEvent", **begun, transactionInfo={"transactionId": "T-1"}, evse={"id": 1})
    async with store.reading() as work:
        charge = (await work.session.exec(select(ChargeLog))).one()

    async def asked(what: str, body: Any = None) -> tuple[str, Any]:
        answer = await api.post(f"/api/v1/charge-logs/{charge.id}/{what}", json=body)
        assert answer.status_code == 200, answer.text
        return node.orders[-1].action, node.orders[-1].payload

    assert await asked("stop") == ("RequestStopTransaction", {"transactionId": "T-1"})
    status = {"messagesInQueue": True, "ongoingIndicator": True}
    node.outcome = Answered(status)
    action, request = await asked("ask-status")
    assert (action, request) == ("GetTransactionStatus", {"transactionId": "T-1"})
    await calling.answered(action, request, status)
    node.outcome = Answered({})
    action, request = await asked("cost", {"total_cost": 3.75})
    assert (action, request) == ("CostUpdated", {"totalCost": 3.75, "transactionId": "T-1"})
    await calling.answered(action, request, {})
    shown = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs/{charge.id}")).json()
    assert (shown["status_told"]["is_ongoing"], shown["status_told"]["has_queued_messages"]) == (True, True)
    assert shown["cost_told"] == 3.75
    ended = begun | {"eventType": "Ended", "seqNo": 1}
    await calling.call("TransactionEvent", **ended, transactionInfo={"transactionId": "T-1"}, evse={"id": 1})
    for what, body, code in (("stop", None, 409), ("cost", {"total_cost": 1}, 409), ("ask-status", None, 200)):
        assert (await api.post(f"/api/v1/charge-logs/{charge.id}/{what}", json=body)).status_code == code
    await calling.answered("GetTransactionStatus", {"transactionId": "T-1"}, {"messagesInQueue": False})
    told = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs/{charge.id}")).json()["status_told"]
    assert (told["is_ongoing"], told["has_queued_messages"]) == (True, False)


async def test_a_status_of_no_transaction_is_only_in_the_command_log(
    station: Station, store: Store, version: Version
) -> None:
    calling = await connect(store, station, version)
    await calling.answered("GetTransactionStatus", {}, {"messagesInQueue": False})
    await calling.answered("CostUpdated", {"transactionId": "unknown", "totalCost": 1.0}, {})
    async with store.reading() as work:
        assert (await work.session.exec(select(ChargeLog))).all() == []
