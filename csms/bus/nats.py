"""B12: the bus of many hosts, over the core of NATS (no JetStream: the truth is in the database)."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as ClientSubscription
from nats.errors import Error, NoRespondersError, SecureConnRequiredError
from nats.errors import TimeoutError as NatsTimeoutError
from prometheus_client import Counter

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
from csms.bus.subjects import check_subject

log = structlog.get_logger(__name__)

DISCONNECTS = Counter("csms_bus_disconnects", "Lost connections to NATS; news published meanwhile is lost")

START_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5
RECONNECT_WAIT_S = 1
PING_INTERVAL_S = 10
PINGS_UNANSWERED = 2
FLUSH_TIMEOUT_S = 2
OUTBOUND_LIMIT_BYTES = 8 * 1024 * 1024
"""Bytes that may wait for the server to read; more is dropped."""
OUTBOUND_YIELD_BYTES = 64 * 1024
DEFAULT_PORT = 4222

SERVERS = "serve"
"""The queue group of those who serve a subject: each request reaches one of them, never two."""
FAILED_HEADER = "Csms-Failed"


@dataclass(frozen=True)
class NatsAddress:
    """Where the servers are and how to log in."""

    servers: tuple[str, ...]
    is_tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def read_address(url: str) -> NatsAddress:
    """Take a bus URL apart; ValueError (without the URL, which may hold a password) when it is none."""
    try:
        scheme, _, rest = url.partition("://")
        parts = [urlsplit(f"//{part.rpartition('://')[2]}") for part in rest.split(",")]
        servers = tuple(_server(scheme, part.hostname, part.port) for part in parts)
    except ValueError:
        scheme, parts, servers = "", [], ()
    if scheme not in ("nats", "tls"):
        raise ValueError(
            "not a bus URL: write nats://[user:password@]host[:port] or tls://…, special characters as %XX"
        )
    user, password = (unquote(part) if part else None for part in (parts[0].username, parts[0].password))
    if password is None:
        return NatsAddress(servers, scheme == "tls", token=user)
    return NatsAddress(servers, scheme == "tls", user=user, password=password)


def _server(scheme: str, host: str | None, port: int | None) -> str:
    if not host:
        raise ValueError("no host")
    bracketed = f"[{host}]" if ":" in host else host
    return f"{scheme}://{bracketed}:{port or DEFAULT_PORT}"


class _Client(Client):
    """The client, with three gaps closed."""

    def __init__(self, *, needs_tls: bool) -> None:
        super().__init__()
        self._needs_tls = needs_tls

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Refuse to log in without TLS where TLS is wanted.

        The original encrypts only when the server's first line asks for it; whoever can change that line would get
        the password.
        """
        if initial_connection and self._needs_tls and not info.get("tls_required"):
            raise SecureConnRequiredError
        await super()._process_info(info, initial_connection=initial_connection)

    async def _send_subscribe(self, sub: ClientSubscription) -> None:
        """Without a connection do nothing: the reconnect tells the server all subscriptions that are left by then."""
        if self.is_connected:
            await super()._send_subscribe(sub)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Write what waits first: the original's ping overtakes it, so that a flush would prove nothing."""
        if self.is_connected and self._pending and self._transport is not None:
            self._transport.writelines(self._pending)
            self.forget_unsent()
        await super()._send_ping(future)

    def forget_unsent(self) -> None:
        """Drop what waits for the socket; subscriptions are told again by the client itself."""
        self._pending = []
        self._pending_data_size = 0


class NatsSubscription:
    """A subscriber or server; it lives on when the client behind it is replaced."""

    def __init__(
        self,
        subject: str,
        target: Inbox | Responder,
        deliver: Callable[[Msg], Awaitable[None]],
        forget: Callable[["NatsSubscription"], None],
    ) -> None:
        self._subject = subject
        self._target = target
        self._deliver = deliver
        self._forget = forget
        self._client: Client | None = None
        self._bound: ClientSubscription | None = None

    @property
    def dropped(self) -> int:
        return self._target.dropped

    async def bind(self, client: Client) -> None:
        """Tell the server; what is published or asked after this returns is heard."""
        queue = SERVERS if isinstance(self._target, Responder) else ""
        self._client = client
        self._bound = await client.subscribe(self._subject, queue=queue, cb=self._deliver)

    async def close(self) -> None:
        self._forget(self)
        client, bound = self._client, self._bound
        self._client = self._bound = None
        if client is not None and bound is not None:
            await _unsubscribe(client, bound)
        await self._target.close()

    async def close_target(self) -> None:
        await self._target.close()


async def _unsubscribe(client: Client, bound: ClientSubscription) -> None:
    """Tell the server, and take what it sent before it knew, so that each request gets its reply."""
    with suppress(Error, TimeoutError):
        if not client.is_connected:
            await bound.unsubscribe()
            return
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_S):
                await bound.drain()  # type: ignore[no-untyped-call]  # theirs
        finally:
            # A drain that a lost connection cuts short would leave it to be replayed at the reconnect.
            client._remove_sub(bound._id)  # noqa: SLF001  the client has no public way


