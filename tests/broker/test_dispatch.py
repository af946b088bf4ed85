"""DESIGN 3: group commit: what a piece that fails costs, and whom."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from broker.dispatch import Dispatcher
from csms.station.information import Station
from csms.store import Store, Work
from tests.builders import make_organisation, make_station


class Recorded:
    """A piece that notes a station and remembers what became of it."""

    def __init__(self, identity: str, organisation_id: int, *, fails: bool = False) -> None:
        self.identity = identity
        self.organisation_id = organisation_id
        self.fails = fails
        self.became: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(self, work: Work) -> None:
        row = Station(identity=self.identity, organisation_id=self.organisation_id, created_at=work.now)
        work.insert(Station, **row.model_dump())
        if self.fails:
            raise RuntimeError("cannot be handled")

    def committed(self) -> None:
        self.became.set_result("committed")

    def failed(self) -> None:
        self.became.set_result("failed")


@pytest.fixture
async def dispatcher(store: Store) -> AsyncIterator[Dispatcher]:
    started = Dispatcher(store)
    started.start()
    yield started
    await started.stop()


@pytest.mark.feature("B7")
async def test_a_piece_that_fails_or_does_not_fit_costs_only_itself(store: Store, dispatcher: Dispatcher) -> None:
    organisation = await make_organisation(store)
    await make_station(store, organisation, identity="taken")
    pieces = [
        Recorded("first", organisation.id),
        Recorded("taken", organisation.id),
        Recorded("raises", organisation.id, fails=True),
        Recorded("last", organisation.id),
    ]
    for piece in pieces:
        dispatcher.submit(piece)
    became = [await asyncio.wait_for(piece.became, 30) for piece in pieces]
    assert became == ["committed", "failed", "failed", "committed"]


@pytest.mark.feature("B7")
async def test_rows_that_cannot_be_noted_are_reported_as_not_kept(dispatcher: Dispatcher) -> None:
    async def fill(_work: Work) -> None:
        raise RuntimeError("cannot be noted")

    assert await asyncio.wait_for(dispatcher.write(fill), 30) is False


async def test_what_was_submitted_before_the_stop_is_committed(store: Store) -> None:
    organisation = await make_organisation(store)
    dispatcher = Dispatcher(store)
    dispatcher.start()
    pieces = [Recorded(f"CS-{number}", organisation.id) for number in range(50)]
    for piece in pieces:
        dispatcher.submit(piece)
    await dispatcher.stop()
    assert [piece.became.result() for piece in pieces] == ["committed"] * 50


class Unhappy(Recorded):
    """It cannot bear to hear what became of it."""

    def committed(self) -> None:
        super().committed()
        raise RuntimeError("cannot be told")


async def test_a_piece_that_fails_after_its_commit_costs_only_itself(store: Store, dispatcher: Dispatcher) -> None:
    organisation = await make_organisation(store)
    pieces = [Unhappy("first", organisation.id), Recorded("second", organisation.id)]
    for piece in pieces:
        dispatcher.submit(piece)
    assert [await asyncio.wait_for(piece.became, 30) for piece in pieces] == ["committed", "committed"]


class LosesItsConnection(Recorded):
    """It has read what it needs when the database server goes away."""

    async def handle(self, work: Work) -> None:
        await super().handle(work)
        async with work.session.bind.connect() as other:  # type: ignore[union-attr]  # the store binds its engine
            connection = await work.session.connection()
            pid = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await other.execute(text(f"SELECT pg_terminate_backend({pid}, 5000)"))


@pytest.mark.feature("B7")
@pytest.mark.robustness(31)
async def test_a_database_that_goes_after_it_was_read_stops_nobody(store: Store, dispatcher: Dispatcher) -> None:
    """Even to roll a reading back takes an answer of the server."""
    if store.is_sqlite:
        pytest.skip("SQLite is in this process: it cannot go away")
    organisation = await make_organisation(store)
    for piece in (LosesItsConnection("first", organisation.id), Recorded("second", organisation.id)):
        dispatcher.submit(piece)
        assert await asyncio.wait_for(piece.became, 30) == "committed"
