"""B2: batteries that are swapped, in words."""

from collections.abc import Mapping
from typing import Final

from csms.wording import Ask, Example, Level, Payload, Tell, Words, count_of

_SWAPS: Final[Mapping[str, tuple[str, Level]]] = {
    "BatteryIn": ("put in", Level.INFO),
    "BatteryOut": ("taken out", Level.INFO),
    "BatteryOutTimeout": ("not taken out in time", Level.WARNING),
}


def _swap(request: Payload, _answer: Payload) -> Words:
    count = count_of(request, "batteryData")
    what, level = _SWAPS.get(str(request.get("eventType")), ("swapped", Level.INFO))
    return Words(f"{count} {'battery was' if count == 1 else 'batteries were'} {what}.", level)


WORDS = (Tell("BatterySwap", _swap), Ask("RequestBatterySwap", "let a driver swap batteries"))

EXAMPLES = (
    Example(
        "RequestBatterySwap",
        "Start a battery swap",
        v2={"requestId": 1, "idToken": {"idToken": "04A2B3C4D5", "type": "ISO14443"}},
    ),
)
