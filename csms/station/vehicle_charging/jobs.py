"""S25: plans for vehicles are sent soon after they told of their needs."""

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.station.vehicle_charging.service.hearing import forget_station
from csms.station.vehicle_charging.service.planning import send_due
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


JOBS = (Job("vehicle_charging.send_due", every_s=2, run=send_due),)
CONSUMERS = (Consumer("vehicle_charging.station_deleted", frozenset({"station_deleted"}), _deleted),)
