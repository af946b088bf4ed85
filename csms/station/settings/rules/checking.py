"""S15: whether a value can be right, by what the station told of the setting; and whether two values are the same."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.station.settings.rules.words import AttributeKind, DataType, Mutability

VALUE_CHARS: Final[Mapping[Version, int]] = {Version.V16: 500, Version.V201: 1000, Version.V21: 2500}
"""The longest value that fits into the message (1.6, 7.13; 2.x SetVariableDataType)."""
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]{1,18}([.][0-9]{0,18})?|[.][0-9]{1,18})")
_LISTS: Final = (DataType.SEQUENCE_LIST, DataType.MEMBER_LIST)
_BOOLEANS: Final = ("true", "false")
_VALUES_SHOWN: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a setting; None is not known."""

    mutability: Mutability | None = None
    is_constant: bool | None = None
    data_type: DataType | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    max_elements: int | None = None
    attributes: Mapping[str, Mapping[str, Any]] | None = None
    """The attributes other than `actual`, as told."""


def fault_of(known: Known, attribute: AttributeKind, value: str, version: Version) -> str | None:
    """Why the station would not take that value, or None."""
    if len(value) > VALUE_CHARS[version]:
        return f"a value has at most {VALUE_CHARS[version]} characters in {version.value}"
    return _forbidden(known, attribute) or _misfit(known, value.strip())


def _forbidden(known: Known, attribute: AttributeKind) -> str | None:
    mutability, is_constant = known.mutability, known.is_constant
    if attribute is not AttributeKind.ACTUAL:
        if known.attributes is None:
            return None
        told = known.attributes.get(attribute)
        if told is None:
            return f"the station has no {attribute} of this setting"
        mutability, is_constant = told.get("mutability"), told.get("is_constant")
    if is_constant:
        return "this setting is constant; the station never changes it"
    return "this setting is read-only" if mutability == Mutability.READ_ONLY else None


def _misfit(known: Known, value: str) -> str | None:
    match known.data_type:
        case DataType.INTEGER | DataType.DECIMAL as kind:
            return _number_fault(known, value, is_integer=kind is DataType.INTEGER)
        case DataType.BOOLEAN:
            return None if value.lower() in _BOOLEANS else "write true or false"
        case DataType.DATE_TIME:
            return None if timestamps.read(value) else "write a time as in 2030-01-31T08:00:00Z"
        case DataType.OPTION_LIST | DataType.SEQUENCE_LIST | DataType.MEMBER_LIST:
            return _choice_fault(known, value)
        case DataType.STRING if known.max_limit is not None and len(value) > known.max_limit:
            return f"the station takes at most {known.max_limit:g} characters"
    return None


def _number_fault(known: Known, value: str, *, is_integer: bool) -> str | None:
    if is_integer and not _INTEGER.fullmatch(value):
        return "write a whole number"
    if not _DECIMAL.fullmatch(value):
        return "write a number, with a point where it has decimals"
    number = float(value)
    if known.min_limit is not None and number < known.min_limit:
        return f"the least is {known.min_limit:g}"
    if known.max_limit is not None and number > known.max_limit:
        return f"the most is {known.max_limit:g}"
    return None


def _choice_fault(known: Known, value: str) -> str | None:
    is_list = known.data_type in _LISTS
    chosen = listed(value) if is_list else [value]
    if is_list and known.max_elements is not None and len(chosen) > known.max_elements:
        return f"the station takes at most {known.max_elements} of them"
    if len({one.lower() for one in chosen}) < len(chosen):
        return "no value may stand in the list twice"
    if known.values_list is None:
        return None
    allowed = listed(known.values_list)
    strays = [one for one in chosen if one.lower() not in {word.lower() for word in allowed}]
    if not strays:
        return None
    shown = ", ".join(allowed[:_VALUES_SHOWN]) + ("…" if len(allowed) > _VALUES_SHOWN else "")
    return f"«{strays[0][:60]}» is none of the allowed values: {shown}"


def listed(text: str) -> list[str]:
    """The members of a list as OCPP writes it: parted by commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def is_same(data_type: DataType | None, one: str | None, other: str | None) -> bool:
    """Whether two values mean the same."""
    if one is None or other is None:
        return one == other
    first, second = one.strip(), other.strip()
    if first == second or (first.lower() == second.lower() and first.lower() in _BOOLEANS):
        return True
    if data_type is DataType.MEMBER_LIST or (data_type is None and "," in first + second):
        return {word.lower() for word in listed(first)} == {word.lower() for word in listed(second)}
    if data_type is DataType.SEQUENCE_LIST:
        return [word.lower() for word in listed(first)] == [word.lower() for word in listed(second)]
    if data_type is DataType.OPTION_LIST:
        return first.lower() == second.lower()
    is_number = bool(_DECIMAL.fullmatch(first) and _DECIMAL.fullmatch(second))
    return is_number and data_type is not DataType.STRING and float(first) == float(second)
