"""B5, ROBUSTNESS 30 and 31: the process or its database dies in mid-traffic; nothing acknowledged is lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlmodel import col, select

from csms.features import features
from csms.station.charge_points import ChargePoint
from csms.station.connections import Cause
from csms.station.connections.rules import ClosedBy
from csms.station.information import Station
from csms.store import open_store
from tests.e2e.conftest import installed
from tests.e2e.system import HEADERS, Installation, eventually, until
from tests.e2e.traffic import TOKEN, Traffic, Try
from tests.e2e.verdict import check_connections, check_history, check_last_status, rows_in
from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.feature("B5")]

STATIONS = 200


@pytest.fixture
async def installation(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Installation]:
    """`csms run` as a process, on an SQLite file or on a PostgreSQL whose commits are durable."""
    features()  # registers the tables that the tests read
    if database_kind == "sqlite":
        with installed(tmp_path / "csms", f"sqlite:///{tmp_path / 'csms.db'}") as made:
            yield made
        return
    server: PostgresServer = request.getfixturevalue("durable_postgres")
    name = f"kill_{uuid4().hex}"
    await server.create_database(name)
    with installed(tmp_path / "csms", server.url(name)) as made:
        yield made
    await server.drop_database(name)


async def accept_token(installation: Installation) -> None:
    async with httpx.AsyncClient(base_url=installation.api_url, headers=HEADERS) as api:
        response = await api.post("/api/v1/tokens", json={"uid": TOKEN})
    assert response.status_code == httpx.codes.CREATED


async def is_ready(installation: Installation) -> bool:
    return await installation.readiness() == httpx.codes.OK


async def is_unready(installation: Installation) -> bool:
    return await installation.readiness() == httpx.codes.SERVICE_UNAVAILABLE


def was_answered(one: Try, start_s: float, end_s: float) -> bool:
    """Whether its answer came within that time."""
    return one.answered_at_s is not None and start_s < one.answered_at_s < end_s


async def status_words(database_url: str) -> dict[str, str | None]:
    """What each station said last of its charge point 1."""
    store = open_store(database_url)
    try:
        async with store.reading() as work:
            query = select(Station.identity, ChargePoint.status_word).where(
                col(ChargePoint.station_id) == col(Station.id), ChargePoint.number == 1
            )
            return dict((await work.session.exec(query)).all())
    finally:
        await store.close()


@pytest.mark.robustness(30)
async def test_a_killed_process_loses_nothing_that_it_acknowledged(installation: Installation) -> None:
    await installation.start()
    await accept_token(installation)
    traffic = Traffic(installation.url, STATIONS)
    traffic.begin()
    try:
        await until(lambda: traffic.has_advanced([0] * STATIONS, by=6))

        installation.kill()
        at_kill = traffic.acknowledged_counts
        await installation.start()

        await until(lambda: traffic.has_advanced(at_kill, by=6))
        await traffic.end()
    finally:
        await traffic.drop()
    assert await installation.terminate() == 0

    rows = await rows_in(installation.database_url, [station.identity for station in traffic.stations])
    words = await status_words(installation.database_url)
    resent = 0
    for station in traffic.stations:
        own = rows[station.identity]
        check_history(station, own)
        check_last_status(station, words)
        check_connections(station, own, "0001", "1000")
        assert own.connections[0].cause is Cause.BROKER_REBOOTED
        assert own.connections[1].cause is Cause.STATION_CLOSED
        resent += sum(len(told.tries) > 1 for told in station.told)
        assert all(told.answer is not None for told in station.told), "everything was delivered in the end"
    assert resent, "the kill must have come while messages were under way"


@pytest.mark.robustness(29, 30)
@pytest.mark.feature("B4")
async def test_a_terminated_process_tells_its_stations_and_finishes(installation: Installation) -> None:
    await installation.start()
    await accept_token(installation)
    traffic = Traffic(installation.url, STATIONS)
    traffic.begin()
    try:
        await until(lambda: traffic.has_advanced([0] * STATIONS, by=5))
        assert await installation.terminate() == 0
        await until(lambda: all(len(station.closes) == 1 for station in traffic.stations))
    finally:
        await traffic.drop()

    assert {tuple(station.closes) for station in traffic.stations} == {(1001,)}
    rows = await rows_in(installation.database_url, [station.identity for station in traffic.stations])
    for station in traffic.stations:
        own = rows[station.identity]
        check_history(station, own)
        check_connections(station, own, "1001")
        assert own.connections[0].cause is Cause.BROKER_SHUTDOWN
        assert own.connections[0].closed_by is ClosedBy.BROKER
        assert own.connections[0].code_sent == 1001


@pytest.mark.robustness(31)
async def test_nothing_is_acknowledged_while_the_database_is_dead(
    durable_postgres: PostgresServer, tmp_path: Path
) -> None:
    features()
    count = 60
    name = f"outage_{uuid4().hex}"
    await durable_postgres.create_database(name)
    with installed(tmp_path / "csms", durable_postgres.url(name)) as installation:
        await installation.start()
        await accept_token(installation)
        traffic = Traffic(installation.url, count)
        traffic.begin()
        try:
            await until(lambda: traffic.has_advanced([0] * count, by=6))
            await asyncio.to_thread(durable_postgres.kill)
            try:
                await eventually(lambda: is_unready(installation))
                red_since_s = time.monotonic()  # what was stored before has been answered before
                await until(lambda: all(station.told[-1].answer is None for station in traffic.stations))
            finally:
                back_at_s = time.monotonic()
                await asyncio.to_thread(durable_postgres.start)
            before = traffic.acknowledged_counts
            await eventually(lambda: is_ready(installation))
            await until(lambda: traffic.has_advanced(before, by=6))
            await traffic.end()
        finally:
            await traffic.drop()
        assert await installation.terminate() == 0
        rows = await rows_in(installation.database_url, [station.identity for station in traffic.stations])
    await durable_postgres.drop_database(name)

    for station in traffic.stations:
        own = rows[station.identity]
        early = [one.text for _, one in station.acknowledged if was_answered(one, red_since_s, back_at_s)]
        assert not early, "acknowledged while no database was there to store it"
        check_history(station, own)
        check_connections(station, own, "1000")
        assert all(told.answer is not None for told in station.told)
