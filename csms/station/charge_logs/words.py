"""S6: charges in words: what stations of every version tell of them, and what they are asked about them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from csms.station.tokens import refusal_of
from csms.wording import (
    DONE,
    Ask,
    Example,
    Level,
    Payload,
    Tell,
    Words,
    at_place,
    card_of,
    charge_of,
    items_of,
    place_of,
    said,
    sentence,
    within,
)

_REASONS: Final[Mapping[str, tuple[str, Level]]] = {
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
_EMERGENCY: Final = "Check that nobody is in danger, then release the emergency stop."


def _kwh(value: object) -> str:
    return f"{value / 1000:.2f} kWh" if isinstance(value, int | float) else f"{said(value)} Wh"


def _start(request: Payload, answer: Payload) -> Words:
    text = f"Charge {said(answer.get('transactionId', ''))} started{at_place(request)} with {card_of(request)}"
    refusal = refusal_of(answer)
    if refusal is None:
        return Words(f"{text}; the meter was at {_kwh(request.get('meterStart'))}.")
    why = f"{refusal.why} The station may have begun while it was offline."
    return replace(refusal, text=f"{text}, but the card was refused: {refusal.text}.", why=why)


def _stop(request: Payload, answer: Payload) -> Words:
    reason = said(request.get("reason", "Local"))  # OCPP 1.6, 6.49: left out means Local
    because, level = _REASONS.get(reason, (f"«{reason}»", Level.WARNING))
    charge, meter = said(request.get("transactionId", "")), _kwh(request.get("meterStop"))
    text = f"Charge {charge} ended: {because}; the meter was at {meter}."
    what = _EMERGENCY if reason == "EmergencyStop" else None
    refusal = refusal_of(answer)
    why = None if refusal is None else f"The card that stopped it was refused: {refusal.text}."
    return Words(text, level, why, what)


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


def _samples(request: Payload) -> Iterator[Payload]:
    for entry in items_of(request, "meterValue"):
        yield from items_of(entry, "sampledValue")


def _registers(request: Payload) -> Iterator[float]:
    for sample in _samples(request):
        value, unit = sample.get("value"), within(sample, "unitOfMeasure").get("unit")
        is_register = sample.get("measurand", _REGISTER) == _REGISTER and not sample.get("phase")
        if is_register and isinstance(value, int | float):
            yield value * 1000 if str(unit).lower() == "kwh" else value


def _meter(request: Payload) -> str:
    registers = list(_registers(request))
    return f"; the meter was at {_kwh(registers[-1])}" if registers else ""


def _refused(answer: Payload) -> str | None:
    verdict = within(answer, "idTokenInfo").get("status", "Accepted")
    return None if verdict == "Accepted" else said(verdict)


def _charge(request: Payload) -> str:
    return sentence(charge_of(within(request, "transactionInfo").get("transactionId")))


def _event(request: Payload, answer: Payload) -> Words:
    words = _EVENTS.get(str(request.get("eventType")), _updated)(request, answer)
    if request.get("offline") is not True:
        return words
    why = "It happened while the station had no connection."
    return Words(words.text, words.level, f"{words.why} {why}" if words.why else why, words.what_to_do)


def _started(request: Payload, answer: Payload) -> Words:
    card = f" with {card_of(request)}" if request.get("idToken") else ""
    text = f"{_charge(request)} started{at_place(request)}{card}"
    return _with_verdict(f"{text}{_meter(request)}.", answer)


def _with_verdict(text: str, answer: Payload) -> Words:
    refused = _refused(answer)
    if refused is None:
        return Words(text)
    why = f"The card was refused: {refused}. The station ends the charge by itself."
    return Words(text, Level.WARNING, why, "Look at the card in the list of tokens if its holder may charge.")


def _updated(request: Payload, answer: Payload) -> Words:
    info, trigger = within(request, "transactionInfo"), str(request.get("triggerReason"))
    state = _STATES.get(str(info.get("chargingState")))
    told = [part for part in (_TRIGGERS.get(trigger), state) if part]
    text = f"{_charge(request)} goes on{': ' if told else ''}{', '.join(told)}{_meter(request)}."
    words = _with_verdict(text, answer)
    if words.level is Level.INFO and trigger in _WRONG:
        return Words(text, Level.WARNING, None, "Look at the station's errors.")
    return words


def _ended(request: Payload, answer: Payload) -> Words:
    info = within(request, "transactionInfo")
    reason = said(info.get("stoppedReason", "Local"))  # OCPP 2.0.1, 2.48: left out means Local
    because, level = _REASONS.get(reason, (f"«{reason}»", Level.WARNING))
    refused = _refused(answer)
    why = None if refused is None else f"The card that stopped it was refused: {refused}."
    text = f"{_charge(request)} ended: {because}{_meter(request)}."
    return Words(text, level, why, _EMERGENCY if reason == "EmergencyStop" else None)


_EVENTS: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "Started": _started,
    "Updated": _updated,
    "Ended": _ended,
}


def _told_status(answer: Payload) -> Words:
    told, queued = answer.get("ongoingIndicator"), answer.get("messagesInQueue") is True
    ongoing = "it goes on, " if told is True else "it has ended, " if told is False else ""
    return Words(f"{ongoing}{'messages of it wait to be sent' if queued else 'nothing waits to be sent'}")


_MEASURED: Final[Mapping[str, str]] = {
    _REGISTER: "meter",
    "Power.Active.Import": "power",
    "Current.Import": "current",
    "Voltage": "voltage",
    "SoC": "battery",
    "Temperature": "temperature",
}
_SAMPLES_SHOWN: Final = 4
_DEFAULT_UNITS: Final[Mapping[str, str]] = {_REGISTER: "Wh"}


def _meter_values(request: Payload, _answer: Payload) -> Words:
    shown: dict[str, str] = {}
    for sample in _samples(request):
        measurand = sample.get("measurand", _REGISTER)
        name = _MEASURED.get(measurand) if isinstance(measurand, str) else None
        if name and not sample.get("phase"):
            given = sample.get("unitOfMeasure")  # 2.x
            sent = given.get("unit") if isinstance(given, Mapping) else sample.get("unit")
            unit = said(sent or _DEFAULT_UNITS.get(measurand, ""))
            shown[name] = f"{name} {said(sample.get('value'))} {unit}".strip()
    values = ", ".join(list(shown.values())[:_SAMPLES_SHOWN]) or "values of other kinds"
    return Words(sentence(f"{place_of(request)} reports: {values}."))


def _cost(request: Payload) -> str:
    return f"show that {charge_of(request.get('transactionId'))} costs {said(request.get('totalCost', ''))} so far"


def _ask_status(request: Payload) -> str:
    if request.get("transactionId"):
        return f"tell whether {charge_of(request['transactionId'])} goes on"
    return "tell whether messages wait to be sent"


WORDS = (
    Tell("MeterValues", _meter_values),
    Tell("StartTransaction", _start),
    Tell("StopTransaction", _stop),
    Tell("TransactionEvent", _event),
    Ask("CostUpdated", _cost, told=lambda _answer: DONE),
    Ask("GetTransactionStatus", _ask_status, told=_told_status),
)

EXAMPLES = (
    Example(
        "CostUpdated",
        "Tell the running cost of a charge, to be shown to the driver",
        v2={"totalCost": 4.2, "transactionId": "7f4a2c9e-3b1d"},
    ),
    Example(
        "GetTransactionStatus",
        "Ask whether a charge runs and messages of it are still to come",
        v2={"transactionId": "7f4a2c9e-3b1d"},
    ),
)
