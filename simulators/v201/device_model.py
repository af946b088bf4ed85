"""F5: the device model of a simulated 2.x station: components, variables, attributes, characteristics (2.0.1, B)."""

import functools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from csms.ocpp import timestamps
from simulators.v201.sampling import MEASURANDS

Key = tuple[str, str, int | None, int | None, str, str]
"""Component, its instance, EVSE, connector, variable, its instance: names in lower case, as names have none."""

ATTRIBUTES: Final = ("Actual", "Target", "MinSet", "MaxSet")
MAX_VALUE_CHARS: Final = 2_500
_NAMED: Final = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<instance>[^\[\]]+)\])?")
_NUMBERS: Final = {
    "integer": re.compile(r"-?[0-9]{1,15}"),
    "decimal": re.compile(r"-?[0-9]{1,15}([.][0-9]{1,15})?"),
}
_FILE: Final = Path(__file__).with_name("device_model.toml")


@dataclass(frozen=True, slots=True)
class Characteristics:
    """VariableCharacteristicsType: what a variable may hold."""

    data_type: str = "string"
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    can_watch: bool = False

    def allows(self, text: str) -> bool:
        """Whether this text is a value."""
        match self.data_type:
            case "integer" | "decimal":
                return _NUMBERS[self.data_type].fullmatch(text) is not None and self._is_within(float(text))
            case "dateTime":
                return timestamps.read(text) is not None
            case "boolean" | "OptionList":
                return text in (self.values or ("true", "false"))
            case "SequenceList" | "MemberList":
                names = _names(text)
                return all(name in self.values for name in names) and len(set(names)) == len(names)
        return self._is_within(len(text)) if self.maximum is not None else len(text) <= MAX_VALUE_CHARS

    def _is_within(self, number: float) -> bool:
        low, high = self.minimum, self.maximum
        return (low is None or number >= low) and (high is None or number <= high)

    def report(self) -> dict[str, Any]:
        """The type as it stands in NotifyReport."""
        limits = {"minLimit": self.minimum, "maxLimit": self.maximum}
        return {
            **({"unit": self.unit} if self.unit else {}),
            "dataType": self.data_type,
            **{name: limit for name, limit in limits.items() if limit is not None},
            **({"valuesList": ",".join(self.values)} if self.values else {}),
            "supportsMonitoring": self.can_watch,
        }


@dataclass(slots=True, eq=False)
class Variable:
    """One variable of one component. `stored` waits for the next start where a change needs one."""

    component: str
    component_instance: str
    evse_id: int | None
    connector_id: int | None
    name: str
    instance: str
    characteristics: Characteristics
    mutability: str = "ReadOnly"
    needs_reboot: bool = False
    values: dict[str, str] = field(default_factory=dict)
    stored: str | None = None
    live: Callable[[], str] | None = None

    @property
    def key(self) -> Key:
        """How it is found."""
        names = (self.component.lower(), self.component_instance.lower())
        return (*names, self.evse_id, self.connector_id, self.name.lower(), self.instance.lower())

    @property
    def actual(self) -> str:
        """The value in use."""
        return self.live() if self.live is not None else self.values["Actual"]

    def attribute(self, kind: str) -> str | None:
        """An attribute as GetVariables shows it, None when the variable has none of that kind."""
        if kind == "Actual":
            return self.actual if self.stored is None else self.stored
        return self.values.get(kind)

    @property
    def place(self) -> dict[str, Any]:
        """`component` and `variable` as they stand in messages."""
        component: dict[str, Any] = {"name": self.component}
        if self.component_instance:
            component["instance"] = self.component_instance
        if self.evse_id is not None:
            connector = {} if self.connector_id is None else {"connectorId": self.connector_id}
            component["evse"] = {"id": self.evse_id, **connector}
        instance = {"instance": self.instance} if self.instance else {}
        return {"component": component, "variable": {"name": self.name, **instance}}

    def report(self) -> dict[str, Any]:
        """The variable as it stands in NotifyReport."""
        attributes = [self._report_attribute(kind) for kind in ATTRIBUTES if kind in self.values]
        return {
            **self.place,
            "variableAttribute": attributes,
            "variableCharacteristics": self.characteristics.report(),
        }

    def _report_attribute(self, kind: str) -> dict[str, Any]:
        mutability = self.mutability if kind == "Actual" else "ReadWrite"
        shown = {} if mutability == "WriteOnly" else {"value": (self.attribute(kind) or "")[:MAX_VALUE_CHARS]}
        kinds = {"type": kind} if kind != "Actual" else {}
        return {**kinds, **shown, "mutability": mutability, "persistent": True, "constant": False}


@dataclass(frozen=True, slots=True)
class SetResult:
    """How SetVariables went for one attribute; `variable` is the one that has another value now."""

    status: str
    variable: Variable | None = None
    reason: str = ""


