"""B7: charges whose stop never came get an estimated end."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.charge_logs.service.ending import close_abandoned

ROWS_MAX = 100


async def close_zombies(runtime: Runtime) -> None:
    """In slices, so that each unit of work stays short."""
    while True:
        async with runtime.store.writing() as work:
            closed = await close_abandoned(work, ROWS_MAX)
        if closed < ROWS_MAX:
            return


JOBS = (Job("estimate the end of abandoned charges", every_s=60, run=close_zombies),)
