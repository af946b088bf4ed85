"""DESIGN 5: a fact reaches each of its consumers at least once, whatever fails in between."""

from collections.abc import AsyncIterator

import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.outbox import ATTEMPTS_MAX, Consumer, Event, Outbox, OutboxItem
from csms.store import Fact, Store, Work, open_store
from tests.builders import make_station


class Listener:
    """A consumer that fails as often as it is told to."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.failures = 0

    async def handle(self, _work: Work, event: Event) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        self.heard.append(event.kind)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def bare_store(database_url: str, clock: FixedClock) -> AsyncIterator[Store]:
    """A store without the features' consumers."""
    store = open_store(database_url, clock)
    yield store
    await store.close()


@pytest.fixture
def outbox(bare_store: Store, listener: Listener) -> Outbox:
    return Outbox(bare_store, [Consumer("listener", frozenset({"wanted"}), listener.handle)])


async def emit(store: Store, *kinds: str) -> None:
    station = await make_station(store)
    work = store.note()
    for kind in kinds:
        work.emit(Fact(kind=kind, organisation_id=station.organisation_id))
    await store.commit_all([work])


async def waiting(store: Store) -> list[OutboxItem]:
    async with store.reading() as work:
        return list((await work.session.exec(select(OutboxItem))).all())


async def test_a_consumer_hears_what_it_wants_once(bare_store: Store, outbox: Outbox, listener: Listener) -> None:
    await emit(bare_store, "wanted", "other", "wanted")
    assert await outbox.deliver_due() == 2
    assert await outbox.deliver_due() == 0
    assert listener.heard == ["wanted", "wanted"]
    assert await waiting(bare_store) == []


async def test_a_consumer_that_fails_is_tried_again_later(
    bare_store: Store, outbox: Outbox, listener: Listener, clock: FixedClock
) -> None:
    listener.failures = 1
    await emit(bare_store, "wanted")
    assert await outbox.deliver_due() == 0
    assert await outbox.deliver_due() == 0
    clock.advance(seconds=3)
    assert await outbox.deliver_due() == 1
    assert listener.heard == ["wanted"]


async def test_it_is_given_up_in_the_end_and_kept_to_be_looked_at(
    bare_store: Store, outbox: Outbox, listener: Listener, clock: FixedClock
) -> None:
    listener.failures = 1000
    await emit(bare_store, "wanted")
    for _ in range(ATTEMPTS_MAX + 2):
        await outbox.deliver_due()
        clock.advance(hours=2)
    (item,) = await waiting(bare_store)
    assert (item.has_failed, item.attempts, item.error) == (True, ATTEMPTS_MAX, "not now")


async def test_what_a_dead_worker_had_leased_is_delivered_by_another(
    bare_store: Store, outbox: Outbox, listener: Listener, clock: FixedClock
) -> None:
    await emit(bare_store, "wanted")
    assert len(await outbox._lease()) == 1
    assert await outbox.deliver_due() == 0
    clock.advance(minutes=2)
    assert await outbox.deliver_due() == 1
    assert listener.heard == ["wanted"]
