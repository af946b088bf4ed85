"""S10: what went wrong with a message, whichever it is, in words."""

from collections.abc import Mapping
from typing import Final

from csms.station.logs.rules.exchange import Exchange
from csms.station.logs.rules.vocabulary import Vocabulary
from csms.wording import Level, Words, said

_CODES: Final[Mapping[str, str]] = {
    "NotImplemented": "the action is not known",
    "NotSupported": "the action is known but not supported",
    "InternalError": "something failed inside",
    "ProtocolError": "the message came at the wrong moment or was incomplete",
    "SecurityError": "it is not allowed now",
    "FormationViolation": "the message is built wrongly",
    "FormatViolation": "the message is built wrongly",
    "PropertyConstraintViolation": "a field has a value that is not allowed",
    "OccurenceConstraintViolation": "a field is missing or there are too many",
    "OccurrenceConstraintViolation": "a field is missing or there are too many",
    "TypeConstraintViolation": "a field is of the wrong type",
    "GenericError": "no reason was given",
}
FAILURES: Final = frozenset({"refused", "timed_out", "disconnected", "duplicate", "answer_refused"})


def unusable(exchange: Exchange) -> Words:
    if exchange.outcome == "late":
        return Words(
            "An answer came that nobody waited for.",
            Level.WARNING,
            "The station answered after the time allowed, or twice.",
            "If it happens often, allow more time for commands or check the connection's quality.",
        )
    if exchange.outcome == "ignored":
        return Words("A message that asks for nothing was ignored.", Level.INFO)
    return Words(
        "The station sent something that is no OCPP message.",
        Level.ERROR,
        said(exchange.error_description) if exchange.error_description else None,
        "Look at the raw text; if it happens again, tell the station's maker.",
    )


def failed(exchange: Exchange, vocabulary: Vocabulary) -> Words:
    action = exchange.action or ""
    if exchange.outcome == "duplicate":
        return Words(f"The station repeated {action}; it got the same answer again.", Level.INFO)
    if exchange.outcome == "answer_refused":
        what = _CODES.get(exchange.error_code or "", "it says why")
        return Words(
            f"The station could not use our answer to {action}: {what}.",
            Level.ERROR,
            because(exchange),
            "Look at the raw answer; if it happens again, tell the station's maker.",
        )
    if exchange.from_station:
        return _refused_call(exchange, action)
    asked = vocabulary.asked(action, exchange.request or {})
    if exchange.outcome == "refused":
        return _refused_command(exchange, asked)
    if exchange.outcome == "timed_out":
        return Words(
            f"{asked}: no answer.",
            Level.ERROR,
            "The station did not answer in time; it may have acted all the same.",
            "Check what it did before you ask again.",
        )
    return Words(
        f"{asked}: the connection ended before the answer.",
        Level.ERROR,
        "The station may have acted all the same, above all when it was asked to restart.",
        "Wait until it is back and check what it did.",
    )


def _refused_call(exchange: Exchange, action: str) -> Words:
    code = exchange.error_code or ""
    if code == "SecurityError":
        return Words(
            f"{action} was refused: the station is not accepted yet.",
            Level.WARNING,
            because(exchange),
            "Accept the station if it is yours.",
        )
    return Words(
        f"{action} of the station was refused: {_CODES.get(code, code)}.",
        Level.ERROR,
        because(exchange),
        "If the station is known to break the standard, set it to lenient; else tell its maker.",
    )


def _refused_command(exchange: Exchange, asked: str) -> Words:
    code = exchange.error_code or "GenericError"
    what = {
        "NotImplemented": "This station cannot do it; a newer firmware may.",
        "NotSupported": "This station cannot do it; a newer firmware may.",
        "InternalError": "Try again; if it fails again, restart the station.",
    }.get(code)
    return Words(f"{asked}: refused, {_CODES.get(code, code)}.", Level.ERROR, because(exchange), what)


def because(exchange: Exchange) -> str:
    reason = f": {said(exchange.error_description)}" if exchange.error_description else ""
    return f"{exchange.error_code or 'CALLERROR'}{reason}"
