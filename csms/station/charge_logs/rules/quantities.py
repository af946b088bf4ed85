"""B6: what a SampledValue says, of any version, in base units."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from csms.station.charge_logs.rules.moments import REGISTER_MAX_WH

LARGEST_CHARGE_WH: Final = 2_000_000
SLACK_WH: Final = 1000
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:[.,][0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?")
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "wh": ("Wh", 1),
    "kwh": ("Wh", 1000),
    "varh": ("varh", 1),
    "kvarh": ("varh", 1000),
    "w": ("W", 1),
    "kw": ("W", 1000),
    "va": ("VA", 1),
    "kva": ("VA", 1000),
    "var": ("var", 1),
    "kvar": ("var", 1000),
    "a": ("A", 1),
    "v": ("V", 1),
    "k": ("K", 1),
    "celsius": ("Celsius", 1),
    "celcius": ("Celsius", 1),  # OCPP 1.6 as it was first printed
    "c": ("Celsius", 1),
    "fahrenheit": ("Fahrenheit", 1),
    "percent": ("Percent", 1),
    "%": ("Percent", 1),
    "hertz": ("Hertz", 1),
    "hz": ("Hertz", 1),
}
# What a value without unit is in (OCPP 1.6, 7.40: Wh for energy)
_DEFAULT_UNITS: Final = (
    ("Energy.Reactive", "varh"),
    ("Energy", "Wh"),
    ("Power.Reactive", "var"),
    ("Power.Factor", ""),
    ("Power", "W"),
    ("Current", "A"),
    ("Voltage", "V"),
    ("SoC", "Percent"),
    ("Temperature", "Celsius"),
    ("Frequency", "Hertz"),
)
_PREFIX_CHARS_MAX: Final = max(len(prefix) for prefix, _ in _DEFAULT_UNITS)
REGISTER: Final = "Energy.Active.Import.Register"
POWER: Final = "Power.Active.Import"
STATE_OF_CHARGE: Final = "SoC"
_MEASURES: Final = frozenset({REGISTER, POWER, STATE_OF_CHARGE, ""})
OUTLET: Final = "Outlet"
_BEGIN: Final = "Transaction.Begin"
_EXPONENT_MAX: Final = 12
_PHASES: Final = {"L1": "L1", "L2": "L2", "L3": "L3", "L1-N": "L1", "L2-N": "L2", "L3-N": "L3"}
"""What is measured on a phase, in both notations of it."""


@dataclass(slots=True, eq=False)
class Quantity:
    """One SampledValue with the standard's defaults filled in, and its value in base units."""

    measurand: str
    phase: str | None
    location: str
    unit: str
    value: float
    is_fraction: bool
    """Written with decimals and without a unit."""


@dataclass(slots=True)
class Measures:
    """What the charge log needs of a set of values."""

    energy_wh: float | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    begin_wh: float | None = None
    """What it says of the register at the begin of the charge, which some stations tell with the end."""


def number(sent: object) -> float | None:
    """A value as stations write it, with point or comma; None for what is none or out of all bounds."""
    if isinstance(sent, str):
        sent = sent.strip()
        if _NUMBER.fullmatch(sent) is None:
            return None
        value = float(sent.replace(",", ".") if "," in sent else sent)
    elif isinstance(sent, int | float) and not isinstance(sent, bool):
        value = float(sent)
    else:
        return None
    return value if -REGISTER_MAX_WH <= value <= REGISTER_MAX_WH else None


def quantity(sample: Mapping[str, Any]) -> Quantity | None:
    """Read a SampledValue of any version; None for signed data and for what is no number."""
    value = number(sample.get("value"))
    if value is None or sample.get("format") == "SignedData":
        return None
    measurand = str(sample.get("measurand") or REGISTER)
    sent, phase, location = sample.get("unit"), sample.get("phase"), sample.get("location")
    given = sample.get("unitOfMeasure")  # 2.x
    if isinstance(given, dict):
        sent, value = given.get("unit"), value * _power_of_ten(given.get("multiplier"))
        if not -REGISTER_MAX_WH <= value <= REGISTER_MAX_WH:
            return None
    phase, location = str(phase) if phase else None, str(location or OUTLET)
    if not sent:
        is_fraction = not str(sample["value"]).strip().lstrip("+-").isdigit()
        return Quantity(measurand, phase, location, _default_unit(measurand[:_PREFIX_CHARS_MAX]), value, is_fraction)
    word = str(sent)
    unit, factor = _UNITS.get(word.lower(), (word, 1))
    return Quantity(measurand, phase, location, unit, value * factor, is_fraction=False)


def _power_of_ten(exponent: object) -> float:
    """The multiplier of a 2.x unitOfMeasure (2.0.1, 2.54), if it is one that a meter may have."""
    is_plain = isinstance(exponent, int) and not isinstance(exponent, bool) and abs(exponent) <= _EXPONENT_MAX
    return 10.0**exponent if is_plain else 1.0  # type: ignore[operator]  # it is an int then


@lru_cache(maxsize=128)
def _default_unit(start: str) -> str:
    """By the measurand's first characters: a text of a station's own is not kept whole."""
    return next((unit for prefix, unit in _DEFAULT_UNITS if start.startswith(prefix)), "")


def measures(samples: Iterable[object], meter_start_wh: float | None = None) -> Measures:
    """Register, power and state of charge out of a set of SampledValue objects, whatever their phases and units.

    `meter_start_wh` helps to see registers that were sent in kWh without saying so.
    """
    registers, begin, powers, soc = list[Quantity](), list[Quantity](), list[Quantity](), None
    for one in samples:
        if not isinstance(one, dict):
            continue
        measurand = one.get("measurand")
        if measurand is not None and not (isinstance(measurand, str) and measurand in _MEASURES):
            continue
        read = quantity(one)
        if read is None:
            continue
        if read.measurand == REGISTER:
            (begin if one.get("context") == _BEGIN else registers).append(read)
        elif read.measurand == POWER:
            powers.append(read)
        else:
            soc = read.value
    begin_wh = _register(begin, meter_start_wh) if begin else None
    register_wh = _register(registers, meter_start_wh)
    return Measures(begin_wh if register_wh is None else register_wh, _total(powers, "W"), soc, begin_wh)


def _register(read: Sequence[Quantity], meter_start_wh: float | None) -> float | None:
    value = _total(read, "Wh")
    if value is None or meter_start_wh is None or not all(one.is_fraction for one in read):
        return value
    return value * 1000 if _is_kwh_unsaid(value, meter_start_wh) else value


def _is_kwh_unsaid(value: float, meter_start_wh: float) -> bool:
    """Written with decimals, far below the register's start as Wh, and right behind it as kWh."""
    is_far_below = value < meter_start_wh / 10
    return is_far_below and -SLACK_WH <= value * 1000 - meter_start_wh <= LARGEST_CHARGE_WH


def _total(read: Sequence[Quantity], unit: str) -> float | None:
    """The value over all phases: as sent without phase, else the sum of the phases; of the outlet if there is one."""
    if len(read) == 1 and read[0].phase is None:
        return read[0].value if read[0].unit == unit and read[0].location != "EV" else None
    found = [one for one in read if one.unit == unit and one.location != "EV"]
    outlet = [one for one in found if one.location == OUTLET] or found
    totals = [one.value for one in outlet if one.phase is None]
    if totals:
        return max(totals)  # one set may hold the register at the begin and at the end
    phases = {_PHASES[one.phase]: one.value for one in outlet if one.phase in _PHASES}
    return sum(phases.values()) if phases else None
