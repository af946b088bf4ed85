"""P7: the parts of an installation are started together, also the first time."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from csms.config import Settings
from csms.features import features
from csms.launch.process import prepare
from csms.platform.access.model import ApiKey
from csms.platform.organisations import Organisation
from csms.store import open_store
from tests.servers import postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.feature("P7")]


async def test_on_an_empty_database_one_prepares_and_the_others_wait(settings: Settings, tmp_path: Path) -> None:
    """On PostgreSQL all but one ended at `CREATE TABLE alembic_version`."""
    features()
    with postgres_server(private=True) as server:
        await server.create_database("empty")
        for url in (server.url("empty"), f"sqlite:///{tmp_path / 'empty.db'}"):
            await _prepare_together(
                Settings.model_validate(settings.model_dump() | {"database_url": url, "data_dir": tmp_path / "data"}),
                url,
            )


async def _prepare_together(settings: Settings, url: str) -> None:
    made = await asyncio.gather(*(prepare(settings) for _ in range(3)))
    assert len([key for key in made if key is not None]) == 1, "one made the administrator's key"
    store = open_store(url)
    try:
        async with store.reading() as work:
            for table in (Organisation, ApiKey):
                assert (await work.session.exec(select(func.count(col(table.id))))).one() == 1
    finally:
        await store.close()
