"""B2: DER controls as OCPP 2.1 writes them (block R)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from csms.ocpp import timestamps

Payload = dict[str, Any]

CONTROL_ID_CHARS_MAX: Final = 36
NUMBER_MAX: Final = 2**31 - 1


class ControlType(StrEnum):
    """The standard's own words (2.1 part 2, DERControlEnumType); those of trips and curves are of IEEE 1547."""

    ENTER_SERVICE = "EnterService"
    FREQ_DROOP = "FreqDroop"
    FREQ_WATT = "FreqWatt"
    FIXED_PF_ABSORB = "FixedPFAbsorb"
    FIXED_PF_INJECT = "FixedPFInject"
    FIXED_VAR = "FixedVar"
    GRADIENTS = "Gradients"
    HF_MUST_TRIP = "HFMustTrip"
    HF_MAY_TRIP = "HFMayTrip"
    HV_MUST_TRIP = "HVMustTrip"
    HV_MOM_CESS = "HVMomCess"
    HV_MAY_TRIP = "HVMayTrip"
    LIMIT_MAX_DISCHARGE = "LimitMaxDischarge"
    LF_MUST_TRIP = "LFMustTrip"
    LV_MUST_TRIP = "LVMustTrip"
    LV_MOM_CESS = "LVMomCess"
    LV_MAY_TRIP = "LVMayTrip"
    POWER_MONITORING_MUST_TRIP = "PowerMonitoringMustTrip"
    VOLT_VAR = "VoltVar"
    VOLT_WATT = "VoltWatt"
    WATT_PF = "WattPF"
    WATT_VAR = "WattVar"


FIELD_OF: Final[Mapping[str, str]] = {
    "EnterService": "enterService",
    "FreqDroop": "freqDroop",
    "FixedPFAbsorb": "fixedPFAbsorb",
    "FixedPFInject": "fixedPFInject",
    "FixedVar": "fixedVar",
    "Gradients": "gradient",
    "LimitMaxDischarge": "limitMaxDischarge",
}
"""Where a control's values stand; all others are curves."""
CURVE: Final = "curve"

_REPORTED: Final[Mapping[str, tuple[str, str]]] = {
    "enterService": ("EnterService", "enterService"),
    "fixedPFAbsorb": ("FixedPFAbsorb", "fixedPF"),
    "fixedPFInject": ("FixedPFInject", "fixedPF"),
    "fixedVar": ("FixedVar", "fixedVar"),
    "freqDroop": ("FreqDroop", "freqDroop"),
    "gradient": ("Gradients", "gradient"),
    "limitMaxDischarge": ("LimitMaxDischarge", "limitMaxDischarge"),
    "curve": ("", "curve"),
}
"""List of a ReportDERControl -> control type and the field of its values; a curve names its type itself."""


class ControlState(StrEnum):
    """What became of a control."""

    REQUESTED = "requested"
    INSTALLED = "installed"
    """The station has it."""
    ACTIVE = "active"
    """It acts right now, as the station told."""
    SUPERSEDED = "superseded"
    """Another one of higher priority takes its place."""
    REFUSED = "refused"
    CLEARED = "cleared"
    GONE = "gone"
    """The station no longer names it."""


LIVE: Final = (ControlState.REQUESTED, ControlState.INSTALLED, ControlState.ACTIVE, ControlState.SUPERSEDED)
PRESENT: Final = LIVE[1:]


@dataclass(frozen=True, slots=True)
class Control:
    """A control with its values."""

    control_id: str
    control_type: str
    is_default: bool
    values: Payload
    is_superseded: bool = False

    @property
    def starts_at(self) -> datetime | None:
        reading = timestamps.read(self.values.get("startTime"))
        return None if reading is None else reading.at

    @property
    def duration_s(self) -> float | None:
        duration = self.values.get("duration")
        return float(duration) if isinstance(duration, int | float) and 0 <= duration <= NUMBER_MAX else None


def set_request(control: Control) -> Payload:
    """The SetDERControl that installs it."""
    return {
        "isDefault": control.is_default,
        "controlId": control.control_id,
        "controlType": control.control_type,
        FIELD_OF.get(control.control_type, CURVE): control.values,
    }


def read_set(request: Payload) -> Control | None:
    """The control of a SetDERControl; None for what is none."""
    control_type, control_id = request.get("controlType"), request.get("controlId")
    values = request.get(FIELD_OF.get(str(control_type), CURVE))
    if not isinstance(control_id, str) or not isinstance(control_type, str) or not isinstance(values, dict):
        return None
    return Control(control_id[:CONTROL_ID_CHARS_MAX], control_type[:40], request.get("isDefault") is True, values)


def reported(payload: Payload) -> Iterator[Control]:
    """The controls of a ReportDERControl."""
    for name, (control_type, field) in _REPORTED.items():
        told = payload.get(name)
        for one in told if isinstance(told, list) else ():
            values = one.get(field) if isinstance(one, dict) else None
            if isinstance(values, dict) and isinstance(one.get("id"), str):
                yield Control(
                    one["id"][:CONTROL_ID_CHARS_MAX],
                    control_type or str(one.get("curveType"))[:40],
                    one.get("isDefault") is not False,
                    values,
                    one.get("isSuperseded") is True,
                )


def refusal(word: str) -> str:
    """A refusal in plain words."""
    return {
        "Rejected": "the station does not take it",
        "NotSupported": "the station does not have this kind of control",
        "NotFound": "the station knows no such control",
    }.get(word, f"the station answered «{word}»")
