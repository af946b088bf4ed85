"""S15: gives up reports whose parts stay away, and has what came of them sorted in."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.device_reports.model import DeviceMessage, DeviceReport
from csms.station.device_reports.service import drop_unsortable, expire, tell_left_behind
from csms.station.information import goes_with_station


async def give_up_late(runtime: Runtime) -> None:
    """One round."""
    async with runtime.store.writing() as work:
        await drop_unsortable(work)
        await tell_left_behind(work)
        await expire(work)


CONSUMERS = (goes_with_station("device_reports.forget", DeviceMessage, DeviceReport),)
JOBS = (Job("device_reports.give_up_late", every_s=20, run=give_up_late),)
