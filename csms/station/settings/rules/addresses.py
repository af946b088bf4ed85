"""S15: how a setting is addressed: a configuration key of OCPP 1.6, or a variable of a component of 2.x."""

import re
from dataclasses import dataclass
from typing import Any, Final

NAME_CHARS_MAX: Final = 100
"""The standard allows 50. Settings with longer names are not kept: four of them must fit into an index."""
NUMBER_MAX: Final = 2**31 - 1
_NAME_2: Final = re.compile(
    r"(?P<component>[^\[\]#/.]+)(\[(?P<component_instance>[^\[\]]+)\])?"
    r"(#(?P<evse>[0-9]{1,9})(\.(?P<connector>[0-9]{1,9}))?)?"
    r"[./](?P<variable>[^\[\]#/]+)(\[(?P<variable_instance>[^\[\]]+)\])?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Which setting; `component` is None for a key of OCPP 1.6. Names mean the same in any case (2.0.1 part 2, 2.1)."""

    variable: str
    component: str | None = None
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None
    variable_instance: str | None = None

    @property
    def name(self) -> str:
        """As people write it: `HeartbeatInterval`, `Connector#1.2.Available`, `DeviceDataCtrlr.ValueSize[Report]`."""
        if self.component is None:
            return self.variable
        return f"{self._component_text()}.{self._variable_text()}"

    @property
    def key(self) -> str:
        """What no two settings of a station share: the name in small letters, its parts told apart by a slash."""
        if self.component is None:
            return self.variable.lower()
        return f"{self._component_text()}/{self._variable_text()}".lower()

    def _component_text(self) -> str:
        instance = f"[{self.component_instance}]" if self.component_instance else ""
        place = "" if self.evse is None else f"#{self.evse}"
        if self.evse is not None and self.connector is not None:
            place += f".{self.connector}"
        return f"{self.component}{instance}{place}"

    def _variable_text(self) -> str:
        return f"{self.variable}[{self.variable_instance}]" if self.variable_instance else self.variable

    def component_payload(self) -> dict[str, Any]:
        """ComponentType of 2.x."""
        payload: dict[str, Any] = {"name": self.component}
        if self.component_instance:
            payload["instance"] = self.component_instance
        if self.evse is not None:
            payload["evse"] = {"id": self.evse}
            if self.connector is not None:
                payload["evse"]["connectorId"] = self.connector
        return payload

    def variable_payload(self) -> dict[str, Any]:
        """VariableType of 2.x."""
        payload: dict[str, Any] = {"name": self.variable}
        if self.variable_instance:
            payload["instance"] = self.variable_instance
        return payload

    def payload(self) -> dict[str, Any]:
        """`component` and `variable` of 2.x."""
        return {"component": self.component_payload(), "variable": self.variable_payload()}


def key_address(key: object) -> Address | None:
    """The address of a 1.6 key; None for what is none."""
    name = _name(key)
    return None if name is None else Address(name)


def parse_name(text: str) -> Address | None:
    """The variable of 2.x that people write so; None if it is no such name."""
    match = _NAME_2.fullmatch(text.strip())
    if match is None:
        return None
    parts = match.groupdict()
    evse, connector = (None if parts[name] is None else int(parts[name]) for name in ("evse", "connector"))
    return Address(
        parts["variable"],
        parts["component"],
        parts["component_instance"],
        evse,
        connector,
        parts["variable_instance"],
    )


def read_address(item: object) -> Address | None:
    """The address in an item with `component` and `variable`; None where a station sent something else."""
    if not isinstance(item, dict):
        return None
    component, variable = item.get("component"), item.get("variable")
    if not isinstance(component, dict) or not isinstance(variable, dict):
        return None
    component_name, variable_name = _name(component.get("name")), _name(variable.get("name"))
    if component_name is None or variable_name is None:
        return None
    place = component.get("evse")
    evse = _number(place.get("id")) if isinstance(place, dict) else None
    return Address(
        variable_name,
        component_name,
        _name(component.get("instance")),
        evse,
        _number(place.get("connectorId")) if isinstance(place, dict) and evse is not None else None,
        _name(variable.get("instance")),
    )


def _name(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if 0 < len(text) <= NAME_CHARS_MAX else None


def _number(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= NUMBER_MAX else None  # type: ignore[operator, return-value]  # it is one
