"""S10: in words, what only stations of OCPP 2.1 tell."""

from collections.abc import Callable, Mapping
from typing import Final

from csms.station.logs.rules.words import Level, Payload, Words, said


def _stream_opened(request: Payload, answer: Payload) -> Words:
    stream = request.get("constantStreamData")
    number = said(stream.get("id", "")) if isinstance(stream, dict) else ""
    if answer.get("status") == "Accepted":
        return Words(f"The station opened stream {number} of values.")
    return Words(f"The station wanted to open stream {number} of values and was refused.", Level.WARNING)


def _stream_closed(request: Payload, _answer: Payload) -> Words:
    return Words(f"The station closed stream {said(request.get('id', ''))} of values.")


def _stream_values(request: Payload, _answer: Payload) -> Words:
    data = request.get("data")
    count = len(data) if isinstance(data, list) else 0
    return Words(f"{count} values came through stream {said(request.get('id', ''))}.")


_SWAPS: Final[Mapping[str, tuple[str, Level]]] = {
    "BatteryIn": ("put in", Level.INFO),
    "BatteryOut": ("taken out", Level.INFO),
    "BatteryOutTimeout": ("not taken out in time", Level.WARNING),
}


def _battery_swap(request: Payload, _answer: Payload) -> Words:
    batteries = request.get("batteryData")
    count = len(batteries) if isinstance(batteries, list) else 0
    what, level = _SWAPS.get(str(request.get("eventType")), ("swapped", Level.INFO))
    return Words(f"{count} {'battery was' if count == 1 else 'batteries were'} {what}.", level)


def _control(request: Payload, _answer: Payload) -> Words:
    what = "begins to act" if request.get("started") is True else "ends"
    return Words(f"Grid control {said(request.get('controlId', ''))} {what}.")


def _alarm(request: Payload, _answer: Payload) -> Words:
    kind, fault = said(request.get("controlType", "")), request.get("gridEventFault")
    if request.get("alarmEnded") is True:
        return Words(f"Grid alarm {kind} is over.")
    why = None if fault is None else f"The station sees {said(fault)}."
    return Words(f"Grid alarm {kind}: the station acts on the grid's state.", Level.WARNING, why)


def _controls(_request: Payload, _answer: Payload) -> Words:
    return Words("The station told its grid controls.")


def _settled(request: Payload, _answer: Payload) -> Words:
    status, amount = str(request.get("status")), said(request.get("settlementAmount", ""))
    if status == "Settled":
        return Words(f"A payment of {amount} was settled.")
    why = said(request["statusInfo"]) if request.get("statusInfo") else None
    return Words(f"A payment of {amount} was not settled: {said(status)}.", Level.WARNING, why)


def _vat(request: Payload, answer: Payload) -> Words:
    number = said(request.get("vatNumber", ""))
    if answer.get("status") == "Accepted":
        return Words(f"VAT number {number} was confirmed.")
    return Words(f"VAT number {number} could not be confirmed.", Level.WARNING)


MESSAGES: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "BatterySwap": _battery_swap,
    "ClosePeriodicEventStream": _stream_closed,
    "NotifyDERAlarm": _alarm,
    "NotifyDERStartStop": _control,
    "NotifyPeriodicEventStream": _stream_values,
    "NotifySettlement": _settled,
    "OpenPeriodicEventStream": _stream_opened,
    "ReportDERControl": _controls,
    "VatNumberValidation": _vat,
}
