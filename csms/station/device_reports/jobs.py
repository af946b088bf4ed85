"""S15: gives up reports whose parts stay away, and has what came of them sorted in."""

from sqlmodel import col, delete

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.runtime import Runtime
from csms.station.device_reports.model import DeviceMessage, DeviceReport
from csms.station.device_reports.service import drop_unsortable, expire, tell_left_behind
from csms.store import Work


async def give_up_late(runtime: Runtime) -> None:
    """One round."""
    async with runtime.store.writing() as work:
        await drop_unsortable(work)
        await tell_left_behind(work)
        await expire(work)


async def forget(work: Work, event: Event) -> None:
    """The station is deleted: nobody follows its reports any more."""
    for table in (DeviceMessage, DeviceReport):
        await work.session.exec(delete(table).where(col(table.station_id) == event.station_id))


CONSUMERS = (Consumer("device_reports.forget", frozenset({"station_deleted"}), forget),)
JOBS = (Job("device_reports.give_up_late", every_s=20, run=give_up_late),)
