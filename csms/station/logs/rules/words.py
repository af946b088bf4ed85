"""S10: the words for an exchange, and the pieces of text that all of them are made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is known of one exchange; payloads are as the station wrote them, so nothing in them is certain."""

    action: str | None
    from_station: bool
    outcome: str
    """The word of the communication log: answered, refused, timed_out, …"""
    request: Payload | None = None
    answer: Payload | None = None
    error_code: str | None = None
    error_description: str | None = None


SHOWN_TAG_CHARS: Final = 4
_TEXT_CHARS_MAX: Final = 200
_DEPTH_MAX: Final = 8


_TAG_NAMES: Final = frozenset({"idTag", "parentIdTag", "idToken", "additionalIdToken"})
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


def masked_tag(tag: object) -> str:
    """An id tag by its end: `…1234`. Of a short one less is shown, so that it is never whole."""
    text = str(tag)
    return "…" + (text[-SHOWN_TAG_CHARS:] if len(text) > SHOWN_TAG_CHARS else text[1:][-1:])


def tags_in(value: object, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name in _TAG_NAMES and isinstance(item, str):
                yield item
            yield from tags_in(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from tags_in(item, depth + 1)


def without(words: Words, tag: str) -> Words:
    """A station may repeat the tag in its own texts."""
    parts = {name: getattr(words, name) for name in ("text", "why", "what_to_do")}
    shown = masked_tag(tag)
    return replace(words, **{name: text.replace(tag, shown) for name, text in parts.items() if text})


def said(value: object) -> str:
    """A text of the station's own, on one line and not too long."""
    return " ".join(str(value).split())[:_TEXT_CHARS_MAX]


def place_of(request: Payload, name: str = "connectorId") -> str:
    """`charge point 1`, and which connector of it where OCPP 2.x says so; `the station` for none."""
    evse = request.get("evse")
    inside = evse if isinstance(evse, Mapping) else request
    number = inside.get("id") if inside is evse else request.get("evseId")
    if number is None:
        number, inside = request.get(name), {}
    if number in (0, None):
        return "the station"
    connector = f", connector {said(inside['connectorId'])}" if inside.get("connectorId") else ""
    return f"charge point {said(number)}{connector}"


def at_place(request: Payload) -> str:
    place = place_of(request)
    return "" if place == "the station" else f" at {place}"


def kwh(value: object) -> str:
    return f"{value / 1000:.2f} kWh" if isinstance(value, int | float) else f"{said(value)} Wh"


def card_of(request: Payload) -> str:
    """Who it is about: `card …1234`; OCPP 2.x says what kind of token it is."""
    if request.get("idTag"):
        return f"card {masked_tag(request['idTag'])}"
    token = request.get("idToken")
    if not isinstance(token, Mapping) or not token.get("idToken"):
        return "a card"
    kind = _KINDS.get(str(token.get("type", "")).lower(), "card")
    return f"{kind} {masked_tag(token['idToken'])}"


def sentence(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def status_of(payload: Payload) -> str:
    return said(payload.get("status", "no status"))


def vendor_of(request: Payload) -> str:
    name = f" ({said(request['messageId'])})" if request.get("messageId") else ""
    return f"{said(request.get('vendorId', 'unknown'))}{name}"
