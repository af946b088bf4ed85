"""B4, B5, S23: writing and reading the connection history."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, update
from sqlmodel import col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict
from csms.platform.organisations import default_organisation
from csms.station.connections.model import BrokerNode, Connection, ServerCertificate
from csms.station.connections.rules import (
    BROKER_REBOOTED,
    SECURITY_EVENTS,
    TLS_FAILED,
    Cause,
    ClosedBy,
    Closing,
    Span,
    availability,
)
from csms.station.information import Station, fact_about
from csms.store import Fact, Work

REFUSED_ROWS_PER_MINUTE_MAX = 120
"""Refused handshakes written down in a minute; an attack is counted in the metrics beyond that, not stored."""

REASON_CHARS_MAX = 500
NODE_SILENT = timedelta(seconds=90)
"""After that a broker that gave no sign of life is thought dead."""

DISCONNECT_REQUESTED = "disconnect_requested"


@dataclass(slots=True)
class NodeOpening:
    """A connection that a node has accepted and now owns."""

    connection_id: int
    station_id: int
    identity: str
    remote_address: str
    protocol: str
    offered: str | None
    opened_at: datetime
    fence: int = 0
    """Set by `take_ownership`."""


@dataclass(slots=True)
class NodeClosing:
    """A connection that has ended."""

    connection_id: int
    station_id: int | None
    organisation_id: int
    identity: str
    closing: Closing
    code_received: int | None = None
    reason_received: str | None = None
    code_sent: int | None = None
    reason_sent: str | None = None
    network_error: str | None = None
    closed_at: datetime | None = None
    counters: dict[str, object] = field(default_factory=dict)


async def take_ownership(work: Work, openings: Sequence[NodeOpening], node: str) -> dict[int, Station]:
    """Write the open rows and make these connections the owners of their stations, by a growing fence.

    Returns the stations by id; an opening whose station was deleted meanwhile is left out.
    """
    ids = [opening.station_id for opening in openings]
    query = select(Station).where(col(Station.id).in_(ids)).order_by(col(Station.id)).with_for_update()
    stations = {station.id: station for station in await work.session.exec(query)}
    for opening in openings:
        station = stations.get(opening.station_id)
        if station is not None:
            _open(work, station, opening, node)
    return stations


def _open(work: Work, station: Station, opening: NodeOpening, node: str) -> None:
    station.fence += 1
    opening.fence = station.fence
    if not station.is_online:
        station.online_since = work.now
    station.is_online = True
    station.offline_since = None
    station.last_seen_at = work.now
    station.connection_id = opening.connection_id
    station.protocol = opening.protocol
    station.remote_address = opening.remote_address
    work.session.add(
        Connection(
            id=opening.connection_id,
            organisation_id=station.organisation_id,
            station_id=station.id,
            identity=station.identity,
            remote_address=opening.remote_address,
            offered=opening.offered,
            protocol=opening.protocol,
            node=node,
            opened_at=opening.opened_at,
        )
    )
    work.emit(opened(station, opening.protocol))


def opened(station: Station, protocol: str) -> Fact:
    return fact_about(station, "station_connected", {"protocol": protocol})


def request_disconnect(work: Work, station: Station) -> None:
    """Ask the node that holds the station's socket to close it. Raises Conflict for one that is not connected."""
    if not station.is_online:
        raise Conflict("the station is not connected")
    work.emit(fact_about(station, DISCONNECT_REQUESTED, {"by": work.actor.name}))


async def record_closed(work: Work, closings: Iterable[NodeClosing]) -> None:
    """Close the rows; a station goes offline only if no newer connection owns it (fencing, ROBUSTNESS 10)."""
    for one in closings:
        closed_at = one.closed_at or work.now
        work.change(
            Connection,
            one.connection_id,
            closed_at=closed_at,
            code=one.closing.code,
            closed_by=one.closing.closed_by,
            cause=one.closing.cause,
            code_received=one.code_received,
            reason_received=one.reason_received,
            code_sent=one.code_sent,
            reason_sent=one.reason_sent,
            network_error=one.network_error,
            **one.counters,
        )
        await _go_offline(work, one, closed_at)


async def _go_offline(work: Work, one: NodeClosing, closed_at: datetime) -> None:
    if one.station_id is None:
        return
    gone = await work.session.exec(
        update(Station)
        .where(col(Station.id) == one.station_id, col(Station.connection_id) == one.connection_id)
        .values(is_online=False, offline_since=closed_at, online_since=None, connection_id=None)
    )
    if gone.rowcount:
        work.emit(
            Fact(
                kind="station_disconnected",
                organisation_id=one.organisation_id,
                station_id=one.station_id,
                station=one.identity,
                data={"code": one.closing.code, "cause": one.closing.cause, "closed_by": one.closing.closed_by},
            )
        )