class DeviceModel:
    """All variables of one station. Lists keep the order of the file."""

    def __init__(self, evses: Mapping[int, int], values: Mapping[str, str] | None = None) -> None:
        """`evses` tells how many connectors each has; `values` are set as by the maker, by `Component.Variable`.

        Raises KeyError for a value of a variable that does not exist.
        """
        made = list(_build(evses))
        self._variables = {variable.key: variable for variable in made}
        self._components = {key[:4] for key in self._variables}
        for name, value in (values or {}).items():
            self.variable(name).values["Actual"] = value

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._variables.values())

    def variable(self, name: str, evse_id: int | None = None, connector_id: int | None = None) -> Variable:
        """A variable by `Component.Variable[instance]`. Raises KeyError."""
        component, _, rest = name.partition(".")
        variable, instance = _split(rest)
        return self._variables[component.lower(), "", evse_id, connector_id, variable.lower(), instance.lower()]

    def text(self, name: str) -> str:
        """The value in use of a variable of the station."""
        return self.variable(name).actual

    def integer(self, name: str) -> int:
        """A number in use."""
        return int(self.text(name))

    def flag(self, name: str) -> bool:
        """A boolean in use."""
        return self.text(name) == "true"

    def names(self, name: str) -> list[str]:
        """A list in use."""
        return _names(self.text(name))

    def change(self, name: str, value: str) -> None:
        """Set a value from inside the station."""
        self.variable(name).values["Actual"] = value

    def find(self, component: Mapping[str, Any], variable: Mapping[str, Any]) -> Variable | str:
        """The one that a message means, or UnknownComponent or UnknownVariable."""
        evse = component.get("evse") or {}
        place = (
            str(component["name"]).lower(),
            str(component.get("instance") or "").lower(),
            evse.get("id"),
            evse.get("connectorId"),
        )
        found = self._variables.get(
            (*place, str(variable["name"]).lower(), str(variable.get("instance") or "").lower())
        )
        if found is not None:
            return found
        return "UnknownVariable" if place in self._components else "UnknownComponent"

    def get(self, asked: Mapping[str, Any]) -> tuple[str, str | None]:
        """Status and value of one attribute (2.0.1, B06)."""
        found = self.find(asked["component"], asked["variable"])
        if isinstance(found, str):
            return found, None
        kind = asked.get("attributeType", "Actual")
        value = found.attribute(kind)
        if value is None:
            return "NotSupportedAttributeType", None
        if found.mutability == "WriteOnly" and kind == "Actual":
            return "Rejected", None
        return "Accepted", value

    def set(self, asked: Mapping[str, Any]) -> SetResult:
        """Change one attribute (2.0.1, B05)."""
        found = self.find(asked["component"], asked["variable"])
        if isinstance(found, str):
            return SetResult(found)
        kind, value = asked.get("attributeType", "Actual"), asked["attributeValue"]
        if kind not in found.values:
            return SetResult("NotSupportedAttributeType")
        if kind == "Actual" and found.mutability == "ReadOnly":
            return SetResult("Rejected", reason="ReadOnly")
        if not found.characteristics.allows(value):
            return SetResult("Rejected", reason="InvalidValue")
        if kind == "Actual" and found.needs_reboot:
            found.stored = value
            return SetResult("RebootRequired", found)
        found.values[kind] = value
        return SetResult("Accepted", found)

    def reboot(self) -> None:
        """Take what was waiting for a restart into use."""
        for variable in self:
            if variable.stored is not None:
                variable.values["Actual"], variable.stored = variable.stored, None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _split(text: str) -> tuple[str, str]:
    match = _NAMED.fullmatch(text)
    if match is None:
        raise KeyError(text)
    return match["name"], match["instance"] or ""


@functools.cache
def _file() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def _build(evses: Mapping[int, int]) -> Iterator[Variable]:
    for named, described in _file().items():
        for evse_id, connector_id in _places(described["at"], evses):
            for variable, rule in described.items():
                if variable != "at":
                    yield _variable(named, evse_id, connector_id, variable, rule)


def _places(at: str, evses: Mapping[int, int]) -> list[tuple[int | None, int | None]]:
    if at == "station":
        return [(None, None)]
    if at == "evse":
        return [(evse_id, None) for evse_id in evses]
    return [(evse_id, number) for evse_id, count in evses.items() for number in range(1, count + 1)]


def _variable(
    component: str, evse_id: int | None, connector_id: int | None, named: str, rule: Mapping[str, Any]
) -> Variable:
    values = rule.get("values", "")
    allowed = tuple(MEASURANDS) if values == "$measurands" else tuple(_names(values))
    characteristics = Characteristics(
        rule.get("type", "string"),
        rule.get("unit", ""),
        rule.get("min"),
        rule.get("max"),
        allowed,
        rule.get("watch", False),
    )
    held = {"Actual": rule.get("value", "")}
    held |= {kind: rule[name] for kind, name in (("Target", "target"), ("MaxSet", "max_set")) if name in rule}
    return Variable(
        *_split(component),
        evse_id,
        connector_id,
        *_split(named),
        characteristics,
        rule.get("access", "ReadOnly"),
        rule.get("reboot", False),
        held,
    )
