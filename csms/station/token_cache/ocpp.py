"""S27: what stations answer to ClearCache, whoever asked."""

from sqlmodel import select

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload
from csms.station.token_cache.model import TokenCache
from csms.station.token_cache.service import WORD_CHARS_MAX
from csms.store import Work


async def cache_cleared(work: Work, station: ConnectedStation, _request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.4; 2.0.1 C11: a station that rejects it has no cache."""
    word = str(answer.get("status"))[:WORD_CHARS_MAX]
    columns = {"last_word": word, "looked_at": work.now, "tried_at": work.now}
    if word == "Accepted":
        columns["cleared_at"] = work.now
    found = (await work.session.exec(select(TokenCache.id).where(TokenCache.station_id == station.id))).first()
    if found is not None:
        work.change(TokenCache, found, **columns)
        return
    usual = TokenCache(organisation_id=station.organisation_id, station_id=station.id).model_dump()
    work.insert(TokenCache, **usual | columns)


ANSWERED = (Answered((Version.V16, *VERSIONS_2), "ClearCache", cache_cleared),)
