"""S17: files that came close their request; requests that take too long are ended."""

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.runtime import Runtime
from csms.station.diagnosis.service import CLOSES_PER_RUN, close_overdue, file_came
from csms.store import Work


async def file_received(work: Work, event: Event) -> None:
    await file_came(work, int(event.data["transfer_id"]))


async def close_all_overdue(runtime: Runtime) -> None:
    """End every request whose time is over."""
    count = CLOSES_PER_RUN
    while count == CLOSES_PER_RUN:
        async with runtime.store.writing() as work:
            count = await close_overdue(work)


JOBS = (Job("diagnosis.close_overdue", every_s=60, run=close_all_overdue),)
CONSUMERS = (Consumer("diagnosis", frozenset({"file_received"}), file_received),)
