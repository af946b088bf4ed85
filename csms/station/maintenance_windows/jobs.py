"""S16: windows end by themselves; this tells of it once, also of those that ended while nothing ran."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.maintenance_windows.service import ENDS_PER_RUN, announce_ended


async def announce_ends(runtime: Runtime) -> None:
    """Emit `maintenance_window_ended` for every window that is over and not yet told of."""
    count = ENDS_PER_RUN
    while count == ENDS_PER_RUN:
        async with runtime.store.writing() as work:
            count = await announce_ended(work)


JOBS = (Job("maintenance_windows.announce_ends", every_s=5, run=announce_ends),)
