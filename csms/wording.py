"""How a feature puts its OCPP messages into words for operators: rules as data, found by `csms.features`.

A feature's `words.py` offers, for every version at once:

    WORDS = (
        Tell("Heartbeat", heartbeat),   a station's message, and what it was answered
        Ask("ClearCache", "forget the cards it remembers", {"Accepted": DONE}),   our request, and what its answer means
    )
    EXAMPLES = (Example("ClearCache", "Forget the cached authorisations", v16={}, v2={}),)   for who sends it by hand

Below them stand the pieces of text that many features' words are made of. Payloads are as the station wrote them, so
nothing in them is certain: words must bear whatever they hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Payload = Mapping[str, Any]


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Words:
    """What happened, how bad it is, why, and what an operator can do about it."""

    text: str
    level: Level = Level.INFO
    why: str | None = None
    what_to_do: str | None = None


DONE: Final = Words("done")


@dataclass(frozen=True, slots=True)
class Tell:
    """A message of stations: whole sentences, from its request and the answer that it got."""

    action: str
    words: Callable[[Payload, Payload], Words]


def _answered(_answer: Payload) -> Words:
    return Words("it answered")


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of ours, as in «Asked to forget the cards it remembers: done.»."""

    action: str
    doing: str | Callable[[Payload], str]
    """What the station is asked to do, from the request."""
    verdicts: Mapping[str, Words] = field(default_factory=dict)
    """What a status of the answer means, where it means something of its own here."""
    told: Callable[[Payload], Words] = _answered
    """What an answer without status says."""


@dataclass(frozen=True, slots=True)
class Example:
    """What a request of ours is for, and a valid one, of OCPP 1.6 and of 2.x (valid in 2.0.1 and 2.1)."""

    action: str
    purpose: str
    v16: Payload | None = None
    v2: Payload | None = None


SHOWN_TAG_CHARS: Final = 4
_TEXT_CHARS_MAX: Final = 200
_CHARGE_ID_CHARS_MAX: Final = 12
_KINDS: Final = {
    "emaid": "contract",
    "keycode": "key code",
    "macaddress": "vehicle",
    "evccid": "vehicle",
    "vin": "vehicle",
    "central": "token",
    "local": "token",
    "directpayment": "payment",
}
"""OCPP 2.0.1, 3.43: what is no card; 1.6 knows only cards."""


def said(value: object) -> str:
    """A text of the station's own, on one line and not too long."""
    return " ".join(str(value).split())[:_TEXT_CHARS_MAX]


def sentence(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def status_of(payload: Payload) -> str:
    return said(payload.get("status", "no status"))


def within(payload: Payload, name: str) -> Payload:
    """The object of that name; an empty one where there is none."""
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


def items_of(payload: Payload, name: str) -> list[Payload]:
    """The objects in the list of that name."""
    value = payload.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def count_of(payload: Payload, name: str) -> int:
    """How long the list of that name is."""
    value = payload.get(name)
    return len(value) if isinstance(value, list) else 0


def place_of(request: Payload) -> str:
    """`charge point 1`, and which connector of it where OCPP 2.x says so; `the station` for none."""
    evse = request.get("evse")
    inside = evse if isinstance(evse, Mapping) else request
    number = inside.get("id") if inside is evse else request.get("evseId")
    if number is None:
        number, inside = request.get("connectorId"), {}
    if number in (0, None):
        return "the station"
    connector = f", connector {said(inside['connectorId'])}" if inside.get("connectorId") else ""
    return f"charge point {said(number)}{connector}"


def at_place(request: Payload) -> str:
    place = place_of(request)
    return "" if place == "the station" else f" at {place}"


def charge_of(transaction_id: object) -> str:
    """`charge 42`; of the long ids of OCPP 2.x the first characters."""
    text = "" if transaction_id is None else said(transaction_id)
    return f"charge {text}" if len(text) <= _CHARGE_ID_CHARS_MAX else f"charge {text[:8]}…"


def masked_tag(tag: object) -> str:
    """An id tag by its end: `…1234`. Of a short one less is shown, so that it is never whole."""
    text = str(tag)
    return "…" + (text[-SHOWN_TAG_CHARS:] if len(text) > SHOWN_TAG_CHARS else text[1:][-1:])


def card_of(request: Payload) -> str:
    """Who it is about: `card …1234`; OCPP 2.x says what kind of token it is."""
    if request.get("idTag"):
        return f"card {masked_tag(request['idTag'])}"
    token = within(request, "idToken")
    if not token.get("idToken"):
        return "a card"
    kind = _KINDS.get(str(token.get("type", "")).lower(), "card")
    return f"{kind} {masked_tag(token['idToken'])}"
