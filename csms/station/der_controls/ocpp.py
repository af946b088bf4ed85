"""B2: SetDERControl, GetDERControl, ClearDERControl and what a station tells of its controls (2.1, block R)."""

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.der_controls.model import DerAlarm
from csms.station.der_controls.rules import ControlState, read_set, refusal, reported
from csms.station.der_controls.service import add_told, cleared, find, note_report, settle, supersede
from csms.station.device_reports import Inventory, request_number
from csms.station.information import fact_about
from csms.store import Work

TOLD = "der_controls_told"
"""The fact that a report of all controls is whole."""
_CONTROLS = Inventory(TOLD, empty="NotFound")


async def set_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 R04: also of a control that was set by a raw command."""
    control, word = read_set(request), str(answer.get("status"))[:40]
    if control is None:
        return
    row = (await find(work, station, [control.control_id])).get(control.control_id)
    if word == "Accepted":
        if row is None:
            add_told(work, station, control, "a raw command")
        else:
            settle(work, row, ControlState.INSTALLED, values=control.values, reason=None)
        await supersede(work, station, answer.get("supersededIds"))
    elif row is not None and row.state is ControlState.REQUESTED:
        settle(work, row, ControlState.REFUSED, reason=refusal(word))


async def clear_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 R05: `NotFound` means that there is none any more."""
    if answer.get("status") in ("Accepted", "NotFound"):
        await cleared(work, station, request)


async def get_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 R06: a station that has none says so at once and sends no report."""
    _CONTROLS.answered(work, station, request, answer)


async def report(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 R06: a part of what was asked for."""
    request_id = request_number(payload)
    if request_id is not None:
        await note_report(work, station, list(reported(payload)), request_id)
        _CONTROLS.part_noted(work, station, payload)
    return {}


async def started_or_stopped(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 R04: a scheduled control begins or ends."""
    control_id = str(payload.get("controlId"))
    row = (await find(work, station, [control_id])).get(control_id)
    if row is not None:
        has_started = payload.get("started") is True
        settle(work, row, ControlState.ACTIVE if has_started else ControlState.INSTALLED)
    await supersede(work, station, payload.get("supersededIds"))
    return {}


async def alarm(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 R08: the grid made the station act, or that is over."""
    reading, fault, info = timestamps.read(payload.get("timestamp")), payload.get("gridEventFault"), None
    if payload.get("extraInfo") is not None:
        info = str(payload["extraInfo"])[:200]
    has_ended = payload.get("alarmEnded") is True
    work.insert(
        DerAlarm,
        organisation_id=station.organisation_id,
        station_id=station.id,
        control_type=str(payload.get("controlType"))[:40],
        fault=None if fault is None else str(fault)[:40],
        has_ended=has_ended,
        told_at=work.now if reading is None else reading.at,
        received_at=work.now,
        info=info,
    )
    data = {"control_type": str(payload.get("controlType"))[:40], "fault": fault, "has_ended": has_ended}
    work.emit(fact_about(station, "der_alarm", data))
    return {}


ROUTES = (
    Route(Version.V21, "ReportDERControl", report),
    Route(Version.V21, "NotifyDERStartStop", started_or_stopped),
    Route(Version.V21, "NotifyDERAlarm", alarm),
)
ANSWERED = (
    Answered(Version.V21, "SetDERControl", set_answered),
    Answered(Version.V21, "ClearDERControl", clear_answered),
    Answered(Version.V21, "GetDERControl", get_answered),
)