class NatsBus:
    """One connection to NATS that is made again for ever, with all its subscriptions."""

    def __init__(self, url: str) -> None:
        self._address = read_address(url)
        self._client: _Client | None = None
        self._subscriptions: set[NatsSubscription] = set()
        self._revival: asyncio.Task[None] | None = None
        self._is_closing = False
        self._dropped = 0
        self._last_trouble = ""

    def __repr__(self) -> str:
        return f"NatsBus({', '.join(self._address.servers)})"

    async def start(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self._client = await self._connect()
        except TimeoutError:
            reason = self._last_trouble or "no answer"
            raise BusUnavailable(f"no connection to {', '.join(self._address.servers)}: {reason}") from None

    async def close(self) -> None:
        self._is_closing = True
        if self._revival is not None:
            self._revival.cancel()
            await asyncio.wait([self._revival])
        await asyncio.gather(*(subscription.close_target() for subscription in self._subscriptions))
        self._subscriptions.clear()
        if self._client is not None:
            await self._client.close()

    async def publish(self, subject: str, data: bytes) -> None:
        check_subject(subject)
        client = self._client
        if client is None or not client.is_connected:
            self._drop("not connected", subject)
        elif len(data) > MESSAGE_LIMIT_BYTES:
            self._drop("too large", subject)
        elif client.pending_data_size + len(data) > OUTBOUND_LIMIT_BYTES:
            self._drop("slow server", subject)
        else:
            await self._publish(client, subject, data)

    async def _publish(self, client: Client, subject: str, data: bytes) -> None:
        try:
            await client.publish(subject, data)
        except Error:  # lost between the look and the leap, or a smaller limit of the server
            self._drop("refused", subject)
            return
        if client.pending_data_size > OUTBOUND_YIELD_BYTES:
            await asyncio.sleep(0)  # the flusher's turn

    def _drop(self, reason: str, subject: str) -> None:
        self._dropped += 1
        count_drop(reason, subject, self._dropped)

    async def subscribe(self, subject: str, handler: MessageHandler) -> Subscription:
        check_subject(subject, wildcards=True)
        inbox = Inbox(subject, handler)

        async def deliver(message: Msg) -> None:
            inbox.offer(Message(message.subject, message.data))

        return await self._enter(NatsSubscription(subject, inbox, deliver, self._subscriptions.discard))

    async def serve(self, subject: str, handler: RequestHandler) -> Subscription:
        check_subject(subject)
        responder = Responder(subject, handler)

        async def deliver(message: Msg) -> None:
            responder.begin(message.data, lambda outcome: self._reply(message.reply, outcome))

        return await self._enter(NatsSubscription(subject, responder, deliver, self._subscriptions.discard))

    async def _enter(self, subscription: NatsSubscription) -> NatsSubscription:
        """Remember it for a later client, and bind it to the present one if there is one."""
        self._subscriptions.add(subscription)
        client = self._client
        if client is not None and not client.is_closed:
            with suppress(Error):
                await subscription.bind(client)
                await client.flush(FLUSH_TIMEOUT_S)
        return subscription

    async def _reply(self, subject: str, outcome: bytes | RequestFailed) -> None:
        client = self._client
        if client is None or not subject:  # not a request: somebody published to a served subject
            return
        if isinstance(outcome, RequestFailed):
            await client.publish(subject, headers={FAILED_HEADER: str(outcome)})
        else:
            await client.publish(subject, outcome)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        check_request(subject, data)
        client = self._client
        # Never into the client's buffer: a command must not fire when the connection comes back.
        if client is None or not client.is_connected:
            raise BusUnavailable(f"no connection to {', '.join(self._address.servers)}")
        try:
            reply = await client.request(subject, data, timeout=timeout_s)
        except NoRespondersError:
            raise NoResponders(f"nobody serves {subject}") from None
        except NatsTimeoutError:
            raise TimeoutError(f"no reply on {subject} within {timeout_s} s") from None
        except Error as trouble:
            raise BusUnavailable(str(trouble)) from trouble
        if reply.headers and FAILED_HEADER in reply.headers:
            raise RequestFailed(reply.headers[FAILED_HEADER])
        return bytes(reply.data)

    async def _connect(self) -> _Client:
        """Try until it works; each trouble is logged once."""
        client = _Client(needs_tls=self._address.is_tls)
        try:
            await client.connect(
                list(self._address.servers),
                name="csms",
                user=self._address.user,
                password=self._address.password,
                token=self._address.token,
                tls=ssl.create_default_context() if self._address.is_tls else None,
                max_reconnect_attempts=-1,
                connect_timeout=CONNECT_TIMEOUT_S,
                reconnect_time_wait=RECONNECT_WAIT_S,
                ping_interval=PING_INTERVAL_S,
                max_outstanding_pings=PINGS_UNANSWERED,
                pending_size=2 * OUTBOUND_LIMIT_BYTES,  # above our own limit, so that publishing never waits
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
            )
        except BaseException:
            with suppress(Exception):
                await client._close(Client.CLOSED, do_cbs=False)  # noqa: SLF001  close() would call back
            raise
        log.info("bus connected", servers=self._address.servers)
        return client

    async def _on_error(self, trouble: Exception) -> None:
        text = f"{type(trouble).__name__}: {trouble}"
        if text != self._last_trouble and not self._is_closing:
            log.warning(
                "the bus cannot be reached or complains; trying on", trouble=text, servers=self._address.servers
            )
        self._last_trouble = text

    async def _on_disconnected(self) -> None:
        if self._client is not None:
            self._client.forget_unsent()  # a command must not fire when the connection comes back
        if not self._is_closing:
            DISCONNECTS.inc()
            log.warning("bus disconnected", servers=self._address.servers)

    async def _on_reconnected(self) -> None:
        self._last_trouble = ""
        log.info("bus reconnected", servers=self._address.servers)

    async def _on_closed(self) -> None:
        """The client gives up for good on some errors of the server, such as changed passwords; we do not."""
        if not self._is_closing:
            self._revival = asyncio.get_running_loop().create_task(self._revive())

    async def _revive(self) -> None:
        self._client = client = await self._connect()
        self._last_trouble = ""
        with suppress(Error):  # closed again: then the next revival is on its way
            for subscription in list(self._subscriptions):
                if subscription in self._subscriptions:
                    await subscription.bind(client)
            await client.flush(FLUSH_TIMEOUT_S)
