"""B4, B5, B11: the stations of this broker process: opening and closing in bulk, ownership, presence.

A station belongs to one connection at a time. A newer one gets a higher fence in the database, in the same
transaction that opens its history row; the end of an older one can no longer touch the station's state.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakValueDictionary

import orjson
import structlog
from websockets.exceptions import ConnectionClosed

from broker.admission import address_of
from broker.connection import StationConnection
from broker.dispatch import Dispatcher
from broker.metrics import CLOSES, COMMANDS, CONNECTIONS
from broker.socket import Socket
from broker.strangers import Strangers
from csms.bus import Message, NoResponders, RequestFailed, Subscription, subject_token
from csms.calls import call_subject, read_order, write_outcome
from csms.ids import new_id
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Registration, Routes
from csms.runtime import LIVE_SUBJECT, LiveNews, Runtime, news_in
from csms.station.connections import (
    Cause,
    CloseFacts,
    Closing,
    Connection,
    NodeClosing,
    NodeOpening,
    close_left_open,
    closing_of,
    record_closed,
    take_ownership,
)
from csms.station.connections.rules import (
    DISCONNECTED_BY_OPERATOR,
    LOGIN_CHANGED,
    REGISTRATION_ENDED,
    REPLACED,
    UNKNOWN_CLOSE,
    ClosedBy,
)
from csms.station.connections.service import DISCONNECT_REQUESTED, node_is_alive
from csms.station.information import Leniency, Station
from csms.store import Owner, Work
from csms.troubles import Troubles

log = structlog.get_logger(__name__)

PRESENCE = "presence"
PRESENCE_S = 10.0
"""How old `last_seen_at` and the message counts may be."""
OWNER_SUBJECT = "owner"
PROBE, ALIVE = b"probe", b"alive"
"""On the subject of calls: another node asks whether the connection answers a ping."""
PROBE_MARGIN_S = 1.0


@dataclass(slots=True, eq=False)
class _Open:
    connection: StationConnection
    opening: NodeOpening
    done: asyncio.Future[bool]


@dataclass(slots=True)
class _Close:
    closing: NodeClosing
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Node:
    """What this process holds: connections by identity, and the loop that opens and closes them."""

    def __init__(self, runtime: Runtime, routes: Routes, dispatcher: Dispatcher) -> None:
        self.connections: dict[str, StationConnection] = {}
        self._present: dict[int, list[StationConnection]] = {}
        """By station: connections of which a call may still be under way."""
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._runtime = runtime
        self._settings = runtime.settings
        self._routes = routes
        self._dispatcher = dispatcher
        self._strangers = Strangers()
        self._opens: list[_Open] = []
        self._closes: list[_Close] = []
        self._news = asyncio.Event()
        self._served: dict[int, Subscription] = {}
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self.on_news: dict[str, Callable[[], None]] = {}
        """What this process does on news of that kind, besides what the features do."""

    async def start(self) -> None:
        """Close what an earlier life of this node left open (B5), then serve."""
        async with self._runtime.store.writing() as work:
            left = await close_left_open(work, [self._settings.node_name])
            await node_is_alive(work, self._settings.node_name, started_at=work.now)
        if left:
            log.warning("closed connections that were left open", count=left)
        bus = self._runtime.bus
        self._subscriptions.append(await bus.subscribe(f"{LIVE_SUBJECT}.>", self._on_live))
        self._subscriptions.append(await bus.subscribe(f"{OWNER_SUBJECT}.>", self._on_owner))
        self._tasks.append(asyncio.create_task(self._work(), name="open and close"))
        self._tasks.append(asyncio.create_task(self._keep_presence(), name="presence"))

    # --- opening ------------------------------------------------------------------------------------------

    async def open(self, socket: Socket, station: Station, version: Version, offered: str) -> StationConnection | None:
        """Make this socket the owner of its station; None if that cannot be written."""
        async with self._turns.setdefault(station.id, asyncio.Lock()):
            older = list(self._present.get(station.id, ()))
            for one in older:
                await one.hold()
            connection = None
            try:
                connection = await self._open(socket, station, version, offered)
            finally:
                if connection is None:
                    for one in older:
                        one.release()
            if connection is not None:
                self._present.setdefault(station.id, []).append(connection)
            return connection

    async def _open(self, socket: Socket, station: Station, version: Version, offered: str) -> StationConnection | None:
        connected = self._connected(socket, station, version)
        connection = StationConnection(
            socket,
            connected,
            routes=self._routes,
            dispatcher=self._dispatcher,
            outside=self._runtime,
            strangers=self._strangers,
            clock=self._runtime.clock,
        )
        opening = NodeOpening(
            connection_id=connected.connection_id,
            station_id=station.id,
            identity=station.identity,
            remote_address=connected.remote_address,
            protocol=version,
            offered=offered[:255],
            opened_at=self._runtime.clock(),
        )
        request = _Open(connection, opening, asyncio.get_running_loop().create_future())
        self._opens.append(request)
        self._news.set()
        if not await asyncio.shield(request.done):
            return None
        await self._own(connection)
        return connection

    def _connected(self, socket: Socket, station: Station, version: Version) -> ConnectedStation:
        spread = station.id % 21 - 10  # boot intervals within ±10 %, so that a herd does not stay one
        interval = self._settings.heartbeat_interval_s
        return ConnectedStation(
            id=station.id,
            organisation_id=station.organisation_id,
            identity=station.identity,
            version=version,
            registration=station.registration,
            connection_id=new_id(),
            remote_address=address_of(socket),
            is_lenient=station.leniency is Leniency.LENIENT,
            is_demo=station.is_demo,
            heartbeat_interval_s=max(1, interval + interval * spread // 100),
        )

    async def _own(self, connection: StationConnection) -> None:
        """Register the connection; whatever held the identity before is closed as replaced."""
        identity = connection.station.identity
        old = self.connections.get(identity)
        self.connections[identity] = connection
        if old is not None and old is not connection:
            old.give_up_calls("a newer connection took over")  # else the newer one waits until they time out
            old.shut(REPLACED, "replaced by a newer connection", Cause.REPLACED)
        bus = self._runtime.bus

        async def serve(data: bytes) -> bytes:
            if data == PROBE:
                return ALIVE if await self._answers_ping(connection) else b"gone"
            outcome = await connection.call(read_order(data))
            COMMANDS.labels(type(outcome).__name__).inc()
            return write_outcome(outcome)

        stale = self._served.pop(old.station.connection_id, None) if old is not None else None
        if stale is not None:
            await stale.close()
        self._served[connection.station.connection_id] = await bus.serve(call_subject(identity), serve)
        notice = orjson.dumps({"fence": connection.owner.fence, "node": self._settings.node_name})
        await bus.publish(f"{OWNER_SUBJECT}.{subject_token(identity)}", notice)
        CONNECTIONS.set(len(self.connections))

    async def may_replace(self, station: Station, is_authenticated: bool) -> bool:  # one caller
        """B11: a station with a password takes over at once; without one, a live connection is kept, on any node."""
        if is_authenticated:
            return True
        old = self.connections.get(station.identity)
        is_alive = await self._answers_ping(old) if old is not None else await self._is_alive_elsewhere(station)
        if is_alive:
            log.warning("second connection refused: the first is alive", identity=station.identity)
        return not is_alive

    async def _answers_ping(self, connection: StationConnection) -> bool:
        try:
            async with asyncio.timeout(self._settings.probe_timeout_s):
                await (await connection.socket.ping())
        except (TimeoutError, ConnectionClosed):
            return False
        return True

    async def _is_alive_elsewhere(self, station: Station) -> bool:
        """Ask the node that holds the station, if one does."""
        if not station.is_online:
            return False
        wait_s = self._settings.probe_timeout_s + PROBE_MARGIN_S
        try:
            reply = await self._runtime.bus.request(call_subject(station.identity), PROBE, timeout_s=wait_s)
        except (NoResponders, RequestFailed, TimeoutError):
            return False
        return reply == ALIVE

    # --- closing ------------------------------------------------------------------------------------------

    async def close(self, connection: StationConnection) -> None:
        """Write how the connection ended, and give the identity up if it is still ours."""
        connection.lost()
        station = connection.station
        if self.connections.get(station.identity) is connection:
            del self.connections[station.identity]
        served = self._served.pop(station.connection_id, None)
        if served is not None:
            await served.close()
        CONNECTIONS.set(len(self.connections))
        await connection.idle()
        self._leave(connection)
        closing = self._judge(connection)
        CLOSES.labels(closing.closing.code).inc()
        await self._write_close(closing)

    def _leave(self, connection: StationConnection) -> None:
        present = self._present[connection.station.id]
        present.remove(connection)
        if not present:
            del self._present[connection.station.id]

    def _judge(self, connection: StationConnection) -> NodeClosing:
        try:
            return self._closing_of(connection)
        except Exception:
            log.exception("how a connection ended could not be judged", station=connection.station.identity)
            station = connection.station
            return NodeClosing(
                connection_id=station.connection_id,
                station_id=station.id,
                organisation_id=station.organisation_id,
                identity=station.identity,
                closing=Closing(UNKNOWN_CLOSE, ClosedBy.NETWORK, Cause.UNKNOWN),
            )

    async def _write_close(self, closing: NodeClosing) -> None:
        request = _Close(closing)
        self._closes.append(request)
        self._news.set()
        await asyncio.shield(request.done)

    def _closing_of(self, connection: StationConnection) -> NodeClosing:
        protocol = connection.socket.protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        facts = CloseFacts(
            code_received=received.code if received else None,
            reason_received=_storable(received.reason) if received else None,
            code_sent=sent.code if sent else None,
            reason_sent=_storable(sent.reason) if sent else None,
            received_first=protocol.close_rcvd_then_sent,
            intent=connection.intent or (Cause.SLOW_READER if connection.socket.is_too_slow else None),
        )
        network = protocol.close_exc.__cause__
        station = connection.station
        return NodeClosing(
            connection_id=station.connection_id,
            station_id=station.id,
            organisation_id=station.organisation_id,
            identity=station.identity,
            closing=closing_of(facts),
            code_received=facts.code_received,
            reason_received=facts.reason_received,
            code_sent=facts.code_sent,
            reason_sent=facts.reason_sent,
            network_error=str(network)[:200] if network else None,
            counters=_counters(connection),
        )

    # --- the loop that writes both -------------------------------------------------------------------------

    async def _work(self) -> None:
        """Natural batches: whatever waits is written in one transaction, while the next gather."""
        while not (self._is_stopping and not self._opens and not self._closes):
            await self._news.wait()
            self._news.clear()
            opens, self._opens = self._opens, []
            closes, self._closes = self._closes, []
            if opens or closes:
                await self._write(opens, closes)

    async def _write(self, opens: Sequence[_Open], closes: Sequence[_Close]) -> None:
        try:
            async with self._runtime.store.writing() as work:
                stations = await take_ownership(work, [one.opening for one in opens], self._settings.node_name)
                await self._routes.load(work, [one.connection.station for one in opens])
                await record_closed(work, [one.closing for one in closes])
        except Exception:
            log.exception("connections could not be written", opens=len(opens), closes=len(closes))
            for one in opens:
                one.done.set_result(False)
            await self._try_closes_again(closes)
            return
        for one in opens:
            one.connection.owner = Owner(one.opening.station_id, one.opening.fence)
            one.done.set_result(one.opening.station_id in stations)
        for close in closes:
            close.done.set_result(True)

    async def _try_closes_again(self, closes: Sequence[_Close]) -> None:
        """A close must not be lost while the database is away; at shutdown the next start closes it with 0001."""
        if self._is_stopping:
            for close in closes:
                close.done.set_result(False)
            return
        await asyncio.sleep(1.0)
        self._closes[:0] = closes
        self._news.set()

    # --- presence and news ---------------------------------------------------------------------------------

    async def _keep_presence(self) -> None:
        troubles = Troubles()
        while True:
            await asyncio.sleep(PRESENCE_S)
            try:
                await self.write_presence()
            except Exception as error:
                if troubles.is_new(PRESENCE, error):
                    log.exception("presence cannot be written; trying on")
            else:
                if troubles.is_over(PRESENCE):
                    log.info("presence is written again")

    async def write_presence(self) -> None:
        """Bring `last_seen_at` and the counts of connections that had messages up to date, in one batch."""
        fresh = [one for one in self.connections.values() if one.has_news]
        for one in fresh:
            one.has_news = False

        async def fill(work: Work) -> None:
            for one in fresh:
                work.change(Station, one.station.id, last_seen_at=one.last_message_at)
                work.change(Connection, one.station.connection_id, **_counters(one))

        if fresh:
            await self._dispatcher.write(fill)
        async with self._runtime.store.writing() as work:
            await node_is_alive(work, self._settings.node_name)

    async def _on_live(self, message: Message) -> None:
        organisation_id = int(message.subject.rpartition(".")[2])
        for news in news_in(message):
            await self._hear(organisation_id, news)

    async def _hear(self, organisation_id: int, news: LiveNews) -> None:
        kind = news["kind"]
        if kind in self.on_news:
            self.on_news[kind]()
        self._routes.heard(organisation_id, kind, news["data"])
        connection = self.connections.get(news["station"] or "")
        if connection is None:
            return
        if kind == DISCONNECT_REQUESTED:
            connection.shut(DISCONNECTED_BY_OPERATOR, "disconnected by an operator", Cause.OPERATOR_DISCONNECT)
        elif kind == "station_changed":
            await self._refresh(connection)
        if kind in self._routes.reloads:
            connection.outdated_by.add(kind)

    async def _refresh(self, connection: StationConnection) -> None:
        """Take over what an operator changed: registration, leniency; a deleted or rejected station is closed."""
        async with self._runtime.store.reading() as work:
            station = await work.session.get(Station, connection.station.id)
        if station is None or station.registration is Registration.REJECTED:
            connection.shut(REGISTRATION_ENDED, "the registration has ended", Cause.REGISTRATION_ENDED)
            return
        if not _may_stay(connection, station):
            connection.shut(LOGIN_CHANGED, "connect again with the station's security profile", Cause.LOGIN_CHANGED)
            return
        connection.station.registration = station.registration
        connection.set_leniency(is_lenient=station.leniency is Leniency.LENIENT)

    async def _on_owner(self, message: Message) -> None:
        """Another node took the station over: ours is the old connection."""
        notice = orjson.loads(message.data)
        if notice["node"] == self._settings.node_name:
            return
        token = message.subject.rpartition(".")[2]
        for identity, connection in list(self.connections.items()):
            if connection.owner.fence < notice["fence"] and subject_token(identity) == token:
                connection.shut(REPLACED, "replaced by a newer connection", Cause.REPLACED)

    # --- the end ------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Write what waits, then end."""
        for subscription in self._subscriptions:
            await subscription.close()
        self._is_stopping = True
        self._news.set()
        worker, presence = self._tasks
        await worker
        presence.cancel()
        await asyncio.gather(presence, return_exceptions=True)


def _may_stay(connection: StationConnection, station: Station) -> bool:
    """Whether the connection's security profile is still one of the station's, and proved if it must work."""
    admitted = connection.socket.admitted
    if admitted is None or admitted.profile not in (station.security_profile, station.next_security_profile):
        return False
    must_prove = admitted.profile > 0 and station.registration is Registration.ACCEPTED
    return admitted.is_authenticated or not must_prove


def _storable(reason: str) -> str | None:
    """A close reason as the station wrote it, without NUL, which PostgreSQL's text cannot hold."""
    return reason.replace("\0", "\N{SYMBOL FOR NULL}") or None


def _counters(connection: StationConnection) -> dict[str, object]:
    at: datetime = connection.last_message_at
    return {
        "last_message_at": at,
        "messages_in": connection.messages_in,
        "messages_out": connection.messages_out,
        "bytes_in": connection.socket.bytes_in,
        "bytes_out": connection.socket.bytes_out,
    }
