"""S3: charge points as operators describe, read and check them."""

from collections.abc import Sequence
from typing import Final

from sqlmodel import col, delete, select, update

from csms.exceptions import Conflict, Invalid, NotFound
from csms.routing import Registration
from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.charge_points.rules import (
    ChargePointStatus,
    CheckedChargePoint,
    CheckedConnector,
    CheckedStation,
    Problem,
    check,
    read_evse_id,
)
from csms.station.information import Station, are_coordinates, fact_about
from csms.store import Work, unscoped


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
    """Describe the charge point's connectors as these; what the station said of their state stays.

    One that the station has mentioned stays too, without a description if none is given.
    """
    query = select(Connector).where(Connector.charge_point_id == charge_point.id)
    present = {one.number: one for one in await work.session.exec(query)}
    given = {one.number: one for one in connectors}
    for number, row in present.items():
        if number not in given and row.status is None:
            await work.session.delete(row)
            continue
        for name in _DESCRIPTION:
            setattr(row, name, getattr(given.get(number), name, None))
    work.session.add_all(one for number, one in given.items() if number not in present)
    await work.session.flush()


_DESCRIPTION: Final = ("plug_type", "format", "max_power_w", "voltage_v", "amperage_a", "phases")


async def remove_charge_point(work: Work, charge_point: ChargePoint) -> None:
    """Remove one that was added by mistake. Raises Conflict once the station has mentioned it: it has a history."""
    if charge_point.is_announced:
        raise Conflict(f"charge point {charge_point.number} has a history; it can be described anew, not deleted")
    await work.session.exec(delete(Connector).where(col(Connector.charge_point_id) == charge_point.id))
    await work.session.delete(charge_point)


async def release(work: Work, station: Station, number: int) -> None:
    """A reservation of that charge point has ended by time: show it free again, unless it says otherwise."""
    query = select(ChargePoint).where(
        ChargePoint.station_id == station.id,
        ChargePoint.number == number,
        col(ChargePoint.status) == ChargePointStatus.RESERVED,
    )
    found = (await work.session.exec(query)).first()
    if found is None:
        return
    free = {"status": ChargePointStatus.AVAILABLE, "status_at": work.now, "status_received_at": work.now}
    await work.session.exec(
        update(Connector)
        .where(col(Connector.charge_point_id) == found.id, col(Connector.status) == ChargePointStatus.RESERVED)
        .values(**free)
    )
    await work.session.exec(
        update(ChargePoint).where(col(ChargePoint.id) == found.id).values(status_word="Available", **free)
    )
    tell_changed(work, station, number)


def tell_changed(work: Work, station: Station, number: int) -> None:
    """Let others know that an operator described the charge point anew."""
    work.emit(fact_about(station, "charge_point_changed", {"charge_point": number}))


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
