"""F1: a stream of events for one client: first what it missed, then what happens, nothing lost between the two.

The stream subscribes to the bus, then reads the event table, then passes on what comes, each event once. The
table is the truth: at every pause the last seconds are read again, for what the bus may have lost and for what
was committed later than its id says. A client that resumes gets the last seconds before its event again, for
the same reason: it may see an event twice, and tells by its id.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.bus import Message, Subscription
from csms.exceptions import TooMany
from csms.fleet.live.rules import comment_text, event_text, retry_text
from csms.ids import id_at, new_id, time_of
from csms.outbox import Event
from csms.rights import Caller
from csms.runtime import ACCESS_SUBJECT, LIVE_SUBJECT, Runtime, news_in

HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 3000
OVERLAP: Final = timedelta(seconds=10)
"""An event may be committed so much later than its id was made."""
BACKLOG_AGE_MAX: Final = timedelta(hours=24)
BACKLOG_EVENTS_MAX: Final = 10_000
CHUNK_EVENTS: Final = 500
WAITING_EVENTS_MAX: Final = 1000
WAITING_BYTES_MAX: Final = 4 * 1024 * 1024
SEEN_MAX: Final = 5000
STREAMS_PER_KEY_MAX: Final = 10
STREAMS_MAX: Final = 1000

IsAllowed = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; an empty set is all. Stations by their OCPP identity."""

    stations: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def fits(self, station: str | None, kind: str) -> bool:
        return (not self.stations or station in self.stations) and (not self.kinds or kind in self.kinds)


@dataclass(frozen=True, slots=True)
class News:
    """An event on its way to a client."""

    id: int
    kind: str
    station: str | None
    at: datetime
    data: dict[str, Any]

    def text(self) -> str:
        shown = {"id": str(self.id), "kind": self.kind, "station_id": self.station, "at": self.at, "data": self.data}
        return event_text(self.id, self.kind, orjson.dumps(shown, option=orjson.OPT_UTC_Z).decode())


def events_query(wanted: EventFilter) -> SelectOfScalar[Event]:
    """The events that fit; the session adds the organisation."""
    query = select(Event)
    if wanted.stations:
        query = query.where(col(Event.station).in_(wanted.stations))
    if wanted.kinds:
        query = query.where(col(Event.kind).in_(wanted.kinds))
    return query


