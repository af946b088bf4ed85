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
@pytest.mark.parametrize(
    ("wish", "sent"),
    [
        (("restart", {}), ("Reset", {"type": "Immediate"})),
        (("restart", {"kind": "hard"}), ("Reset", {"type": "Immediate"})),
        pytest.param(
            ("restart", {"kind": "when_idle"}), ("Reset", {"type": "OnIdle"}), marks=pytest.mark.octt("TC_B_20_CSMS")
        ),
        (("restart", {"charge_point_number": 2}), ("Reset", {"type": "Immediate", "evseId": 2})),
        pytest.param(
            ("restart", {"kind": "when_idle", "charge_point_number": 2}),
            ("Reset", {"type": "OnIdle", "evseId": 2}),
            marks=pytest.mark.octt("TC_B_25_CSMS"),
        ),
        (("charge-points/1/unlock", None), ("UnlockConnector", {"evseId": 1, "connectorId": 1})),
        (("charge-points/1/unlock?connector_number=2", None), ("UnlockConnector", {"evseId": 1, "connectorId": 2})),
        pytest.param(
            ("charge-points/2/availability", {"state": "inoperative"}),
            ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 2}}),
            marks=pytest.mark.octt("TC_G_03_CSMS"),
        ),
        pytest.param(
            ("charge-points/2/availability", {"state": "operative"}),
            ("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2}}),
            marks=pytest.mark.octt("TC_G_04_CSMS"),
        ),
        pytest.param(
            ("charge-points/0/availability", {"state": "inoperative"}),
            ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
            marks=pytest.mark.octt("TC_G_05_CSMS"),
        ),
        pytest.param(
            ("charge-points/0/availability", {"state": "operative"}),
            ("ChangeAvailability", {"operationalStatus": "Operative"}),
            marks=pytest.mark.octt("TC_G_06_CSMS"),
        ),
        pytest.param(
            ("charge-points/2/availability", {"state": "inoperative", "connector_number": 1}),
            ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 2, "connectorId": 1}}),
            marks=pytest.mark.octt("TC_G_07_CSMS"),
        ),
        pytest.param(
            ("charge-points/2/availability", {"state": "operative", "connector_number": 1}),
            ("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 2, "connectorId": 1}}),
            marks=pytest.mark.octt("TC_G_08_CSMS"),
        ),
    ],
)
async def test_short_forms_send_the_right_message(
    api: httpx.AsyncClient, node: Node, version: Version, wish: tuple[str, Any], sent: tuple[str, Any]
) -> None:
    assert await ordered(api, node, *wish) == sent
    assert check(version, sent[0], "request", sent[1]) is None


@pytest.mark.ocpp("2.x UnlockConnector")
@pytest.mark.octt("TC_F_06_CSMS")
@pytest.mark.parametrize("word", ["Unlocked", "UnlockFailed", "OngoingAuthorizedTransaction", "UnknownConnector"])
async def test_what_became_of_the_lock_is_told(api: httpx.AsyncClient, node: Node, version: Version, word: str) -> None:
    answer = {"status": word}
    assert check(version, "UnlockConnector", "response", answer) is None
    node.outcome = Answered(answer)
    shown = (await api.post(f"/api/v1/stations/{node.identity}/charge-points/1/unlock")).json()
    assert (shown["outcome"], shown["payload"]) == ("answered", answer)


@pytest.mark.ocpp("2.x Reset", "2.x TransactionEvent")
@pytest.mark.parametrize(
    ("wish", "answer", "reason"),
    [
        pytest.param({"kind": "when_idle"}, "Scheduled", "Local", marks=pytest.mark.octt("TC_B_21_CSMS")),
        pytest.param({"kind": "hard"}, "Accepted", "ImmediateReset", marks=pytest.mark.octt("TC_B_22_CSMS")),
        pytest.param(
            {"kind": "when_idle", "charge_point_number": 1},
            "Scheduled",
            "Local",
            marks=pytest.mark.octt("TC_B_26_CSMS"),
        ),
        pytest.param(
            {"kind": "hard", "charge_point_number": 1},
            "Accepted",
            "ImmediateReset",
            marks=pytest.mark.octt("TC_B_27_CSMS"),
        ),
    ],
)
async def test_a_restart_ends_a_charge_or_waits_for_its_end(
    api: httpx.AsyncClient,
    node: Node,
    station: Station,
    store: Store,
    version: Version,
    *,
    wish: dict[str, Any],
    answer: str,
    reason: str,
) -> None:
    calling = await connect(store, station, version)
    event = {"timestamp": AT, "transactionInfo": {"transactionId": "T-1"}, "evse": {"id": 1}}
    await calling.call("TransactionEvent", eventType="Started", triggerReason="CablePluggedIn", seqNo=0, **event)
    node.outcome = Answered({"status": answer})
    shown = (await api.post(f"/api/v1/stations/{node.identity}/restart", json=wish)).json()
    assert shown["payload"] == {"status": answer}
    assert node.orders[-1].payload.get("evseId") == wish.get("charge_point_number")
    charges = f"/api/v1/stations/{station.identity}/charge-logs"
    assert [one["state"] for one in (await api.get(charges)).json()["items"]] == ["running"]
    trigger = "ResetCommand" if reason == "ImmediateReset" else "StopAuthorized"
    ended = event | {"transactionInfo": {"transactionId": "T-1", "stoppedReason": reason}}
    await calling.call("TransactionEvent", eventType="Ended", triggerReason=trigger, seqNo=1, **ended)
    if "charge_point_number" not in wish:
        boot = {"chargingStation": {"model": "M", "vendorName": "V"}, "reason": "RemoteReset"}
        if answer == "Scheduled":
            boot["reason"] = "ScheduledReset"
        assert (await calling.call("BootNotification", **boot))["status"] == "Accepted"
    (log,) = (await api.get(charges)).json()["items"]
    assert (log["state"], log["stop_reason"]) == ("finished", "HardReset" if reason == "ImmediateReset" else "Local")


