"""S10: what stations tell, in words: every action of OCPP 1.6 that they send."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from csms.station.logs.rules import charging, device_model, transactions, transfers, v21
from csms.station.logs.rules.certificates import CERTIFICATES
from csms.station.logs.rules.words import (
    Level,
    Payload,
    Words,
    at_place,
    card_of,
    kwh,
    place_of,
    said,
    sentence,
    status_of,
    vendor_of,
)

_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Blocked": (
        "it is blocked",
        "The card is blocked in the list of tokens.",
        "Unblock it if its holder may charge.",
    ),
    "Expired": ("it has expired", "The card's last day has passed.", "Prolong it if its holder may charge."),
    "Invalid": (
        "it is unknown",
        "The card is not in the list of tokens, or may not charge here.",
        "Add the card if its holder may charge.",
    ),
    "ConcurrentTx": (
        "it is charging elsewhere",
        "The card may charge at one place at a time, and another charge of it is running.",
        "Stop the other charge if it was forgotten.",
    ),
    "Unknown": ("it is unknown", "The token is not in the list of tokens.", "Add it if its holder may charge."),
    "NoCredit": ("it has no credit", "There is nothing left to pay with.", "Mark it when credit is there again."),
    "NotAllowedTypeEVSE": (
        "it may not charge at this charge point",
        "The token is tied to other charge points of the station.",
        "Change where it may charge if its holder may charge here.",
    ),
    "NotAtThisLocation": (
        "it may not charge here",
        "The token is tied to other stations.",
        "Change where it may charge if its holder may charge here.",
    ),
    "NotAtThisTime": (
        "it may not charge now",
        "The token is not valid yet, or the charge point is reserved for somebody else.",
        "Look at the token's first day and the station's reservations.",
    ),
}
_CHAINS: Final[Mapping[str, str]] = {
    "CertificateExpired": "the vehicle's contract certificate has expired",
    "CertificateRevoked": "the vehicle's contract certificate was revoked",
    "CertChainError": "the vehicle's contract certificate could not be verified",
    "ContractCancelled": "the vehicle's contract is not accepted any more",
}


def _verdict(answer: Payload) -> str:
    info = answer.get("idTagInfo") or answer.get("idTokenInfo")
    return status_of(info) if isinstance(info, Mapping) else "Accepted"


def _refusal(verdict: str) -> tuple[str, str, str]:
    known = _REFUSALS.get(verdict)
    return known or (f"«{verdict}»", "The answer is not one that OCPP knows.", "Look at the raw frame.")


def _authorize(request: Payload, answer: Payload) -> Words:
    verdict = _verdict(answer)
    if verdict == "Accepted":
        return Words(sentence(f"{card_of(request)} was accepted."))
    short, why, what = _refusal(verdict)
    chain = _CHAINS.get(str(answer.get("certificateStatus")))
    if chain is not None:
        short, why = chain, f"{sentence(chain)}."
    return Words(sentence(f"{card_of(request)} was refused: {short}."), Level.WARNING, why, what)


_BOOT_REASONS: Final[Mapping[str, str]] = {
    "ApplicationReset": " after an application reset",
    "FirmwareUpdate": " after a firmware update",
    "LocalReset": " after a reset at the station",
    "PowerUp": " after the power came back",
    "RemoteReset": " as it was asked to",
    "ScheduledReset": " as planned",
    "Triggered": " earlier, and says so again because it was asked",
    "Watchdog": " because its watchdog had to restart it",
}


def _boot(request: Payload, answer: Payload) -> Words:
    told = request.get("chargingStation")  # 2.x
    told = told if isinstance(told, Mapping) else request
    names = ("chargePointVendor", "chargePointModel") if told is request else ("vendorName", "model")
    make = " ".join(said(told.get(name, "")) for name in names).strip()
    firmware = f", firmware {said(told['firmwareVersion'])}" if told.get("firmwareVersion") else ""
    reason = _BOOT_REASONS.get(str(request.get("reason")), "")
    started = f"The station started{reason} ({make or 'make unknown'}{firmware})"
    status = answer.get("status")
    if status == "Pending":
        why = "It is not registered, or nobody has accepted it yet."
        return Words(f"{started} and waits to be accepted.", Level.WARNING, why, "Accept it if it is yours.")
    if status == "Rejected":
        return Words(
            f"{started} and was rejected.", Level.WARNING, "It is set to rejected.", "Accept it if it is yours."
        )
    return Words(f"{started}.")


_FAULTS: Final[Mapping[str, str]] = {
    "ConnectorLockFailure": "the plug cannot be locked or unlocked",
    "EVCommunicationError": "the communication with the car fails",
    "GroundFailure": "the earth-leakage protection has tripped",
    "HighTemperature": "it is too hot inside",
    "InternalError": "hardware or software failed inside",
    "LocalListConflict": "the station's own card list contradicts the answer it got",
    "OtherError": "another fault",
    "OverCurrentFailure": "the over-current protection has tripped",
    "PowerMeterFailure": "the meter cannot be read",
    "PowerSwitchFailure": "the power switch (contactor) fails",
    "ReaderFailure": "the card reader fails",
    "ResetFailure": "the restart failed",
    "UnderVoltage": "the voltage is too low",
    "OverVoltage": "the voltage is too high",
    "WeakSignal": "the mobile signal is weak",
}
_FAULT_TASKS: Final[Mapping[str, str]] = {
    "ConnectorLockFailure": "Unlock the cable; if that fails, send somebody to look at plug and socket.",
    "GroundFailure": "Have an electrician look at it before it charges again.",
    "HighTemperature": "Check fans and sun; it may go on by itself when it has cooled down.",
    "OverCurrentFailure": "Have an electrician look at it before it charges again.",
    "PowerSwitchFailure": "Take the charge point out of service and have it repaired.",
    "ReaderFailure": "Charges can be started remotely until the reader is repaired.",
    "WeakSignal": "Check antenna and SIM card.",
}
_STATES: Final[Mapping[str, str]] = {
    "Available": "is free",
    "Preparing": "prepares to charge",
    "Charging": "is charging",
    "SuspendedEVSE": "offers no power at the moment (limited by the station)",
    "SuspendedEV": "waits: the car takes no power",
    "Finishing": "has ended a charge and waits for the cable to be unplugged",
    "Occupied": "is occupied",
    "Reserved": "is reserved",
    "Unavailable": "is out of service",
    "Faulted": "has a fault",
}


def _state(request: Payload, _answer: Payload) -> Words:
    subject = sentence(place_of(request))
    status = said(request.get("connectorStatus") or status_of(request))
    code = said(request.get("errorCode", "NoError"))
    text = f"{subject} {_STATES.get(status, f'reports the state «{status}»')}"
    extra = " ".join(said(request[name]) for name in ("vendorErrorCode", "info") if request.get(name))
    if code == "NoError" and status != "Faulted":
        return Words(f"{text}.")
    level = Level.ERROR if status == "Faulted" else Level.WARNING
    fault = _FAULTS.get(code, "the station gives no reason" if code == "NoError" else f"«{code}»")
    why = f"The station says {code}" + (f" ({extra})." if extra else ".")
    return Words(f"{text}: {fault}.", level, why, _FAULT_TASKS.get(code, "Look at the station's errors."))


def _start(request: Payload, answer: Payload) -> Words:
    text = f"Charge {said(answer.get('transactionId', ''))} started{at_place(request)} with {card_of(request)}"
    verdict = _verdict(answer)
    if verdict == "Accepted":
        return Words(f"{text}; the meter was at {kwh(request.get('meterStart'))}.")
    short, why, what = _refusal(verdict)
    why = f"{why} The station may have begun while it was offline."
    return Words(f"{text}, but the card was refused: {short}.", Level.WARNING, why, what)


def _stop(request: Payload, answer: Payload) -> Words:
    reason = said(request.get("reason", "Local"))  # OCPP 1.6, 6.49: left out means Local
    because, level = transactions.REASONS.get(reason, (f"«{reason}»", Level.WARNING))
    charge, meter = said(request.get("transactionId", "")), kwh(request.get("meterStop"))
    text = f"Charge {charge} ended: {because}; the meter was at {meter}."
    what = transactions.EMERGENCY if reason == "EmergencyStop" else None
    verdict = _verdict(answer)
    why = None if verdict == "Accepted" else f"The card that stopped it was refused: {_refusal(verdict)[0]}."
    return Words(text, level, why, what)


_MEASURED: Final[Mapping[str, str]] = {
    "Energy.Active.Import.Register": "meter",
    "Power.Active.Import": "power",
    "Current.Import": "current",
    "Voltage": "voltage",
    "SoC": "battery",
    "Temperature": "temperature",
}
_SAMPLES_SHOWN: Final = 4
_DEFAULT_UNITS: Final[Mapping[str, str]] = {"Energy.Active.Import.Register": "Wh"}


def _meter_values(request: Payload, _answer: Payload) -> Words:
    shown: dict[str, str] = {}
    for sample in _samples(request.get("meterValue")):
        measurand = sample.get("measurand", "Energy.Active.Import.Register")
        name = _MEASURED.get(measurand) if isinstance(measurand, str) else None
        if name and not sample.get("phase"):
            given = sample.get("unitOfMeasure")  # 2.x
            sent = given.get("unit") if isinstance(given, Mapping) else sample.get("unit")
            unit = said(sent or _DEFAULT_UNITS.get(measurand, ""))
            shown[name] = f"{name} {said(sample.get('value'))} {unit}".strip()
    values = ", ".join(list(shown.values())[:_SAMPLES_SHOWN]) or "values of other kinds"
    return Words(sentence(f"{place_of(request)} reports: {values}."))


def _samples(meter_value: object) -> Iterator[Payload]:
    for entry in meter_value if isinstance(meter_value, list) else ():
        sampled = entry.get("sampledValue") if isinstance(entry, Mapping) else None
        for sample in sampled if isinstance(sampled, list) else ():
            if isinstance(sample, Mapping):
                yield sample


def _heartbeat(_request: Payload, _answer: Payload) -> Words:
    return Words("The station is alive.")


_USUAL_EVENTS: Final = frozenset({"FirmwareUpdated", "ResetOrReboot", "SettingSystemTime", "StartupOfTheDevice"})
"""Security events that belong to a station's everyday life, although the standard calls them critical."""


