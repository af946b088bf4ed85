"""B3: commands over HTTP, against a node that serves the station's subject on the real bus."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select

from csms.calls import (
    Answered,
    Disconnected,
    Expired,
    Order,
    Outcome,
    Refused,
    TimedOut,
    call_subject,
    read_order,
    write_outcome,
)
from csms.clock import FixedClock
from csms.ocpp.actions import ACTIONS, from_station, to_station
from csms.ocpp.versions import Version
from csms.rights import SYSTEM
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeLog
from csms.station.commands import Command, CommandOutcome, send
from csms.station.commands.examples import examples_of
from csms.station.commands.service import close_lost
from csms.station.information import Station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import connect, make_organisation, make_station

pytestmark = pytest.mark.feature("B3")

ACCEPTED = Answered({"status": "Accepted"})
Act = Callable[[Order], Awaitable[Outcome]]


class Node:
    """Holds stations' sockets, as far as the API can tell: notes each order and says what becomes of it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.orders: list[Order] = []
        self.act: Act | None = None
        self.outcome: Outcome = ACCEPTED
        self.identity = ""

    async def hold(self, station: Station) -> None:
        self.identity = station.identity
        await self.runtime.bus.serve(call_subject(station.identity), self._serve)

    async def _serve(self, data: bytes) -> bytes:
        order = read_order(data)
        self.orders.append(order)
        return write_outcome(await self.act(order) if self.act else self.outcome)


@pytest.fixture
async def station(store: Store) -> Station:
    """A station that spoke OCPP 1.6."""
    return await make_station(store, protocol=Version.V16.value)


@pytest.fixture
async def node(runtime: Runtime, station: Station) -> Node:
    """The node that holds the station's socket."""
    node = Node(runtime)
    await node.hold(station)
    return node


def _url(station: Station, rest: str) -> str:
    return f"/api/v1/stations/{station.identity}/{rest}"


async def _row(store: Store) -> Command:
    async with store.reading() as work:
        return (await work.session.exec(select(Command))).one()


@pytest.mark.ocpp("1.6 to station", "2.x to station")
@pytest.mark.parametrize("version", list(Version))
async def test_every_action_reaches_the_station_as_it_was_given(
    api: httpx.AsyncClient, runtime: Runtime, store: Store, version: Version
) -> None:
    station = await make_station(store, protocol=version.value)
    node = Node(runtime)
    await node.hold(station)
    for action, payload in examples_of(version).items():
        answer = await api.post(_url(station, f"commands/{action}"), json=payload)
        assert answer.status_code == 200, answer.text
        assert answer.json()["outcome"] == "answered"
        assert answer.json()["payload"] == {"status": "Accepted"}
        assert (node.orders[-1].action, node.orders[-1].payload) == (action, payload)


@pytest.mark.robustness(25)
async def test_a_limit_of_21_point_4_and_vendor_keys_arrive_unchanged(
    api: httpx.AsyncClient, node: Node, station: Station
) -> None:
    await api.post(_url(station, "commands/SetChargingProfile"), json=examples_of(Version.V16)["SetChargingProfile"])
    schedule = node.orders[-1].payload["csChargingProfiles"]["chargingSchedule"]
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 21.4}]
    vendor = {"vendorId": "com.example", "data": '{"HTTPPort":80,"someKey":21.40}'}
    await api.post(_url(station, "commands/DataTransfer"), json=vendor)
    assert node.orders[-1].payload == vendor


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (ACCEPTED, ("answered", "payload", {"status": "Accepted"})),
        (
            Refused("NotSupported", "no such thing", {"a": 1}),
            ("refused", "error", {"code": "NotSupported", "description": "no such thing", "details": {"a": 1}}),
        ),
        (TimedOut(3), ("timed_out", "reason", "no answer within 3 s; the station may have acted all the same")),
        (Disconnected("it left"), ("disconnected", "reason", "it left")),
        (Expired("too many"), ("expired", "reason", "too many")),
    ],
    ids=["answered", "refused", "timed out", "disconnected", "expired"],
)
@pytest.mark.robustness(24)
async def test_each_outcome_is_told_as_such_and_kept(
    api: httpx.AsyncClient, node: Node, station: Station, outcome: Outcome, told: tuple[str, str, Any]
) -> None:
    word, field, value = told
    node.outcome = outcome
    answer = await api.post(_url(station, "commands/ClearCache"), params={"timeout_s": 3})
    assert answer.status_code == 200
    shown = answer.json()
    others = {"payload", "error", "reason"} - {field}
    assert (shown["outcome"], shown[field]) == (word, value)
    assert [shown[name] for name in others] == [None, None]
    assert node.orders[-1].timeout_s == 3
    assert (await api.get(_url(station, f"commands/{shown['id']}"))).json() == shown


