"""S15: sorts in what stations told of their settings, and notes restarts."""

from sqlmodel import col, delete

from csms.outbox import Consumer, Event
from csms.station.device_reports import FACTS, Topic
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


async def forget(work: Work, event: Event) -> None:
    """The station is deleted: its settings go with it; what was changed stays in the history for its time."""
    await work.session.exec(delete(Setting).where(col(Setting.station_id) == event.station_id))


CONSUMERS = (
    Consumer("settings.told", frozenset({TOLD}), take_told),
    Consumer("settings.forget", frozenset({"station_deleted"}), forget),
    Consumer("settings.booted", frozenset({"station_booted"}), take_boot),
)
