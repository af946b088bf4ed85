"""B10: a station's password is changed over OCPP, and nobody is ever locked out; over real sockets."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlmodel import select
from websockets.exceptions import InvalidStatus

from csms.config import UnknownStations
from csms.ocpp.versions import Version
from csms.platform.audit import AuditLog
from csms.rights import SYSTEM
from csms.station.commands import Command, send
from csms.station.communication_logs import Frame
from csms.station.information import Station
from csms.station.information.passwords import hashes_for
from csms.station.passwords import PasswordChange
from tests.broker.conftest import Bench, eventually
from tests.broker.scripted import answer_next, basic, next_call, refuse_next
from tests.builders import make_station

pytestmark = [pytest.mark.feature("B10"), pytest.mark.robustness(7)]
PEPPER = b"pepper for tests"
OLD = "0123456789abcdef0123456789abcdef"
NEW = "fedcba9876543210fedcba9876543210"
URL = "/api/v1/stations/CS-1/password"
ALL = [Version.V16, Version.V201, Version.V21]


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture(params=ALL)
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


async def secured(bench: Bench, **fields: Any) -> Station:
    hashes = hashes_for(OLD, PEPPER, is_generated=True)
    values: dict[str, Any] = {"identity": "CS-1", "security_profile": 1, "password_hashes": hashes, **fields}
    return await make_station(bench.store, **values)


def login(bench: Bench, version: Version, password: str | bytes = OLD) -> Any:
    return bench.station("CS-1", subprotocols=[version.value], additional_headers=basic("CS-1", password))


async def gets_in(bench: Bench, version: Version, password: str | bytes) -> bool:
    try:
        async with login(bench, version, password):
            return True
    except InvalidStatus as error:
        if error.response.status_code != 401:
            raise
        return False


def answer(version: Version, status: str) -> dict[str, Any]:
    if version is Version.V16:
        return {"status": status}
    names = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return {"setVariableResult": [{"attributeStatus": status, **names}]}


def sent(payload: dict[str, Any]) -> str:
    """The password that the station was given."""
    value: str = payload["value"] if "value" in payload else payload["setVariableData"][0]["attributeValue"]
    return value


async def change(api: httpx.AsyncClient, password: str | None = NEW) -> httpx.Response:
    body = {} if password is None else {"password": password}
    return await api.post(f"{URL}/change", json=body)


@pytest.mark.ocpp("1.6 ChangeConfiguration", "2.x SetVariables")
@pytest.mark.parametrize("password", [None, NEW, "Sixteen chars ok"], ids=["generated", "hex", "text"])
@pytest.mark.octt("TC_073_CSMS", "TC_A_09_CSMS")
async def test_after_accepted_only_the_new_one_gets_in(
    bench: Bench, api: httpx.AsyncClient, version: Version, password: str | None
) -> None:
    await secured(bench)
    async with login(bench, version) as client:
        await bench.is_registered()
        asking = asyncio.create_task(change(api, password))
        action, payload = await answer_next(client, answer(version, "Accepted"))
        changed = (await asking).json()
    assert action == ("ChangeConfiguration" if version is Version.V16 else "SetVariables")
    assert (changed["state"], changed["reason"]) == ("accepted", "Accepted")
    given = sent(payload)
    if version is Version.V16:
        assert len(bytes.fromhex(given)) in range(16, 21)
        assert await gets_in(bench, version, bytes.fromhex(given))
    assert await gets_in(bench, version, given)
    assert not await gets_in(bench, version, OLD)
    listed = (await api.get(f"{URL}/changes")).json()["items"]
    assert listed == [changed]
    await expect_no_trace(bench, given, str(listed))


async def expect_no_trace(bench: Bench, secret: str, *texts: str) -> None:
    """In no frame, command, audit row or answer of ours."""
    async with bench.store.reading() as work:
        frames = (await work.session.exec(select(Frame))).all()
        commands = (await work.session.exec(select(Command))).all()
        audit = (await work.session.exec(select(AuditLog))).all()
        changes = (await work.session.exec(select(PasswordChange))).all()
    seen = "".join([*texts, *(str(row.model_dump()) for row in [*frames, *commands, *audit, *changes])])
    assert frames
    assert audit
    assert secret not in seen
    assert "hmac-sha256" not in seen


@pytest.mark.octt("TC_A_10_CSMS")
@pytest.mark.parametrize(
    ("version", "status"),
    [
        *((version, status) for version in ALL for status in ("Rejected", "CALLERROR")),
        (Version.V16, "NotSupported"),
        (Version.V201, "UnknownVariable"),
        (Version.V21, "UnknownComponent"),
    ],
    indirect=["version"],
)
async def test_after_a_refusal_only_the_old_one_gets_in(
    bench: Bench, api: httpx.AsyncClient, version: Version, status: str
) -> None:
    await secured(bench)
    async with login(bench, version) as client:
        await bench.is_registered()
        asking = asyncio.create_task(change(api))
        if status == "CALLERROR":
            await refuse_next(client, "NotSupported")
        else:
            await answer_next(client, answer(version, status))
        assert (await asking).json()["state"] == "refused"
    assert await gets_in(bench, version, OLD)
    assert not await gets_in(bench, version, NEW)


@pytest.mark.parametrize("first", ["old", "new"])
@pytest.mark.parametrize("way", ["no answer", "disconnect"])
async def test_without_an_answer_both_get_in_until_a_login_decides(
    bench: Bench, api: httpx.AsyncClient, version: Version, first: str, way: str
) -> None:
    await secured(bench)
    action, payload = "ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW}
    if version is not Version.V16:
        item = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        action, payload = "SetVariables", {"setVariableData": [{"attributeValue": NEW, **item}]}
    async with login(bench, version) as client:
        await bench.is_registered()
        timeout_s = 0.05 if way == "no answer" else 5.0
        asking = asyncio.create_task(
            send(bench.broker.runtime, SYSTEM, "CS-1", action, payload, timeout_s=timeout_s)  # the raw command, too
        )
        await next_call(client)
        if way == "disconnect":
            await client.close()
        command = await asking
    assert command.outcome == ("timed_out" if way == "no answer" else "disconnected")
    [listed] = (await api.get(f"{URL}/changes")).json()["items"]
    assert (listed["state"], listed["decided_at"]) == ("unknown", None)
    used, other = (OLD, NEW) if first == "old" else (NEW, OLD)
    assert await gets_in(bench, version, used)
    assert not await gets_in(bench, version, other)
    assert await gets_in(bench, version, used)
    [listed] = (await api.get(f"{URL}/changes")).json()["items"]
    assert listed["state"] == ("refused" if first == "old" else "accepted")


async def test_both_wait_for_the_login_that_decides_however_often_a_third_is_tried(
    bench: Bench, api: httpx.AsyncClient
) -> None:
    await secured(bench)
    await lost_change(bench, NEW)
    assert not await gets_in(bench, Version.V16, "f" * 32)
    assert await gets_in(bench, Version.V16, NEW)
    assert not await gets_in(bench, Version.V16, OLD)


async def lost_change(bench: Bench, password: str) -> None:
    """A change whose answer never came."""
    async with login(bench, Version.V16) as client:
        await bench.is_registered()
        payload = {"key": "AuthorizationKey", "value": password}
        asking = asyncio.create_task(
            send(bench.broker.runtime, SYSTEM, "CS-1", "ChangeConfiguration", payload, timeout_s=0.05)
        )
        await next_call(client)
        await asking


async def test_one_in_force_after_a_restart_waits_for_it(
    bench: Bench, api: httpx.AsyncClient, version: Version
) -> None:
    await secured(bench)
    async with login(bench, version) as client:
        await bench.is_registered()
        asking = asyncio.create_task(change(api))
        await answer_next(client, answer(version, "RebootRequired"))
        assert (await asking).json()["state"] == "restart_needed"
    assert await gets_in(bench, version, OLD)  # the line broke before the restart
    assert await gets_in(bench, version, NEW)
    assert not await gets_in(bench, version, OLD)


async def test_to_a_station_that_is_away_nothing_changes(bench: Bench, api: httpx.AsyncClient) -> None:
    await secured(bench)
    changed = (await change(api)).json()
    assert (changed["state"], changed["reason"]) == ("not_sent", "the station was not connected")
    assert not await gets_in(bench, Version.V16, NEW)
    assert await gets_in(bench, Version.V16, OLD)


@pytest.mark.robustness(6)
@pytest.mark.parametrize(
    ("password", "version"),
    [
        ("x" * 15, Version.V16),
        ("x" * 21, Version.V16),
        ("ab" * 15, Version.V16),
        ("ab" * 21, Version.V16),
        ("x" * 15, Version.V201),
        ("x" * 41, Version.V201),
        ("x" * 65, Version.V21),
    ],
    indirect=["version"],
)
async def test_what_no_station_can_have_is_refused_before_it_is_sent(
    bench: Bench, api: httpx.AsyncClient, version: Version, password: str
) -> None:
    await secured(bench, protocol=version.value)
    answered = await change(api, password)
    assert answered.status_code == 422
    assert answered.json()["errors"][0]["place"] == "body/password"
    assert password not in answered.text


@pytest.mark.robustness(6)
async def test_the_raw_command_goes_the_same_way(bench: Bench, api: httpx.AsyncClient) -> None:
    await secured(bench)
    async with login(bench, Version.V16) as client:
        await bench.is_registered()
        url = "/api/v1/stations/CS-1/commands/ChangeConfiguration"
        short = await api.post(url, json={"key": "AuthorizationKey", "value": "short"})
        assert short.status_code == 422
        asking = asyncio.create_task(api.post(url, json={"key": "authorizationKEY", "value": NEW}))
        await answer_next(client, {"status": "Accepted"})
        assert (await asking).json()["request"] == {"key": "authorizationKEY", "value": "(hidden)"}
    assert await gets_in(bench, Version.V16, NEW)
    assert not await gets_in(bench, Version.V16, OLD)


async def test_one_change_at_a_time(bench: Bench, api: httpx.AsyncClient) -> None:
    await secured(bench)
    async with login(bench, Version.V16) as client:
        await bench.is_registered()
        first = asyncio.create_task(change(api))
        message_id, _, _ = await next_call(client)
        second = await change(api, "another password")
        assert second.status_code == 409
        await client.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')
        assert (await first).json()["state"] == "accepted"


async def test_what_an_operator_sets_decides_at_once(bench: Bench, api: httpx.AsyncClient) -> None:
    await secured(bench)
    await lost_change(bench, NEW)
    answered = await api.put(URL, json={"password": "set by an operat"})
    assert answered.json() == {"password": None}
    assert await gets_in(bench, Version.V16, "set by an operat")
    assert not await gets_in(bench, Version.V16, NEW)
    assert not await gets_in(bench, Version.V16, OLD)


async def test_a_station_without_password_gets_its_first(bench: Bench, api: httpx.AsyncClient) -> None:
    await make_station(bench.store, identity="CS-1")
    async with bench.station() as client:
        await bench.is_registered()
        for password in (OLD, NEW):
            asking = asyncio.create_task(change(api, password))
            await answer_next(client, {"status": "Accepted"})
            assert (await asking).json()["state"] == "waiting"
    states = [one["state"] for one in (await api.get(f"{URL}/changes")).json()["items"]]
    assert states == ["waiting", "overtaken"]
    assert await gets_in(bench, Version.V16, NEW)
    with pytest.raises(InvalidStatus):
        async with bench.station():
            pass


async def test_too_many_unknown_outcomes_are_refused(bench: Bench, api: httpx.AsyncClient) -> None:
    await secured(bench)
    async with login(bench, Version.V16) as client:
        await bench.is_registered()
        for number in range(3):
            payload = {"key": "AuthorizationKey", "value": f"{number}" * 32}
            asking = asyncio.create_task(
                send(bench.broker.runtime, SYSTEM, "CS-1", "ChangeConfiguration", payload, timeout_s=0.05)
            )
            await next_call(client)
            await asking
        refused = await change(api)
        assert refused.status_code == 409
        assert "PUT /api/v1/stations/CS-1/password" in refused.json()["detail"]

    async def is_gone() -> bool:
        return "CS-1" not in bench.broker.node.connections

    await eventually(is_gone)
    assert await gets_in(bench, Version.V16, "1" * 32)
    assert not await gets_in(bench, Version.V16, "2" * 32)
