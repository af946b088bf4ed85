"""S3: which charge points a station has, what they say, and how they are described."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import col, delete, select

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.errors import ErrorKind, OcppError
from csms.routing import ConnectedStation, Payload, Registration
from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.charge_points.rules import (
    ChargePointStatus,
    CheckedChargePoint,
    CheckedConnector,
    CheckedStation,
    Problem,
    check,
    read_evse_id,
    status_of,
)
from csms.station.information import Station, StationStatus, are_coordinates
from csms.store import Fact, Work, unscoped

CHARGE_POINTS_MAX = 256
"""The highest number of a charge point; a station that counts on would fill the table."""
STATUS_WORD_CHARS_MAX = 40


@dataclass(frozen=True, slots=True)
class KnownChargePoint:
    """What handlers need to know of a charge point."""

    id: int
    status: ChargePointStatus
    is_announced: bool = True


@dataclass(slots=True)
class ChargePoints:
    """The charge points of a connected station by number; read with `station.recall(ChargePoints)`."""

    by_number: dict[int, KnownChargePoint] = field(default_factory=dict)
    station_status: StationStatus = StationStatus.UNKNOWN

    def number_of(self, charge_point_id: int) -> int | None:
        """The number of the charge point with that id, if it is known here."""
        return next((number for number, known in self.by_number.items() if known.id == charge_point_id), None)


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `ChargePoints` of stations that connect: two queries for all of them."""
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
    for station_id, station_status in statuses:
        memories[station_id].station_status = StationStatus(station_status)


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
    columns = {"status": status, "status_word": _short(word), "status_at": at, "status_received_at": work.now}
    work.change(ChargePoint, known.id, **columns)
    _remember(work, station, number, KnownChargePoint(known.id, status))
    if status is not known.status:
        data: Payload = {
            "charge_point": number,
            "charge_point_id": str(known.id),
            "status": status.value,
            "previous": known.status.value,
            "at": at.isoformat(),
        }
        _tell(work, station, "charge_point_status", data)
    return known.id


def _set_station_status(work: Work, station: ConnectedStation, word: str, at: datetime) -> None:
    memory = station.recall(ChargePoints)
    previous, status = memory.station_status, _station_status(status_of(word))
    if status is previous:
        return
    work.change(Station, station.id, status=status, status_at=at)
    work.after_commit(lambda: setattr(memory, "station_status", status))
    _tell(
        work,
        station,
        "station_status",
        {"status": status.value, "previous": previous.value, "at": at.isoformat()},
    )


def _station_status(status: ChargePointStatus) -> StationStatus:
    """OCPP 1.6 4.9: only three words apply to connector 0; a station that sends another of the words is at work."""
    if status is ChargePointStatus.UNKNOWN:
        return StationStatus.UNKNOWN
    if status in (ChargePointStatus.UNAVAILABLE, ChargePointStatus.FAULTED):
        return StationStatus(status.value)
    return StationStatus.AVAILABLE


def _tell(work: Work, station: ConnectedStation, kind: str, data: Payload) -> None:
    work.emit(
        Fact(
            kind=kind,
            organisation_id=station.organisation_id,
            station_id=station.id,
            station=station.identity,
            data=data,
        )
    )


def _short(word: str) -> str:
    return word[:STATUS_WORD_CHARS_MAX]


async def _announced(work: Work, station: ConnectedStation, number: int) -> KnownChargePoint:
    known = station.recall(ChargePoints).by_number.get(number)
    if known is not None:
        return known
    if not 1 <= number <= CHARGE_POINTS_MAX:
        raise OcppError(ErrorKind.PROPERTY_CONSTRAINT, f"there is no charge point {number}")
    known = _noted(work, station, number) or await _stored(work, station, number)
    if known is None:
        known = KnownChargePoint(_create(work, station, number), ChargePointStatus.UNKNOWN)
    elif not known.is_announced:
        work.change(ChargePoint, known.id, is_announced=True)
        known = KnownChargePoint(known.id, known.status)
    _remember(work, station, number, known)
    return known


def _noted(work: Work, station: ConnectedStation, number: int) -> KnownChargePoint | None:
    """Made a moment ago by another handler of the same unit, and so not yet in memory."""
    for row in work.rows.get(ChargePoint, ()):
        if row["station_id"] == station.id and row["number"] == number:
            changed = work.changes.get((ChargePoint, row["id"]), {})
            return KnownChargePoint(row["id"], (row | changed)["status"])
    return None


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
    work.after_commit(lambda: memory.by_number.__setitem__(number, known))


def set_operative(work: Work, station: ConnectedStation, number: int, *, is_operative: bool) -> None:
    """The station agreed to ChangeAvailability; 0 means all of its charge points (OCPP 1.6 5.2)."""
    by_number = station.recall(ChargePoints).by_number
    for known in by_number.values() if number == 0 else [by_number[number]] if number in by_number else []:
        work.change(ChargePoint, known.id, is_operative=is_operative)


