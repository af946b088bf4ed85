"""S3: charge points go with their station, so that their EVSE ids are free again."""

from csms.outbox import Consumer, Event
from csms.station.charge_points.service import forget_station
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


CONSUMERS = (Consumer("charge_points.forget", frozenset({"station_deleted"}), _deleted),)
