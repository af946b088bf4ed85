"""S25: profiles end with their charges and by time; their history is forgotten in time."""

from datetime import timedelta

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.runtime import Runtime
from csms.station.charging_profiles.service.ending import (
    ROWS_PER_RUN,
    bind_to_charges,
    end_overdue,
    end_with_charges,
    forget_old,
    forget_station,
)
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


async def settle(runtime: Runtime) -> None:
    """What charges and time decide. Nothing that is in force waits for it: only the states do."""
    for act in (bind_to_charges, end_with_charges, end_overdue):
        async with runtime.store.writing() as work:
            await act(work)


async def forget(runtime: Runtime) -> None:
    """In slices, so that each unit of work stays short."""
    count = ROWS_PER_RUN
    while count == ROWS_PER_RUN:
        async with runtime.store.writing() as work:
            count = await forget_old(work, work.now - timedelta(days=runtime.settings.history_kept_days))


JOBS = (
    Job("charging_profiles.settle", every_s=10, run=settle),
    Job("charging_profiles.forget", every_s=6 * 3600, run=forget),
)
CONSUMERS = (Consumer("charging_profiles.station_deleted", frozenset({"station_deleted"}), _deleted),)
