"""S27: lists are kept true: after changes, when a station is back, when a token begins or ends."""

import asyncio
from collections.abc import Sequence

import structlog

from csms.exceptions import CsmsError
from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.rights import SYSTEM
from csms.runtime import Runtime
from csms.station.information import goes_with_station
from csms.station.local_lists.model import LocalList, LocalListExclusion
from csms.station.local_lists.service.exclusions import exclude, forget_exclusions
from csms.station.local_lists.service.keeping import (
    DUE_PER_RUN,
    drop_unused_snapshots,
    due_lists,
    enrol,
    forget_token,
    look_again,
    organisations_with_rules,
    uncompared_lists,
)
from csms.station.local_lists.service.syncing import compare, sync
from csms.store import Work

log = structlog.get_logger(__name__)

AT_ONCE = 10
ROUNDS_MAX = 5


async def keep_true(runtime: Runtime) -> None:
    """Look at the lists that are due, some at a time."""
    for _ in range(ROUNDS_MAX):
        async with runtime.store.reading() as work:
            identities = await due_lists(work)
        await _each(runtime, identities, sync)
        if len(identities) < DUE_PER_RUN:
            return


async def compare_after_boot(runtime: Runtime) -> None:
    """Ask stations for their version after they have booted, where that is configured."""
    async with runtime.store.reading() as work:
        identities = await uncompared_lists(work)
    await _each(runtime, identities, compare)


async def _each(runtime: Runtime, identities: Sequence[str], act: type | object) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(identity: str) -> None:
        async with slots:
            try:
                await act(runtime, SYSTEM, identity)  # type: ignore[operator]
            except CsmsError as error:
                log.info("list not brought into step", station=identity, reason=error.detail)

    await asyncio.gather(*map(one, identities))


async def tidy(runtime: Runtime) -> None:
    """Enrol new stations where lists are kept, and forget contents that no station has any more."""
    async with runtime.store.writing() as work:
        for organisation_id in await organisations_with_rules(work):
            await enrol(work, organisation_id)
        await drop_unused_snapshots(work)


async def _changed(work: Work, event: Event) -> None:
    if event.data.get("change") == "removed":
        await forget_token(work, int(event.data["token_id"]))
        await forget_exclusions(work, int(event.data["token_id"]))
    await look_again(work, event.organisation_id, event.station_id)


async def _deleted(work: Work, event: Event) -> None:
    """A station has deleted what it knew of a customer; only the list is left, which it may not touch (2.0.1 N10)."""
    if event.station_id is not None:
        await exclude(work, event.organisation_id, event.station_id, int(event.data["token_id"]))


JOBS = (
    Job("local_lists.keep_true", every_s=5, run=keep_true, limit_s=1800),
    Job("local_lists.compare_after_boot", every_s=15, run=compare_after_boot, limit_s=900),
    Job("local_lists.tidy", every_s=60, run=tidy),
)
CONSUMERS = (
    Consumer("local_lists.look_again", frozenset({"token_changed", "station_changed"}), _changed),
    Consumer("local_lists.exclude", frozenset({"customer_deleted"}), _deleted),
    goes_with_station("local_lists.forget", LocalList, LocalListExclusion),
)
