"""B12: how a process takes messages and requests from any bus: bounded, in order, and with failures contained."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import Counter

from csms.bus.port import (
    CLOSE_GRACE_S,
    MESSAGE_LIMIT_BYTES,
    QUEUE_LIMIT_BYTES,
    QUEUE_LIMIT_MESSAGES,
    REQUEST_LIMIT,
    Message,
    MessageHandler,
    RequestFailed,
    RequestHandler,
)
from csms.bus.subjects import check_subject

log = structlog.get_logger(__name__)

DROPPED = Counter("csms_bus_dropped", "Messages and requests that the bus gave up, by reason", ["reason"])
HANDLER_FAILURES = Counter("csms_bus_handler_failures", "Handlers of bus messages and requests that raised")

Reply = Callable[[bytes | RequestFailed], Awaitable[None]]


def count_drop(reason: str, subject: str, dropped: int) -> None:
    """Count a lost message; log the first, second, fourth, eighth … of a row, so that a flood stays readable."""
    DROPPED.labels(reason).inc()
    if dropped & (dropped - 1) == 0:
        log.warning("bus message dropped", reason=reason, subject=subject, dropped=dropped)


def check_request(subject: str, data: bytes) -> None:
    """Raise ValueError when no bus could send it."""
    check_subject(subject)
    if len(data) > MESSAGE_LIMIT_BYTES:
        raise ValueError(f"the request has {len(data)} bytes, over the limit of {MESSAGE_LIMIT_BYTES}")


class Inbox:
    """What waits for one subscriber, and the task that hands it over, one message at a time."""

    def __init__(self, subject: str, handler: MessageHandler) -> None:
        self.dropped = 0
        self._subject = subject
        self._handler = handler
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._arrived = asyncio.Event()
        self._is_open = True
        self._task = asyncio.get_running_loop().create_task(self._work())

    def offer(self, message: Message) -> None:
        """Line the message up, or drop it when too much waits already. Never waits."""
        if not self._is_open:
            return
        full = len(self._waiting) >= QUEUE_LIMIT_MESSAGES
        if full or self._waiting_bytes + len(message.data) > QUEUE_LIMIT_BYTES:
            self.dropped += 1
            count_drop("slow subscriber", self._subject, self.dropped)
            return
        self._waiting.append(message)
        self._waiting_bytes += len(message.data)
        self._arrived.set()

    async def close(self) -> None:
        """Forget what waits and cancel the handler, unless it is the handler that closes."""
        self._is_open = False
        self._waiting.clear()
        self._arrived.set()
        if asyncio.current_task() is not self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._is_open:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                message = self._waiting.popleft()
                self._waiting_bytes -= len(message.data)
                await self._handle(message)

    async def _handle(self, message: Message) -> None:
        try:
            await self._handler(message)
        except Exception:  # whatever it is, the next message has a right to its handler
            HANDLER_FAILURES.inc()
            log.exception("bus handler failed", subject=message.subject)


class Responder:
    """Runs the handler of one served subject, for several requests at once; each gets exactly one reply."""

    def __init__(self, subject: str, handler: RequestHandler) -> None:
        self.dropped = 0
        self._subject = subject
        self._handler = handler
        self._running: set[asyncio.Task[None]] = set()
        self._is_open = True

    def begin(self, data: bytes, reply: Reply) -> None:
        """Start the handler; never waits. `reply` is called once, with the answer or the failure."""
        task = asyncio.get_running_loop().create_task(self._run(data, reply, self._refusal()))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _refusal(self) -> RequestFailed | None:
        if not self._is_open:
            return RequestFailed("the server of this subject has closed")
        if len(self._running) >= REQUEST_LIMIT:
            self.dropped += 1
            count_drop("busy server", self._subject, self.dropped)
            return RequestFailed("too many requests at once")
        return None

    async def close(self) -> None:
        """Refuse what comes; give what runs `CLOSE_GRACE_S`, then cancel it. A handler may close its own server."""
        self._is_open = False
        others = self._running - {asyncio.current_task()}
        if not others:
            return
        _, late = await asyncio.wait(others, timeout=CLOSE_GRACE_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _run(self, data: bytes, reply: Reply, refusal: RequestFailed | None) -> None:
        try:
            await reply(refusal or await self._answer(data))
        except asyncio.CancelledError:
            await reply(RequestFailed("the server of this subject has closed"))
            raise
        except Exception:  # the way back failed: the asker is gone, or the bus is
            log.exception("bus reply failed", subject=self._subject)

    async def _answer(self, data: bytes) -> bytes | RequestFailed:
        try:
            answer = await self._handler(data)
        except Exception:  # the asker must not wait for its timeout because of it
            HANDLER_FAILURES.inc()
            log.exception("bus handler failed", subject=self._subject)
            return RequestFailed("the server of this subject failed")
        if len(answer) > MESSAGE_LIMIT_BYTES:
            return RequestFailed(f"the answer has {len(answer)} bytes, over the limit of {MESSAGE_LIMIT_BYTES}")
        return answer
