"""S27: after a token was blocked or removed, stations forget what they remember."""

import asyncio

import structlog

from csms.exceptions import CsmsError
from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.rights import SYSTEM
from csms.runtime import Runtime
from csms.station.information import goes_with_station
from csms.station.token_cache.model import TokenCache
from csms.station.token_cache.service import begin, clear, stations_to_clear, want_clearing
from csms.store import Work

log = structlog.get_logger(__name__)

AT_ONCE = 10


async def clear_wanted(runtime: Runtime) -> None:
    """Tell stations that have a cache, some at a time."""
    async with runtime.store.reading() as work:
        identities = [station.identity for station in await stations_to_clear(work)]
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(identity: str) -> None:
        async with slots:
            try:
                async with runtime.store.writing() as work:
                    is_needed = await begin(work, identity)
                if is_needed:
                    await clear(runtime, SYSTEM, identity)
            except CsmsError as error:
                log.info("cache not cleared", station=identity, reason=error.detail)

    await asyncio.gather(*map(one, identities))


async def _changed(work: Work, event: Event) -> None:
    if event.data.get("change") in ("blocked", "removed"):
        await want_clearing(work, event.organisation_id)


JOBS = (Job("token_cache.clear_wanted", every_s=5, run=clear_wanted, limit_s=900),)
CONSUMERS = (
    Consumer("token_cache.want_clearing", frozenset({"token_changed"}), _changed),
    goes_with_station("token_cache.forget", TokenCache),
)