def _security_event(request: Payload, _answer: Payload) -> Words:
    kind = said(request.get("type", "unknown"))
    why = said(request["techInfo"]) if request.get("techInfo") else None
    if kind in _USUAL_EVENTS:
        return Words(f"Security event: {kind}.", Level.INFO, why)
    what = "Check whether somebody tampers with the station; its security events have all of them."
    return Words(f"Security event: {kind}.", Level.WARNING, why, what)


_GIVEN_UP: Final[Mapping[str, str]] = {
    "Expired": "has ended: its time has passed",
    "Removed": "was given up by the station: the place broke or was taken out of service",
    "NoTransaction": "has ended: its token was there, and no charge began in time",
}


def _reservation(request: Payload, _answer: Payload) -> Words:
    word = str(request.get("reservationUpdateStatus"))
    what = _GIVEN_UP.get(word, f"is «{said(word)}»")
    level = Level.WARNING if word == "Removed" else Level.INFO
    return Words(f"Reservation {said(request.get('reservationId', ''))} {what}.", level)


def _vendor_message(request: Payload, answer: Payload) -> Words:
    text = f"The station sent a message of vendor {vendor_of(request)}"
    if answer.get("status") == "Accepted":
        return Words(f"{text}.")
    return Words(f"{text}; nobody here understands it.", Level.INFO, f"It was answered with {status_of(answer)}.")


def _customer(request: Payload, _answer: Payload) -> Words:
    rest = "; more follows" if request.get("tbc") is True else ""
    return Words(f"The station told what it knows of a customer{rest}.")


def _display_messages(request: Payload, _answer: Payload) -> Words:
    told = request.get("messageInfo")
    count = len(told) if isinstance(told, list) else 0
    return Words(f"The station told {count} of the messages on its displays.")


FROM_STATION: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    **CERTIFICATES,
    **v21.MESSAGES,
    **charging.MESSAGES,
    **device_model.MESSAGES,
    **transactions.MESSAGES,
    **transfers.MESSAGES,
    "Authorize": _authorize,
    "BootNotification": _boot,
    "DataTransfer": _vendor_message,
    "Heartbeat": _heartbeat,
    "MeterValues": _meter_values,
    "NotifyCustomerInformation": _customer,
    "NotifyDisplayMessages": _display_messages,
    "ReservationStatusUpdate": _reservation,
    "SecurityEventNotification": _security_event,
    "StartTransaction": _start,
    "StatusNotification": _state,
    "StopTransaction": _stop,
}
