"""S27: how much a station takes, as it told of its settings."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import select

from csms.ocpp.versions import Version
from csms.station.commands import version_of
from csms.station.information import Station
from csms.station.local_lists.rules import read_limit
from csms.station.settings import Setting, known_value
from csms.store import Work

ENTRIES_KEY: Final = "localauthlistctrlr/entries"
ROOM_MAX: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """None: the station did not tell."""

    length_max: int | None
    """Tokens on the list."""
    items_max: int | None
    """Tokens a message."""


async def limits_of(work: Work, station: Station) -> Limits:
    """OCPP 1.6, 9.3; 2.0.1 part 2, LocalAuthListCtrlr, where the room is the limit of the variable that counts."""
    if version_of(station) is Version.V16:
        length = read_limit(await known_value(work, station, "LocalAuthListMaxLength"))
        return Limits(length, read_limit(await known_value(work, station, "SendLocalListMaxLength")))
    items = read_limit(await known_value(work, station, "LocalAuthListCtrlr.ItemsPerMessage"))
    return Limits(await _room(work, station), items)


async def _room(work: Work, station: Station) -> int | None:
    query = select(Setting.max_limit).where(Setting.station_id == station.id, Setting.key == ENTRIES_KEY)
    room = (await work.session.exec(query)).first()
    return int(room) if room is not None and 0 < room <= ROOM_MAX else None
