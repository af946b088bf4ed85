"""S3: which charge points a station has and what they say of themselves, as the broker learns it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlmodel import col, select

from csms.ocpp.errors import ErrorKind, OcppError
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload
from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.charge_points.rules import (
    ChargePointStatus,
    charging_status,
    evse_status,
    station_status,
    status_of,
)
from csms.station.information import Station, StationStatus, fact_about
from csms.store import Work

CHARGE_POINTS_MAX = 256
"""The highest number of a charge point; a station that counts on would fill the table."""
CONNECTORS_MAX = 16
"""The highest number of a connector of one charge point."""
STATUS_WORD_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class KnownConnector:
    """A connector whose state the station tells (2.x)."""

    id: int
    status: ChargePointStatus


@dataclass(frozen=True, slots=True)
class KnownChargePoint:
    """What handlers need to know of a charge point."""

    id: int
    status: ChargePointStatus
    is_announced: bool = True
    connectors: Mapping[int, KnownConnector] = field(default_factory=dict)
    """Those whose state the station tells (2.x), by number."""
    charging: ChargePointStatus | None = None
    """What the transaction that runs there says (2.x)."""


@dataclass(slots=True)
class ChargePoints:
    """The charge points of a connected station by number; read with `station.recall(ChargePoints)`."""

    by_number: dict[int, KnownChargePoint] = field(default_factory=dict)
    station_status: StationStatus = StationStatus.UNKNOWN
    noted: tuple[Work, dict[int, KnownChargePoint]] | None = None
    """What the unit of work under way has noted: several handlers may look at one message."""


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `ChargePoints` of stations that connect: two queries for all of them, two more for those of 2.x."""
    memories = {station.id: station.recall(ChargePoints) for station in stations}
    # Only announced ones: an operator may delete the others while the station is connected.
    rows = await work.session.exec(
        select(ChargePoint.station_id, ChargePoint.number, ChargePoint.id, ChargePoint.status).where(
            col(ChargePoint.station_id).in_(memories), col(ChargePoint.is_announced).is_(True)
        )
    )
    for station_id, number, row_id, status in rows:
        memories[station_id].by_number[number] = KnownChargePoint(row_id, ChargePointStatus(status))
    statuses = await work.session.exec(select(Station.id, Station.status).where(col(Station.id).in_(memories)))
    for station_id, status in statuses:
        memories[station_id].station_status = StationStatus(status)
    await _load_connectors(work, {one.id: memories[one.id] for one in stations if one.version is not Version.V16})


async def _load_connectors(work: Work, memories: Mapping[int, ChargePoints]) -> None:
    """What only 2.x tells: each connector's state, and what the running transaction says."""
    if not memories:
        return
    by_id = {known.id: (memory, number) for memory in memories.values() for number, known in memory.by_number.items()}
    connectors = await work.session.exec(
        select(Connector.charge_point_id, Connector.number, Connector.id, Connector.status).where(
            col(Connector.station_id).in_(memories), col(Connector.status).is_not(None)
        )
    )
    for point_id, connector, row_id, status in connectors:
        if point_id in by_id and status is not None:
            memory, number = by_id[point_id]
            known, told = memory.by_number[number], KnownConnector(row_id, ChargePointStatus(status))
            memory.by_number[number] = replace(known, connectors={**known.connectors, connector: told})
    charging = await work.session.exec(
        select(ChargePoint.id, ChargePoint.charging_status).where(
            col(ChargePoint.station_id).in_(memories), col(ChargePoint.charging_status).is_not(None)
        )
    )
    for point_id, status in charging:
        if point_id in by_id and status is not None:
            memory, number = by_id[point_id]
            memory.by_number[number] = replace(memory.by_number[number], charging=ChargePointStatus(status))


async def charge_point_id(work: Work, station: ConnectedStation, number: int) -> int:
    """The id of the station's charge point of that number, made when first seen.

    Raises OcppError for a number below 1 (0 is the station itself) or above CHARGE_POINTS_MAX.
    """
    known = await _announced(work, station, number)
    return known.id


