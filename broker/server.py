"""B1: the WebSocket host: listens, admits, opens, and drains when it is told to stop."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from broker.admission import Admission, address_of
from broker.dispatch import Dispatcher
from broker.metrics import TLS_FAILURES
from broker.node import Node
from broker.socket import Socket
from broker.tls import FailedHandshake, TlsContexts, TlsFailure, TlsListener, TlsSocket
from csms.config import UnknownStations
from csms.exceptions import Unavailable
from csms.routing import find_routes
from csms.runtime import Runtime
from csms.station.connections import Cause, keep_server_certificates, record_refused
from csms.trust import ROOTS_CHANGED, trusted_roots

log = structlog.get_logger(__name__)


class Broker:
    """One broker process; `start` returns the port, `stop` drains."""

    def __init__(self, runtime: Runtime, *, unknown: UnknownStations | None = None, is_demo: bool = False) -> None:
        self.runtime = runtime
        self.dispatcher = Dispatcher(runtime.store)
        self.node = Node(runtime, find_routes(), self.dispatcher)
        self.admission = Admission(
            runtime,
            may_replace=self.node.may_replace,
            unknown=unknown or runtime.settings.unknown_stations,
            is_demo=is_demo,
        )
        self.tls: TlsContexts | None = None
        self.tls_port: int | None = None
        self._tls_listener: TlsListener | None = None
        self._server: Server | None = None
        self._roots_changed = asyncio.Event()
        self._reloads: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Serve; returns the port."""
        settings = self.runtime.settings
        self.dispatcher.start()
        await self.node.start()
        self._server = await self._listen()
        if settings.broker_tls_port is not None:
            await self._start_tls(self._server, settings.broker_tls_port)
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def _listen(self) -> Server:
        settings = self.runtime.settings
        try:
            return await serve(
                self._serve,
                settings.broker_host,
                settings.broker_port,
                create_connection=partial(Socket, on_tls=self._tls_on_plain_port),  # type: ignore[arg-type]  # it makes one
                process_request=self._process_request,
                select_subprotocol=_select,
                compression=None,
                extensions=self._extensions(),
                ping_interval=settings.ping_interval_s,
                ping_timeout=settings.ping_timeout_s,
                close_timeout=settings.close_timeout_s,
                open_timeout=settings.open_timeout_s,
                max_size=settings.frame_bytes_max,
                server_header="csms",
            )
        except OSError as error:
            raise _cannot_listen(settings.broker_host, settings.broker_port, error, "CSMS_BROKER_PORT") from error

    def _extensions(self) -> list[ServerPerMessageDeflateFactory] | None:
        if not self.runtime.settings.deflate:
            return None
        return [
            ServerPerMessageDeflateFactory(
                server_max_window_bits=11, client_max_window_bits=11, compress_settings={"memLevel": 4}
            )
        ]

    # --- TLS ------------------------------------------------------------------------------------------------

    async def _start_tls(self, server: Server, port: int) -> None:
        settings = self.runtime.settings
        self.tls = TlsContexts(settings, self._trusted_roots)
        await self.tls.load()
        await self._note_certificates(self.tls)
        self._tls_listener = TlsListener(
            settings, self.tls, partial(self._make_tls_socket, server), self.admission.tls_failed
        )
        try:
            self.tls_port = await self._tls_listener.start(settings.broker_host, port)
        except OSError as error:
            raise _cannot_listen(settings.broker_host, port, error, "CSMS_BROKER_TLS_PORT") from error
        self.node.on_news[ROOTS_CHANGED] = self._roots_changed.set
        self._reloads = asyncio.create_task(self._keep_reloading(self.tls), name="certificates")

    def _make_tls_socket(self, server: Server) -> TlsSocket:
        """What `serve` makes for a plain connection, for one that the TLS listener accepted; one server for both."""
        settings = self.runtime.settings

        def select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
            return _select(made, offered)

        protocol = ServerProtocol(
            extensions=self._extensions(), select_subprotocol=select, max_size=settings.frame_bytes_max
        )
        made = TlsSocket(
            protocol,
            server,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            close_timeout=settings.close_timeout_s,
        )
        return made

    def _tls_on_plain_port(self, socket: Socket) -> None:
        """A URL with wss:// and the wrong port: what comes is no HTTP, so that nothing else would tell of it."""
        failed = FailedHandshake(TlsFailure.MISPLACED, "ClientHello", address_of(socket), None)
        TLS_FAILURES.labels(failed.kind).inc()
        self.admission.tls_failed(failed)

    async def _trusted_roots(self) -> list[str]:
        async with self.runtime.store.reading() as work:
            return await trusted_roots(work)

    async def reload_certificates(self) -> None:
        """Read certificates and trusted roots anew (SIGHUP); open connections stay."""
        if self.tls is not None:
            await self._reload(self.tls, is_asked=True)

    async def _reload(self, tls: TlsContexts, *, is_asked: bool = False) -> None:
        if await tls.reload(is_asked=is_asked):
            await self._note_certificates(tls)

    async def _note_certificates(self, tls: TlsContexts) -> None:
        """Keep what this process shows to stations, so that somebody can be warned before it expires."""
        try:
            async with self.runtime.store.writing() as work:
                await keep_server_certificates(work, self.runtime.settings.node_name, tls.served)
        except Exception:
            log.exception("the certificates of the TLS port could not be written down")

    async def _keep_reloading(self, tls: TlsContexts) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.runtime.settings.tls_reload_s):
                    await self._roots_changed.wait()
            self._roots_changed.clear()
            await self._reload(tls)

    async def _process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        return await self.admission.process(_ours(socket), request)

    async def _serve(self, connected: ServerConnection) -> None:
        """One connection, from the end of its handshake to its row's end."""
        socket = _ours(connected)
        address = address_of(socket)
        counts = self.admission.per_address
        counts[address] = counts.get(address, 0) + 1
        try:
            await self._serve_station(socket)
        finally:
            counts[address] -= 1
            if not counts[address]:
                del counts[address]

    async def _serve_station(self, socket: Socket) -> None:
        admitted = socket.admitted
        if admitted is None:
            return
        if admitted.version is None:
            await self._close_without_version(socket, admitted.station.identity, admitted.offered)
            return
        connection = await self.node.open(socket, admitted.station, admitted.version, admitted.offered)
        if connection is None:
            await socket.close(1013, "the central system is not ready; try again later")
            return
        try:
            socket.deliver_to(connection.receive)
            await socket.wait_closed()
        finally:
            await self.node.close(connection)

    async def _close_without_version(self, socket: Socket, identity: str, offered: str) -> None:
        """No common version: the handshake is completed without a subprotocol, then closed at once (OCPP-J 2.x 3.2)."""
        wanted = ", ".join(self.runtime.settings.protocols)
        async with self.runtime.store.writing() as work:
            node = self.runtime.settings.node_name
            reason = f"no common OCPP version: it offers {offered}; this system speaks {wanted}"
            await record_refused(
                work, identity, address_of(socket), offered, Cause.NO_SUBPROTOCOL, 101, node, reason[:500]
            )
        await socket.close(1002, f"no common OCPP version; offer {wanted}")

    async def stop(self) -> None:
        """Drain: refuse newcomers, close all with 1001, write their rows, finish what was begun."""
        self.admission.is_draining = True
        for connection in list(self.node.connections.values()):
            connection.shut(1001, "the broker is shutting down", Cause.BROKER_SHUTDOWN)
        await self._stop_tls()
        if self._server is not None:
            self._server.close(code=1001, reason="the broker is shutting down")
            try:
                async with asyncio.timeout(self.runtime.settings.drain_timeout_s):
                    await self._server.wait_closed()
            except TimeoutError:
                log.warning("not all connections closed in time", left=len(self.node.connections))
        await self.admission.stop()
        await self.node.stop()
        await self.dispatcher.stop()

    async def _stop_tls(self) -> None:
        if self._reloads is not None:
            self._reloads.cancel()
            await asyncio.gather(self._reloads, return_exceptions=True)
        if self._tls_listener is not None:
            await self._tls_listener.stop()


def _cannot_listen(host: str, port: int, error: OSError, setting: str) -> Unavailable:
    why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error
    return Unavailable(f"the broker cannot listen on {host}:{port} ({why}); set {setting}, or CSMS_BROKER_HOST")


def _ours(socket: ServerConnection) -> Socket:
    if not isinstance(socket, Socket):
        raise TypeError("the server makes Sockets")
    return socket


def _select(socket: ServerConnection, _offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Already decided by the admission."""
    admitted = _ours(socket).admitted
    return Subprotocol(admitted.version) if admitted is not None and admitted.version is not None else None