@pytest.mark.ocpp("2.x RequestStartTransaction")
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


def flow(*steps: str) -> tuple[str, ...]:
    return steps


@pytest.mark.ocpp("2.x RequestStartTransaction", "2.x Authorize", "2.x TransactionEvent")
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(flow("CablePluggedIn", "start", "RemoteStart", "ends"), marks=pytest.mark.octt("TC_F_01_CSMS")),
        pytest.param(
            flow("start", "authorize", "RemoteStart", "CablePluggedIn", "ends"), marks=pytest.mark.octt("TC_F_02_CSMS")
        ),
        pytest.param(flow("start", "RemoteStart", "CablePluggedIn", "ends"), marks=pytest.mark.octt("TC_F_03_CSMS")),
        pytest.param(flow("start", "RemoteStart", "times out"), marks=pytest.mark.octt("TC_F_04_CSMS")),
    ],
    ids=["cable first", "with authorisation", "without", "no cable"],
)
async def test_a_remote_start_is_followed_to_the_end_of_its_charge(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version, *, steps: tuple[str, ...]
) -> None:
    calling = await connect(store, station, version)
    await api.post("/api/v1/tokens", json={"uid": "app-user-7", "kind": "central"})
    body = {"token": "app-user-7"}
    request: dict[str, Any] = {}
    told = 0
    for step in steps:
        event: dict[str, Any] = {"timestamp": AT, "seqNo": told, "evse": {"id": 1, "connectorId": 1}}
        event |= {"eventType": "Updated" if told else "Started", "transactionInfo": {"transactionId": "T-1"}}
        if step == "start":
            _, request = await ordered(api, node, "charge-points/1/start", body)
            await calling.answered("RequestStartTransaction", request, {"status": "Accepted"})
            continue
        if step == "authorize":
            answer = await calling.call("Authorize", idToken=request["idToken"])
            assert answer["idTokenInfo"]["status"] == "Accepted"
            continue
        if step == "RemoteStart":
            event["transactionInfo"]["remoteStartId"] = request["remoteStartId"]
            event |= {"triggerReason": step, "idToken": request["idToken"]}
        elif step == "CablePluggedIn":
            event["triggerReason"] = step
        else:
            reason, trigger = ("Local", "EVDeparted") if step == "ends" else ("Timeout", "EVConnectTimeout")
            event |= {"eventType": "Ended", "triggerReason": trigger}
            event["transactionInfo"]["stoppedReason"] = reason
        answer = await calling.call("TransactionEvent", **event)
        assert answer == ({"idTokenInfo": {"status": "Accepted"}} if "idToken" in event else {})
        told += 1
    (log,) = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs")).json()["items"]
    assert (log["state"], log["token"], log["remote_start_id"]) == ("finished", "app-user-7", request["remoteStartId"])
    (command,) = (await api.get(f"/api/v1/stations/{station.identity}/commands")).json()["items"]
    assert command["charge_log_id"] == log["id"]


@pytest.mark.ocpp("2.x RequestStopTransaction", "2.x GetTransactionStatus", "2.x CostUpdated")
@pytest.mark.octt("TC_E_21_CSMS", "TC_E_29_CSMS", "TC_E_31_CSMS", "TC_I_01_CSMS")
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


@pytest.mark.ocpp("2.x GetTransactionStatus")
@pytest.mark.octt("TC_E_30_CSMS")
async def test_a_charge_that_goes_on_with_nothing_queued(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version
) -> None:
    calling = await connect(store, station, version)
    begun = {"eventType": "Started", "timestamp": AT, "triggerReason": "CablePluggedIn", "seqNo": 0}
    await calling.call("TransactionEvent", **begun, transactionInfo={"transactionId": "T-1"}, evse={"id": 1})
    (log,) = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs")).json()["items"]
    status = {"messagesInQueue": False, "ongoingIndicator": True}
    node.outcome = Answered(status)
    await api.post(f"/api/v1/charge-logs/{log['id']}/ask-status")
    await calling.answered(node.orders[-1].action, node.orders[-1].payload, status)
    told = (await api.get(f"/api/v1/stations/{station.identity}/charge-logs/{log['id']}")).json()["status_told"]
    assert (told["is_ongoing"], told["has_queued_messages"]) == (True, False)


@pytest.mark.parametrize(
    "is_queued",
    [
        pytest.param(True, marks=pytest.mark.octt("TC_E_33_CSMS")),
        pytest.param(False, marks=pytest.mark.octt("TC_E_34_CSMS")),
    ],
)
async def test_a_status_of_no_transaction_is_only_in_the_command_log(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, version: Version, *, is_queued: bool
) -> None:
    calling = await connect(store, station, version)
    node.outcome = Answered({"messagesInQueue": is_queued})
    shown = await api.post(f"/api/v1/stations/{node.identity}/commands/GetTransactionStatus", json={})
    assert (node.orders[-1].payload, shown.json()["payload"]) == ({}, {"messagesInQueue": is_queued})
    await calling.answered("GetTransactionStatus", {}, {"messagesInQueue": is_queued})
    await calling.answered("CostUpdated", {"transactionId": "unknown", "totalCost": 1.0}, {})
    async with store.reading() as work:
        assert (await work.session.exec(select(ChargeLog))).all() == []