@pytest.mark.robustness(24)
async def test_a_command_to_an_offline_station_says_so_and_never_fires_later(
    api: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    shown = (await api.post(_url(station, "commands/Reset"), json={"type": "Hard"})).json()
    assert (shown["outcome"], shown["reason"]) == ("offline", "the station is not connected")
    node = Node(runtime)
    await node.hold(station)
    await api.post(_url(station, "commands/ClearCache"))
    assert [order.action for order in node.orders] == ["ClearCache"]


@pytest.mark.robustness(23)
async def test_two_operators_at_once_each_get_their_own_answer(api_as: ApiAs, node: Node, station: Station) -> None:
    both_arrived, arrived = asyncio.Event(), 0

    async def act(order: Order) -> Outcome:
        nonlocal arrived
        arrived += 1
        if arrived == 2:
            both_arrived.set()
        await both_arrived.wait()
        return Answered({"status": "Accepted", "data": order.payload["data"]})

    node.act = act
    one, two = await api_as("administrator"), await api_as("superuser")
    answers = await asyncio.gather(
        one.post(_url(station, "commands/DataTransfer"), json={"vendorId": "v", "data": "one"}),
        two.post(_url(station, "commands/DataTransfer"), json={"vendorId": "v", "data": "two"}),
    )
    assert [answer.json()["payload"]["data"] for answer in answers] == ["one", "two"]


async def test_the_request_is_committed_before_it_leaves(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store
) -> None:
    seen: list[Command] = []

    async def act(order: Order) -> Outcome:
        async with store.writing() as work:  # nothing holds the database during the call
            seen.append(await work.session.get_one(Command, order.command_id))
        return ACCEPTED

    node.act = act
    await api.post(_url(station, "commands/Reset"), json={"type": "Soft"})
    assert [(row.action, row.request, row.outcome) for row in seen] == [
        ("Reset", {"type": "Soft"}, CommandOutcome.WAITING)
    ]


async def test_the_outcome_is_kept_when_the_asker_goes_away(runtime: Runtime, node: Node, station: Station) -> None:
    arrived, go_on, news = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def act(_: Order) -> Outcome:
        arrived.set()
        await go_on.wait()
        return ACCEPTED

    node.act = act
    asker = asyncio.create_task(send(runtime, SYSTEM, station.identity, "ClearCache", {}))
    await arrived.wait()
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    runtime.store.announce.append(lambda _: news.set())
    go_on.set()
    async with asyncio.timeout(10):
        await news.wait()
    assert (await _row(runtime.store)).outcome is CommandOutcome.ANSWERED


async def test_a_node_that_fails_leaves_the_command_disconnected(
    api: httpx.AsyncClient, node: Node, station: Station
) -> None:
    async def act(_: Order) -> Outcome:
        raise RuntimeError("the node breaks")

    node.act = act
    shown = (await api.post(_url(station, "commands/ClearCache"))).json()
    assert (shown["outcome"], shown["payload"]) == ("disconnected", None)
    assert "may have been sent" in shown["reason"]


class BrokenCalls:
    """A way to the stations that fails in a way nobody thought of."""

    async def call(self, identity: str, order: Order) -> Outcome:
        raise RuntimeError(f"{identity} cannot be asked to {order.action}")


async def test_a_way_that_fails_ends_the_command_as_unknown(runtime: Runtime, station: Station) -> None:
    command = await send(replace(runtime, calls=BrokenCalls()), SYSTEM, station.identity, "ClearCache", {})
    assert command.outcome is CommandOutcome.UNKNOWN
    assert "may have acted" in (command.reason or "")
    assert (await _row(runtime.store)).outcome is CommandOutcome.UNKNOWN


async def test_the_sweeper_closes_what_a_dead_process_left_and_nothing_else(
    runtime: Runtime, clock: FixedClock, station: Station
) -> None:
    async with runtime.store.writing() as work:
        work.session.add(
            Command(
                organisation_id=station.organisation_id,
                station_id=station.id,
                action="Reset",
                request={"type": "Soft"},
                timeout_s=30,
                sent_at=work.now,
                deadline_at=clock.at,
                sent_by_kind="system",
                sent_by="system",
            )
        )
    await close_lost(runtime)
    assert (await _row(runtime.store)).outcome is CommandOutcome.WAITING
    clock.advance(seconds=1)
    await close_lost(runtime)
    row = await _row(runtime.store)
    assert (row.outcome, row.answered_at) == (CommandOutcome.UNKNOWN, clock.at)


async def test_a_body_that_breaks_the_schema_is_422_with_the_place_and_never_leaves(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store
) -> None:
    bad = {**examples_of(Version.V16)["ChangeAvailability"], "type": "Gone"}
    answer = await api.post(_url(station, "commands/ChangeAvailability"), json=bad)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["place"] for error in answer.json()["errors"]] == ["body/type"]
    assert "must be one of Inoperative, Operative" in answer.json()["detail"]
    assert node.orders == []
    async with store.reading() as work:
        assert (await work.session.exec(select(Command))).all() == []