async def set_status(work: Work, station: ConnectedStation, number: int, word: str, at: datetime) -> int | None:
    """Note what a charge point says of itself; `word` is the station's own. Returns its id.

    Number 0 is the station itself: kept on its row, and None is returned. Emits `charge_point_status` or
    `station_status` only when the status changed. Raises OcppError for a number that cannot be.
    """
    if number == 0:
        _set_station_status(work, station, word, at)
        return None
    known = await _announced(work, station, number)
    status = status_of(word)
    if status is known.status and status is not ChargePointStatus.UNKNOWN:
        return known.id
    _note_status(work, station, number, known, status, word, at)
    _remember(work, station, number, KnownChargePoint(known.id, status))
    return known.id


def _note_status(  # noqa: PLR0917  # the parts of one row
    work: Work,
    station: ConnectedStation,
    number: int,
    known: KnownChargePoint,
    status: ChargePointStatus,
    word: str,
    at: datetime,
) -> None:
    """Write a charge point's status; tell of it only if it is another one."""
    columns = {"status": status, "status_word": _short(word), "status_at": at, "status_received_at": work.now}
    work.change(ChargePoint, known.id, **columns)
    if status is not known.status:
        data: Payload = {
            "charge_point": number,
            "charge_point_id": str(known.id),
            "status": status.value,
            "previous": known.status.value,
            "at": at.isoformat(),
        }
        work.emit(fact_about(station, "charge_point_status", data))


async def set_connector_status(  # noqa: PLR0917  # what one notification says
    work: Work, station: ConnectedStation, number: int, connector: int, word: str, at: datetime
) -> None:
    """Note what a 2.x station says of a connector (2.0.1 G01); the charge point's status follows from all of them.

    EVSE 0 is no EVSE of the standard: stations that send it mean themselves. A connector 0 stands for its EVSE's first
    one. Raises OcppError for numbers that cannot be.
    """
    if number == 0:
        _set_station_status(work, station, word, at)
        return
    connector = connector or 1
    if not 1 <= connector <= CONNECTORS_MAX:
        raise OcppError(ErrorKind.PROPERTY_CONSTRAINT, f"charge point {number} has no connector {connector}")
    known = await _announced(work, station, number)
    status, before = status_of(word), known.connectors.get(connector)
    if before is not None and before.status is status:
        return
    row_id = before.id if before is not None else await _connector_id(work, station, known, connector)
    work.change(Connector, row_id, status=status, status_at=at, status_received_at=work.now)
    connectors = {**known.connectors, connector: KnownConnector(row_id, status)}
    _derive(work, station, number, known, replace(known, connectors=connectors), word=word, at=at)


async def set_charging(work: Work, station: ConnectedStation, number: int, word: str | None, at: datetime) -> None:
    """Note what the transaction of a 2.x charge point says of itself; None: it has ended."""
    known = await _announced(work, station, number)
    charging = None if word is None else charging_status(word, known.charging)
    if charging is known.charging:
        return
    work.change(ChargePoint, known.id, charging_status=charging)
    _derive(work, station, number, known, replace(known, charging=charging), word=word, at=at)


def _derive(
    work: Work,
    station: ConnectedStation,
    number: int,
    before: KnownChargePoint,
    after: KnownChargePoint,
    *,
    word: str | None,
    at: datetime,
) -> None:
    """What the charge point as a whole does after one of its parts changed."""
    status = evse_status((one.status for one in after.connectors.values()), after.charging)
    if status is not before.status:
        shown = word if word is not None and status_of(word) is status else _word_of(status)
        _note_status(work, station, number, before, status, shown, at)
    known = replace(after, status=status)
    _remember(work, station, number, known)
    _derive_station(work, station, number, before=before, after=known, at=at)


def _derive_station(
    work: Work,
    station: ConnectedStation,
    number: int,
    *,
    before: KnownChargePoint,
    after: KnownChargePoint,
    at: datetime,
) -> None:
    """A 2.x station hardly says what it does as a whole: it works as long as one of its charge points does."""
    memory = station.recall(ChargePoints)
    noted = memory.noted[1] if memory.noted is not None and memory.noted[0] is work else {}
    others = [one.status for place, one in (memory.by_number | noted).items() if place != number]
    then, now = station_status([*others, before.status]), station_status([*others, after.status])
    if now is not ChargePointStatus.UNKNOWN and (now is not then or memory.station_status is StationStatus.UNKNOWN):
        _set_station_status(work, station, now.value, at)


