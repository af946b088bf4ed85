"""F5: a thin OCPP-J client over `websockets`: one call at a time, answers to the CSMS at once."""

import asyncio
import base64
import contextlib
import ssl
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.typing import Subprotocol

from csms.ocpp import frames
from csms.ocpp.errors import ErrorKind, OcppError
from csms.ocpp.versions import Version

Payload = dict[str, Any]

MAX_FRAME_BYTES = 256 * 1024
MAX_QUEUED_FRAMES = 16
OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A CALLRESULT: its payload and how long it took in real seconds."""

    payload: Payload
    after_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A CALLERROR, or an answer that is none."""

    code: str
    description: str
    after_s: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer in time."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended before the answer came; nobody knows whether the call arrived."""


Outcome = Answered | Refused | TimedOut | Disconnected


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call of the CSMS, and what to do once it is sent."""

    payload: Payload
    then: Callable[[], None] | None = None


OnCall = Callable[[str, Payload], Reply]
"""Takes action and payload of a call; raises OcppError to refuse it. Must not wait: the reader waits for it."""


class Observer:
    """Told what happens on the wire and at the station; this one does nothing, others count."""

    def connected(self) -> None: ...

    def connect_failed(self, reason: str) -> None: ...

    def disconnected(self, code: int | None) -> None: ...

    def settled(self, action: str, outcome: Outcome) -> None:
        """A call of the station came to its end."""

    def called(self, action: str) -> None:
        """The CSMS called the station."""

    def stray(self) -> None:
        """A text that is no frame, or an answer that nobody waits for."""

    def lost(self, action: str) -> None:
        """A transaction message was given up."""

    def charge_began(self) -> None: ...

    def charge_ended(self, energy_wh: int) -> None: ...


class ConnectError(Exception):
    """No OCPP connection came about; `status` is the HTTP status of a refusal, None for other reasons."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and as whom to connect. `url` ends before the identity; `password` is bytes, None for no Basic auth."""

    url: str
    identity: str
    password: bytes | None = field(default=None, repr=False)
    subprotocols: Sequence[str] = (Version.V16,)
    tls: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        """The URL with the identity percent-encoded (OCPP-J 1.6, 3.1.1)."""
        return f"{self.url.rstrip('/')}/{quote(self.identity, safe='')}"

    @property
    def headers(self) -> dict[str, str]:
        """The Basic header; the password may be any bytes (1.6 security whitepaper, 4.2)."""
        if self.password is None:
            return {}
        raw = self.identity.encode() + b":" + self.password
        return {"Authorization": "Basic " + base64.b64encode(raw).decode("ascii")}


