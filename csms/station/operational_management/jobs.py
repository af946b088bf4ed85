"""S21: packages go with their station; who switched them when stays."""

from csms.outbox import Consumer, Event
from csms.station.operational_management.service import forget_station
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


CONSUMERS = (Consumer("operational_management.forget", frozenset({"station_deleted"}), _deleted),)