def _word_of(status: ChargePointStatus) -> str:
    """The status as OCPP spells it."""
    parts = status.value.split("_")
    return "".join(part.upper() if part in {"ev", "evse"} else part.capitalize() for part in parts)


async def _connector_id(work: Work, station: ConnectedStation, known: KnownChargePoint, connector: int) -> int:
    """The row of a connector that the station mentions for the first time; an operator may have described it."""
    query = select(Connector.id).where(Connector.charge_point_id == known.id, Connector.number == connector)
    found = (await work.session.exec(query)).first()
    if found is not None:
        return found
    return work.insert(
        Connector,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_id=known.id,
        number=connector,
    )


def _set_station_status(work: Work, station: ConnectedStation, word: str, at: datetime) -> None:
    memory = station.recall(ChargePoints)
    previous, status = memory.station_status, _station_status(status_of(word))
    if status is previous:
        return
    work.change(Station, station.id, status=status, status_at=at)
    work.after_commit(lambda: setattr(memory, "station_status", status))
    data = {"status": status.value, "previous": previous.value, "at": at.isoformat()}
    work.emit(fact_about(station, "station_status", data))


def _station_status(status: ChargePointStatus) -> StationStatus:
    """OCPP 1.6 4.9: only three words apply to connector 0; a station that sends another of the words is at work."""
    if status is ChargePointStatus.UNKNOWN:
        return StationStatus.UNKNOWN
    if status in (ChargePointStatus.UNAVAILABLE, ChargePointStatus.FAULTED):
        return StationStatus(status.value)
    return StationStatus.AVAILABLE


def _short(word: str) -> str:
    return word[:STATUS_WORD_CHARS_MAX]


async def _announced(work: Work, station: ConnectedStation, number: int) -> KnownChargePoint:
    memory = station.recall(ChargePoints)
    noted = memory.noted[1].get(number) if memory.noted is not None and memory.noted[0] is work else None
    known = noted or memory.by_number.get(number)
    if known is not None:
        return known
    if not 1 <= number <= CHARGE_POINTS_MAX:
        raise OcppError(ErrorKind.PROPERTY_CONSTRAINT, f"there is no charge point {number}")
    known = await _stored(work, station, number)
    if known is None:
        known = KnownChargePoint(_create(work, station, number), ChargePointStatus.UNKNOWN)
    elif not known.is_announced:
        work.change(ChargePoint, known.id, is_announced=True)
        known = replace(known, is_announced=True)
    _remember(work, station, number, known)
    return known


async def _stored(work: Work, station: ConnectedStation, number: int) -> KnownChargePoint | None:
    """Added by an operator after the station had connected; read once for each number."""
    query = select(ChargePoint).where(ChargePoint.station_id == station.id, ChargePoint.number == number)
    found = (await work.session.exec(query)).first()
    return None if found is None else KnownChargePoint(found.id, found.status, found.is_announced)


def _create(work: Work, station: ConnectedStation, number: int) -> int:
    return work.insert(
        ChargePoint,
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=number,
        status=ChargePointStatus.UNKNOWN,
        is_operative=True,
        is_announced=True,
        created_at=work.now,
    )


def _remember(work: Work, station: ConnectedStation, number: int, known: KnownChargePoint) -> None:
    memory = station.recall(ChargePoints)
    if memory.noted is None or memory.noted[0] is not work:
        memory.noted = work, {}
        work.after_commit(lambda: _keep_noted(memory, work))
    memory.noted[1][number] = known


def _keep_noted(memory: ChargePoints, work: Work) -> None:
    if memory.noted is not None and memory.noted[0] is work:
        memory.by_number.update(memory.noted[1])
        memory.noted = None


def set_operative(work: Work, station: ConnectedStation, number: int, *, is_operative: bool) -> None:
    """The station agreed to ChangeAvailability; 0 means all of its charge points (OCPP 1.6 5.2)."""
    by_number = station.recall(ChargePoints).by_number
    for known in by_number.values() if number == 0 else [by_number[number]] if number in by_number else []:
        work.change(ChargePoint, known.id, is_operative=is_operative)
