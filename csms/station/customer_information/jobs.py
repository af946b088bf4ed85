"""B3: gives up answers whose parts stay away."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.customer_information.service import give_up_late


async def give_up(runtime: Runtime) -> None:
    """One round."""
    async with runtime.store.writing() as work:
        await give_up_late(work)


JOBS = (Job("customer_information.give_up", every_s=60, run=give_up),)
