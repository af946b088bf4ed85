"""A small CSMS for the simulator's tests: real sockets, scripted answers, every payload checked against the schemas."""

import asyncio
import contextlib
import functools
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import ocpp
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from csms.ocpp import frames
from csms.ocpp.errors import ErrorKind, OcppError
from csms.ocpp.versions import Version

DEADLINE_S = 15.0
Payload = dict[str, Any]
Answer = Callable[[Payload], Payload | None]
"""Payload of a call to payload of the answer; None leaves the call unanswered; OcppError refuses it."""


FOLDERS = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}


@functools.cache
def validator(version: Version, name: str) -> jsonschema_rs.Validator:
    path = Path(ocpp.__file__).parent / FOLDERS[version] / "schemas" / f"{name}.json"
    return jsonschema_rs.validator_for(json.loads(path.read_text("utf-8-sig")), validate_formats=False)


@dataclass
class Received:
    identity: str
    action: str
    payload: Payload


@dataclass
class ScriptedCsms:
    heartbeat_interval_s: int = 300
    refuse_with: HTTPStatus | None = None
    speaks_ocpp: bool = True
    url: str = ""
    received: list[Received] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    closes: list[tuple[int | None, str]] = field(default_factory=list)
    versions: dict[str, Version] = field(default_factory=dict)
    enabled: tuple[Version, ...] = tuple(Version)
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self._waiting: dict[str, tuple[str, asyncio.Future[frames.Result | frames.Error]]] = {}
        self._ids = itertools.count(1)
        self._transaction_ids = itertools.count(1001)

    # --- what a test asks

    def actions(self, *without: str) -> list[str]:
        return [call.action for call in self.received if call.action not in without]

    def payloads(self, action: str) -> list[Payload]:
        return [call.payload for call in self.received if call.action == action]

    def statuses(self, connector_id: int) -> list[str]:
        told = self.payloads("StatusNotification")
        return [payload["status"] for payload in told if payload["connectorId"] == connector_id]

    def events(self, kind: str | None = None) -> list[Payload]:
        """TransactionEvents, of one kind or all."""
        return [told for told in self.payloads("TransactionEvent") if kind in (None, told["eventType"])]

    def triggers(self) -> list[str]:
        return [told["triggerReason"] for told in self.events()]

    async def until(self, is_so: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def expect(self, action: str, count: int = 1) -> Payload:
        await self.until(lambda: len(self.payloads(action)) >= count)
        return self.payloads(action)[count - 1]

    async def call(self, action: str, payload: Payload, identity: str | None = None) -> Payload:
        """The payload of the station's answer; OcppError's words as {"error": code} when it refuses.

        Without an identity the only station is meant.
        """
        identity = identity or next(iter(self.sockets))
        message_id = str(next(self._ids))
        future: asyncio.Future[frames.Result | frames.Error] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = (action, future)
        await self.sockets[identity].send(frames.call_text(message_id, action, payload))
        async with asyncio.timeout(DEADLINE_S):
            answer = await future
        return {"error": answer.code} if isinstance(answer, frames.Error) else answer.payload

    # --- the server

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.authorizations.append(request.headers.get("Authorization"))
        self._changed.set()
        if self.refuse_with is not None:
            return connection.respond(self.refuse_with, "refused\n")
        return None

    def choose(self, _connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        known = [name for name in offered if name in self.enabled]
        return known[0] if self.speaks_ocpp and known else None

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        identity = unquote(connection.request.path.rpartition("/")[2])
        self.sockets[identity] = connection
        self.versions[identity] = Version(connection.subprotocol or Version.V16)
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                await self._read(connection, identity, str(text))
        self.closes.append((connection.close_code, connection.close_reason or ""))
        self._changed.set()

    async def _read(self, connection: ServerConnection, identity: str, text: str) -> None:
        version = self.versions[identity]
        match frames.parse(text, version):
            case frames.Call() as call:
                self._check(version, call.action if version is Version.V16 else f"{call.action}Request", call.payload)
                self.received.append(Received(identity, call.action, call.payload))
                await self._answer(connection, call)
            case (frames.Result() | frames.Error()) as answer if answer.message_id in self._waiting:
                action, future = self._waiting.pop(answer.message_id)
                if isinstance(answer, frames.Result):
                    self._check(version, f"{action}Response", answer.payload)
                future.set_result(answer)
            case _:
                self.strays.append(text)
        self._changed.set()

    def _check(self, version: Version, schema: str, payload: Payload) -> None:
        errors = validator(version, schema).iter_errors(payload)
        self.invalid.extend(f"{version} {schema}: {error.message} in {payload}" for error in errors)

    async def _answer(self, connection: ServerConnection, call: frames.Call) -> None:
        try:
            payload = self.answers.get(call.action, self._default(call.action, connection))(call.payload)
        except OcppError as error:
            await connection.send(frames.error_text(call.message_id, error.kind, error.description))
            return
        if payload is not None:
            await connection.send(frames.result_text(call.message_id, payload))

    def _default(self, action: str, connection: ServerConnection) -> Answer:
        if connection.subprotocol != Version.V16:
            return self._default_2(action)
        accepted = {"idTagInfo": {"status": "Accepted"}}
        known: dict[str, Answer] = {
            "BootNotification": lambda _: boot("Accepted", self.heartbeat_interval_s),
            "Heartbeat": lambda _: {"currentTime": "2026-03-01T12:00:00Z"},
            "Authorize": lambda _: accepted,
            "StartTransaction": lambda _: {**accepted, "transactionId": next(self._transaction_ids)},
            "StopTransaction": lambda _: {},
        }
        return known.get(action, lambda _: {})

    def _default_2(self, action: str) -> Answer:
        accepted = {"idTokenInfo": {"status": "Accepted"}}
        known: dict[str, Answer] = {
            "BootNotification": lambda _: boot("Accepted", self.heartbeat_interval_s),
            "Heartbeat": lambda _: {"currentTime": "2026-03-01T12:00:00Z"},
            "Authorize": lambda _: accepted,
            "TransactionEvent": lambda told: accepted if "idToken" in told else {},
            "SignCertificate": lambda _: {"status": "Accepted"},
            "DataTransfer": lambda _: {"status": "Accepted"},
        }
        return known.get(action, lambda _: {})


def boot(status: str, interval_s: int) -> Payload:
    return {"status": status, "currentTime": "2026-03-01T12:00:00Z", "interval": interval_s}


def refuse(_payload: Payload) -> Payload | None:
    raise OcppError(ErrorKind.INTERNAL, "the database is away")


@contextlib.asynccontextmanager
async def scripted_csms(
    port: int = 0, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[ScriptedCsms]:
    csms = ScriptedCsms(**options)
    server: Server = await serve(
        csms.handle,
        "127.0.0.1",
        port,
        ssl=tls,
        process_request=csms.check,
        select_subprotocol=csms.choose,
        close_timeout=2.0,
    )
    async with server:
        csms.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        yield csms
    assert csms.invalid == []
