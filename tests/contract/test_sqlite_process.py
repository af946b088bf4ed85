"""ADR 8: SQLite's writer is a process of its own; what becomes of batches when it dies."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import col, func, select

from broker.dispatch import Dispatcher
from csms.station.information import Station
from csms.store import Store, Work, open_store
from csms.store.sqlite import SqliteWriter
from tests.builders import make_organisation


@pytest.fixture
async def store(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Store]:
    path = tmp_path / "csms.db"
    shutil.copy(sqlite_template, path)
    opened = open_store(f"sqlite:///{path}")
    yield opened
    await opened.close()


@pytest.mark.feature("B7", "P7")
@pytest.mark.robustness(30)
async def test_no_batch_is_lost_or_doubled_when_the_process_is_killed(store: Store) -> None:
    organisation = await make_organisation(store)
    dispatcher = Dispatcher(store)
    dispatcher.start()

    def note(number: int) -> asyncio.Task[bool]:
        async def fill(work: Work) -> None:
            row = Station(identity=f"CS-{number}", organisation_id=organisation.id, created_at=work.now)
            work.insert(Station, **row.model_dump())

        return asyncio.create_task(dispatcher.write(fill))

    assert await note(0)
    assert isinstance(store.writer, SqliteWriter)
    killed = store.writer.process
    assert killed is not None
    kept = []
    for number in range(1, 50):
        kept.append(note(number))
        await asyncio.sleep(0)
        if number == 25:
            killed.kill()
    assert all(await asyncio.gather(*kept))
    assert store.writer.process is not killed
    await dispatcher.stop()
    async with store.reading() as work:
        assert (await work.session.exec(select(func.count(col(Station.id))))).one() == 50
