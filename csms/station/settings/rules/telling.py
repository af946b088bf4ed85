"""S15: what an answer or a report says of settings, whichever message it is. Never raises, whatever a station wrote."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from csms.ocpp.confidential import MASK, redacted
from csms.station.settings.rules.addresses import Address, key_address, read_address
from csms.station.settings.rules.words import (
    ATTRIBUTES,
    DATA_TYPES,
    MUTABILITIES,
    AttributeKind,
    Mutability,
    SettingOutcome,
    outcome_of,
)

Payload = dict[str, Any]
VALUE_CHARS_MAX: Final = 10_000
"""Longer values, which no version allows (2,500), are cut."""
TEXT_CHARS_MAX: Final = 500


@dataclass(slots=True)
class Told:
    """What a station told of one setting. Fields of an attribute that are not there were not told."""

    address: Address
    attributes: dict[AttributeKind, dict[str, Any]] = field(default_factory=dict)
    """`value`, `mutability`, `is_persistent`, `is_constant`."""
    characteristics: dict[str, Any] = field(default_factory=dict)
    """Columns of the setting: `data_type`, `unit`, …"""
    is_unknown: bool = False
    """The station says that it has no such setting."""
    is_secret: bool = False
    """Its value is masked already."""


@dataclass(frozen=True, slots=True)
class Changed:
    """How a station answered the wish to change one setting."""

    address: Address
    attribute: AttributeKind
    value: str | None
    """What was asked for; None if it is a secret."""
    outcome: SettingOutcome
    reason: str | None = None
    """The station's own words."""


def read_message(action: str, request: Payload, answer: Payload | None) -> list[Told | Changed]:
    """What the message says, in its order. Both payloads are without secrets already."""
    read = _READERS.get(action)
    return [] if read is None else list(read(request, answer or {}))


def names_secret(address: Address) -> bool:
    """Whether the value of that setting is a secret (2.0.1 A01.FR.09), by the rule that masks it in frames."""
    probe = {"key": address.variable, "value": "x"}
    return redacted("ChangeConfiguration", probe) is not probe


def _configuration(_request: Payload, answer: Payload) -> Iterator[Told]:
    """GetConfiguration (OCPP 1.6, 5.8)."""
    for item in _items(answer, "configurationKey"):
        address = key_address(item.get("key"))
        if address is not None:
            mutability = Mutability.READ_ONLY if item.get("readonly") is True else Mutability.READ_WRITE
            told = {"value": _text(item.get("value")), "mutability": mutability}
            yield _told(address, {AttributeKind.ACTUAL: told})
    unknown = answer.get("unknownKey")
    for key in unknown if isinstance(unknown, list) else ():
        address = key_address(key)
        if address is not None:
            yield Told(address, is_unknown=True)


def _change_configuration(request: Payload, answer: Payload) -> Iterator[Changed]:
    """ChangeConfiguration (OCPP 1.6, 5.4)."""
    address = key_address(request.get("key"))
    if address is not None:
        value = _unmasked(request.get("value"))
        yield Changed(address, AttributeKind.ACTUAL, value, outcome_of(answer.get("status")))


def _variables(_request: Payload, answer: Payload) -> Iterator[Told]:
    """GetVariables (2.0.1 B06)."""
    for item in _items(answer, "getVariableResult"):
        address = read_address(item)
        if address is None:
            continue
        outcome = outcome_of(item.get("attributeStatus"))
        if outcome is SettingOutcome.ACCEPTED:
            yield _told(address, {_attribute(item, "attributeType"): {"value": _text(item.get("attributeValue"))}})
        elif outcome is SettingOutcome.UNKNOWN:
            yield Told(address, is_unknown=True)


def _set_variables(request: Payload, answer: Payload) -> Iterator[Changed]:
    """SetVariables (2.0.1 B05): each result is matched to what was asked for by its address."""
    asked: dict[tuple[str, AttributeKind], str | None] = {}
    for item in _items(request, "setVariableData"):
        address = read_address(item)
        if address is not None:
            asked[address.key, _attribute(item, "attributeType")] = _unmasked(item.get("attributeValue"))
    for item in _items(answer, "setVariableResult"):
        address, kind = read_address(item), _attribute(item, "attributeType")
        if address is not None and (address.key, kind) in asked:
            outcome = outcome_of(item.get("attributeStatus"))
            yield Changed(address, kind, asked[address.key, kind], outcome, _reason(item))


def _report(request: Payload, _answer: Payload) -> Iterator[Told]:
    """NotifyReport (2.0.1 B07, B08)."""
    for item in _items(request, "reportData"):
        address = read_address(item)
        if address is None:
            continue
        attributes = {_attribute(one, "type"): _attribute_fields(one) for one in _items(item, "variableAttribute")}
        described = item.get("variableCharacteristics")
        told = _told(address, attributes)
        told.characteristics = _characteristics(described) if isinstance(described, dict) else {}
        yield told


_READERS: Final[dict[str, Callable[[Payload, Payload], Iterator[Told | Changed]]]] = {
    "GetConfiguration": _configuration,
    "ChangeConfiguration": _change_configuration,
    "GetVariables": _variables,
    "SetVariables": _set_variables,
    "NotifyReport": _report,
}


def _told(address: Address, attributes: dict[AttributeKind, dict[str, Any]]) -> Told:
    """Without secrets: masked values and those that can only be written."""
    is_secret = False
    for attribute in attributes.values():
        if attribute.get("value") == MASK:
            is_secret = True
            attribute["value"] = None
        elif attribute.get("mutability") is Mutability.WRITE_ONLY:
            attribute["value"] = None
    return Told(address, attributes, is_secret=is_secret or names_secret(address))


def _attribute_fields(item: Payload) -> dict[str, Any]:
    """Of a report, which tells all of an attribute: what it leaves out has the standard's default."""
    return {
        "value": _text(item.get("value")),
        "mutability": MUTABILITIES.get(str(item.get("mutability")), Mutability.READ_WRITE),
        "is_persistent": item.get("persistent") is True,
        "is_constant": item.get("constant") is True,
    }


def _characteristics(described: Payload) -> dict[str, Any]:
    most = described.get("maxElements")
    return {
        "data_type": DATA_TYPES.get(str(described.get("dataType"))),
        "unit": _short(described.get("unit")),
        "min_limit": _float(described.get("minLimit")),
        "max_limit": _float(described.get("maxLimit")),
        "values_list": _text(described.get("valuesList")),
        "max_elements": most if isinstance(most, int) and 0 < most < 2**31 else None,
        "can_be_monitored": described.get("supportsMonitoring") is True,
    }


def _items(payload: Payload, name: str) -> Iterator[Payload]:
    items = payload.get(name)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _attribute(item: Payload, name: str) -> AttributeKind:
    return ATTRIBUTES.get(str(item.get(name)), AttributeKind.ACTUAL)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:VALUE_CHARS_MAX]


def _short(value: object) -> str | None:
    return None if value is None else str(value)[:TEXT_CHARS_MAX]


def _unmasked(value: object) -> str | None:
    return None if value == MASK else _text(value)


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _reason(item: Payload) -> str | None:
    info = item.get("attributeStatusInfo")
    if not isinstance(info, dict):
        return None
    parts = [str(info[name]) for name in ("reasonCode", "additionalInfo") if info.get(name)]
    return ": ".join(parts)[:TEXT_CHARS_MAX] or None
