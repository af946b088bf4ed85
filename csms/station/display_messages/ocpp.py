"""S3: SetDisplayMessage, GetDisplayMessages, ClearDisplayMessage and NotifyDisplayMessages (2.0.1 block O)."""

from csms.ocpp.reading import integer_of
from csms.ocpp.versions import VERSIONS_2
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.device_reports import Inventory, request_number
from csms.station.display_messages.rules import (
    LIVE,
    DisplayMessageState,
    messages_in,
    read_message,
    refusal,
)
from csms.station.display_messages.service import add_told, content_of, find, note_told, settle
from csms.store import Work

TOLD = "display_messages_told"
"""The fact that a report of all messages is whole."""
_MESSAGES = Inventory(TOLD, empty="Unknown")


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
    number, word = integer_of(request.get("id")), answer.get("status")
    row = None if number is None else await find(work, station, number)
    if row is None or row.state not in LIVE:
        return
    if word == "Accepted":
        settle(work, row, DisplayMessageState.CLEARED, station_word=word, reason=None)
    elif word == "Unknown":
        settle(work, row, DisplayMessageState.GONE, station_word=word, reason="the station did not have it any more")


async def get_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """2.0.1 O03: a station that has none says so at once and sends no report."""
    _MESSAGES.answered(work, station, request, answer)


async def notify_display_messages(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 O03: a part of what was asked for."""
    request_id = request_number(payload)
    if request_id is not None:
        await note_told(work, station, messages_in(payload), request_id)
        _MESSAGES.part_noted(work, station, payload)
    return {}


ROUTES = (Route(VERSIONS_2, "NotifyDisplayMessages", notify_display_messages),)
ANSWERED = (
    Answered(VERSIONS_2, "SetDisplayMessage", set_answered),
    Answered(VERSIONS_2, "ClearDisplayMessage", clear_answered),
    Answered(VERSIONS_2, "GetDisplayMessages", get_answered),
)
