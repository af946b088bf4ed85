"""P6: health, readiness and metrics of a process."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from csms.config import Settings
from csms.runtime import Runtime, open_runtime
from csms.store.migrate import upgrade
from datasheet_api.app import create_app
from tests.api_client import ApiAs
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
