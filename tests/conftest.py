"""Fixtures for all tests: a migrated database on SQLite and on PostgreSQL, the clock, the runtime."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import hypothesis
import pytest

from csms.clock import FixedClock
from csms.config import Settings
from csms.runtime import Runtime, open_runtime
from csms.store import Store, open_store
from csms.store.migrate import upgrade
from tests.servers import PostgresServer, Shape, postgres_server

pytest_plugins = ["tests.api_client"]

hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

DATABASES = os.environ.get("TEST_DATABASES", "sqlite,postgresql").split(",")
BOTH = (
    "tests/broker/test_closes",
    "tests/broker/test_dispatch",
    "tests/broker/test_handshake",
    "tests/broker/test_prot",
)
LONG_WAYS = ("tests/broker/", "tests/e2e/test_files", "tests/e2e/test_settings", "tests/e2e/test_station")
"""Whole flows through real sockets: each takes one of the databases, by its name, since what they store is tested on
both in tests/station; `TEST_EVERYTHING=1` takes both. Those in `BOTH` always do."""
TEMPLATE = f"csms_template_{os.getpid()}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other database of long ways."""
    if "TEST_EVERYTHING" in os.environ:
        return
    left_out = [item for item in items if not _is_due(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if _is_due(item)]


def _is_due(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    kind = None if call is None else call.params.get("database_kind")
    if kind is None or item.nodeid.startswith(BOTH) or not item.nodeid.startswith(LONG_WAYS):
        return True
    name = item.nodeid.replace(kind, "")
    return DATABASES[crc32(name.encode()) % len(DATABASES)] == kind


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, copied for each test."""
    path = tmp_path_factory.mktemp("template") / "csms.db"
    _run(_migrate(f"sqlite:///{path}"))
    return path


class CleanDatabases:
    """Migrated databases on PostgreSQL, used again by the next test: emptying one takes a tenth of copying one."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []
        self._shape: Shape | None = None

    async def prepare(self) -> None:
        await self._server.create_database(TEMPLATE)
        await _migrate(self._server.url(TEMPLATE))
        self._shape = await self._server.shape(TEMPLATE)

    async def take(self) -> str:
        """The name of an empty one."""
        if self._free:
            return self._free.pop()
        name = f"test_{uuid4().hex}"
        await self._server.create_database(name, TEMPLATE)
        return name

    async def give_back(self, name: str) -> None:
        """One in which a test made or dropped tables is not used again."""
        if self._shape is not None and await self._server.empty_database(name, self._shape):
            self._free.append(name)
        else:
            await self._server.drop_database(name)


@pytest.fixture(scope="session")
def clean_databases(postgres: PostgresServer) -> CleanDatabases:
    """The databases on this test process's PostgreSQL."""
    databases = CleanDatabases(postgres)
    _run(databases.prepare())
    return databases


def _run(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the fixture that asks may already run inside a loop."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _migrate(url: str) -> None:
    store = open_store(url)
    await upgrade(store.engine)
    await store.close()


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    """Tests that use a database run on each kind."""
    return str(request.param)


@pytest.fixture
async def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a fresh, migrated database."""
    if database_kind == "sqlite":
        path = tmp_path / "csms.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    databases: CleanDatabases = request.getfixturevalue("clean_databases")
    server: PostgresServer = request.getfixturevalue("postgres")
    name = await databases.take()
    yield server.url(name)
    await databases.give_back(name)


@pytest.fixture
def clock() -> FixedClock:
    """Our own clock: it stands still until a test moves it."""
    return FixedClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a fresh installation on free ports."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "data_dir": tmp_path / "data",
            "secret_key": "pepper for tests",
            "broker_port": 0,
            "api_port": 0,
            "webhook_allowed_hosts": ["127.0.0.1"],
            "file_allowed_hosts": ["files.example.com"],
        }
    )


@pytest.fixture
async def runtime(settings: Settings, clock: FixedClock) -> AsyncIterator[Runtime]:
    """One process of an installation, without hosts."""
    opened = await open_runtime(settings, clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
def store(runtime: Runtime) -> Store:
    """The database of the runtime."""
    return runtime.store
