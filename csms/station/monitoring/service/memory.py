"""S15: the severities of a connected station's monitors, for the events that they make."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel import col, select

from csms.ocpp.versions import VERSIONS_2
from csms.routing import ConnectedStation, Payload
from csms.station.monitoring.model import VariableMonitor
from csms.station.monitoring.rules.events import ToldEvent, read_events
from csms.store import Work


@dataclass(slots=True)
class Severities:
    """By the station's number of the monitor; read with `station.recall(Severities)`."""

    by_monitor: dict[int, int] = field(default_factory=dict)


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Severities` of stations that connect, and whenever `monitors_updated` is heard: one query for all."""
    ids = [station.id for station in stations if station.version in VERSIONS_2]
    found: dict[int, dict[int, int]] = {}
    if ids:
        query = select(VariableMonitor.station_id, VariableMonitor.monitor_id, VariableMonitor.severity)
        for station_id, monitor_id, severity in await work.session.exec(
            query.where(col(VariableMonitor.station_id).in_(ids))
        ):
            found.setdefault(station_id, {})[monitor_id] = severity
    for station in stations:
        station.recall(Severities).by_monitor = found.get(station.id, {})


def told_events(station: ConnectedStation, payload: Payload, now: datetime) -> list[ToldEvent]:
    """The events of a NotifyEvent with their severities; see `ToldEvent` for its fields. Never raises, reads nothing.

    For features that make something of events, as errors do of alerting ones: observe the call and ask here, so that
    both are stored in one commit:

        async def raise_alerts(work, station, payload):
            for event in told_events(station, payload, work.now):
                if event.trigger is EventTrigger.ALERTING:
                    ...  # event.is_cleared: it is over; event.source is the same for an alarm and its clearing

        OBSERVES = (Observe(VERSIONS_2, "NotifyEvent", raise_alerts),)
    """
    return read_events(payload, station.recall(Severities).by_monitor, now)
