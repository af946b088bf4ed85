"""Facts after the commit: stored as events in the same transaction, delivered to consumers at least once.

`work.emit(Fact(…))` → a row in `event` (live clients resume from it) and one in `outbox` for each consumer
that wants the kind. A worker leases due rows, runs the consumer in a unit of work of its own and deletes
the row in that same commit; a consumer that fails is tried again later, with growing pauses.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import Index, delete, update
from sqlmodel import Field, col, select

from csms.store import BigInt, Json, Owned, Store, Table, UtcDateTime, Work

log = structlog.get_logger(__name__)

BATCH_ROWS = 100
LEASE_S = 60
ATTEMPTS_MAX = 12
FAILURES = Counter("csms_outbox_failures", "News that a feature could not handle, and tries again later", ["consumer"])


class Event(Owned, table=True):
    """Something that happened; what server-sent events resume from."""

    station_id: int | None = Field(default=None, sa_type=BigInt, index=True)
    station: str | None = None
    kind: str
    at: datetime = Field(sa_type=UtcDateTime)
    data: dict[str, Any] = Field(sa_type=Json)


class OutboxItem(Table, table=True):
    """An event that one consumer has not handled yet."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "due_at"),)

    event_id: int = Field(sa_type=BigInt)
    consumer: str
    due_at: datetime = Field(sa_type=UtcDateTime)
    attempts: int = 0
    error: str | None = None
    has_failed: bool = False
    """Given up after ATTEMPTS_MAX; kept to be looked at."""


Handle = Callable[[Work, Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A feature that wants to hear of some kinds of facts; offered in its `jobs.py` as `CONSUMERS`."""

    name: str
    kinds: frozenset[str]
    handle: Handle


class Outbox:
    """The consumers of this installation and the work of delivering to them."""

    def __init__(self, store: Store, consumers: Iterable[Consumer]) -> None:
        self._store = store
        self._consumers = {consumer.name: consumer for consumer in consumers}
        self._wanted: dict[str, list[str]] = {}
        for consumer in self._consumers.values():
            for kind in consumer.kinds:
                self._wanted.setdefault(kind, []).append(consumer.name)
        self._news = asyncio.Event()
        store.before_commit.append(self._keep)
        store.announce.append(lambda _facts: self._news.set())

    async def _keep(self, work: Work) -> None:
        for fact in work.facts:
            event_id = fact.id
            work.insert(
                Event,
                id=event_id,
                organisation_id=fact.organisation_id,
                station_id=fact.station_id,
                station=fact.station,
                kind=fact.kind,
                at=work.now,
                data=fact.data,
            )
            for name in self._wanted.get(fact.kind, ()):
                work.insert(
                    OutboxItem,
                    event_id=event_id,
                    consumer=name,
                    due_at=work.now,
                    attempts=0,
                    has_failed=False,
                )

    async def wait_for_news(self, timeout_s: float) -> None:
        """Return when this process emitted a fact, or when time is up (others may have)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def deliver_due(self) -> int:
        """Hand every due row to its consumer; returns how many were handled."""
        handled = 0
        while items := await self._lease():
            for item in items:
                handled += await self._deliver(item)
            if len(items) < BATCH_ROWS:
                break
        return handled

    async def _lease(self) -> list[OutboxItem]:
        async with self._store.writing() as work:
            query = (
                select(OutboxItem)
                .where(OutboxItem.due_at <= work.now, col(OutboxItem.has_failed).is_(False))
                .order_by(col(OutboxItem.id))
                .limit(BATCH_ROWS)
                .with_for_update(skip_locked=True)
            )
            items = list((await work.session.exec(query)).all())
            for item in items:
                item.due_at = work.now + timedelta(seconds=LEASE_S)
            return items

    async def _deliver(self, item: OutboxItem) -> bool:
        consumer = self._consumers.get(item.consumer)
        try:
            async with self._store.writing() as work:
                event = await work.session.get(Event, item.event_id)
                if event is not None and consumer is not None:
                    await consumer.handle(work, event)
                await work.session.exec(delete(OutboxItem).where(col(OutboxItem.id) == item.id))
        except Exception as error:
            FAILURES.labels(item.consumer).inc()
            log.exception("consumer failed", consumer=item.consumer, event_id=item.event_id)
            await self._postpone(item, str(error))
            return False
        return True

    async def _postpone(self, item: OutboxItem, error: str) -> None:
        async with self._store.writing() as work:
            attempts = item.attempts + 1
            due_at = work.now + timedelta(seconds=min(3600, 2**attempts))
            await work.session.exec(
                update(OutboxItem)
                .where(col(OutboxItem.id) == item.id)
                .values(attempts=attempts, due_at=due_at, error=error[:500], has_failed=attempts >= ATTEMPTS_MAX)
            )
