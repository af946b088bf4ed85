"""B1, B9, B10, B11: who may connect. Cheap checks first; the database is asked for many stations at once.

Refusals are HTTP answers with a reason in words and a row in the connection history: 400 no subprotocol,
401 credentials, 403 registration, 404 path or identity, 405 not GET, 409 still connected, 503 limits.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from sqlmodel import col, func, select
from websockets.http11 import Request, Response

from broker.handshake import Credentials, credentials_of, identity_of, shown_path, subprotocols_of
from broker.limits import Buckets, TokenBucket
from broker.login import TLS_WITH_PASSWORD, Asking, Login
from broker.metrics import HANDSHAKES
from broker.refusal import Refusal, wrong_credentials
from broker.socket import Socket
from broker.tls import FailedHandshake
from csms.config import Settings, UnknownStations
from csms.exceptions import Conflict
from csms.ocpp.versions import Version, negotiate
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.connections import Cause, TlsTry, record_refused, record_tls_failure
from csms.station.connections.service import REFUSED_ROWS_PER_MINUTE_MAX
from csms.station.information import Station, create_unregistered, stations_by_identity
from csms.station.passwords import Candidate, candidates_of
from csms.station.security_profiles import finish
from csms.store import Work

log = structlog.get_logger(__name__)

LOGGED_REFUSALS_PER_MINUTE = 300
STRANGER_RECONNECTS_PER_MINUTE = 1
STRANGER_RECONNECTS = 10
"""At once. Each connection is a row in the history, and anybody may come as a station that nobody has accepted."""
TLS_ROWS_PER_MINUTE_MAX = 20
TOLD_TLS_EVERY_S = 600
"""How often the same failure of TLS from the same address is a row of its own."""
TOLD_TRIES_PER_MINUTE = 1
"""History rows and events of one identity of which too many passwords are tried."""

Known = tuple[Station, Sequence[Candidate]]
"""A registered station, and the new passwords that may hold beside its own."""
RETRY_AFTER_S = (5, 30)


@dataclass(slots=True)
class Admitted:
    """A handshake that passed: which station, in which version (None: nothing in common, to be closed at once)."""

    station: Station
    version: Version | None
    offered: str
    is_authenticated: bool
    profile: int
    """The security profile of this connection."""


class Admission:
    """The gate of one broker process."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        may_replace: Callable[[Station, bool], Awaitable[bool]],
        unknown: UnknownStations,
        is_demo: bool,
    ) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._settings: Settings = settings
        self._unknown = unknown
        self._is_demo = is_demo
        self._may_replace = may_replace
        self._versions = [Version(name) for name in settings.protocols]
        self._rate = TokenBucket(settings.connects_per_second_max, settings.connects_per_second_max)
        self._login = Login(runtime)
        self._flapping = Buckets(settings.reconnects_per_minute_max / 60, settings.reconnects_per_minute_max)
        self._strangers = Buckets(STRANGER_RECONNECTS_PER_MINUTE / 60, STRANGER_RECONNECTS)
        self._logged = TokenBucket(LOGGED_REFUSALS_PER_MINUTE / 60, LOGGED_REFUSALS_PER_MINUTE)
        self._told_tries = Buckets(TOLD_TRIES_PER_MINUTE / 60, TOLD_TRIES_PER_MINUTE)
        self._told_tls = Buckets(1 / TOLD_TLS_EVERY_S, 1)
        self._tls_rows = TokenBucket(TLS_ROWS_PER_MINUTE_MAX / 60, TLS_ROWS_PER_MINUTE_MAX)
        self._refused_rows = TokenBucket(REFUSED_ROWS_PER_MINUTE_MAX / 60, REFUSED_ROWS_PER_MINUTE_MAX)
        self._lookups: dict[str, asyncio.Future[Known | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_draining = False
        self.per_address: dict[str, int] = {}

    async def process(self, socket: Socket, request: Request) -> Response | None:
        """The server's `process_request`: None lets the handshake go on, with `socket.admitted` set."""
        began = asyncio.get_running_loop().time()
        try:
            socket.admitted = await self._admit(socket, request)
        except Refusal as refusal:
            if refusal.status is HTTPStatus.UNAUTHORIZED:  # the time must not tell what was wrong
                spent_s = asyncio.get_running_loop().time() - began
                await asyncio.sleep(max(0.0, self._settings.login_refusal_s - spent_s))
            HANDSHAKES.labels(refusal.cause).inc()
            self._write_down(socket, request, refusal)
            return self._response(socket, refusal)
        HANDSHAKES.labels("accepted").inc()
        return None

    async def _admit(self, socket: Socket, request: Request) -> Admitted:
        self._check_limits(socket)
        identity = self._identity(request)
        offered = subprotocols_of(request.headers.get_all("Sec-WebSocket-Protocol"))
        if not offered:
            wanted = ", ".join(self._versions)
            reason = f"offer a subprotocol in Sec-WebSocket-Protocol; this system speaks {wanted}"
            raise Refusal(HTTPStatus.BAD_REQUEST, reason, Cause.NO_SUBPROTOCOL)
        credentials = credentials_of(request.headers.get("Authorization"))
        station, candidates = await self._look_up(identity) or (None, ())
        if station is None:
            station = await self._unregistered(socket, identity, credentials)
        asking = Asking(socket, address_of(socket), station, candidates, credentials)
        profile = self._login.profile_of(asking)
        is_authenticated = await self._login.authenticate(asking, profile)
        if station.registration is Registration.REJECTED:
            raise Refusal(HTTPStatus.FORBIDDEN, "this station was rejected", Cause.REFUSED_REGISTRATION)
        is_stranger = station.registration is Registration.PENDING
        if not self._flapping.take(identity) or (is_stranger and not self._strangers.take(identity)):
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many reconnects", Cause.REFUSED_LIMIT)
        if not await self._may_replace(station, is_authenticated):
            reason = "a connection with this identity is alive; it was kept"
            raise Refusal(HTTPStatus.CONFLICT, reason, Cause.REFUSED_STILL_CONNECTED)
        version = negotiate(offered, self._versions)
        if profile != station.security_profile and version is not None:
            await self._finish_upgrade(station, profile)
        return Admitted(station, version, ", ".join(offered), is_authenticated, profile)

    async def _finish_upgrade(self, station: Station, profile: int) -> None:
        """A05: it has come with its new profile, so the old one is refused from now on."""
        async with self._runtime.store.writing() as work:
            await finish(work, station.id, profile)
        station.security_profile, station.next_security_profile = profile, None
        log.info("security profile raised", identity=station.identity, profile=profile)

    def _check_limits(self, socket: Socket) -> None:
        if self.is_draining:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "this broker is shutting down", Cause.REFUSED_LIMIT)
        if not self._rate.take():
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections at once", Cause.REFUSED_LIMIT)
        if self.per_address.get(address_of(socket), 0) >= self._settings.connections_per_address_max:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections from your address", Cause.REFUSED_LIMIT)

    def _identity(self, request: Request) -> str:
        if request.method != "GET":
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "a WebSocket starts with GET", Cause.PROTOCOL_ERROR)
        identity = identity_of(request.path)
        if identity is None:
            reason = "connect to /ocpp/<identity>, percent-encoded, at most 48 characters"
            raise Refusal(HTTPStatus.NOT_FOUND, reason, Cause.REFUSED_UNKNOWN_STATION)
        return identity

    # --- the station of that identity ---------------------------------------------------------------------

    async def _look_up(self, identity: str) -> Known | None:
        """One query for all handshakes that wait: a herd of stations costs a few queries, not thousands."""
        waiting = self._lookups.get(identity)
        if waiting is None:
            waiting = self._lookups[identity] = asyncio.get_running_loop().create_future()
            if len(self._lookups) == 1:
                self._spawn(self._answer_lookups())
        return await asyncio.shield(waiting)

    async def _answer_lookups(self) -> None:
        await asyncio.sleep(0)  # let the handshakes of this turn of the loop join
        lookups, self._lookups = self._lookups, {}
        try:
            async with self._runtime.store.reading() as work:
                stations = await stations_by_identity(work, list(lookups))
                candidates = await candidates_of(work, [station.id for station in stations.values()])
        except Exception:
            log.exception("stations could not be looked up")
            for waiting in lookups.values():
                refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "try again later", Cause.REFUSED_LIMIT)
                waiting.set_exception(refusal)
                waiting.exception()  # it may have no waiter left
            return
        for identity, waiting in lookups.items():
            station = stations.get(identity)
            waiting.set_result(None if station is None else (station, candidates.get(station.id, ())))

    async def _unregistered(self, socket: Socket, identity: str, credentials: Credentials | None) -> Station:
        """B9: refuse, hold until an operator accepts it, or accept. Over TLS one without certificate is always held."""
        if self._unknown is UnknownStations.REFUSE:
            raise self._unknown_refusal(socket, identity, credentials)
        profile = await self._login.profile_of_unknown(socket, identity)
        accepts = self._unknown is UnknownStations.ACCEPT and profile != TLS_WITH_PASSWORD
        registration = Registration.ACCEPTED if accepts else Registration.PENDING
        try:
            async with self._runtime.store.writing() as work:
                if not accepts and await _count_pending(work) >= self._settings.pending_stations_max:
                    raise self._unknown_refusal(socket, identity, credentials)
                log.info("unregistered station", identity=identity, registration=registration, profile=profile)
                return await create_unregistered(
                    work, identity, registration, is_demo=self._is_demo, security_profile=profile
                )
        except Conflict:  # another handshake of the same identity was first
            async with self._runtime.store.reading() as work:
                found = await stations_by_identity(work, [identity])
            if identity not in found:
                raise self._unknown_refusal(socket, identity, credentials) from None
            return found[identity]

    def _unknown_refusal(self, socket: Socket, identity: str, credentials: Credentials | None) -> Refusal:
        """404 (OCPP-J 1.6 errata 3.3); but who comes with a password learns no more than with a wrong one."""
        if credentials is None and not self._login.uses_tls(socket):
            return Refusal(HTTPStatus.NOT_FOUND, "unknown station; register it first", Cause.REFUSED_UNKNOWN_STATION)
        if not self._login.take_try(identity, address_of(socket)):
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many failed logins", Cause.REFUSED_LIMIT)
        return wrong_credentials("no station is registered with this id", Cause.REFUSED_UNKNOWN_STATION)

    # --- refusals -----------------------------------------------------------------------------------------

    def _response(self, socket: Socket, refusal: Refusal) -> Response:
        response = socket.respond(refusal.status, f"{refusal.reason}\n")
        if refusal.status is HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = 'Basic realm="OCPP", charset="UTF-8"'
        if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = str(random.randint(*RETRY_AFTER_S))  # noqa: S311  # spreads a herd
        return response

    def _write_down(self, socket: Socket, request: Request, refusal: Refusal) -> None:
        """A row in the history, up to a rate: an attack must not fill the database."""
        if self._logged.take():
            log.info(
                "handshake refused",
                path=shown_path(request.path),
                peer=address_of(socket),
                cause=refusal.cause,
                status=int(refusal.status),
                reason=refusal.detail,
            )
        identity = identity_of(request.path) or shown_path(request.path)
        if refusal.cause is Cause.REFUSED_LIMIT:
            return
        if refusal.cause is Cause.REFUSED_TRIES and not self._told_tries.take(identity):
            return
        if not self._refused_rows.take():
            return
        offered = ", ".join(subprotocols_of(request.headers.get_all("Sec-WebSocket-Protocol"))) or None
        self._spawn(self._record(identity, address_of(socket), offered, refusal))

    def tls_failed(self, failed: FailedHandshake) -> None:
        """A TLS handshake failed: a row in the history, the same only now and then (port scans, health checks)."""
        name = ((failed.claimed.common_name if failed.claimed else None) or "")[:48]
        if not self._told_tls.take(f"{failed.address} {failed.kind} {name}") or not self._tls_rows.take():
            return
        seen = TlsTry(name, failed.kind, failed.words, failed.address, self._settings.node_name)
        self._spawn(self._record_tls(seen))

    async def _record_tls(self, failed: TlsTry) -> None:
        try:
            async with self._runtime.store.writing() as work:
                await record_tls_failure(work, failed)
        except Exception:
            log.exception("a failed TLS handshake could not be written down")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record(self, identity: str, address: str, offered: str | None, refusal: Refusal) -> None:
        node = self._settings.node_name
        try:
            async with self._runtime.store.writing() as work:
                await record_refused(
                    work, identity, address, offered, refusal.cause, int(refusal.status), node, refusal.detail
                )
        except Exception:
            log.exception("a refused handshake could not be written down")

    async def stop(self) -> None:
        """Wait for the rows of refused handshakes."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


async def _count_pending(work: Work) -> int:
    query = select(func.count(col(Station.id))).where(Station.registration == Registration.PENDING)
    return (await work.session.exec(query)).one()


def address_of(socket: Socket) -> str:
    """The station's address; a proxy's if it stands behind one."""
    remote = socket.remote_address
    return str(remote[0]) if remote else ""
