"""B12: the bus of one process, without a server."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from csms.bus.delivery import Inbox, Responder, check_request, count_drop
from csms.bus.port import (
    MESSAGE_LIMIT_BYTES,
    BusUnavailable,
    Message,
    MessageHandler,
    NoResponders,
    RequestFailed,
    RequestHandler,
    Subscription,
)
from csms.bus.subjects import check_subject, has_wildcards, is_match

Target = TypeVar("Target", Inbox, Responder)


class LocalSubscription:
    """A subscriber or server, and how to forget it."""

    def __init__(self, target: Inbox | Responder, forget: Callable[[], None]) -> None:
        self._target = target
        self._forget = forget

    @property
    def dropped(self) -> int:
        return self._target.dropped

    async def close(self) -> None:
        self._forget()
        await self._target.close()


class LocalBus:
    """Subscribers by subject and by pattern, in memory; the embedded installation's bus and the tests'."""

    def __init__(self) -> None:
        self._is_open = False
        self._dropped = 0
        self._exact: dict[str, list[Inbox]] = {}
        self._patterns: dict[str, list[Inbox]] = {}
        self._servers: dict[str, list[Responder]] = {}

    async def start(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        tables: list[dict[str, list[Inbox]] | dict[str, list[Responder]]] = [
            self._exact,
            self._patterns,
            self._servers,
        ]
        targets = [target for table in tables for group in table.values() for target in group]
        for table in tables:
            table.clear()
        await asyncio.gather(*(target.close() for target in targets))

    async def publish(self, subject: str, data: bytes) -> None:
        check_subject(subject)
        if not self._is_open or len(data) > MESSAGE_LIMIT_BYTES:
            self._dropped += 1
            count_drop("too large" if self._is_open else "not connected", subject, self._dropped)
            return
        message = Message(subject, data)
        for inbox in self._exact.get(subject, ()):
            inbox.offer(message)
        for pattern, inboxes in self._patterns.items():
            if is_match(pattern, subject):
                for inbox in inboxes:
                    inbox.offer(message)
        await asyncio.sleep(0)  # so that one who publishes in a loop does not overrun quick subscribers

    async def subscribe(self, subject: str, handler: MessageHandler) -> Subscription:
        check_subject(subject, wildcards=True)
        table = self._patterns if has_wildcards(subject) else self._exact
        return _enter(table, subject, Inbox(subject, handler))

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        check_request(subject, data)
        if not self._is_open:
            raise BusUnavailable("the bus is closed")
        servers = self._servers.get(subject)
        if not servers:
            raise NoResponders(f"nobody serves {subject}")
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def reply(outcome: bytes | RequestFailed) -> None:
            if answer.done():  # the asker gave up
                return
            if isinstance(outcome, RequestFailed):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        servers[-1].begin(data, reply)  # the newest: it took over from the others
        async with asyncio.timeout(timeout_s):
            return await answer

    async def serve(self, subject: str, handler: RequestHandler) -> Subscription:
        check_subject(subject)
        return _enter(self._servers, subject, Responder(subject, handler))


def _enter(table: dict[str, list[Target]], subject: str, target: Target) -> LocalSubscription:
    table.setdefault(subject, []).append(target)

    def forget() -> None:
        group = table.get(subject, [])
        if target in group:
            group.remove(target)
        if not group:
            table.pop(subject, None)

    return LocalSubscription(target, forget)
