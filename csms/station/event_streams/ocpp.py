"""B2: periodic event streams of OCPP 2.1: N11 open, N12 adjust, N13 list, N14 close, N15 values."""

from csms.ocpp.versions import Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.event_streams.rules import read_stream, read_streams, whole
from csms.station.event_streams.service import adjusted, closed, flowed, load, opened, told_all
from csms.store import Work


async def open_stream(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 N11: accepted while there is room."""
    stream = read_stream(payload.get("constantStreamData"))
    reason = "no stream is named" if stream is None else opened(work, station, stream)
    if reason is None:
        return {"status": "Accepted"}
    return {"status": "Rejected", "statusInfo": {"reasonCode": "OutOfStorage", "additionalInfo": reason}}


async def close_stream(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 N14."""
    number = whole(payload.get("id"))
    if number is not None:
        closed(work, station, number, "the station closed it")
    return {}


async def values(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 N15: a SEND, so nothing goes back."""
    flowed(work, station, payload)
    return {}


async def adjust_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.1 N12."""
    number, params = whole(request.get("id")), request.get("params")
    if answer.get("status") == "Accepted" and number is not None and isinstance(params, dict):
        adjusted(work, station, number, params)


async def get_answered(work: Work, station: ConnectedStation, _request: Payload, answer: Payload) -> None:
    """2.1 N13: without any list there is no stream."""
    told_all(work, station, read_streams(answer))


ROUTES = (
    Route(Version.V21, "OpenPeriodicEventStream", open_stream),
    Route(Version.V21, "ClosePeriodicEventStream", close_stream),
    Route(Version.V21, "NotifyPeriodicEventStream", values),
)
ANSWERED = (
    Answered(Version.V21, "AdjustPeriodicEventStream", adjust_answered),
    Answered(Version.V21, "GetPeriodicEventStream", get_answered),
)
__all__ = ["ANSWERED", "ROUTES", "load"]
