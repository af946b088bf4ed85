"""S27: making stations forget the tokens that they remember."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlmodel import col, or_, select

from csms.rights import Caller
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.commands import Command, send, version_of
from csms.station.information import Station, get_station
from csms.station.settings import known_value
from csms.station.token_cache.model import CacheClearing, TokenCache
from csms.station.token_cache.rules import is_enabled, setting_name
from csms.station.tokens import TokenPolicy
from csms.store import Work

GATHERED: Final = timedelta(seconds=5)
"""How long blocked tokens gather before stations are told."""
SETTLED: Final = timedelta(seconds=60)
"""How long a station is left alone after it has connected."""
AGAIN_AFTER: Final = timedelta(minutes=10)
STATIONS_PER_RUN: Final = 40
WORD_CHARS_MAX: Final = 40


async def read_cache(work: Work, station: Station) -> TokenCache:
    """What is known of the station's cache."""
    found = (await work.session.exec(select(TokenCache).where(TokenCache.station_id == station.id))).first()
    return found or TokenCache(organisation_id=station.organisation_id, station_id=station.id)


async def has_cache(work: Work, station: Station) -> bool | None:
    """Whether the station remembers tokens; None if it never told."""
    return is_enabled(await known_value(work, station, setting_name(version_of(station))))


async def clear(runtime: Runtime, caller: Caller, identity: str) -> Command:
    """Make the station forget; what it says is stored by the answer's handler."""
    return await send(runtime, caller, identity, "ClearCache", {})


async def want_clearing(work: Work, organisation_id: int) -> None:
    """A token was blocked or removed: no station may go by what it remembers, if the organisation wants it so."""
    policy = await work.session.exec(
        select(TokenPolicy.is_cache_cleared).where(TokenPolicy.organisation_id == organisation_id)
    )
    if policy.first() is False:
        return
    query = select(CacheClearing).where(CacheClearing.organisation_id == organisation_id)
    row = (await work.session.exec(query)).first()
    if row is None:
        row = CacheClearing(organisation_id=organisation_id, wanted_at=work.now)
    row.wanted_at = work.now
    work.session.add(row)


async def stations_to_clear(work: Work) -> Sequence[Station]:
    """Connected stations that were not looked at since clearing was wanted."""
    now = work.now
    query = (
        select(Station)
        .join(CacheClearing, col(CacheClearing.organisation_id) == Station.organisation_id)
        .outerjoin(TokenCache, col(TokenCache.station_id) == Station.id)
        .where(
            col(CacheClearing.wanted_at) <= now - GATHERED,
            or_(col(TokenCache.looked_at).is_(None), col(TokenCache.looked_at) < col(CacheClearing.wanted_at)),
            or_(col(TokenCache.tried_at).is_(None), col(TokenCache.tried_at) <= now - AGAIN_AFTER),
            col(Station.is_online).is_(True),
            col(Station.registration) == Registration.ACCEPTED,
            col(Station.online_since) <= now - SETTLED,
        )
        .order_by(col(Station.id))
        .limit(STATIONS_PER_RUN)
    )
    return (await work.session.exec(query)).all()


async def begin(work: Work, identity: str) -> bool:
    """Note that the station is being looked at; False if it has no cache, so that nothing is to be done."""
    station = await get_station(work, identity)
    row = await read_cache(work, station)
    is_needed = await has_cache(work, station) is True
    row.tried_at = work.now
    if not is_needed:
        row.looked_at = work.now
    work.session.add(row)
    return is_needed
