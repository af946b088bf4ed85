"""B3: in words, the commands that no other feature owns: start, stop, restart, unlock."""

from typing import Final

from csms.wording import Ask, Example, Level, Payload, Words, at_place, card_of, charge_of, said


def _start(request: Payload) -> str:
    return f"start charging{at_place(request)} with {card_of(request)}"


def _stop(request: Payload) -> str:
    return f"stop {charge_of(request.get('transactionId'))}"


def _reset(request: Payload) -> str:
    where = at_place(request).removeprefix(" at ") if request.get("evseId") else ""
    what = f"restart {where}".strip()
    if request.get("type") == "OnIdle":
        return f"{what} when nothing charges"
    return f"{what} at once" if request.get("type") in ("Hard", "Immediate") else what


_WILL_TRY: Final = Words(
    "it will try", why="The charge begins when the car is plugged in and the station has checked the card."
)
_NOT_STARTED: Final = Words(
    "it will not",
    Level.WARNING,
    "The charge point is occupied, has a fault or is out of service, or the card may not charge.",
    "Look at the charge point's state; plug in first where the station demands it.",
)
_NO_CHARGE: Final = Words(
    "it knows no such charge",
    Level.WARNING,
    "The charge has ended already, or the station lost it in a restart.",
    "Look at the charge log; unlock the cable if it is stuck.",
)

WORDS = (
    Ask("AFRRSignal", lambda request: f"follow the grid's balancing signal {said(request.get('signal', ''))}"),
    Ask("RemoteStartTransaction", _start, {"Accepted": _WILL_TRY, "Rejected": _NOT_STARTED}),
    Ask("RemoteStopTransaction", _stop, {"Rejected": _NO_CHARGE}),
    Ask("RequestStartTransaction", _start, {"Accepted": _WILL_TRY}),
    Ask("RequestStopTransaction", _stop),
    Ask("Reset", _reset),
    Ask(
        "UnlockConnector",
        lambda request: f"unlock the cable{at_place(request)}",
        {
            "OngoingAuthorizedTransaction": Words(
                "it will not", Level.WARNING, "A charge is running there.", "Stop the charge first."
            ),
            "UnknownConnector": Words("it has no such connector", Level.WARNING),
            "Unlocked": Words("it is unlocked"),
            "UnlockFailed": Words(
                "it is stuck",
                Level.ERROR,
                "The lock did not open.",
                "Try again; let the driver press the plug in meanwhile; else send somebody.",
            ),
        },
    ),
)

EXAMPLES = (
    Example(
        "AFRRSignal",
        "Pass on a signal of the grid's frequency reserve",
        v2={"timestamp": "2026-01-01T12:00:00.000Z", "signal": 1},
    ),
    Example("RemoteStartTransaction", "Start charging", v16={"connectorId": 1, "idTag": "04A2B3C4D5"}),
    Example("RemoteStopTransaction", "Stop charging", v16={"transactionId": 42}),
    Example(
        "RequestStartTransaction",
        "Start charging",
        v2={"evseId": 1, "remoteStartId": 1, "idToken": {"idToken": "04A2B3C4D5", "type": "ISO14443"}},
    ),
    Example("RequestStopTransaction", "Stop charging", v2={"transactionId": "7f4a2c9e-3b1d"}),
    Example("Reset", "Restart the station", v16={"type": "Soft"}, v2={"type": "OnIdle"}),
    Example(
        "UnlockConnector", "Unlock a connector's cable", v16={"connectorId": 1}, v2={"evseId": 1, "connectorId": 1}
    ),
)
