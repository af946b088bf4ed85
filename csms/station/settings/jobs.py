"""S15: sorts in what stations told of their settings, and notes restarts."""

from csms.outbox import Consumer, Event
from csms.station.device_reports import FACTS, Topic
from csms.station.information import goes_with_station
from csms.station.settings.model import Setting
from csms.station.settings.service.rebooting import has_rebooted
from csms.station.settings.service.sorting import sort_in
from csms.store import Fact, Work

TOLD = FACTS[Topic.SETTINGS]


async def take_told(work: Work, event: Event) -> None:
    """A slice of what waits; if that was not all, the rest in the next unit of work."""
    if event.station_id is not None and await sort_in(work, event.station_id):
        work.emit(Fact(kind=TOLD, organisation_id=event.organisation_id, station_id=event.station_id))


async def take_boot(work: Work, event: Event) -> None:
    """Restarts put values in force."""
    if event.station_id is not None:
        await has_rebooted(work, event.station_id, event.at, event.data.get("reason"))


CONSUMERS = (
    Consumer("settings.told", frozenset({TOLD}), take_told),
    goes_with_station("settings.forget", Setting),
    Consumer("settings.booted", frozenset({"station_booted"}), take_boot),
)
