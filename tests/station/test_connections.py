"""B4, B5, S23: the connection history, its codes, availability by day, and the API on it."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ids import new_id
from csms.outbox import Event
from csms.runtime import Runtime
from csms.station.connections import (
    Cause,
    CloseFacts,
    Closing,
    Connection,
    NodeClosing,
    NodeOpening,
    closing_of,
    record_closed,
    take_ownership,
)
from csms.station.connections.jobs import sweep
from csms.station.connections.rules import ClosedBy, Span, availability
from csms.station.connections.service import node_is_alive
from csms.station.information import Station
from csms.store import Store
from tests.builders import make_station

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def opening(station: Station, clock: FixedClock) -> NodeOpening:
    return NodeOpening(
        connection_id=new_id(),
        station_id=station.id,
        identity=station.identity,
        remote_address="10.0.0.1",
        protocol="ocpp1.6",
        offered="ocpp1.6",
        opened_at=clock(),
    )


async def connect(store: Store, station: Station, clock: FixedClock, node: str = "node-1") -> NodeOpening:
    one = opening(station, clock)
    async with store.writing() as work:
        await take_ownership(work, [one], node)
    return one


async def disconnect(store: Store, station: Station, one: NodeOpening, closing: Closing) -> None:
    async with store.writing() as work:
        await record_closed(
            work,
            [
                NodeClosing(
                    connection_id=one.connection_id,
                    station_id=station.id,
                    organisation_id=station.organisation_id,
                    identity=station.identity,
                    closing=closing,
                )
            ],
        )


BY_STATION = Closing("1000", ClosedBy.STATION, Cause.STATION_CLOSED)
LOST = Closing("1006", ClosedBy.NETWORK, Cause.CONNECTION_LOST)


async def reload(store: Store, station: Station) -> Station:
    async with store.reading() as work:
        return (await work.session.exec(select(Station).where(Station.id == station.id))).one()


@pytest.mark.feature("B4")
class TestCloseCodes:
    @pytest.mark.parametrize(
        ("facts", "expected"),
        [
            (CloseFacts(1000, None, 1000, None, True), ("1000", "station", "station_closed")),
            (CloseFacts(1005, None, 1005, None, True), ("1000", "station", "station_closed")),
            (CloseFacts(1001, "rebooting", 1001, None, True), ("1001", "station", "station_going_away")),
            (CloseFacts(4711, None, 4711, None, True), ("4711", "station", "station_closed")),
            (CloseFacts(None, None, 1002, "reserved bits", None), ("1002", "broker", "protocol_error")),
            (CloseFacts(None, None, 1007, "utf-8", None), ("1002", "broker", "protocol_error")),
            (CloseFacts(None, None, 1009, "", None), ("1009", "broker", "frame_too_big")),
            (CloseFacts(None, None, 1011, "keepalive ping timeout", None), ("1006", "broker", "ping_timeout")),
            (CloseFacts(None, None, 1011, "oops", None), ("1011", "broker", "broker_error")),
            (CloseFacts(None, None, None, None, None), ("1006", "network", "connection_lost")),
            (CloseFacts(4001, None, 4001, None, False, Cause.REPLACED), ("4001", "broker", "replaced")),
            (CloseFacts(1001, None, 1001, None, False, Cause.BROKER_SHUTDOWN), ("1001", "broker", "broker_shutdown")),
            (
                CloseFacts(None, None, 4002, None, None, Cause.OPERATOR_DISCONNECT),
                ("4002", "broker", "operator_disconnect"),
            ),
            (CloseFacts(1000, None, 1000, None, True, Cause.REPLACED), ("1000", "station", "station_closed")),
            (CloseFacts(None, None, 4567, None, None), ("0000", "broker", "unknown")),
        ],
    )
    def test_the_code_follows_from_what_was_seen(self, facts: CloseFacts, expected: tuple[str, str, str]) -> None:
        closing = closing_of(facts)
        assert (closing.code, closing.closed_by, closing.cause) == expected


@pytest.mark.feature("S23")
class TestAvailability:
    def test_spans_that_overlap_count_once(self) -> None:
        spans = [
            Span(DAY - timedelta(hours=5), DAY + timedelta(hours=6)),
            Span(DAY + timedelta(hours=3), DAY + timedelta(hours=9)),
            Span(DAY + timedelta(hours=21), None),
        ]
        assert availability(spans, DAY, DAY + timedelta(days=1)) == pytest.approx(0.5)

    def test_of_nothing_is_nothing(self) -> None:
        assert availability([], DAY, DAY + timedelta(days=1)) == 0
        assert availability([Span(DAY, None)], DAY, DAY) == 0

    async def test_by_day_and_by_code_over_the_api(
        self, store: Store, clock: FixedClock, api: httpx.AsyncClient
    ) -> None:
        station = await make_station(store)
        one = await connect(store, station, clock)
        clock.advance(hours=6)
        await disconnect(store, station, one, LOST)
        clock.advance(hours=6)
        two = await connect(store, station, clock)
        clock.advance(hours=24)
        await disconnect(store, station, two, BY_STATION)
        clock.advance(hours=12)
        answer = await api.get(f"/api/v1/stations/{station.identity}/connection-history/statistics")
        body = answer.json()
        assert body["by_code"] == {"1000": 1, "1006": 1}
        assert [day["availability"] for day in body["days"]] == [pytest.approx(0.75), pytest.approx(0.5)]
        assert body["availability"] == pytest.approx(30 / 48)
        listed = (await api.get(f"/api/v1/stations/{station.identity}/connection-history")).json()["items"]
        assert [(row["code"], row["duration_s"], row["closed_by"]) for row in listed] == [
            ("1000", 24 * 3600, "station"),
            ("1006", 6 * 3600, "network"),
        ]
        only = await api.get(f"/api/v1/stations/{station.identity}/connection-history", params={"code": "1006"})
        assert [row["code"] for row in only.json()["items"]] == ["1006"]

    async def test_a_period_that_is_too_long_is_refused(self, store: Store, api: httpx.AsyncClient) -> None:
        station = await make_station(store)
        period = {"from": "2024-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
        path = f"/api/v1/stations/{station.identity}/connection-history/statistics"
        assert (await api.get(path, params=period)).status_code == 422


@pytest.mark.robustness(10)
class TestOwnership:
    async def test_the_fence_grows_and_the_newest_owns(self, store: Store, clock: FixedClock) -> None:
        station = await make_station(store)
        old, new = await connect(store, station, clock), await connect(store, station, clock, "node-2")
        assert (old.fence, new.fence) == (1, 2)
        await disconnect(store, station, old, LOST)
        now = await reload(store, station)
        assert (now.is_online, now.connection_id, now.offline_since) == (True, new.connection_id, None)
        await disconnect(store, station, new, LOST)
        now = await reload(store, station)
        assert (now.is_online, now.connection_id, now.offline_since) == (False, None, clock())

    async def test_coming_and_going_are_facts(self, store: Store, clock: FixedClock) -> None:
        station = await make_station(store)
        await disconnect(store, station, await connect(store, station, clock), LOST)
        async with store.reading() as work:
            kinds = {event.kind: event.data for event in await work.session.exec(select(Event))}
        assert kinds["station_connected"] == {"protocol": "ocpp1.6"}
        assert kinds["station_disconnected"]["code"] == "1006"


@pytest.mark.feature("B5")
class TestDeadNodes:
    async def test_connections_of_a_silent_node_are_closed_with_0001(
        self, store: Store, clock: FixedClock, runtime: Runtime
    ) -> None:
        station, other = await make_station(store), await make_station(store)
        async with store.writing() as work:
            await node_is_alive(work, "dead", started_at=work.now)
        one = await connect(store, station, clock, "dead")
        clock.advance(seconds=120)
        async with store.writing() as work:
            await node_is_alive(work, "alive", started_at=work.now)
        await connect(store, other, clock, "alive")
        await sweep(runtime)
        async with store.reading() as work:
            rows = {row.node: row for row in await work.session.exec(select(Connection))}
        assert (rows["dead"].code, rows["dead"].cause) == ("0001", Cause.BROKER_REBOOTED)
        assert rows["dead"].id == one.connection_id
        assert rows["alive"].closed_at is None
        assert not (await reload(store, station)).is_online
        assert (await reload(store, other)).is_online

    @pytest.mark.feature("B5")
    async def test_a_silent_station_was_connected_until_its_broker_died(
        self, store: Store, clock: FixedClock, runtime: Runtime
    ) -> None:
        station = await make_station(store)
        async with store.writing() as work:
            await node_is_alive(work, "dead", started_at=work.now)
        await connect(store, station, clock, "dead")
        died_at = clock.advance(hours=20)
        async with store.writing() as work:
            await node_is_alive(work, "dead")
        clock.advance(minutes=5)
        await sweep(runtime)
        async with store.reading() as work:
            (row,) = await work.session.exec(select(Connection))
        assert row.closed_at == died_at
        assert (await reload(store, station)).offline_since == died_at


class TestDisconnect:
    async def test_one_that_is_not_connected_is_a_conflict(self, store: Store, api: httpx.AsyncClient) -> None:
        station = await make_station(store)
        answer = await api.post(f"/api/v1/stations/{station.identity}/disconnect")
        assert answer.status_code == 409

    async def test_the_request_goes_out_as_a_fact(
        self, store: Store, clock: FixedClock, api: httpx.AsyncClient
    ) -> None:
        station = await make_station(store)
        await connect(store, station, clock)
        assert (await api.post(f"/api/v1/stations/{station.identity}/disconnect")).status_code == 202
        async with store.reading() as work:
            kinds = [event.kind for event in await work.session.exec(select(Event))]
        assert "disconnect_requested" in kinds
