"""F1: the stream of events: what was missed, what happens, nothing lost, nothing unbounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from socket import socket
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from fastapi import FastAPI

from csms.bus import Message
from csms.exceptions import TooMany
from csms.fleet.live.rules import event_text
from csms.fleet.live.service import (
    BACKLOG_EVENTS_MAX,
    HEARTBEAT_S,
    STREAMS_PER_KEY_MAX,
    WAITING_EVENTS_MAX,
    EventFilter,
    Stream,
    check_room,
)
from csms.ids import id_at, new_id, time_of
from csms.outbox import Event
from csms.platform.access.service import revoke_key
from csms.platform.organisations import Organisation
from csms.rights import DEFAULT_RIGHTS, Caller, Role
from csms.runtime import ACCESS_SUBJECT, Runtime, news_in
from csms.store import Fact, Store
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("F1")

PATIENCE_S = 20
EVERYTHING = EventFilter()


@pytest.fixture
async def organisation(store: Store) -> Organisation:
    return await make_organisation(store)


@pytest.fixture
def caller(organisation: Organisation) -> Caller:
    return Caller(organisation.id, "key", 1, "a page", Role.USER, DEFAULT_RIGHTS[Role.USER])


async def _always() -> bool:
    return True


async def _never() -> bool:
    return False


class Reader:
    """Reads a stream as a client does."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.texts = stream.texts()
        self.comments = 0

    async def begin(self) -> None:
        """Take the first text: now the stream is subscribed."""
        assert await anext(self.texts) == "retry: 3000\n\n"

    async def event(self) -> tuple[str, str, Any]:
        """The next event: id, kind, data."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                text = await anext(self.texts)
                if not text.startswith(":"):
                    return _parsed(text)
                self.comments += 1

    async def is_at_its_end(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self.texts, None) is None


def _parsed(text: str) -> tuple[str, str, Any]:
    lines = dict(line.split(": ", 1) for line in text.strip().splitlines())
    return lines["id"], lines["event"], orjson.loads(lines["data"])


def _reader(runtime: Runtime, caller: Caller, wanted: EventFilter = EVERYTHING, **parts: Any) -> Reader:
    parts.setdefault("last_id", None)
    parts.setdefault("is_allowed", _always)
    return Reader(Stream(runtime, caller, wanted, **parts))


def _fact(organisation: Organisation, kind: str = "error_raised", **parts: Any) -> Fact:
    return Fact(kind=kind, organisation_id=organisation.id, **parts)


async def _emit(store: Store, *facts: Fact) -> list[str]:
    async with store.writing() as work:
        for fact in facts:
            work.emit(fact)
    return [str(fact.id) for fact in facts]


def test_whoever_writes_a_kind_cannot_forge_events() -> None:
    assert event_text(1, "a\nid: 2", '{"x":1}\r\n\r\n') == 'id: 1\nevent: a id: 2\ndata: {"x":1}    \n\n'


async def test_events_come_as_they_happen(runtime: Runtime, caller: Caller, organisation: Organisation) -> None:
    reader = _reader(runtime, caller)
    await reader.begin()
    fact = _fact(organisation, station="CP-1", data={"code": "GroundFailure"})
    waiting = asyncio.create_task(reader.event())
    await _emit(runtime.store, fact)
    event_id, kind, data = await waiting
    assert (event_id, kind) == (str(fact.id), "error_raised")
    assert data == {
        "id": str(fact.id),
        "kind": "error_raised",
        "station_id": "CP-1",
        "at": "2026-01-01T00:00:00Z",
        "data": {"code": "GroundFailure"},
    }
    await reader.texts.aclose()


async def test_only_what_was_asked_for_and_only_of_ones_own_organisation(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    other = await make_organisation(runtime.store, "Other")
    before = new_id()
    facts = [
        _fact(other, "error_raised", station="CP-1"),
        _fact(organisation, "error_raised", station="CP-2"),
        _fact(organisation, "charge_started", station="CP-1"),
        _fact(organisation, "error_raised", station="CP-1"),
    ]
    wanted = EventFilter(frozenset({"CP-1"}), frozenset({"error_raised"}))
    live = _reader(runtime, caller, wanted)
    await live.begin()
    await _emit(runtime.store, *facts)
    missed = _reader(runtime, caller, wanted, last_id=before)
    await missed.begin()
    for reader in (live, missed):
        assert (await reader.event())[0] == str(facts[3].id)
        await reader.texts.aclose()


async def test_a_resumed_stream_brings_what_was_missed_and_then_what_happens_each_once(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    missed = await _emit(runtime.store, *(_fact(organisation) for _ in range(3)))
    reader = _reader(runtime, caller, last_id=int(missed[0]))
    await reader.begin()
    between = await _emit(runtime.store, *(_fact(organisation) for _ in range(600)))  # on the bus and in the table
    seen = [(await reader.event())[0] for _ in range(602)]
    live = await _emit(runtime.store, _fact(organisation))
    seen.append((await reader.event())[0])
    assert seen == missed[1:] + between + live
    await reader.texts.aclose()


async def test_an_event_committed_late_is_not_lost_by_who_saw_a_newer_one(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    late_id = new_id()
    (newer,) = await _emit(runtime.store, _fact(organisation))
    await _emit(runtime.store, _fact(organisation, id=late_id))
    reader = _reader(runtime, caller, last_id=int(newer))
    await reader.begin()
    assert (await reader.event())[0] == str(late_id)
    await reader.texts.aclose()


async def test_what_the_bus_lost_is_found_in_the_table(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    reader = _reader(runtime, caller, heartbeat_s=0.01)
    await reader.begin()
    (known,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == known
    row = Event(organisation_id=organisation.id, kind="error_raised", at=runtime.clock(), data={})
    async with runtime.store.writing() as work:
        work.session.add(row)
    assert (await reader.event())[0] == str(row.id)
    (last,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == last
    assert reader.comments > 0
    await reader.texts.aclose()


async def test_a_fresh_stream_brings_nothing_old(runtime: Runtime, caller: Caller, organisation: Organisation) -> None:
    earlier = _reader(runtime, caller)
    await earlier.begin()
    await _emit(runtime.store, _fact(organisation))
    await earlier.event()
    await earlier.texts.aclose()
    reader = _reader(runtime, caller, heartbeat_s=0.01)
    await reader.begin()
    assert await anext(reader.texts) == ": still here\n\n"
    (first,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == first
    await reader.texts.aclose()


async def test_an_event_of_yesterday_is_too_old_to_resume_from(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    reader = _reader(runtime, caller, last_id=id_at(datetime.now(UTC) - timedelta(hours=25)))
    await reader.begin()
    gap_id, kind, data = await reader.event()
    assert (kind, data) == ("gap", {"reason": "your last event is too old; load the state anew"})
    (next_id,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == next_id
    assert int(gap_id) < int(next_id)
    await reader.texts.aclose()


async def test_too_much_missed_ends_in_a_gap_and_goes_on_live(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    last_id = new_id()
    async with runtime.store.writing() as work:
        for _ in range(BACKLOG_EVENTS_MAX + 1):
            work.insert(Event, organisation_id=organisation.id, kind="beat", at=work.now, data={})
    reader = _reader(runtime, caller, last_id=last_id)
    await reader.begin()
    kinds = [(await reader.event())[1] for _ in range(BACKLOG_EVENTS_MAX + 1)]
    assert kinds == ["beat"] * BACKLOG_EVENTS_MAX + ["gap"]
    (next_id,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == next_id
    await reader.texts.aclose()


async def test_a_client_that_does_not_read_is_told_of_the_gap_and_let_go(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    reader = _reader(runtime, caller)
    await reader.begin()
    (first,) = await _emit(runtime.store, _fact(organisation))
    assert (await reader.event())[0] == first
    count, all_came = 0, asyncio.Event()

    async def hear(message: Message) -> None:
        nonlocal count
        count += len(news_in(message))
        if count == 2 * WAITING_EVENTS_MAX:
            all_came.set()

    await runtime.bus.subscribe(f"live.{organisation.id}", hear)
    await _emit(runtime.store, *(_fact(organisation) for _ in range(2 * WAITING_EVENTS_MAX)))
    await all_came.wait()  # and meanwhile it does not read
    kinds: list[str] = []
    while not kinds or kinds[-1] != "gap":
        kinds.append((await reader.event())[1])
    assert len(kinds) <= WAITING_EVENTS_MAX + 1
    assert await reader.is_at_its_end()


async def test_a_key_has_only_so_many_streams_and_gets_them_back(
    runtime: Runtime, caller: Caller, organisation: Organisation
) -> None:
    readers = [_reader(runtime, caller) for _ in range(STREAMS_PER_KEY_MAX)]
    for reader in readers:
        await reader.begin()
    with pytest.raises(TooMany, match="close one first"):
        check_room(runtime, caller)
    assert await _reader(runtime, caller).is_at_its_end()
    check_room(runtime, Caller(organisation.id, "key", 2, "another page", Role.USER))
    for reader in readers:
        await reader.texts.aclose()
    check_room(runtime, caller)


async def test_streams_end_when_the_server_does(runtime: Runtime, caller: Caller) -> None:
    stopping = asyncio.Event()
    reader = _reader(runtime, caller, stopping=stopping)
    await reader.begin()
    stopping.set()
    assert await reader.is_at_its_end()


async def test_a_revoked_key_stops_listening(runtime: Runtime, caller: Caller) -> None:
    reader = _reader(runtime, caller, heartbeat_s=0.01, is_allowed=_never)
    await reader.begin()
    assert await reader.is_at_its_end()


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@asynccontextmanager
async def _served(app: FastAPI) -> AsyncIterator[str]:
    """The app behind a real server on a free port."""
    server = Server(app)
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(PATIENCE_S):
        await server.listens.wait()
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    async with asyncio.timeout(PATIENCE_S):
        await task


async def test_over_a_real_server_events_come_resume_and_end(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, organisation: Organisation
) -> None:
    async with _served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        assert (await client.get("/api/v1/events")).status_code == 401
        client.headers = api.headers
        bad = await client.get("/api/v1/events", headers={"Last-Event-ID": "yesterday"})
        assert bad.status_code == 422
        async with client.stream("GET", "/api/v1/events", params={"kind": "wanted"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            chunks = answer.aiter_text()
            assert await anext(chunks) == "retry: 3000\n\n"
            sent = await _emit(runtime.store, _fact(organisation), _fact(organisation, "wanted"))
            assert _parsed(await anext(chunks))[0] == sent[1]
        (missed,) = await _emit(runtime.store, _fact(organisation, "wanted"))
        params = {"last_event_id": sent[0], "kind": "wanted"}
        async with client.stream("GET", "/api/v1/events", params=params, headers={"Last-Event-ID": sent[1]}) as answer:
            text = ""
            chunks = answer.aiter_text()
            while missed not in text:
                text += await anext(chunks)
            assert sent[1] not in text
            app.state.stopping.set()
            assert [chunk async for chunk in chunks] == []


async def test_history_is_paged_filtered_and_ones_own(api: httpx.AsyncClient, api_as: ApiAs, runtime: Runtime) -> None:
    station = await make_station(runtime.store)
    organisation = await make_organisation(runtime.store)
    facts = [
        _fact(organisation, kind, station=station.identity, station_id=station.id, data={"n": number})
        for number, kind in enumerate(["error_raised", "charge_started", "error_raised"])
    ]
    ids = await _emit(runtime.store, *facts)
    first = (await api.get("/api/v1/events/history", params={"limit": 2, "station": station.identity})).json()
    assert [item["id"] for item in first["items"]] == [ids[2], ids[1]]
    assert first["items"][0]["station_id"] == station.identity
    rest = {"limit": 2, "station": station.identity, "cursor": first["next_cursor"]}
    assert [item["id"] for item in (await api.get("/api/v1/events/history", params=rest)).json()["items"]] == [ids[0]]
    some = await api.get("/api/v1/events/history", params={"kind": ["charge_started", "charge_ended"]})
    assert [item["data"] for item in some.json()["items"]] == [{"n": 1}]
    early = {"to": time_of(int(ids[0])).isoformat(), "kind": "error_raised"}
    assert (await api.get("/api/v1/events/history", params=early)).json()["items"] == []
    other = await api_as("administrator", await make_organisation(runtime.store, "Other"))
    assert (await other.get("/api/v1/events/history", params={"station": station.identity})).json()["items"] == []


@pytest.mark.feature("P2")
@pytest.mark.parametrize("is_other_process", [False, True])
async def test_revoking_a_key_ends_its_streams_at_once(
    app: FastAPI, api: httpx.AsyncClient, runtime: Runtime, organisation: Organisation, *, is_other_process: bool
) -> None:
    """Not at the next heartbeat, nor when a process that remembers the key forgets it by itself."""
    made = (await api.post("/api/v1/keys", json={"name": "page", "role": "user"})).json()
    async with _served(app) as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        client.headers["Authorization"] = f"Bearer {made['key']}"
        async with client.stream("GET", "/api/v1/events") as answer:
            chunks = answer.aiter_text()
            assert await anext(chunks) == "retry: 3000\n\n"
            began = asyncio.get_running_loop().time()
            if is_other_process:
                async with runtime.store.writing() as work:
                    await revoke_key(work, int(made["id"]))
                await runtime.bus.publish(ACCESS_SUBJECT, b"")
            else:
                assert (await api.delete(f"/api/v1/keys/{made['id']}")).status_code == 200
            async with asyncio.timeout(PATIENCE_S):
                assert [chunk async for chunk in chunks] == []
            assert asyncio.get_running_loop().time() - began < HEARTBEAT_S
        assert (await client.get("/api/v1/me")).status_code == 401
