"""P6: the nightly round over all tables that a feature keeps for a limited time."""

from collections.abc import Iterator
from datetime import timedelta

import structlog

from csms.config import Settings
from csms.features import offered
from csms.files import sweep
from csms.jobs import Job
from csms.outbox import Event
from csms.runtime import Runtime
from csms.store import Store
from csms.store.retention import Kept, ensure_partitions, forget

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3600
EVENTS = Kept(Event, "events_kept_days")


def _all_kept() -> Iterator[Kept]:
    yield EVENTS
    yield from offered("model", "KEPT")


async def prepare_partitions(store: Store) -> None:
    """Make the partitions of this and the next months; at every start and every few hours."""
    for kept in _all_kept():
        made = await ensure_partitions(store, kept)
        if made:
            log.info("partitions made", names=made)


async def forget_old(store: Store, settings: Settings) -> None:
    for kept in _all_kept():
        before = store.clock() - timedelta(days=getattr(settings, kept.setting))
        removed = await forget(store, kept, before)
        if removed:
            log.info("old rows forgotten", table=kept.name, before=before.isoformat(), removed=removed)


async def keep_house(runtime: Runtime) -> None:
    """One round."""
    await prepare_partitions(runtime.store)
    await forget_old(runtime.store, runtime.settings)


async def sweep_files(runtime: Runtime) -> None:
    """Remove files whose time is over, and what nobody knows any more."""
    removed = await sweep(runtime.store, runtime.files)
    if removed:
        log.info("old files removed", removed=removed)


JOBS = (
    Job("forget old rows", every_s=EVERY_S, run=keep_house, limit_s=EVERY_S),
    Job("sweep files", every_s=3600, run=sweep_files, limit_s=1800),
)
