"""S15: sorts in what stations told of their monitors."""

from csms.outbox import Consumer, Event
from csms.station.device_reports import FACTS, Topic
from csms.station.information import goes_with_station
from csms.station.monitoring.model import MonitoringPolicy, VariableMonitor
from csms.station.monitoring.service.sorting import sort_in
from csms.store import Fact, Work

TOLD = FACTS[Topic.MONITORS]


async def take_told(work: Work, event: Event) -> None:
    """A slice of what waits; if that was not all, the rest in the next unit of work."""
    if event.station_id is not None and await sort_in(work, event.station_id):
        work.emit(Fact(kind=TOLD, organisation_id=event.organisation_id, station_id=event.station_id))


CONSUMERS = (
    Consumer("monitoring.told", frozenset({TOLD}), take_told),
    goes_with_station("monitoring.forget", VariableMonitor, MonitoringPolicy),
)
