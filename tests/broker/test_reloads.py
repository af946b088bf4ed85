"""DESIGN 3: news of a connected station are loaded by the features that want them, and by no other."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Load, Payload, Registration, Route, Routes, find_routes
from csms.station.information import Station
from csms.store import Fact, Store, Work
from tests.broker.conftest import Bench, call, eventually
from tests.builders import make_station

pytestmark = pytest.mark.feature("B2", "B4")

WANTED = {
    "station_changed": {"station"},
    "maintenance_window_changed": {"maintenance_window"},
    "charge_point_changed": {"charge_point", "connector", "station"},
    "reservation_changed": {"reservation"},
    "charge_paired": {"charge_log"},
    "monitors_updated": {"variable_monitor"},
}
"""What is read before the station's next message, by kind of news."""


@contextmanager
def tables_read(store: Store) -> Iterator[set[str]]:
    found: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        found.update(re.findall(r'\bFROM "?(\w+)', statement))
        found.discard("broker_node")  # the broker's own sign of life

    engine = store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store, registration=Registration.ACCEPTED)


async def emit(store: Store, station: Station, kind: str) -> None:
    async with store.writing() as work:
        told = {"organisation_id": station.organisation_id, "station_id": station.id, "station": station.identity}
        work.emit(Fact(kind=kind, **told))


def test_every_kind_of_news_is_tried() -> None:
    assert find_routes().reloads == WANTED.keys()


@pytest.mark.parametrize("kind", WANTED)
async def test_only_those_load_again_that_want_the_news(bench: Bench, station: Station, kind: str) -> None:
    async with bench.station(station.identity, subprotocols=["ocpp2.0.1"]) as client:
        await bench.is_registered(station.identity)
        connection = bench.broker.node.connections[station.identity]

        async def is_heard() -> bool:
            return kind in connection.outdated_by

        await emit(bench.store, station, kind)
        await eventually(is_heard)
        with tables_read(bench.store) as tables:
            await call(client, "Heartbeat")
        assert tables == WANTED[kind]
        with tables_read(bench.store) as tables:
            await call(client, "Heartbeat")
        assert tables == set()


async def test_other_news_load_nothing(bench: Bench, station: Station) -> None:
    async with bench.station(station.identity) as client:
        await bench.is_registered(station.identity)
        await emit(bench.store, station, "error_raised")
        await emit(bench.store, station, "reservation_changed")
        connection = bench.broker.node.connections[station.identity]

        async def is_heard() -> bool:
            return bool(connection.outdated_by)

        await eventually(is_heard)
        assert connection.outdated_by == {"reservation_changed"}
        await call(client, "Heartbeat")
        assert connection.outdated_by == set()


class Loader:
    """A feature's `load` that waits, or fails once, when a test says so."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails_once = False
        self.begun = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def load(self, _work: Work, _stations: Sequence[ConnectedStation]) -> None:
        self.runs += 1
        self.begun.set()
        await self.may_go_on.wait()
        if self.fails_once:
            self.fails_once = False
            raise RuntimeError("the database is away")


async def heartbeat(_work: Work, _station: ConnectedStation, _payload: Payload) -> Payload:
    return {"currentTime": "2026-01-01T00:00:00Z"}


@pytest.fixture
def loader(bench: Bench) -> Loader:
    """The only one that the broker knows."""
    loader = Loader()
    loads = [Load(loader.load, frozenset({"news"}))]
    bench.broker.node._routes = Routes([Route(Version.V16, "Heartbeat", heartbeat)], loads=loads)
    return loader


async def test_news_that_come_while_loading_are_for_the_next_time(
    bench: Bench, station: Station, loader: Loader
) -> None:
    async with bench.station(station.identity) as client:
        await bench.is_registered(station.identity)
        connection = bench.broker.node.connections[station.identity]

        async def is_heard() -> bool:
            return bool(connection.outdated_by)

        await emit(bench.store, station, "news")
        await eventually(is_heard)
        loader.begun.clear()
        loader.may_go_on.clear()
        answered = asyncio.create_task(call(client, "Heartbeat"))
        await loader.begun.wait()
        await emit(bench.store, station, "news")
        await eventually(is_heard)
        loader.may_go_on.set()
        await answered
        assert loader.runs == 2  # when it connected, and now
        await call(client, "Heartbeat")
        assert loader.runs == 3
        await call(client, "Heartbeat")
        assert loader.runs == 3


async def test_what_could_not_be_loaded_is_loaded_later(bench: Bench, station: Station, loader: Loader) -> None:
    async with bench.station(station.identity) as client:
        await bench.is_registered(station.identity)
        connection = bench.broker.node.connections[station.identity]
        connection.outdated_by.add("news")
        loader.fails_once = True
        with pytest.raises(RuntimeError):
            await connection.handle(bench.store.note())
        assert connection.outdated_by == {"news"}
        await call(client, "Heartbeat")
        assert (loader.runs, connection.outdated_by) == (3, set())


async def test_a_charge_that_was_paired_with_a_stop_is_over(bench: Bench, api: httpx.AsyncClient) -> None:
    """The broker had it as running: what came for it was written over its end."""
    station = await make_station(bench.store, is_demo=True, registration=Registration.ACCEPTED)
    path = f"/api/v1/stations/{station.identity}"
    at = "2026-01-01T00:00:00Z"
    async with bench.station(station.identity) as client:
        start = {"connectorId": 1, "idTag": "TAG", "timestamp": "2025-12-31T23:30:00Z", "meterStart": 1000}
        number = (await call(client, "StartTransaction", **start))[2]["transactionId"]
        await call(client, "StopTransaction", transactionId=-1, timestamp=at, meterStop=3000)
        [log] = (await api.get(f"{path}/charge-logs")).json()["items"]
        [stop] = (await api.get(f"{path}/unmatched-stops")).json()["items"]
        paired = await api.post(f"{path}/unmatched-stops/{stop['id']}/pair", json={"charge_log_id": log["id"]})
        assert paired.json()["energy_wh"] == 2000
        connection = bench.broker.node.connections[station.identity]

        async def is_heard() -> bool:
            return "charge_paired" in connection.outdated_by

        await eventually(is_heard)
        value = {"timestamp": at, "sampledValue": [{"value": "2500"}]}
        await call(client, "MeterValues", connectorId=1, transactionId=number, meterValue=[value])
        await call(client, "StopTransaction", transactionId=number, timestamp=at, meterStop=3500)
    shown = (await api.get(f"{path}/charge-logs/{log['id']}")).json()
    assert (shown["state"], shown["energy_wh"], shown["meter_stop_wh"]) == ("finished", 2000, 3000)
    stops = (await api.get(f"{path}/unmatched-stops")).json()["items"]
    assert [one["reason"] for one in stops] == ["already_stopped", "no_transaction"]