def tls_context(roots: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """How to trust a CSMS (its roots as PEM, those of the system without), and the station's own chain for profile 3.

    The key may stand in the file of the certificate. Raises OSError (ssl.SSLError is one) for files that are no good.
    """
    context = ssl.create_default_context(cafile=None if roots is None else str(roots))
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # 1.6 security whitepaper and 2.0.1, A00.FR.314
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


@dataclass(slots=True)
class _Waiting:
    message_id: str
    outcome: asyncio.Future[Outcome]
    sent_at_s: float


class Wire:
    """One OCPP-J connection seen from the station.

    `serve()` must run for answers to arrive. At most one call is outstanding (OCPP-J 1.6, 4.1.1); further callers
    queue.
    """

    def __init__(self, connection: ClientConnection, on_call: OnCall, observer: Observer) -> None:
        self._connection = connection
        self._on_call = on_call
        self._observer = observer
        self.version = Version(str(connection.subprotocol))
        self._turn = asyncio.Lock()
        self._waiting: _Waiting | None = None
        self._is_closed = False
        self._is_ending = False

    @classmethod
    async def open(
        cls, endpoint: Endpoint, on_call: OnCall, observer: Observer, *, ping_interval_s: float | None = None
    ) -> Self:
        """Connect and shake hands. Raises ConnectError, also when the CSMS agreed to no subprotocol."""
        try:
            connection = await connect(
                endpoint.address,
                subprotocols=[Subprotocol(name) for name in endpoint.subprotocols],
                additional_headers=endpoint.headers,
                user_agent_header=None,
                compression=None,
                proxy=None,
                ssl=endpoint.tls,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=ping_interval_s or None,
                max_size=MAX_FRAME_BYTES,
                max_queue=MAX_QUEUED_FRAMES,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            raise ConnectError(f"the handshake was refused with HTTP {status}", status) from error
        except (OSError, TimeoutError, WebSocketException) as error:
            raise ConnectError(str(error) or type(error).__name__) from error
        if connection.subprotocol is None:
            await connection.close(1002, "no subprotocol agreed")
            raise ConnectError("the CSMS agreed to no subprotocol")
        return cls(connection, on_call, observer)

    @property
    def is_waiting(self) -> bool:
        """Whether a call is outstanding."""
        return self._waiting is not None

    @property
    def is_ending(self) -> bool:
        """Whether the connection is about to go, or gone."""
        return self._is_ending or self._connection.state is not State.OPEN

    async def call(self, action: str, payload: Payload, timeout_s: float) -> Outcome:
        """Send a call and wait for its end; every end is a value."""
        async with self._turn:
            outcome = await self._call(action, payload, timeout_s)
        self._observer.settled(action, outcome)
        return outcome

    async def _call(self, action: str, payload: Payload, timeout_s: float) -> Outcome:
        if self._is_closed:
            return Disconnected()
        message_id = str(uuid.uuid4())
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting = _Waiting(message_id, future, time.perf_counter())
        try:
            async with asyncio.timeout(timeout_s):
                await self._connection.send(frames.call_text(message_id, action, payload))
                return await future
        except TimeoutError:
            return TimedOut()
        except ConnectionClosed:
            return Disconnected()
        finally:
            self._waiting = None

    async def serve(self) -> int | None:
        """Read until the connection ends; the close code received or derived (1006), None when unknown."""
        try:
            async for message in self._connection:
                await self._receive(message)
        except ConnectionClosed:
            pass  # its code is read below; a dirty end is an everyday thing here
        finally:
            self._end()
        return self._connection.close_code

    async def _receive(self, message: str | bytes) -> None:
        frame = frames.parse(message, self.version) if isinstance(message, str) else None
        match frame:
            case frames.Call():
                await self._answer(frame)
            case frames.Result():
                self._settle(frame.message_id, lambda after_s: Answered(frame.payload, after_s))
            case frames.Error():
                self._settle(frame.message_id, lambda after_s: Refused(frame.code, frame.description, after_s))
            case frames.Malformed(message_id=str(message_id)) if not frame.answerable:
                self._settle(message_id, lambda after_s: Refused("FormationViolation", frame.description, after_s))
            case _:
                self._observer.stray()

    async def _answer(self, call: frames.Call) -> None:
        self._observer.called(call.action)
        try:
            reply = self._on_call(call.action, call.payload)
        except OcppError as error:
            text = frames.error_text(call.message_id, error.kind, error.description, error.details, self.version)
            await self._connection.send(text)
            return
        except Exception as error:  # noqa: BLE001 a fault of the simulator is told to the CSMS, not a dropped line
            text = frames.error_text(call.message_id, ErrorKind.INTERNAL, repr(error), version=self.version)
            await self._connection.send(text)
            return
        await self._connection.send(frames.result_text(call.message_id, reply.payload))
        if reply.then is not None:
            reply.then()

    def _settle(self, message_id: str, make: Callable[[float], Outcome]) -> None:
        waiting = self._waiting
        if waiting is None or waiting.message_id != message_id or waiting.outcome.done():
            self._observer.stray()
            return
        waiting.outcome.set_result(make(time.perf_counter() - waiting.sent_at_s))

    def _end(self) -> None:
        self._is_closed = True
        if self._waiting is not None and not self._waiting.outcome.done():
            self._waiting.outcome.set_result(Disconnected())

    async def send_text(self, text: str) -> None:
        """Send any text, for faults on demand; nothing happens when the connection is gone."""
        with contextlib.suppress(ConnectionClosed):
            await self._connection.send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close properly, with the closing handshake."""
        self._is_ending = True
        await self._connection.close(code, reason)

    def abort(self) -> None:
        """Drop the TCP connection without a close frame, as a lost link does."""
        self._is_ending = True
        self._connection.transport.abort()
