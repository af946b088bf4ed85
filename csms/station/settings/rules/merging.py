"""S15: what is known of a setting after a station told of it, or answered the wish to change it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import is_same
from csms.station.settings.rules.telling import Changed, Told, names_secret
from csms.station.settings.rules.words import TAKEN, AttributeKind, Mutability, SettingOutcome

Row = dict[str, Any]
_NOTHING_TOLD: Final = object()


@dataclass(frozen=True, slots=True)
class Author:
    """Who asked for a change, with which command."""

    name: str
    command_id: int


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the history."""

    address: Address
    attribute: AttributeKind
    at: datetime
    old_value: str | None
    new_value: str | None
    outcome: SettingOutcome
    reason: str | None = None
    author: Author | None = None
    """None: it was only seen, or nobody knows."""


@dataclass(slots=True)
class Sorted:
    """One setting before and after a message, or several."""

    before: Mapping[str, Any] | None
    after: Row
    has_been_read: bool = False
    changes: list[Change] = field(default_factory=list)

    @property
    def is_new(self) -> bool:
        return self.before is None

    @property
    def is_changed(self) -> bool:
        return self.before is None or any(self.before[name] != value for name, value in self.after.items())


def beginning(address: Address, before: Mapping[str, Any] | None) -> Sorted:
    """A setting as it is known so far; `before` is its row."""
    if before is not None:
        return Sorted(before, {name: value for name, value in before.items() if name != "read_at"})
    return Sorted(
        None,
        {
            "key": address.key,
            "name": address.name,
            "component": address.component,
            "component_instance": address.component_instance,
            "charge_point_number": address.evse,
            "connector_number": address.connector,
            "variable": address.variable,
            "variable_instance": address.variable_instance,
            "is_secret": names_secret(address),
            "is_unknown": False,
        },
    )


def take_told(setting: Sorted, told: Told, at: datetime) -> None:
    """The station told of the setting."""
    setting.has_been_read = True
    row = setting.after
    row["is_unknown"] = told.is_unknown
    row["is_secret"] = row["is_secret"] or told.is_secret
    if told.is_unknown:
        return
    row.update(told.characteristics)
    for kind, attribute in told.attributes.items():
        if kind is AttributeKind.ACTUAL:
            _take_actual(setting, told, attribute, at)
        else:
            _take_attribute(row, kind, attribute)
    if row["is_secret"]:
        _hide(row)


def _take_actual(setting: Sorted, told: Told, attribute: Mapping[str, Any], at: datetime) -> None:
    row = setting.after
    for name in ("mutability", "is_persistent", "is_constant"):
        if name in attribute:
            row[name] = attribute[name]
    value = attribute.get("value", _NOTHING_TOLD)
    if value is _NOTHING_TOLD:
        return
    old = row.get("value")
    if _is_news(row, old, value):
        change = Change(told.address, AttributeKind.ACTUAL, at, old, value, SettingOutcome.OBSERVED)
        setting.changes.append(change)
    row["value"] = value


def _is_news(row: Row, old: str | None, value: str | None) -> bool:
    """Whether somebody else changed a value that is there to be set; what is measured changes by itself."""
    if old is None or value is None or row["is_secret"] or row.get("mutability") != Mutability.READ_WRITE:
        return False
    data_type = row.get("data_type")
    return not is_same(data_type, old, value) and not is_same(data_type, row.get("value_after_reboot"), value)


def _take_attribute(row: Row, kind: AttributeKind, attribute: Mapping[str, Any]) -> None:
    known = dict(row.get("attributes") or {})
    known[kind.value] = {**known.get(kind.value, {}), **attribute}
    row["attributes"] = known


def take_changed(setting: Sorted, changed: Changed, at: datetime, author: Author | None) -> None:
    """The station answered the wish to change the setting; its value is known only if it was taken."""
    row = setting.after
    is_hidden = row["is_secret"] or row.get("mutability") == Mutability.WRITE_ONLY
    value = None if is_hidden else changed.value
    old = _value_of(row, changed.attribute)
    setting.changes.append(
        Change(changed.address, changed.attribute, at, old, value, changed.outcome, changed.reason, author)
    )
    if changed.outcome is SettingOutcome.UNKNOWN:
        row["is_unknown"] = True
    if changed.outcome not in TAKEN:
        return
    row |= {"is_unknown": False, "changed_at": at, "changed_by": author.name if author else None}
    if changed.attribute is not AttributeKind.ACTUAL:
        _take_attribute(row, changed.attribute, {"value": value})
        if changed.outcome is SettingOutcome.REBOOT_REQUIRED:
            row["reboot_required_since"] = at
    elif changed.outcome is SettingOutcome.REBOOT_REQUIRED:
        row |= {"value_after_reboot": value, "reboot_required_since": at}
    else:
        row |= {"value": value, "value_after_reboot": None, "reboot_required_since": None}


def _value_of(row: Mapping[str, Any], kind: AttributeKind) -> str | None:
    if kind is AttributeKind.ACTUAL:
        return row.get("value")
    told = (row.get("attributes") or {}).get(kind.value) or {}
    value = told.get("value")
    return value if value is None else str(value)


def _hide(row: Row) -> None:
    row["value"] = None
    if row.get("attributes"):
        row["attributes"] = {kind: {**told, "value": None} for kind, told in row["attributes"].items()}
