"""B10: password changes go with their station: their hashes must not outlive it."""

from csms.outbox import Consumer, Event
from csms.station.passwords.service import forget_station
from csms.store import Work


async def _deleted(work: Work, event: Event) -> None:
    if event.station_id is not None:
        await forget_station(work, event.station_id)


CONSUMERS = (Consumer("passwords.forget", frozenset({"station_deleted"}), _deleted),)
