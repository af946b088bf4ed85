"""S15: what stations tell of their settings: kept at once, sorted in later (OCPP 1.6 5.4, 5.8; 2.0.1 B05 to B08)."""

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, AnswerHandler, ConnectedStation, Payload, Route
from csms.station.device_reports import Topic, note_answer, note_part, note_report_answer
from csms.store import Work


async def notify_report(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 B07.FR.08, B08: a part of a report; the answer is empty."""
    note_part(work, station, Topic.SETTINGS, "NotifyReport", payload)
    return {}


def _keeps(action: str) -> AnswerHandler:
    async def keep(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
        note_answer(work, station, Topic.SETTINGS, action, request=request, answer=answer)

    return keep


async def base_report_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 B07: whether the station will send its inventory."""
    scope = str(request.get("reportBase"))[:40]
    await note_report_answer(work, station, Topic.SETTINGS, scope, request=request, answer=answer)


async def custom_report_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 B08: whether the station will send what was chosen."""
    await note_report_answer(work, station, Topic.SETTINGS, "chosen", request=request, answer=answer)


ROUTES = (Route(VERSIONS_2, "NotifyReport", notify_report),)
ANSWERED = (
    Answered(Version.V16, "GetConfiguration", _keeps("GetConfiguration")),
    Answered(Version.V16, "ChangeConfiguration", _keeps("ChangeConfiguration")),
    Answered(VERSIONS_2, "GetVariables", _keeps("GetVariables")),
    Answered(VERSIONS_2, "SetVariables", _keeps("SetVariables")),
    Answered(VERSIONS_2, "GetBaseReport", base_report_answered),
    Answered(VERSIONS_2, "GetReport", custom_report_answered),
)
