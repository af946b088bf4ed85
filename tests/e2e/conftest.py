"""Fixtures of the end-to-end tests: the whole system on each kind of database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from csms.config import Settings
from tests.e2e.system import Installation, System, whole_system
from tests.servers import PostgresServer, postgres_server


@pytest.fixture
async def system(settings: Settings) -> AsyncIterator[System]:
    """Broker, API and worker in this process; unregistered stations are accepted."""
    async with whole_system(settings) as started:
        yield started


@pytest.fixture(scope="session")
def durable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of our own whose commits are durable, to be killed."""
    with postgres_server(fsync=True, private=True) as server:
        yield server


@contextmanager
def installed(folder: Path, database_url: str) -> Iterator[Installation]:
    """An installation that is killed at the end, whatever happened."""
    folder.mkdir(exist_ok=True)
    installation = Installation.at(folder, database_url)
    try:
        yield installation
    finally:
        installation.kill()