async def charge_points_of(work: Work, station: Station) -> Sequence[ChargePoint]:
    """All charge points of the station, by number."""
    query = select(ChargePoint).where(ChargePoint.station_id == station.id).order_by(col(ChargePoint.number))
    return (await work.session.exec(query)).all()


async def get_charge_point(work: Work, station: Station, number: int) -> ChargePoint:
    """Raises NotFound."""
    query = select(ChargePoint).where(ChargePoint.station_id == station.id, ChargePoint.number == number)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no charge point {number}; GET …/charge-points lists them")
    return found


async def connectors_of(work: Work, station: Station) -> dict[int, list[Connector]]:
    """The station's connectors by charge point id, each list by number."""
    query = select(Connector).where(Connector.station_id == station.id).order_by(col(Connector.number))
    by_charge_point: dict[int, list[Connector]] = {}
    for connector in await work.session.exec(query):
        by_charge_point.setdefault(connector.charge_point_id, []).append(connector)
    return by_charge_point


async def add_charge_point(work: Work, station: Station, number: int) -> ChargePoint:
    """Describe a charge point before the station mentions it. Raises Conflict if there is one of that number."""
    query = select(ChargePoint).where(ChargePoint.station_id == station.id, ChargePoint.number == number)
    if (await work.session.exec(query)).first() is not None:
        raise Conflict(f"«{station.identity}» has a charge point {number} already; change that one")
    added = ChargePoint(
        organisation_id=station.organisation_id, station_id=station.id, number=number, created_at=work.now
    )
    work.session.add(added)
    await work.session.flush()
    return added


async def set_evse_id(work: Work, charge_point: ChargePoint, text: str | None) -> None:
    """Set or clear the EVSE id. Raises Invalid for a wrong form, Conflict if another charge point has it."""
    if text is None:
        charge_point.evse_id = charge_point.evse_key = None
        return
    evse_id = read_evse_id(text)
    if evse_id is None:
        raise Invalid(
            "this is no EVSE id of ISO 15118 or DIN SPEC 91286; write it as DE*AB7*E840*6487 or +49*810*000*438",
            place="body/evse_id",
        )
    with unscoped(work.session):  # unique over the installation
        query = select(ChargePoint).where(ChargePoint.evse_key == evse_id.key, ChargePoint.id != charge_point.id)
        taken = (await work.session.exec(query)).first()
    if taken is not None:
        raise Conflict(f"the EVSE id «{evse_id.written}» belongs to another charge point", place="body/evse_id")
    charge_point.evse_id, charge_point.evse_key = evse_id.written, evse_id.key


async def replace_connectors(work: Work, charge_point: ChargePoint, connectors: Sequence[Connector]) -> None:
    """Put these in place of the charge point's connectors."""
    await work.session.exec(delete(Connector).where(col(Connector.charge_point_id) == charge_point.id))
    work.session.add_all(connectors)
    await work.session.flush()


async def remove_charge_point(work: Work, charge_point: ChargePoint) -> None:
    """Remove one that was added by mistake. Raises Conflict once the station has mentioned it: it has a history."""
    if charge_point.is_announced:
        raise Conflict(f"charge point {charge_point.number} has a history; it can be described anew, not deleted")
    await work.session.exec(delete(Connector).where(col(Connector.charge_point_id) == charge_point.id))
    await work.session.delete(charge_point)


async def forget_station(work: Work, station_id: int) -> None:
    """Remove what a deleted station leaves behind."""
    await work.session.exec(delete(Connector).where(col(Connector.station_id) == station_id))
    await work.session.exec(delete(ChargePoint).where(col(ChargePoint.station_id) == station_id))


def tell_changed(work: Work, station: Station, number: int) -> None:
    """Let others know that an operator described the charge point anew."""
    work.emit(
        Fact(
            kind="charge_point_changed",
            organisation_id=station.organisation_id,
            station_id=station.id,
            station=station.identity,
            data={"charge_point": number},
        )
    )


async def check_station(work: Work, station: Station) -> list[Problem]:
    """What is not configured right for maps and apps."""
    connectors = await connectors_of(work, station)
    charge_points = await charge_points_of(work, station)
    return check(_checked_station(station), [_checked(one, connectors.get(one.id, [])) for one in charge_points])


def _checked_station(station: Station) -> CheckedStation:
    return CheckedStation(
        name=station.name,
        address=station.address,
        city=station.city,
        country=station.country,
        has_coordinates=are_coordinates(station.latitude, station.longitude),
        is_accepted=station.registration is Registration.ACCEPTED,
    )


def _checked(one: ChargePoint, connectors: Sequence[Connector]) -> CheckedChargePoint:
    return CheckedChargePoint(
        number=one.number,
        label=one.label,
        evse_id=one.evse_id,
        is_announced=one.is_announced,
        connectors=[CheckedConnector(c.number, c.plug_type, c.format, c.max_power_w, c.phases) for c in connectors],
    )
