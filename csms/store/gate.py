"""SQLite has one writer at a time: the order in which those of this process take their turns."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """One turn at a time, in order. Batches that follow one another share a turn while nobody else waits.

    A shared turn lets the writer's process go straight on to the next batch: handing the turn over would need the
    event loop, which is busy handling the batch after that.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._sharing = 0
        self._alone_waiting = 0

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """A turn for a unit of work of the API or a job."""
        self._alone_waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._alone_waiting -= 1
        try:
            yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """A turn for a batch; it may begin while another batch's lasts."""
        if not self._sharing or self._alone_waiting:
            await self._lock.acquire()
        self._sharing += 1
        try:
            yield
        finally:
            self._sharing -= 1
            if not self._sharing:
                self._lock.release()
