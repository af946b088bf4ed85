"""S18: switching the publication of a station on and off."""

from typing import Any

from sqlmodel import col, select

from csms.exceptions import Conflict
from csms.routing import Registration
from csms.station.information import Station, fact_about
from csms.station.interfaces.model import FED, InterfaceKind, StationInterface
from csms.store import Work


def published_on(kind: InterfaceKind) -> tuple[Any, ...]:
    """The conditions, for a query over Station and StationInterface, that a station is published on that interface.

    Only accepted stations with a position are; with several processes too, since they ask the database.
    """
    return (
        StationInterface.station_id == Station.id,
        StationInterface.kind == kind,
        Station.registration == Registration.ACCEPTED,
        col(Station.latitude).is_not(None),
        col(Station.longitude).is_not(None),
    )


async def interfaces_of(work: Work, station: Station) -> dict[InterfaceKind, StationInterface]:
    """The switches that are on."""
    query = select(StationInterface).where(StationInterface.station_id == station.id)
    return {row.kind: row for row in await work.session.exec(query)}


async def switch_interface(work: Work, station: Station, kind: InterfaceKind, *, is_on: bool) -> None:
    """Switch one on or off. Raises Conflict for one whose feed does not exist in this installation."""
    if is_on and kind not in FED:
        raise Conflict(f"there is no {kind} feed here yet; leave its switch off", place=f"body/{kind}")
    active = (await interfaces_of(work, station)).get(kind)
    if is_on == (active is not None):
        return
    if active is None:
        work.session.add(
            StationInterface(
                organisation_id=station.organisation_id,
                station_id=station.id,
                kind=kind,
                since=work.now,
                switched_by=work.actor.name,
            )
        )
    else:
        await work.session.delete(active)
    await work.session.flush()
    work.emit(fact_about(station, "interface_switched", {"interface": kind.value, "is_on": is_on}))
