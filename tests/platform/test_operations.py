"""P6: health, readiness and metrics of a process."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from csms.clock import FixedClock
from csms.config import Settings
from csms.platform.organisations import Organisation
from csms.runtime import Runtime, open_runtime
from csms.station.information import Station
from csms.store import Store
from csms.store.migrate import upgrade
from csms.store.sqlite import WriterFailed
from datasheet_api.app import create_app
from tests.api_client import ApiAs
from tests.builders import make_organisation
from tests.servers import PostgresServer, nats_server, postgres_server


def client_of(app: FastAPI, address: str = "127.0.0.1") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, client=(address, 50000)), base_url="http://api.test"
    )


@pytest.mark.feature("P6")
async def test_healthy_and_ready_without_a_key(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/health")).json() == {"status": "ok"}
    ready = await anonymous.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"is_ready": True, "checks": {"database": "ok", "bus": "ok"}})


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    with postgres_server(private=True) as server:
        yield server


@pytest.mark.slow
@pytest.mark.feature("P6")
@pytest.mark.robustness(31)
async def test_database_that_dies_makes_the_process_unready_until_it_is_back(
    database: PostgresServer, settings: Settings
) -> None:
    await database.create_database("csms")
    runtime = await open_runtime(settings.model_copy(update={"database_url": _secret(settings, database.url("csms"))}))
    try:
        await upgrade(runtime.store.engine)
        async with client_of(create_app(runtime)) as client:
            assert (await client.get("/ready")).status_code == 200
            database.kill()
            dead = await client.get("/ready")
            assert (dead.status_code, dead.json()["checks"]) == (503, {"database": "cannot be reached", "bus": "ok"})
            assert (await client.get("/health")).status_code == 200
            refused = await client.get("/api/v1/me", headers={"Authorization": "Bearer csms_abcdefgh_whatever"})
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:csms:problem:unavailable")
            database.start()
            assert (await client.get("/ready")).status_code == 200
    finally:
        await runtime.close()


async def write(store: Store, identity: str) -> None:
    """As the broker does it, on SQLite in a process of its own."""
    organisation = await make_organisation(store)
    work = store.note()
    row = Station(identity=identity, organisation_id=organisation.id, created_at=work.now)
    work.insert(Station, **row.model_dump())
    await store.commit_all([work])


@contextmanager
def no_file_grows(process: int) -> Iterator[None]:
    """As on a full disk, for that process."""
    before = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, before)


@pytest.mark.feature("P6")
@pytest.mark.robustness(32)
async def test_a_disk_that_is_full_makes_the_process_unready(store: Store, anonymous: httpx.AsyncClient) -> None:
    """What is there can still be read, so that only a commit that failed tells."""
    await write(store, "CS-1")
    process = getattr(store.writer, "process", None)
    if process is None:
        pytest.skip("the disk of PostgreSQL is its server's; what it refuses is the next test's")
    with no_file_grows(process.pid):
        with pytest.raises(WriterFailed):
            await write(store, "CS-2")
        full = await anonymous.get("/ready")
        assert (full.status_code, full.json()["checks"]["database"]) == (503, "cannot be written")
    await write(store, "CS-2")
    assert (await anonymous.get("/ready")).status_code == 200


@pytest.mark.feature("P6")
@pytest.mark.robustness(32)
async def test_a_database_that_only_reads_makes_the_process_unready_for_a_while(
    store: Store, anonymous: httpx.AsyncClient, clock: FixedClock
) -> None:
    """As a PostgreSQL that has become the standby of another. Of a process that writes nothing it is soon unknown."""
    read_only, again = (
        ("PRAGMA query_only=1", "PRAGMA query_only=0") if store.is_sqlite else ("SET TRANSACTION READ ONLY", "SELECT 1")
    )

    async def write_read_only() -> None:
        async with store.writing() as work:
            await (await work.session.connection()).exec_driver_sql(read_only)
            work.session.add(Organisation(name="cannot be kept", created_at=work.now))

    with pytest.raises(DBAPIError):
        await write_read_only()
    try:
        assert (await anonymous.get("/ready")).status_code == 503
        clock.advance(seconds=31)
        assert (await anonymous.get("/ready")).status_code == 200
    finally:
        async with store.reading() as work:
            await (await work.session.connection()).exec_driver_sql(again)


def _secret(settings: Settings, url: str) -> object:
    return type(settings.database_url)(url)


@pytest.mark.slow
@pytest.mark.feature("P6")
async def test_bus_that_dies_makes_the_process_unready(settings: Settings, runtime: Runtime) -> None:
    with nats_server() as bus:
        with_bus = await open_runtime(settings.model_copy(update={"bus_url": _secret(settings, bus.url)}))
        try:
            async with client_of(create_app(with_bus)) as client:
                assert (await client.get("/ready")).status_code == 200
                bus.kill()
                dead = await client.get("/ready")
                assert dead.status_code == 503
                assert dead.json()["checks"]["bus"] != "ok"
                assert "nats" not in dead.text
        finally:
            await with_bus.close()


@pytest.mark.feature("P6")
async def test_metrics_are_for_this_machine_and_for_keys_with_the_right(app: FastAPI, api_as: ApiAs) -> None:
    administrator, user = await api_as("administrator"), await api_as("user")
    async with client_of(app) as near, client_of(app, "203.0.113.9") as far:
        assert (await near.get("/metrics")).headers["content-type"].startswith("text/plain")
        for name in ("X-Forwarded-For", "X-Real-IP", "Via", "Forwarded"):
            assert (await near.get("/metrics", headers={name: "203.0.113.9"})).status_code == 401
        assert (await far.get("/metrics")).status_code == 401
        assert (await far.get("/metrics", headers=administrator.headers)).status_code == 200
        assert (await far.get("/metrics", headers=user.headers)).status_code == 403


@pytest.mark.robustness(48)
async def test_refused_credentials_are_counted_without_saying_whose(app: FastAPI) -> None:
    async with client_of(app) as client:
        before = _refused((await client.get("/metrics")).text)
        await client.get("/api/v1/me", headers={"Authorization": "Bearer csms_abcdefgh_guess"})
        await client.post("/api/v1/login", json={"email": "kari@example.com", "password": "guess"})
        told = (await client.get("/metrics")).text
    assert _refused(told) == (before[0] + 1, before[1] + 1)
    assert "kari" not in told
    assert "guess" not in told


def _refused(told: str) -> tuple[float, float]:
    counts = dict.fromkeys(("key", "password"), 0.0)
    for line in told.splitlines():
        for kind in counts:
            if line.startswith(f'csms_api_refused_credentials_total{{kind="{kind}"}}'):
                counts[kind] = float(line.split()[-1])
    return counts["key"], counts["password"]
