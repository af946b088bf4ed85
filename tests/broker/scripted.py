"""Stations over a real socket that answer the calls of the CSMS as a test wants, and call by themselves."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from csms.ocpp.schema import check
from csms.ocpp.versions import Version
from tests.broker.conftest import DEADLINE_S, Bench

Payload = dict[str, Any]
Answer = Payload | Callable[[Payload], Payload] | None


class ScriptedStation:
    """Answers calls by `answers[action]`: a payload, a function of the request, or None for no answer at all.

    An action without an entry gets a CALLERROR NotSupported. Every request must fit its schema.
    """

    def __init__(self, client: ClientConnection, version: Version, identity: str) -> None:
        self.version = version
        self.identity = identity
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, Payload]] = []
        self._client = client
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}

    async def listen(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self._client:
                frame = json.loads(text)
                if frame[0] == 2:
                    await self._answer(*frame[1:])
                elif frame[1] in self._waiting:
                    self._waiting.pop(frame[1]).set_result(frame)

    async def _answer(self, message_id: str, action: str, request: Payload) -> None:
        assert check(self.version, action, "request", request) is None
        self.requests.append((action, request))
        if action not in self.answers:
            await self._client.send(json.dumps([4, message_id, "NotSupported", "", {}]))
            return
        answer = self.answers[action]
        if answer is not None:
            payload = answer(request) if callable(answer) else answer
            await self._client.send(json.dumps([3, message_id, payload]))

    async def call(self, action: str, **payload: Any) -> Payload:
        """The answer's payload; fails for a CALLERROR."""
        message_id = uuid4().hex
        self._waiting[message_id] = asyncio.get_running_loop().create_future()
        await self._client.send(json.dumps([2, message_id, action, payload]))
        frame = await asyncio.wait_for(self._waiting[message_id], DEADLINE_S)
        assert frame[0] == 3, frame
        return frame[2]  # type: ignore[no-any-return]

    async def boot(self) -> Payload:
        if self.version is Version.V16:
            return await self.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        return await self.call("BootNotification", chargingStation={"model": "M", "vendorName": "V"}, reason="PowerUp")

    async def tell_status(self, number: int, word: str = "Available", at: str = "2026-01-01T00:00:00Z") -> None:
        if self.version is Version.V16:
            await self.call("StatusNotification", connectorId=number, status=word, errorCode="NoError", timestamp=at)
        else:
            await self.call("StatusNotification", evseId=number, connectorId=1, connectorStatus=word, timestamp=at)

    def sent(self, action: str) -> list[Payload]:
        """The requests of that action, in order."""
        return [request for name, request in self.requests if name == action]


@asynccontextmanager
async def scripted(bench: Bench, version: Version, identity: str = "CS-1") -> AsyncIterator[ScriptedStation]:
    """A booted station that is registered at the broker."""
    async with bench.station(identity, subprotocols=[version.value]) as client:
        station = ScriptedStation(client, version, identity)
        listener = asyncio.create_task(station.listen())
        try:
            await station.boot()
            await bench.is_registered(identity)
            yield station
        finally:
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener


def basic(username: str, password: bytes | str) -> dict[str, str]:
    """The header of HTTP Basic."""
    secret = password.encode() if isinstance(password, str) else password
    return {"Authorization": "Basic " + base64.b64encode(username.encode() + b":" + secret).decode()}


async def next_call(client: ClientConnection) -> tuple[str, str, dict[str, Any]]:
    """The next call that the station gets: message id, action, payload."""
    while True:
        frame = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        if frame[0] == 2:
            return frame[1], frame[2], frame[3]


async def answer_next(client: ClientConnection, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Answer the next call with that payload; returns its action and payload."""
    message_id, action, payload = await next_call(client)
    await client.send(json.dumps([3, message_id, answer]))
    return action, payload


async def refuse_next(client: ClientConnection, code: str) -> None:
    """Answer the next call with a CALLERROR."""
    message_id, _action, _payload = await next_call(client)
    await client.send(json.dumps([4, message_id, code, "", {}]))