async def record_refused(  # noqa: PLR0917  # the parts of one row
    work: Work,
    identity: str,
    remote_address: str,
    offered: str | None,
    cause: Cause,
    status: int,
    node: str,
    reason: str,
) -> None:
    """A row for a handshake that was refused; it belongs to the station's organisation, else to the default one."""
    station = (await work.session.exec(select(Station).where(Station.identity == identity))).first()
    if station is not None and cause in SECURITY_EVENTS:
        work.emit(_noticed(station, SECURITY_EVENTS[cause], reason, remote_address))
    owner = station.organisation_id if station else (await default_organisation(work)).id
    work.session.add(
        Connection(
            organisation_id=owner,
            station_id=station.id if station else None,
            identity=identity[:255],
            remote_address=remote_address,
            offered=offered[:255] if offered else None,
            node=node,
            opened_at=work.now,
            closed_at=work.now,
            code="1002" if cause is Cause.NO_SUBPROTOCOL else "1008",
            closed_by=ClosedBy.BROKER,
            cause=cause,
            http_status=status,
            reason=reason[:REASON_CHARS_MAX],
        )
    )


@dataclass(frozen=True, slots=True)
class TlsTry:
    """A TLS handshake that failed, and the name in the certificate that was shown, if any: only a claim."""

    name: str
    kind: str
    reason: str
    remote_address: str
    node: str


_OURS = frozenset({"version", "cipher", "certificate", "plain", "misplaced", "timeout", "limit"})
"""Kinds of failures in which this side ends it."""


async def record_tls_failure(work: Work, failed: TlsTry) -> None:
    """A row for it, and a security event where the name, identity or serial number, is a station's.

    Nothing else is changed by it. Without a name it is put down to the station that last came from that address, if
    no other did and it is offline.
    """
    station = await _named(work, failed.name) if failed.name else await _last_seen_at(work, failed.remote_address)
    if station is not None and failed.name:
        work.emit(_noticed(station, f"tls_{failed.kind}", failed.reason, failed.remote_address))
    guess = "; by the address it is this station" if station is not None and not failed.name else ""
    owner = station.organisation_id if station else (await default_organisation(work)).id
    work.session.add(
        Connection(
            organisation_id=owner,
            station_id=station.id if station else None,
            identity=station.identity if station else failed.name,
            remote_address=failed.remote_address,
            node=failed.node,
            opened_at=work.now,
            closed_at=work.now,
            code=TLS_FAILED,
            closed_by=ClosedBy.BROKER if failed.kind in _OURS else ClosedBy.STATION,
            cause=Cause.REFUSED_TLS,
            reason=f"{failed.reason}{guess}"[:REASON_CHARS_MAX],
        )
    )


async def _named(work: Work, name: str) -> Station | None:
    named = or_(Station.identity == name, Station.serial_number == name)
    return (await work.session.exec(select(Station).where(named).order_by(col(Station.id)).limit(1))).first()


async def _last_seen_at(work: Work, remote_address: str) -> Station | None:
    query = select(Station).where(Station.remote_address == remote_address).limit(2)
    found = (await work.session.exec(query)).all()
    return found[0] if len(found) == 1 and not found[0].is_online else None


def _noticed(station: Station, kind: str, reason: str, remote_address: str) -> Fact:
    return fact_about(station, "security_event", {"type": kind, "reason": reason, "remote_address": remote_address})


async def node_is_alive(work: Work, name: str, *, started_at: datetime | None = None) -> None:
    """The node's sign of life; `started_at` at its start."""
    node = (await work.session.exec(select(BrokerNode).where(BrokerNode.name == name))).first()
    if node is None:
        node = BrokerNode(name=name, started_at=work.now, alive_at=work.now)
        work.session.add(node)
    node.alive_at = work.now
    node.started_at = started_at or node.started_at


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a broker's certificate says."""

    file: str
    subject: str
    hosts: tuple[str, ...]
    fingerprint: str
    not_before: datetime
    not_after: datetime


async def keep_server_certificates(work: Work, node: str, shown: Sequence[ShownCertificate]) -> None:
    """The node shows these from now on; a warning of one that it shows still is not given again."""
    mine = (await work.session.exec(select(ServerCertificate).where(ServerCertificate.node == node))).all()
    warned = {row.fingerprint: row.warned_days for row in mine}
    await work.session.exec(delete(ServerCertificate).where(col(ServerCertificate.node) == node))
    for one in shown:
        work.session.add(
            ServerCertificate(
                node=node,
                file=one.file,
                subject=one.subject,
                hosts=list(one.hosts),
                fingerprint=one.fingerprint,
                not_before=one.not_before,
                not_after=one.not_after,
                loaded_at=work.now,
                warned_days=warned.get(one.fingerprint),
            )
        )


async def server_certificates(work: Work) -> Sequence[ServerCertificate]:
    """What the living brokers show, the first to expire first."""
    query = (
        select(ServerCertificate)
        .join(BrokerNode, col(BrokerNode.name) == ServerCertificate.node)
        .where(col(BrokerNode.alive_at) >= work.now - NODE_SILENT)
        .order_by(col(ServerCertificate.not_after), col(ServerCertificate.id))
    )
    return (await work.session.exec(query)).all()


