"""S15: NotifyEvent and what stations tell of their monitors (2.0.1 and 2.1, part 2, block N)."""

from dataclasses import fields
from typing import Final

from csms.ocpp.versions import VERSIONS_2
from csms.routing import Answered, AnswerHandler, ConnectedStation, Payload, Route
from csms.station.device_reports import Topic, note_answer, note_part, note_report_answer
from csms.station.monitoring.model import DeviceEvent
from csms.station.monitoring.rules.events import ToldEvent
from csms.station.monitoring.service.memory import load_memory, told_events
from csms.station.monitoring.service.sorting import ALL
from csms.store import Work

_FIELDS: Final = tuple(field.name for field in fields(ToldEvent))


async def notify_event(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 N07, N08: each event is a row; parts (`tbc`) need not wait for one another."""
    for event in told_events(station, payload, work.now):
        work.insert(
            DeviceEvent,
            organisation_id=station.organisation_id,
            station_id=station.id,
            received_at=work.now,
            **{name: getattr(event, name) for name in _FIELDS},
        )
    return {}


async def notify_monitoring_report(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 N02.FR.07: a part of a report; the answer is empty."""
    note_part(work, station, Topic.MONITORS, "NotifyMonitoringReport", payload)
    return {}


async def report_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 N02: whether the station will send its monitors."""
    scope = "chosen" if request.keys() & {"monitoringCriteria", "componentVariable"} else ALL
    await note_report_answer(work, station, Topic.MONITORS, scope, request=request, answer=answer)


def _keeps(action: str) -> AnswerHandler:
    async def keep(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
        note_answer(work, station, Topic.MONITORS, action, request=request, answer=answer)

    return keep


ROUTES = (
    Route(VERSIONS_2, "NotifyEvent", notify_event),
    Route(VERSIONS_2, "NotifyMonitoringReport", notify_monitoring_report),
)
ANSWERED = (
    Answered(VERSIONS_2, "GetMonitoringReport", report_answered),
    Answered(VERSIONS_2, "SetVariableMonitoring", _keeps("SetVariableMonitoring")),
    Answered(VERSIONS_2, "ClearVariableMonitoring", _keeps("ClearVariableMonitoring")),
    Answered(VERSIONS_2, "SetMonitoringBase", _keeps("SetMonitoringBase")),
    Answered(VERSIONS_2, "SetMonitoringLevel", _keeps("SetMonitoringLevel")),
)
load = load_memory
RELOADS = frozenset({"monitors_updated"})
