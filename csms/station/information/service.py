"""S1, B9, B10: finding, registering, accepting, changing and deleting stations."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from csms.exceptions import Conflict, Invalid, NotFound
from csms.platform.organisations import default_organisation
from csms.routing import ConnectedStation, Registration
from csms.station.information.model import Station
from csms.station.information.rules import (
    PROFILES_WITH_PASSWORD,
    are_coordinates,
    identity_fault,
    is_identity,
    password_fault,
)
from csms.store import Fact, Work, unscoped


async def find_station(work: Work, identity: str) -> Station | None:
    """The station of that identity within the caller's organisation."""
    return (await work.session.exec(select(Station).where(Station.identity == identity))).first()


async def get_station(work: Work, identity: str) -> Station:
    """Raises NotFound, also for other organisations' stations."""
    found = await find_station(work, identity) if is_identity(identity) else None
    if found is None:
        raise NotFound(f"there is no station «{identity}»; GET /api/v1/stations lists yours")
    return found


async def stations_by_identity(work: Work, identities: Sequence[str]) -> dict[str, Station]:
    """Many stations with one query, over all organisations that the caller sees."""
    rows = await work.session.exec(select(Station).where(col(Station.identity).in_(identities)))
    return {station.identity: station for station in rows}


async def register_station(work: Work, station: Station) -> Station:
    """Add a station. Raises Conflict if the identity is taken, by whomever; Invalid for an illegal one."""
    check_identity(station.identity, station.security_profile)
    _check_login(station)
    with unscoped(work.session):
        taken = await find_station(work, station.identity)
    if taken is not None:
        raise Conflict(f"the identity «{station.identity}» is taken; choose another or change that station")
    work.session.add(station)
    await work.session.flush()
    work.emit(fact_about(station, "station_registered", {"registration": station.registration.value}))
    return station


async def create_unregistered(
    work: Work, identity: str, registration: Registration, *, is_demo: bool, security_profile: int = 0
) -> Station:
    """B9: the row of a station that connected before anybody registered it."""
    organisation = await default_organisation(work)
    station = Station(
        identity=identity,
        organisation_id=organisation.id,
        registration=registration,
        created_at=work.now,
        is_demo=is_demo,
        security_profile=security_profile,
    )
    work.session.add(station)
    return station


async def own_organisation_id(work: Work) -> int:
    """The organisation that new stations of this caller belong to."""
    if work.actor.organisation_id is not None:
        return work.actor.organisation_id
    return (await default_organisation(work)).id


def check_identity(identity: str, security_profile: int) -> None:
    """Raises Invalid for an identity that a station of that profile cannot have."""
    fault = identity_fault(identity, security_profile)
    if fault is not None:
        raise Invalid(fault, place="body/station_id")


def check_new_password(password: str, protocol: str) -> None:
    """Raises Invalid for a password that a station of that protocol cannot have."""
    fault = password_fault(password, protocol)
    if fault is not None:
        raise Invalid(fault, place="body/password")


def _check_login(station: Station) -> None:
    if station.security_profile in PROFILES_WITH_PASSWORD and not station.password_hashes:
        raise Conflict(
            f"security profile {station.security_profile} needs a password; set one at …/password first",
            place="body/security_profile",
        )


def change_station(work: Work, station: Station, values: Mapping[str, Any]) -> None:
    """Set these columns. Raises Invalid for coordinates that are no place, Conflict for a profile without password."""
    if "security_profile" in values:
        station.next_security_profile = None  # what an operator says here ends an upgrade that was under way
    for name, value in values.items():
        setattr(station, name, value)
    check_place(station.latitude, station.longitude)
    if "security_profile" in values:
        check_identity(station.identity, station.security_profile)
        _check_login(station)
    work.emit(fact_about(station, "station_changed", {"changed": sorted(values)}))


def check_place(latitude: float | None, longitude: float | None) -> None:
    """Raises Invalid for half a position, one out of range, and (0, 0)."""
    if latitude is None and longitude is None:
        return
    if not are_coordinates(latitude, longitude):
        raise Invalid(
            "give latitude within ±90 and longitude within ±180 degrees, both or neither, and not 0, 0",
            place="body/location",
        )


def set_registration(work: Work, station: Station, registration: Registration) -> None:
    """B9: let the station work, let it wait, or turn it away; the broker hears of it at once.

    Raises Conflict for one that may not work yet, because its profile needs a password that it has not.
    """
    if registration is Registration.ACCEPTED:
        _check_login(station)
    station.registration = registration
    work.emit(fact_about(station, "station_changed", {"changed": ["registration"], "registration": registration.value}))


def set_password_hashes(work: Work, station: Station, hashes: list[str] | None) -> None:
    """Put these in place of the station's hashes: the old password stops at once. None: no password any more."""
    station.password_hashes = hashes
    _check_login(station)
    work.emit(fact_about(station, "station_changed", {"changed": ["password"]}))


async def delete_station(work: Work, station: Station) -> None:
    """Remove the station. Raises Conflict while it is online: it would only come back."""
    if station.is_online:
        raise Conflict(f"«{station.identity}» is online; reject its registration or disconnect it first")
    work.emit(fact_about(station, "station_changed", {"changed": ["deleted"]}))
    work.emit(fact_about(station, "station_deleted"))
    await work.session.delete(station)


def fact_about(station: Station | ConnectedStation, kind: str, data: dict[str, Any] | None = None) -> Fact:
    """Something that happened to a station, for `work.emit`."""
    return Fact(
        kind=kind,
        organisation_id=station.organisation_id,
        station_id=station.id,
        station=station.identity,
        data=data or {},
    )
