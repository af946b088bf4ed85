"""S24: updates and publications that take too long are ended."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.firmware.service import publications, updates


async def close_overdue(runtime: Runtime) -> None:
    """End every update and publication whose time is over."""
    for close in (updates.close_overdue, publications.close_overdue):
        count = updates.CLOSES_PER_RUN
        while count == updates.CLOSES_PER_RUN:
            async with runtime.store.writing() as work:
                count = await close(work)


JOBS = (Job("firmware.close_overdue", every_s=60, run=close_overdue),)
