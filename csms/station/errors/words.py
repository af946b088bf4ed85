"""S5: states of charge points and their faults, in words."""

from collections.abc import Mapping
from typing import Final

from csms.wording import Level, Payload, Tell, Words, place_of, said, sentence, status_of

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


WORDS = (Tell("StatusNotification", _state),)