async def listening_since(work: Work) -> datetime | None:
    """Since when a broker is there for stations to come back to; None while none is."""
    query = select(func.min(BrokerNode.started_at)).where(BrokerNode.alive_at >= work.now - NODE_SILENT)
    return (await work.session.exec(query)).one()


async def are_brokers_silent(work: Work) -> bool:
    """Whether there were brokers, and none of them is running: then no station can connect."""
    last = (await work.session.exec(select(func.max(BrokerNode.alive_at)))).one()
    return last is not None and last < work.now - NODE_SILENT


async def close_left_open(work: Work, nodes: Sequence[str]) -> int:
    """B5: close with `0001` what these nodes left open when they died. Returns how many there were.

    They were open until the node's last sign of life: a station may be silent for a day, and its pings were answered.
    """
    query = (
        select(Connection, BrokerNode.alive_at)
        .outerjoin(BrokerNode, col(BrokerNode.name) == Connection.node)
        .where(col(Connection.closed_at).is_(None), col(Connection.node).in_(nodes))
    )
    left = (await work.session.exec(query)).all()
    closing = Closing(BROKER_REBOOTED, ClosedBy.BROKER, Cause.BROKER_REBOOTED)
    await record_closed(
        work,
        [
            NodeClosing(
                connection_id=one.id,
                station_id=one.station_id,
                organisation_id=one.organisation_id,
                identity=one.identity,
                closing=closing,
                closed_at=max(at for at in (one.opened_at, one.last_message_at, alive_at) if at is not None),
            )
            for one, alive_at in left
        ],
    )
    return len(left)


async def close_of_dead_nodes(work: Work, silent_for: timedelta) -> int:
    """The same for nodes that gave no sign of life for that long."""
    query = select(BrokerNode.name).where(BrokerNode.alive_at < work.now - silent_for)
    dead = (await work.session.exec(query)).all()
    return await close_left_open(work, dead) if dead else 0


@dataclass(frozen=True, slots=True)
class DayOfConnection:
    day: datetime
    availability: float
    by_code: dict[str, int]


@dataclass(frozen=True, slots=True)
class Availability:
    """`whole` is None where the station did not exist yet in that time."""

    whole: float | None
    days: list[DayOfConnection]


async def availability_of(work: Work, station: Station, start: datetime, end: datetime) -> Availability:
    """How much of [start, end) the station was connected, as a whole and by UTC day; from its registration on."""
    query = select(Connection).where(
        col(Connection.station_id) == station.id,
        col(Connection.http_status).is_(None),
        Connection.opened_at < end,
        or_(col(Connection.closed_at).is_(None), col(Connection.closed_at) > start),
    )
    rows = (await work.session.exec(query)).all()
    spans = [Span(row.opened_at, row.closed_at) for row in rows]
    first, last = max(start, station.created_at), min(end, work.now)
    days = []
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < last:
        since, until = max(day, first), min(day + timedelta(days=1), last)
        if since < until:
            codes = Counter(row.code for row in rows if row.code and row.closed_at and since <= row.closed_at < until)
            days.append(DayOfConnection(day, availability(spans, since, until), dict(codes)))
        day += timedelta(days=1)
    return Availability(availability(spans, first, last) if first < last else None, days)


async def count_by_code(work: Work, station: Station, start: datetime, end: datetime) -> dict[str, int]:
    """How often the station's connections ended with which code in that time."""
    query = (
        select(Connection.code, func.count(col(Connection.id)))
        .where(
            col(Connection.station_id) == station.id,
            col(Connection.code).is_not(None),
            col(Connection.closed_at) >= start,
            col(Connection.closed_at) < end,
        )
        .group_by(col(Connection.code))
    )
    return {str(code): count for code, count in (await work.session.exec(query)).all()}


def refused_query(*, causes: Sequence[Cause] = (), remote_address: str | None = None) -> SelectOfScalar[Connection]:
    """Connections that did not come about, to be paged."""
    query = select(Connection).where(col(Connection.reason).is_not(None))
    if causes:
        query = query.where(col(Connection.cause).in_(causes))
    return query if remote_address is None else query.where(Connection.remote_address == remote_address)


async def latest_refusals(work: Work, station_ids: Sequence[int], since: datetime) -> dict[int, Connection]:
    """The newest try of each station that was refused since then."""
    newest = (
        select(func.max(Connection.id))
        .where(
            col(Connection.station_id).in_(station_ids),
            col(Connection.reason).is_not(None),
            Connection.opened_at >= since,
        )
        .group_by(col(Connection.station_id))
    )
    rows = (await work.session.exec(select(Connection).where(col(Connection.id).in_(newest)))).all()
    return {row.station_id: row for row in rows if row.station_id is not None}
