"""S5: raises and resolves the errors of stations that are offline; checks the window's mark of new errors."""

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.runtime import Runtime
from csms.station.errors.service import (
    OFFLINE_ROWS,
    check_mark,
    end_of_deleted,
    raise_offline,
    resolve_offline,
    resolve_stale_offline,
)
from csms.store import Work


async def watch_offline(runtime: Runtime) -> None:
    """A drop and return within `offline_after_s` is no error (ROBUSTNESS: alert noise)."""
    offline_after_s = runtime.settings.offline_after_s
    count = OFFLINE_ROWS
    while count == OFFLINE_ROWS:
        async with runtime.store.writing() as work:
            count = await resolve_stale_offline(work)
    count = OFFLINE_ROWS
    while count == OFFLINE_ROWS:
        async with runtime.store.writing() as work:
            count = await raise_offline(work, offline_after_s)


async def station_connected(work: Work, event: Event) -> None:
    """A station is back."""
    if event.station_id is not None:
        await resolve_offline(work, event.station_id, event.at)


async def station_deleted(work: Work, event: Event) -> None:
    """A station is no more."""
    if event.station_id is not None:
        await end_of_deleted(work, event.station_id)


async def error_raised(work: Work, event: Event) -> None:
    """A new error was marked from memory; make sure that the mark is right."""
    await check_mark(work, int(event.data["error_id"]))


JOBS = (Job("errors.watch_offline", every_s=10, run=watch_offline),)
CONSUMERS = (
    Consumer("errors.station_connected", frozenset({"station_connected"}), station_connected),
    Consumer("errors.station_deleted", frozenset({"station_deleted"}), station_deleted),
    Consumer("errors.check_mark", frozenset({"error_raised"}), error_raised),
)
