"""S3: SetDisplayMessage, GetDisplayMessages, ClearDisplayMessage and NotifyDisplayMessages (2.0.1 block O)."""

from collections import deque
from dataclasses import dataclass, field

from csms.ocpp.versions import VERSIONS_2
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.display_messages.rules import (
    LIVE,
    DisplayMessageState,
    messages_in,
    number_of,
    read_message,
    refusal,
)
from csms.station.display_messages.service import add_told, content_of, find, note_told, settle
from csms.station.information import fact_about
from csms.store import Work

TOLD = "display_messages_told"
"""The fact that a report of all messages is whole."""
_MEANS_ALL = frozenset({"requestId", "customData"})


async def set_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 O01.FR: also of a message that was set by a raw command; one with the same id takes its place."""
    message, word = read_message(request.get("message")), str(answer.get("status"))[:40]
    if message is None:
        return
    row, is_taken = await find(work, station, message.number), word == "Accepted"
    if row is None:
        if is_taken:
            add_told(work, station, message, "a raw command")
    elif is_taken:
        content = {} if row.state is DisplayMessageState.REQUESTED else content_of(message)
        settle(work, row, DisplayMessageState.INSTALLED, station_word=word, reason=None, **content)
    elif row.state is DisplayMessageState.REQUESTED:
        settle(work, row, DisplayMessageState.REFUSED, station_word=word, reason=refusal(word))


async def clear_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 O05: `Unknown` means that it was not there any more."""
    number, word = number_of(request.get("id")), answer.get("status")
    row = None if number is None else await find(work, station, number)
    if row is None or row.state not in LIVE:
        return
    if word == "Accepted":
        settle(work, row, DisplayMessageState.CLEARED, station_word=word, reason=None)
    elif word == "Unknown":
        settle(work, row, DisplayMessageState.GONE, station_word=word, reason="the station did not have it any more")


@dataclass(slots=True)
class WholeReports:
    """The reports of all messages that a connected station has promised; after one, what it did not name is gone."""

    request_ids: deque[int] = field(default_factory=lambda: deque(maxlen=8))


async def get_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 O03: a station that has none says so at once and sends no report."""
    request_id, word = number_of(request.get("requestId")), answer.get("status")
    if request_id is None or not set(request) <= _MEANS_ALL:
        return
    if word == "Unknown":
        _tell(work, station, request_id)
    elif word == "Accepted":
        promised = station.recall(WholeReports).request_ids
        work.after_commit(lambda: promised.append(request_id))


async def notify_display_messages(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 O03: a part of what was asked for."""
    request_id = number_of(payload.get("requestId"))
    if request_id is None:
        return {}
    await note_told(work, station, messages_in(payload), request_id)
    if payload.get("tbc") is not True and request_id in station.recall(WholeReports).request_ids:
        _tell(work, station, request_id)
    return {}


def _tell(work: Work, station: ConnectedStation, request_id: int) -> None:
    work.emit(fact_about(station, TOLD, {"request_id": request_id}))


ROUTES = (Route(VERSIONS_2, "NotifyDisplayMessages", notify_display_messages),)
ANSWERED = (
    Answered(VERSIONS_2, "SetDisplayMessage", set_answered),
    Answered(VERSIONS_2, "ClearDisplayMessage", clear_answered),
    Answered(VERSIONS_2, "GetDisplayMessages", get_answered),
)
