"""B5: no connection stays open for ever, not even when a node never comes back."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.connections.service import NODE_SILENT, close_of_dead_nodes


async def sweep(runtime: Runtime) -> None:
    async with runtime.store.writing() as work:
        await close_of_dead_nodes(work, NODE_SILENT)


JOBS = (Job("close connections of dead brokers", every_s=30, run=sweep),)