@pytest.mark.parametrize(
    "body", [b'{"connectorId": NaN}', b'{"key": ["\\ud800"]}', b"nonsense", b"[]", b"null", b"\xff"], ids=repr
)
@pytest.mark.robustness(26)
async def test_what_no_frame_can_hold_is_422(api: httpx.AsyncClient, node: Node, station: Station, body: bytes) -> None:
    answer = await api.post(_url(station, "commands/GetConfiguration"), content=body)
    assert answer.status_code == 422
    assert node.orders == []


@pytest.mark.robustness(15)
async def test_what_only_stations_send_and_what_does_not_exist_is_404_and_lists_what_does(
    api: httpx.AsyncClient, node: Node, station: Station
) -> None:
    wrong = [action.name for action in from_station(Version.V16) if not action.is_to_station]
    for action in [*wrong, "FlyAway"]:
        answer = await api.post(_url(station, f"commands/{action}"), json={})
        assert answer.status_code == 404
        assert "RemoteStartTransaction" in answer.json()["detail"]
    assert node.orders == []


async def test_a_station_of_another_version_is_sent_that_versions_actions(
    api: httpx.AsyncClient, runtime: Runtime, store: Store
) -> None:
    station = await make_station(store, protocol=Version.V201.value)
    node = Node(runtime)
    await node.hold(station)
    sent = await api.post(_url(station, "commands/Reset"), json={"type": "OnIdle"})
    assert sent.json()["outcome"] == "answered"
    assert (await api.post(_url(station, "commands/Reset"), json={"type": "Soft"})).status_code == 422
    assert (await api.post(_url(station, "commands/GetBaseReport"), json={})).status_code == 422
    assert (await api.post(_url(station, "commands/ChangeConfiguration"), json={})).status_code == 404
    listed = (await api.get(_url(station, "command-actions"))).json()
    assert {one["action"] for one in listed["actions"]} == {one.name for one in to_station(Version.V201)}


async def test_a_rejected_station_is_sent_nothing_and_a_pending_one_no_remote_start(
    api: httpx.AsyncClient, store: Store
) -> None:
    rejected = await make_station(store, registration=Registration.REJECTED)
    pending = await make_station(store, registration=Registration.PENDING)
    trigger = {"requestedMessage": "BootNotification"}
    assert (await api.post(_url(rejected, "commands/TriggerMessage"), json=trigger)).status_code == 409
    assert (await api.post(_url(pending, "commands/TriggerMessage"), json=trigger)).status_code == 200
    start = await api.post(_url(pending, "charge-points/1/start"), json={"token": "04A2"})
    assert start.status_code == 409


