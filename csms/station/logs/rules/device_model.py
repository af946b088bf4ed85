"""S10, S15: settings, monitors and events of OCPP 2.x in words."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from csms.station.logs.rules.words import Level, Payload, Words, said

_NAMES_SHOWN: Final = 5
_READ_AGAIN: Final = "Read its settings to see which it has."
_INVENTORIES: Final[Mapping[str, str]] = {
    "ConfigurationInventory": "all its settings that can be changed",
    "FullInventory": "all its settings",
    "SummaryInventory": "what is wrong with it",
}
_BASES: Final[Mapping[str, str]] = {
    "All": "have all its monitors",
    "FactoryDefault": "have the monitors of the factory alone",
    "HardWiredOnly": "have its hard-wired monitors alone",
}
_SEVERE: Final = 4
"""Up to this severity number an event is about something that does not work (2.0.1 N02)."""


def _items(payload: Payload, name: str) -> Iterator[Payload]:
    items = payload.get(name)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            yield item


def _name(item: Payload) -> str:
    """`Component.Variable`, with the charge point where it has one."""
    component, variable = item.get("component"), item.get("variable")
    component = component if isinstance(component, Mapping) else {}
    variable = variable if isinstance(variable, Mapping) else {}
    place = component.get("evse")
    at = f"#{said(place.get('id'))}" if isinstance(place, Mapping) else ""
    name = f"{said(component.get('name', '?'))}{at}"
    return f"{name}.{said(variable['name'])}" if variable.get("name") else name


def _names(payload: Payload, field: str) -> str:
    names = [_name(item) for item in _items(payload, field)]
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _set(request: Payload) -> str:
    wishes = list(_items(request, "setVariableData"))
    if len(wishes) == 1 and wishes[0].get("attributeValue") not in (None, "(hidden)"):
        return f"set {_name(wishes[0])} to {said(wishes[0]['attributeValue'])}"
    return f"change {_names(request, 'setVariableData') or 'settings'}"


def _report(request: Payload) -> str:
    names = _names(request, "componentVariable")
    return f"report {names}" if names else "report its components in a certain state"


def _monitor(request: Payload) -> str:
    return f"watch {_names(request, 'setMonitoringData') or 'something'}"


def _unwatch(request: Payload) -> str:
    numbers = request.get("id")
    count = len(numbers) if isinstance(numbers, list) else 0
    return f"give up {count} of its monitors" if count != 1 else "give up one of its monitors"


DOINGS: Final[Mapping[str, str | Callable[[Payload], str]]] = {
    "ClearVariableMonitoring": _unwatch,
    "GetBaseReport": lambda request: f"report {_INVENTORIES.get(str(request.get('reportBase')), 'its settings')}",
    "GetMonitoringReport": "report its monitors",
    "GetReport": _report,
    "GetVariables": lambda request: f"tell its settings {_names(request, 'getVariableData')}".rstrip(),
    "SetMonitoringBase": lambda request: _BASES.get(str(request.get("monitoringBase")), "change its monitors"),
    "SetMonitoringLevel": lambda request: f"tell events up to severity {said(request.get('severity', ''))}",
    "SetVariableMonitoring": _monitor,
    "SetVariables": _set,
}

_Verdict = tuple[Level, str, str | None, str | None]
_REPORTS: Final = ("GetBaseReport", "GetReport", "GetMonitoringReport")
VERDICTS: Final[Mapping[tuple[str, str], _Verdict]] = {
    **{(action, "Accepted"): (Level.INFO, "it will, in parts", None, None) for action in _REPORTS},
    **{(action, "EmptyResultSet"): (Level.INFO, "it has nothing of this kind", None, None) for action in _REPORTS},
    **{
        (action, "Rejected"): (
            Level.WARNING,
            "it will not now",
            "It may be sending another report.",
            "Try again later.",
        )
        for action in _REPORTS
    },
    ("SetMonitoringBase", "Accepted"): (Level.INFO, "done", None, None),
    ("SetMonitoringLevel", "Accepted"): (Level.INFO, "done", None, None),
}
_PROBLEMS: Final[Mapping[str, str]] = {
    "Rejected": "will not",
    "UnknownComponent": "does not have",
    "UnknownVariable": "does not have",
    "NotSupportedAttributeType": "has no such attribute of",
    "UnsupportedMonitorType": "cannot watch in this way",
    "Duplicate": "watches already",
    "NotFound": "does not have",
}


def _read(asked: str, answer: Payload) -> Words:
    results = list(_items(answer, "getVariableResult"))
    told = sum(item.get("attributeStatus") == "Accepted" for item in results)
    missing = [_name(item) for item in results if item.get("attributeStatus") != "Accepted"]
    if not missing:
        return Words(f"{asked}: it told {told}.")
    why = f"It did not tell: {', '.join(missing[:_NAMES_SHOWN])}."
    return Words(f"{asked}: it told {told}.", Level.WARNING, why, _READ_AGAIN)


def _changed(asked: str, answer: Payload) -> Words:
    results = list(_items(answer, "setVariableResult"))
    faults = _faults(results, "attributeStatus", ("Accepted", "RebootRequired"))
    if faults:
        return Words(
            f"{asked}: not all of it.", Level.WARNING, faults, "Read the settings to see their present values."
        )
    if any(item.get("attributeStatus") == "RebootRequired" for item in results):
        why = "The change is stored but not in force."
        return Words(f"{asked}: it will after a restart.", Level.WARNING, why, "Restart the station.")
    return Words(f"{asked}: done.")


def _watched(asked: str, answer: Payload) -> Words:
    faults = _faults(list(_items(answer, "setMonitoringResult")), "status", ("Accepted",))
    if faults:
        return Words(f"{asked}: not all of it.", Level.WARNING, faults, None)
    return Words(f"{asked}: done.")


def _unwatched(asked: str, answer: Payload) -> Words:
    results = list(_items(answer, "clearMonitoringResult"))
    left = [said(item.get("id", "?")) for item in results if item.get("status") != "Accepted"]
    if left:
        why = f"It kept or does not have: {', '.join(left[:_NAMES_SHOWN])}."
        return Words(f"{asked}: not all of it.", Level.WARNING, why, "Refresh its monitors.")
    return Words(f"{asked}: done.")


def _faults(results: list[Payload], field: str, good: tuple[str, ...]) -> str:
    bad = [item for item in results if item.get(field) not in good]
    parts = [f"it {_PROBLEMS.get(str(item.get(field)), 'refuses')} {_name(item)}" for item in bad[:_NAMES_SHOWN]]
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


ANSWERS: Final[Mapping[str, Callable[[str, Payload], Words]]] = {
    "ClearVariableMonitoring": _unwatched,
    "GetVariables": _read,
    "SetVariableMonitoring": _watched,
    "SetVariables": _changed,
}
"""Answers without a status of their own: what was asked, and what came."""


def _part(what: str, field: str) -> Callable[[Payload, Payload], Words]:
    def tell(request: Payload, _answer: Payload) -> Words:
        items = request.get(field)
        count = len(items) if isinstance(items, list) else 0
        number = request.get("seqNo")
        end = "more follow" if request.get("tbc") is True else "that is all"
        part = f" (part {number + 1})" if isinstance(number, int) else ""
        return Words(f"The station reported {count} {what}{part}; {end}.")

    return tell


def _event(item: Payload) -> Words:
    name, value = _name(item), said(item.get("actualValue", ""))
    if item.get("cleared") is True:
        return Words(f"{name} is well again ({value}).")
    if item.get("trigger") != "Alerting":
        return Words(f"{name} is {value}.")
    severity = item.get("severity")
    level = Level.ERROR if isinstance(severity, int) and severity <= _SEVERE else Level.WARNING
    told = [said(item[field]) for field in ("techCode", "techInfo") if item.get(field)]
    return Words(f"Alert: {name} is {value}.", level, ": ".join(told) or None, "Look at the station's errors.")


def _events(request: Payload, _answer: Payload) -> Words:
    told = [_event(item) for item in _items(request, "eventData")]
    if not told:
        return Words("The station told of no event.")
    rank = [Level.INFO, Level.WARNING, Level.ERROR]
    worst = max(told, key=lambda words: rank.index(words.level))
    more = f" And {len(told) - 1} more events." if len(told) > 1 else ""
    return Words(f"{worst.text}{more}", worst.level, worst.why, worst.what_to_do)


MESSAGES: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "NotifyEvent": _events,
    "NotifyMonitoringReport": _part("monitored variables", "monitor"),
    "NotifyReport": _part("settings", "reportData"),
}