class _Waiting:
    """What the bus brought and the client has not taken yet; bounded."""

    def __init__(self) -> None:
        self._news: deque[tuple[News, int]] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self.has_overflowed = False
        self.has_ended = False

    def put(self, news: News, size_bytes: int) -> None:
        if len(self._news) >= WAITING_EVENTS_MAX or self._bytes + size_bytes > WAITING_BYTES_MAX:
            self.has_overflowed = True
        else:
            self._news.append((news, size_bytes))
            self._bytes += size_bytes
        self._wake.set()

    def end(self) -> None:
        self.has_ended = True
        self._wake.set()

    def wake(self) -> None:
        """Have `wait` return, for another reason than news."""
        self._wake.set()

    def take(self) -> News | None:
        if not self._news:
            return None
        news, size_bytes = self._news.popleft()
        self._bytes -= size_bytes
        return news

    async def wait(self, timeout_s: float) -> None:
        """Return when there is news, or when time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        self._wake.clear()


class Stream:
    """One client's stream; `texts` is its whole life."""

    def __init__(
        self,
        runtime: Runtime,
        caller: Caller,
        wanted: EventFilter,
        last_id: int | None,
        is_allowed: IsAllowed,
        *,
        stopping: asyncio.Event | None = None,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self.runtime = runtime
        self.key = (caller.kind, caller.id)
        self._caller = caller
        self._wanted = wanted
        self._last_id = last_id
        self._is_allowed = is_allowed
        self._stopping = stopping or asyncio.Event()
        self._heartbeat_s = heartbeat_s
        self._waiting = _Waiting()
        self._seen: dict[int, None] = {}
        self._has_forgotten = False
        self._is_doubtful = False
        """Keys, users or rights were changed: is this one's caller still allowed to listen?"""
        self._begun_at_id = new_id()
        self._read_from_id = self._begun_at_id

    async def texts(self) -> AsyncGenerator[str, None]:
        """Server-sent events until the client goes, the server ends, or the client was too slow."""
        if _lacks_room(self.runtime, self.key):
            return  # it was admitted together with others; it connects again and is told
        _open_streams.add(self)
        subscription, doubts = None, None
        watch = asyncio.get_running_loop().create_task(self._end_when_stopping())
        try:
            subscription = await self.runtime.bus.subscribe(
                f"{LIVE_SUBJECT}.{self._caller.organisation_id}", self._hear
            )
            doubts = await self.runtime.bus.subscribe(ACCESS_SUBJECT, self._doubt)
            yield retry_text(RETRY_MS)
            async for text in self._backlog():
                yield text
            async for text in self._live(subscription):
                yield text
        finally:
            watch.cancel()
            _open_streams.discard(self)
            for one in (subscription, doubts):
                if one is not None:
                    _close_later(one)

    async def _end_when_stopping(self) -> None:
        await self._stopping.wait()
        self._waiting.end()

    async def _hear(self, message: Message) -> None:
        told = news_in(message)
        for parts in told:
            if self._wanted.fits(parts["station"], parts["kind"]):
                at = datetime.fromisoformat(parts["at"])
                news = News(int(parts["id"]), parts["kind"], parts["station"], at, parts["data"])
                self._waiting.put(news, len(message.data) // len(told))

    async def _doubt(self, _message: Message) -> None:
        self._is_doubtful = True
        self._waiting.wake()

    async def _backlog(self) -> AsyncIterator[str]:
        """What the client missed since its last event; a gap where that is too much."""
        if self._last_id is None:
            return
        since = time_of(self._last_id)
        now = time_of(self._begun_at_id)
        if now - since > BACKLOG_AGE_MAX:
            yield _gap("your last event is too old; load the state anew")
            return
        after_id, count = id_at(since - OVERLAP), 0
        while news := await self._read(after_id, CHUNK_EVENTS):
            for one in news:
                if one.id != self._last_id and self._is_new(one.id):
                    yield one.text()
            after_id, count = news[-1].id, count + len(news)
            if count >= BACKLOG_EVENTS_MAX:
                yield _gap("you missed too many events; load the state anew")
                return

    async def _live(self, subscription: Subscription) -> AsyncIterator[str]:
        clock = asyncio.get_running_loop().time
        check_at = clock() + self._heartbeat_s
        while True:
            if not await self._may_go_on():
                return
            while not self._is_doubtful and (news := self._waiting.take()) is not None:
                if self._is_new(news.id):
                    yield news.text()
            if self._waiting.has_overflowed or subscription.dropped:
                yield _gap("you read too slowly; load the state anew")
                return
            if self._waiting.has_ended:
                return
            await self._waiting.wait(check_at - clock())
            if clock() >= check_at:
                check_at, self._is_doubtful = clock() + self._heartbeat_s, True
                if not await self._may_go_on():
                    return
                for one in await self._missed_by_the_bus():
                    yield one.text()
                yield comment_text("still here")

    async def _may_go_on(self) -> bool:
        """Whether the caller is still allowed to listen, where that is in doubt."""
        is_doubtful, self._is_doubtful = self._is_doubtful, False
        return not is_doubtful or await self._is_allowed()

    async def _missed_by_the_bus(self) -> list[News]:
        """Read the last seconds again; not where more was seen in them than is remembered."""
        read_from_id, self._read_from_id = self._read_from_id, new_id()
        after_id = id_at(time_of(read_from_id) - OVERLAP)
        if self._has_forgotten:
            self._has_forgotten = False
            return []
        if self._last_id is None:
            after_id = max(after_id, self._begun_at_id)
        found = [news for news in await self._read(after_id, SEEN_MAX) if self._is_new(news.id)]
        self._seen = {event_id: None for event_id in self._seen if event_id > after_id}
        return found

    async def _read(self, after_id: int, limit: int) -> Sequence[News]:
        query = events_query(self._wanted).where(col(Event.id) > after_id).order_by(col(Event.id)).limit(limit)
        async with self.runtime.store.reading(self._caller) as work:
            rows = (await work.session.exec(query)).all()
        return [News(row.id, row.kind, row.station, row.at, row.data) for row in rows]

    def _is_new(self, event_id: int) -> bool:
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
            self._has_forgotten = True
        return True


_open_streams: set[Stream] = set()
_closing: set[asyncio.Task[None]] = set()


def check_room(runtime: Runtime, caller: Caller) -> None:
    """Raises TooMany when the key has as many streams as it may, or the process has."""
    reason = _lacks_room(runtime, (caller.kind, caller.id))
    if reason is not None:
        raise TooMany(reason, retry_after_s=30)


def _lacks_room(runtime: Runtime, key: tuple[str, int | None]) -> str | None:
    mine = [stream for stream in _open_streams if stream.runtime is runtime]
    if sum(stream.key == key for stream in mine) >= STREAMS_PER_KEY_MAX:
        return f"this key has {STREAMS_PER_KEY_MAX} streams open; close one first"
    return "too many streams are open; try again later" if len(mine) >= STREAMS_MAX else None


def _close_later(subscription: Subscription) -> None:
    """In a task of its own: the client's going has cancelled ours."""
    task = asyncio.get_running_loop().create_task(subscription.close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _gap(reason: str) -> str:
    """Events are missing here; its id lets the client resume after it."""
    return event_text(new_id(), "gap", orjson.dumps({"reason": reason}).decode())
