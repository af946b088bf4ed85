"""B10: network profiles go with their station."""

from csms.outbox import Consumer, Event
from csms.station.network_profiles.service import forget_station
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


CONSUMERS = (Consumer("network_profiles.forget", frozenset({"station_deleted"}), _deleted),)
