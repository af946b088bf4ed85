"""B10: keeps the network profiles that stations accepted."""

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.routing import ConnectedStation, Payload
from csms.station.information import Station
from csms.station.network_profiles.model import NetworkProfile
from csms.station.network_profiles.rules import SLOT_MAX, columns_of
from csms.store import Work

PROFILES_MAX = 50
"""Slots kept of one station."""
TLS_PROFILES = (2, 3)


def url_fault(url: str, security_profile: int) -> str | None:
    """Why that URL cannot belong to that security profile, or None."""
    wanted = "wss://" if security_profile in TLS_PROFILES else "ws://"
    return None if url.startswith(wanted) else f"security profile {security_profile} needs a {wanted} URL"


async def set_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 B09.FR.01: what was accepted stands in the slot."""
    slot, data = request.get("configurationSlot"), request.get("connectionData")
    if answer.get("status") != "Accepted" or not isinstance(slot, int) or not isinstance(data, dict):
        return
    query = select(NetworkProfile).where(NetworkProfile.station_id == station.id)
    rows = (await work.session.exec(query)).all()
    values = {**columns_of(data), "set_at": work.now}
    present = next((row for row in rows if row.slot == slot), None)
    if present is not None:
        work.change(NetworkProfile, present.id, **values)
    elif len(rows) < PROFILES_MAX and abs(slot) <= SLOT_MAX:
        work.insert(NetworkProfile, organisation_id=station.organisation_id, station_id=station.id, slot=slot, **values)


def profiles_query(station: Station) -> SelectOfScalar[NetworkProfile]:
    """The station's profiles, to be paged."""
    return select(NetworkProfile).where(NetworkProfile.station_id == station.id)


async def find_profile(work: Work, station: Station, slot: int) -> NetworkProfile | None:
    return (await work.session.exec(profiles_query(station).where(col(NetworkProfile.slot) == slot))).first()


async def get_profile(work: Work, station: Station, slot: int) -> NetworkProfile:
    """Raises NotFound."""
    found = await find_profile(work, station, slot)
    if found is None:
        raise NotFound(f"nothing was set in slot {slot} of «{station.identity}»; GET …/network-profiles lists what was")
    return found
