"""S10: transactions of OCPP 2.x in words: what stations tell of them, and what they are asked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from csms.station.logs.rules.words import Level, Payload, Words, at_place, card_of, kwh, said

REASONS: Final[Mapping[str, tuple[str, Level]]] = {
    "Local": ("it was stopped at the station", Level.INFO),
    "Remote": ("it was stopped remotely", Level.INFO),
    "EVDisconnected": ("the car was unplugged", Level.INFO),
    "DeAuthorized": ("the card was refused", Level.WARNING),
    "UnlockCommand": ("the cable was unlocked remotely", Level.INFO),
    "SoftReset": ("the station was restarted", Level.INFO),
    "HardReset": ("the station was restarted at once", Level.WARNING),
    "ImmediateReset": ("the station was restarted at once", Level.WARNING),
    "Reboot": ("the station restarted by itself", Level.WARNING),
    "PowerLoss": ("the power failed", Level.WARNING),
    "PowerQuality": ("the power was not good enough", Level.WARNING),
    "EmergencyStop": ("the emergency stop was pressed", Level.ERROR),
    "GroundFault": ("the earth-leakage protection tripped", Level.ERROR),
    "OvercurrentFault": ("the over-current protection tripped", Level.ERROR),
    "EnergyLimitReached": ("it had the energy that was wanted", Level.INFO),
    "LocalOutOfCredit": ("there was no credit left", Level.INFO),
    "MasterPass": ("it was stopped with a master pass", Level.INFO),
    "SOCLimitReached": ("the battery was as full as wanted", Level.INFO),
    "StoppedByEV": ("the car ended it", Level.INFO),
    "TimeLimitReached": ("its time was over", Level.INFO),
    "Timeout": ("the car was not plugged in or did not answer in time", Level.INFO),
    "ReqEnergyTransferRejected": ("the car wanted a kind of charging that is not possible here", Level.WARNING),
    "Other": ("for another reason", Level.INFO),
}
"""Why a charge ended, in all versions."""
EMERGENCY: Final = "Check that nobody is in danger, then release the emergency stop."

_STATES: Final[Mapping[str, str]] = {
    "Charging": "it charges",
    "EVConnected": "the car is connected",
    "SuspendedEV": "the car takes no power",
    "SuspendedEVSE": "the station offers no power at the moment",
    "Idle": "no car is connected",
}
_TRIGGERS: Final[Mapping[str, str]] = {
    "AbnormalCondition": "something is wrong",
    "Authorized": "the card was read",
    "CablePluggedIn": "the cable was plugged in",
    "ChargingRateChanged": "the limit changed",
    "Deauthorized": "the card was refused",
    "EVCommunicationLost": "the communication with the car was lost",
    "EVConnectTimeout": "nobody plugged in a car in time",
    "EVDeparted": "the car has left",
    "EVDetected": "a car was detected",
    "RemoteStart": "it was started remotely",
    "RemoteStop": "it was asked to stop",
    "StopAuthorized": "a card stopped it",
    "UnlockCommand": "the cable was unlocked remotely",
}
_WRONG: Final = frozenset({"AbnormalCondition", "Deauthorized"})
_REGISTER: Final = "Energy.Active.Import.Register"
_ID_CHARS: Final = 12


def _charge(transaction_id: object) -> str:
    text = said(transaction_id or "")
    return f"Charge {text}" if len(text) <= _ID_CHARS else f"Charge {text[:8]}…"


def _object(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


def _registers(meter_value: object) -> Iterator[float]:
    for entry in meter_value if isinstance(meter_value, list) else ():
        sampled = entry.get("sampledValue") if isinstance(entry, Mapping) else None
        for sample in sampled if isinstance(sampled, list) else ():
            if isinstance(sample, Mapping) and sample.get("measurand", _REGISTER) == _REGISTER:
                value, unit = sample.get("value"), _object(sample, "unitOfMeasure")
                if isinstance(value, int | float) and not sample.get("phase"):
                    yield value * 1000 if str(unit.get("unit")).lower() == "kwh" else value


def _meter(request: Payload) -> str:
    registers = list(_registers(request.get("meterValue")))
    return f"; the meter was at {kwh(registers[-1])}" if registers else ""


def _refused(answer: Payload) -> str | None:
    verdict = _object(answer, "idTokenInfo").get("status", "Accepted")
    return None if verdict == "Accepted" else said(verdict)


def _event(request: Payload, answer: Payload) -> Words:
    words = _EVENTS.get(str(request.get("eventType")), _updated)(request, answer)
    if request.get("offline") is not True:
        return words
    why = "It happened while the station had no connection."
    return Words(words.text, words.level, f"{words.why} {why}" if words.why else why, words.what_to_do)


def _started(request: Payload, answer: Payload) -> Words:
    card = f" with {card_of(request)}" if request.get("idToken") else ""
    text = f"{_charge(_object(request, 'transactionInfo').get('transactionId'))} started{at_place(request)}{card}"
    return _with_verdict(f"{text}{_meter(request)}.", answer)


def _with_verdict(text: str, answer: Payload) -> Words:
    refused = _refused(answer)
    if refused is None:
        return Words(text)
    why = f"The card was refused: {refused}. The station ends the charge by itself."
    return Words(text, Level.WARNING, why, "Look at the card in the list of tokens if its holder may charge.")


def _updated(request: Payload, answer: Payload) -> Words:
    info, trigger = _object(request, "transactionInfo"), str(request.get("triggerReason"))
    state = _STATES.get(str(info.get("chargingState")))
    told = [part for part in (_TRIGGERS.get(trigger), state) if part]
    text = f"{_charge(info.get('transactionId'))} goes on{': ' if told else ''}{', '.join(told)}{_meter(request)}."
    words = _with_verdict(text, answer)
    if words.level is Level.INFO and trigger in _WRONG:
        return Words(text, Level.WARNING, None, "Look at the station's errors.")
    return words


def _ended(request: Payload, answer: Payload) -> Words:
    info = _object(request, "transactionInfo")
    reason = said(info.get("stoppedReason", "Local"))  # OCPP 2.0.1, 2.48: left out means Local
    because, level = REASONS.get(reason, (f"«{reason}»", Level.WARNING))
    refused = _refused(answer)
    why = None if refused is None else f"The card that stopped it was refused: {refused}."
    text = f"{_charge(info.get('transactionId'))} ended: {because}{_meter(request)}."
    return Words(text, level, why, EMERGENCY if reason == "EmergencyStop" else None)


_EVENTS: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "Started": _started,
    "Updated": _updated,
    "Ended": _ended,
}


def _told_status(answer: Payload) -> str:
    """What GetTransactionStatus was answered."""
    told, queued = answer.get("ongoingIndicator"), answer.get("messagesInQueue") is True
    ongoing = "it goes on, " if told is True else "it has ended, " if told is False else ""
    return f"{ongoing}{'messages of it wait to be sent' if queued else 'nothing waits to be sent'}"


MESSAGES: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {"TransactionEvent": _event}
ANSWERS: Final[Mapping[str, Callable[[Payload], str]]] = {
    "CostUpdated": lambda _answer: "done",
    "GetTransactionStatus": _told_status,
}
DOINGS: Final[Mapping[str, str | Callable[[Payload], str]]] = {
    "CostUpdated": lambda request: (
        f"show that {_charge(request.get('transactionId')).lower()} costs {said(request.get('totalCost', ''))} so far"
    ),
    "GetTransactionStatus": lambda request: (
        f"tell whether {_charge(request.get('transactionId')).lower()} goes on"
        if request.get("transactionId")
        else "tell whether messages wait to be sent"
    ),
    "RequestStartTransaction": lambda request: f"start charging{at_place(request)} with {card_of(request)}",
    "RequestStopTransaction": lambda request: f"stop {_charge(request.get('transactionId')).lower()}",
}
