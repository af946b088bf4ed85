"""S3: display messages between the API's words and OCPP 2.x's (2.0.1 block O)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from csms.ocpp import timestamps

Payload = dict[str, Any]

CONTENT_CHARS_MAX: Final = {False: 512, True: 1024}
"""By whether the station speaks 2.1."""
TEXTS_MAX: Final = 5
NUMBER_MAX: Final = 2**31 - 1


class DisplayMessageState(StrEnum):
    """What has become of a message."""

    REQUESTED = "requested"
    """Sent, or being sent; no answer yet."""
    INSTALLED = "installed"
    """The station has it, and shows it when its time comes."""
    REFUSED = "refused"
    CLEARED = "cleared"
    """Taken away by us."""
    GONE = "gone"
    """The station has it no longer: its time is over, its charge ended, or something replaced it."""


LIVE: Final = (DisplayMessageState.REQUESTED, DisplayMessageState.INSTALLED)


class Priority(StrEnum):
    """How it takes turns with others (2.0.1 part 2, 3.60)."""

    ALWAYS_FRONT = "always_front"
    """Before all others; at most one."""
    IN_FRONT = "in_front"
    NORMAL = "normal"
    """In turn with others."""


class ShownWhile(StrEnum):
    """The state of the charge point in which it is shown."""

    CHARGING = "charging"
    FAULTED = "faulted"
    IDLE = "idle"
    UNAVAILABLE = "unavailable"
    SUSPENDED = "suspended"
    DISCHARGING = "discharging"


ONLY_21: Final = frozenset({ShownWhile.SUSPENDED, ShownWhile.DISCHARGING})
_PRIORITIES: Final[Mapping[Priority, str]] = {
    Priority.ALWAYS_FRONT: "AlwaysFront",
    Priority.IN_FRONT: "InFront",
    Priority.NORMAL: "NormalCycle",
}
_STATES: Final[Mapping[ShownWhile, str]] = {one: one.value.capitalize() for one in ShownWhile}

REFUSALS: Final[Mapping[str, str]] = {
    "NotSupportedMessageFormat": "the station cannot show this format",
    "Rejected": "the station does not take it",
    "NotSupportedPriority": "the station does not know this priority",
    "NotSupportedState": "the station cannot tie a message to this state",
    "UnknownTransaction": "the station knows no such transaction",
    "LanguageNotSupported": "the station cannot show this language",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a MessageInfo says, in the API's words."""

    number: int
    priority: Priority
    texts: list[Payload]
    shown_while: ShownWhile | None = None
    shown_from: datetime | None = None
    shown_until: datetime | None = None
    transaction_id: str | None = None
    charge_point_number: int | None = None


def message_info(message: Message) -> Payload:
    """The MessageInfo object; further texts go as `messageExtra` (2.1)."""
    info: Payload = {
        "id": message.number,
        "priority": _PRIORITIES[message.priority],
        "state": None if message.shown_while is None else _STATES[message.shown_while],
        "startDateTime": None if message.shown_from is None else timestamps.write(message.shown_from),
        "endDateTime": None if message.shown_until is None else timestamps.write(message.shown_until),
        "transactionId": message.transaction_id,
        "message": message.texts[0],
        "messageExtra": message.texts[1:] or None,
    }
    if message.charge_point_number is not None:
        info["display"] = {"name": "EVSE", "evse": {"id": message.charge_point_number}}
    return {name: value for name, value in info.items() if value is not None}


def read_message(info: object) -> Message | None:
    """A MessageInfo as a station tells it; None for what is none. Unknown words are read as the standard's default."""
    if not isinstance(info, dict):
        return None
    number, text = info.get("id"), info.get("message")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= NUMBER_MAX:
        return None
    extra = info.get("messageExtra")
    texts = [one for one in (text, *(extra if isinstance(extra, list) else ())) if isinstance(one, dict)]
    transaction_id = info.get("transactionId")
    return Message(
        number=number,
        priority=_word_of(_PRIORITIES, info.get("priority")) or Priority.NORMAL,
        texts=texts[:TEXTS_MAX],
        shown_while=_word_of(_STATES, info.get("state")),
        shown_from=_time(info.get("startDateTime")),
        shown_until=_time(info.get("endDateTime")),
        transaction_id=str(transaction_id)[:64] if transaction_id is not None else None,
        charge_point_number=_evse(info.get("display")),
    )


def _word_of(known: Mapping[Any, str], word: object) -> Any:
    return next((ours for ours, theirs in known.items() if theirs == word), None)


def _time(sent: object) -> datetime | None:
    reading = timestamps.read(sent)
    return None if reading is None else reading.at


def _evse(display: object) -> int | None:
    evse = display.get("evse") if isinstance(display, dict) else None
    number = evse.get("id") if isinstance(evse, dict) else None
    return number if isinstance(number, int) else None


def messages_in(payload: Payload) -> Sequence[Message]:
    """What a NotifyDisplayMessages tells."""
    told = payload.get("messageInfo")
    read = (read_message(one) for one in (told if isinstance(told, list) else ()))
    return [one for one in read if one is not None]


def refusal(word: str) -> str:
    """A refusal in plain words."""
    return REFUSALS.get(word, f"the station answered «{word}»")
