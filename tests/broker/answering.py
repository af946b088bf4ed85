"""A station on a real socket that answers what it is asked, by a table of functions, and calls when told to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection

from csms.ocpp.versions import Version
from tests.broker.conftest import DEADLINE_S, Bench

Answer = dict[str, Any] | tuple[str, str] | None
"""A CALLRESULT's payload, a CALLERROR's code and description, or no answer at all."""


class Answering:
    """A connected station; `asked` is what it was sent."""

    def __init__(self, client: ClientConnection, answers: Mapping[str, Callable[[dict[str, Any]], Answer]]) -> None:
        self.client = client
        self.answers = dict(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}

    async def call(self, action: str, **payload: Any) -> list[Any]:
        """Send a call; the whole answer frame."""
        message_id = uuid4().hex
        self._waiting[message_id] = asyncio.get_running_loop().create_future()
        await self.client.send(json.dumps([2, message_id, action, payload]))
        return await asyncio.wait_for(self._waiting[message_id], DEADLINE_S)

    async def read(self) -> None:
        """Take frames until the connection ends."""
        async for text in self.client:
            frame = json.loads(text)
            if frame[0] == 2:
                await self._answer(*frame[1:])
            elif frame[1] in self._waiting:
                self._waiting.pop(frame[1]).set_result(frame)

    async def _answer(self, message_id: str, action: str, payload: dict[str, Any]) -> None:
        self.asked.append((action, payload))
        act = self.answers.get(action)
        answer = ("NotSupported", "not scripted") if act is None else act(payload)
        if isinstance(answer, tuple):
            await self.client.send(json.dumps([4, message_id, answer[0], answer[1], {}]))
        elif answer is not None:
            await self.client.send(json.dumps([3, message_id, answer]))

    def sent(self, action: str) -> list[dict[str, Any]]:
        """The payloads of that action that it was sent."""
        return [payload for name, payload in self.asked if name == action]


@asynccontextmanager
async def answering(
    bench: Bench, identity: str, version: Version, answers: Mapping[str, Callable[[dict[str, Any]], Answer]]
) -> AsyncIterator[Answering]:
    """A station that is connected, and read from in a task of its own."""
    async with bench.station(identity, subprotocols=[version.value]) as client:
        station = Answering(client, answers)
        reader = asyncio.create_task(station.read())
        await bench.is_registered(identity)
        try:
            yield station
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