@pytest.mark.robustness(48)
async def test_secrets_reach_the_station_and_nothing_else(
    api: httpx.AsyncClient, node: Node, station: Station, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "hunter2hunter2"
    location = f"ftp://files:{secret}@files.example.com/x"
    node.outcome = Refused("GenericError", f"cannot reach {location}", {"tried": [location]})
    sent = await api.post(_url(station, "commands/GetDiagnostics"), json={"location": location})
    assert node.orders[-1].payload == {"location": location}
    settings = [{"key": "AuthorizationKey", "readonly": False, "value": secret}]
    node.outcome = Answered({"configurationKey": settings})
    read = await api.post(_url(station, "commands/GetConfiguration"))
    assert read.json()["payload"]["configurationKey"][0]["value"] == "(hidden)"
    async with store.reading() as work:
        rows = (await work.session.exec(select(Command))).all()
    output = capsys.readouterr()
    for text in (sent.text, read.text, *map(str, rows), output.out, output.err):
        assert secret not in text


@pytest.mark.robustness(40)
@pytest.mark.parametrize("location", ["http://169.254.169.254/x", "ftp://localhost/", "https://elsewhere.example/"])
@pytest.mark.parametrize(
    ("version", "action", "names"),
    [
        (Version.V16, "GetDiagnostics", ["location"]),
        (Version.V16, "GetLog", ["log", "remoteLocation"]),
        (Version.V201, "GetLog", ["log", "remoteLocation"]),
        (Version.V21, "GetLog", ["log", "remoteLocation"]),
        (Version.V16, "UpdateFirmware", ["location"]),
        (Version.V16, "SignedUpdateFirmware", ["firmware", "location"]),
        (Version.V201, "UpdateFirmware", ["firmware", "location"]),
        (Version.V21, "UpdateFirmware", ["firmware", "location"]),
        (Version.V201, "PublishFirmware", ["location"]),
        (Version.V21, "PublishFirmware", ["location"]),
    ],
)
async def test_a_station_is_not_told_to_reach_where_it_must_not(
    api: httpx.AsyncClient,
    runtime: Runtime,
    store: Store,
    *,
    version: Version,
    action: str,
    names: list[str],
    location: str,
) -> None:
    station = await make_station(store, protocol=version.value)
    node = Node(runtime)
    await node.hold(station)
    payload = copy.deepcopy(examples_of(version)[action])
    inner = payload
    for name in names[:-1]:
        inner = inner[name]
    inner[names[-1]] = location
    answer = await api.post(_url(station, f"commands/{action}"), json=payload)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["place"] == "/".join(["body", *names])
    assert "CSMS_FILE_ALLOWED_HOSTS" in answer.json()["detail"]
    assert node.orders == []


@pytest.mark.robustness(48)
@pytest.mark.parametrize("key", ["AuthorizationKey", "authorizationkey ", "AUTHORIZATIONKEY"])
async def test_the_stations_password_is_not_changed_behind_our_own_back(
    api: httpx.AsyncClient, node: Node, station: Station, key: str
) -> None:
    body = {"key": key, "value": "00112233445566778899aabbccddeeff"}
    answer = await api.post(_url(station, "commands/ChangeConfiguration"), json=body)
    assert node.orders[-1].payload == body
    assert "00112233445566778899" not in answer.text
    [change] = (await api.get(_url(station, "password/changes"))).json()["items"]
    assert (change["command_id"], change["state"]) == (answer.json()["id"], "unknown")


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        pytest.param("restart", {}, ("Reset", {"type": "Soft"}), marks=pytest.mark.octt("TC_014_CSMS")),
        pytest.param("restart", {"kind": "hard"}, ("Reset", {"type": "Hard"}), marks=pytest.mark.octt("TC_013_CSMS")),
        ("charge-points/2/start", {"token": "04A2"}, ("RemoteStartTransaction", {"connectorId": 2, "idTag": "04A2"})),
        ("charge-points/1/unlock", None, ("UnlockConnector", {"connectorId": 1})),
        (
            "charge-points/0/availability",
            {"state": "inoperative"},
            ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
        ),
        (
            "charge-points/1/availability",
            {"state": "operative"},
            ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
        ),
    ],
    ids=["restart", "hard restart", "start", "unlock", "out of service", "in service"],
)
async def test_short_forms_send_the_right_message(
    api: httpx.AsyncClient, node: Node, path: str, body: dict[str, Any] | None, sent: tuple[str, dict[str, Any]]
) -> None:
    answer = await api.post(f"/api/v1/stations/{node.identity}/{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["action"], answer.json()["outcome"]) == (sent[0], "answered")
    assert (node.orders[-1].action, node.orders[-1].payload) == sent


async def test_a_running_charge_is_stopped_by_its_log_and_an_ended_one_is_not(
    api: httpx.AsyncClient, api_as: ApiAs, node: Node, station: Station, store: Store
) -> None:
    calling = await connect(store, station)
    start = {"connectorId": 1, "idTag": "04A2B3C4", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
    transaction_id = (await calling.call("StartTransaction", **start))["transactionId"]
    async with store.reading() as work:
        charge = (await work.session.exec(select(ChargeLog))).one()
    path = f"/api/v1/charge-logs/{charge.id}/stop"
    other = await api_as("administrator", await make_organisation(store, "Other"))
    assert (await other.post(path)).status_code == 404
    assert (await (await api_as("user")).post(path)).status_code == 403
    stopped = (await api.post(path)).json()
    assert (stopped["station_id"], stopped["outcome"]) == (station.identity, "answered")
    sent = [(order.action, order.payload) for order in node.orders]
    assert sent == [("RemoteStopTransaction", {"transactionId": transaction_id})]
    await calling.call("StopTransaction", transactionId=transaction_id, meterStop=10, timestamp="2026-01-01T01:00:00Z")
    assert (await api.post(path)).status_code == 409
    assert (await api.post("/api/v1/charge-logs/1/stop")).status_code == 404


async def test_only_who_may_operate_stations_of_ones_own_sends(
    anonymous: httpx.AsyncClient, api_as: ApiAs, node: Node, station: Station, store: Store
) -> None:
    path = _url(station, "commands/ClearCache")
    assert (await anonymous.post(path)).status_code == 401
    assert (await (await api_as("user")).post(path)).status_code == 403
    other = await api_as("administrator", await make_organisation(store, "Other"))
    assert (await other.post(path)).status_code == 404
    assert (await other.get(_url(station, "commands"))).status_code == 404
    assert node.orders == []


async def test_the_log_says_who_sent_what_and_is_filtered(api: httpx.AsyncClient, node: Node, station: Station) -> None:
    for action in ("Reset", "ClearCache", "UnlockConnector"):
        await api.post(_url(station, f"commands/{action}"), json=examples_of(Version.V16)[action])
    node.outcome = TimedOut(1)
    await api.post(_url(station, "commands/ClearCache"))
    everything = (await api.get(_url(station, "commands"))).json()["items"]
    assert [row["action"] for row in everything] == ["ClearCache", "UnlockConnector", "ClearCache", "Reset"]
    assert all(row["sent_by"].startswith("test key") for row in everything)
    wanted = {"action": ["ClearCache", "Reset"], "outcome": "answered"}
    some = (await api.get(_url(station, "commands"), params=wanted)).json()["items"]
    assert [row["action"] for row in some] == ["ClearCache", "Reset"]
    none = await api.get(_url(station, "commands"), params={"to": "2020-06-01T00:00:00Z"})
    assert none.json() == {"items": [], "next_cursor": None}
    assert (await api.get(_url(station, "commands/1"))).status_code == 404


@pytest.mark.parametrize("version", list(Version))
async def test_openapi_documents_each_action_with_a_schema(app: FastAPI, version: Version) -> None:
    paths = app.openapi()["paths"]
    for action in to_station(version):
        operation = paths[f"/api/v1/stations/{{station_id}}/commands/{action.name}"]["post"]
        shown = next(one for one in Version if action.name in ACTIONS[one])
        body = operation["requestBody"]["content"]["application/json"]
        assert body.get("example") == examples_of(shown).get(action.name)
        assert body["schema"]["type"] == "object"
        assert operation["summary"].startswith(action.name)
        assert version.removeprefix("ocpp") in operation["description"]
        assert operation["x-ocpp-actions"] == [action.name]


@pytest.mark.parametrize("version", list(Version))
async def test_what_can_be_sent_is_listed_with_schemas(api: httpx.AsyncClient, store: Store, version: Version) -> None:
    station = await make_station(store, protocol=version.value)
    listed = (await api.get(_url(station, "command-actions"))).json()
    assert listed["version"] == version
    assert [one["action"] for one in listed["actions"]] == [action.name for action in to_station(version)]
    reset = next(one for one in listed["actions"] if one["action"] == "Reset")
    assert reset["request_schema"]["required"] == ["type"]
    assert reset["example"] == examples_of(version)["Reset"]
    assert all(one["purpose"] for one in listed["actions"])
    assert (await api.get("/api/v1/stations/nobody/command-actions")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("restart", {"kind": "when_idle"}, "cannot wait"),
        ("restart", {"charge_point_number": 1}, "whole station"),
        ("charge-points/1/unlock?connector_number=2", None, "charge point of its own"),
        ("charge-points/1/availability", {"state": "operative", "connector_number": 1}, "charge point of its own"),
    ],
)
async def test_what_1_6_cannot_say_is_told(
    api: httpx.AsyncClient, node: Node, path: str, body: dict[str, Any] | None, text: str
) -> None:
    answer = await api.post(f"/api/v1/stations/{node.identity}/{path}", json=body)
    assert answer.status_code == 409
    assert text in answer.json()["detail"]
    assert node.orders == []
