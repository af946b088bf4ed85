"""B12: what every bus offers, its errors and its limits.

BusError
├── NoResponders        nobody serves the subject; the request was not carried out
│   └── BusUnavailable  no connection to the bus; the request was not sent
└── RequestFailed       somebody serves it, and failed
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

MESSAGE_LIMIT_BYTES = 1024 * 1024
"""Largest message, request or reply; that of a NATS server as it is delivered."""
QUEUE_LIMIT_MESSAGES = 10_000
"""Messages that may wait for one subscriber."""
QUEUE_LIMIT_BYTES = 16 * 1024 * 1024
"""Bytes that may wait for one subscriber."""
REQUEST_LIMIT = 256
"""Requests on one subject that may run at once in this process."""
CLOSE_GRACE_S = 5.0
"""How long requests that run may go on after their server has closed."""


@dataclass(frozen=True, slots=True)
class Message:
    subject: str
    data: bytes


MessageHandler = Callable[[Message], Awaitable[None]]
RequestHandler = Callable[[bytes], Awaitable[bytes]]


class BusError(Exception):
    """A request that did not bring a reply."""


class NoResponders(BusError):
    """Nobody serves the subject; known at once."""


class BusUnavailable(NoResponders):
    """There is no connection to the bus, so the request was not sent."""


class RequestFailed(BusError):
    """The process that serves the subject could not answer: its handler raised, it was busy, or it closed."""


class Subscription(Protocol):
    @property
    def dropped(self) -> int:
        """Messages or requests refused because this subscriber was too slow."""

    async def close(self) -> None:
        """Take nothing more. Messages that wait are forgotten; requests that run may end within `CLOSE_GRACE_S`."""


class Bus(Protocol):
    """Publish and subscribe (at most once, in order per publisher), and requests (one server, one reply).

    Subjects are tokens joined by dots; `*` subscribes to any one token, a last `>` to one or more. Make tokens of
    foreign text with `subject_token`. A wrong subject is a ValueError.
    """

    async def start(self) -> None:
        """Connect; raises BusUnavailable when that takes too long."""

    async def close(self) -> None:
        """Close all subscriptions and the connection."""

    async def publish(self, subject: str, data: bytes) -> None:
        """Tell all who listen now. Never waits and never fails: what cannot go out is dropped and counted."""

    async def subscribe(self, subject: str, handler: MessageHandler) -> Subscription:
        """Hear what is published from now on. One message at a time; a handler that raises is logged and goes on."""

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        """Ask the one who serves the subject.

        Raises NoResponders at once when there is none, BusUnavailable (a NoResponders) when the bus cannot be
        reached, RequestFailed when the server failed, TimeoutError when time ran out: it may have acted all the same.
        """

    async def serve(self, subject: str, handler: RequestHandler) -> Subscription:
        """Answer requests on a subject without wildcards, several at once.

        Where several serve one subject, one of them gets each request. A handler is not cancelled when the asker
        gives up.
        """
