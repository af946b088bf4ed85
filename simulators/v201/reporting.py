"""F5: long answers in pages: NotifyReport and its kin, each page bounded in bytes and items (2.0.1, B07, B08)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simulators.v201.device_model import DeviceModel, Variable

SUMMARY = frozenset({"AvailabilityState", "Available", "Enabled", "Problem", "Active"})


def pages(items: Iterable[Any], max_bytes: int, max_items: int) -> Iterator[list[Any]]:
    """Cut a list so that each page's JSON stays below `max_bytes`; a single larger item gets a page of its own."""
    page: list[Any] = []
    size = 0
    for item in items:
        item_bytes = len(json.dumps(item, separators=(",", ":")).encode()) + 1
        if page and (size + item_bytes > max_bytes or len(page) >= max_items):
            yield page
            page, size = [], 0
        page.append(item)
        size += item_bytes
    if page:
        yield page


def base_report(model: DeviceModel, base: str) -> list[Variable]:
    """What GetBaseReport lists (B07): everything, what an operator can set, or how things are."""
    match base:
        case "FullInventory":
            return list(model)
        case "ConfigurationInventory":
            return [variable for variable in model if variable.mutability != "ReadOnly"]
        case _:
            return [variable for variable in model if variable.name in SUMMARY]


def custom_report(model: DeviceModel, payload: Mapping[str, Any]) -> list[Variable]:
    """What GetReport lists (B08): by component and variable, by what components say of themselves, or both."""
    wanted, criteria = payload.get("componentVariable"), payload.get("componentCriteria", [])
    states: dict[Any, dict[str, str]] = {variable.key[:4]: {} for variable in model} if criteria else {}
    for variable in model if criteria else ():
        states[variable.key[:4]][variable.name] = variable.actual
    return [
        variable
        for variable in model
        if (wanted is None or any(is_meant(variable, one) for one in wanted))
        and (not criteria or any(_meets(states[variable.key[:4]], name) for name in criteria))
    ]


def _meets(state: Mapping[str, str], criterion: str) -> bool:
    """What a component does not say is true, but for a problem (B08.FR.07 to 10)."""
    return state.get(criterion, "false" if criterion == "Problem" else "true") == "true"


def is_component(variable: Variable, asked: Mapping[str, Any]) -> bool:
    """Whether a variable stands in a component that a request names; what the request leaves open matches all."""
    evse = asked.get("evse") or {}
    return (
        variable.component.lower() == str(asked["name"]).lower()
        and asked.get("instance", variable.component_instance).lower() == variable.component_instance.lower()
        and evse.get("id", variable.evse_id) == variable.evse_id
        and evse.get("connectorId", variable.connector_id) == variable.connector_id
    )


def is_meant(variable: Variable, asked: Mapping[str, Any]) -> bool:
    """Whether a componentVariable of a request means this variable."""
    named = asked.get("variable")
    return is_component(variable, asked["component"]) and (
        named is None
        or (
            variable.name.lower() == str(named["name"]).lower()
            and named.get("instance", variable.instance).lower() == variable.instance.lower()
        )
    )
