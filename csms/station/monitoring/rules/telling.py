"""S15: what reports and answers say of monitors. Never raises, whatever a station wrote."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from csms.ocpp.reading import natural_of
from csms.station.monitoring.rules.words import (
    BASES,
    KINDS,
    ORIGINS,
    SEVERITY_MAX,
    MonitoringBase,
    MonitorKind,
    MonitorOutcome,
    Origin,
    outcome_of,
)

Payload = dict[str, Any]
_REASON_CHARS_MAX: Final = 500
_GONE: Final = (MonitorOutcome.ACCEPTED, MonitorOutcome.UNKNOWN)


@dataclass(frozen=True, slots=True)
class MonitorTold:
    """A monitor that the station has; `item` holds its component and variable."""

    item: Payload
    monitor_id: int
    kind: MonitorKind
    value: float
    severity: int
    is_transaction_only: bool
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class SetResult:
    """What the station said to the wish for one monitor; `monitor` if it has it now."""

    item: Payload
    kind: MonitorKind | None
    severity: int | None
    outcome: MonitorOutcome
    reason: str | None
    monitor: MonitorTold | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """The station does not have the monitor any more, or never had it."""

    monitor_id: int


@dataclass(frozen=True, slots=True)
class BaseTaken:
    base: MonitoringBase


@dataclass(frozen=True, slots=True)
class LevelTaken:
    level: int


Said = MonitorTold | Cleared | BaseTaken | LevelTaken


def read_message(action: str, request: Payload, answer: Payload | None) -> list[Said]:
    """What is different now, in the order of the message."""
    match action:
        case "NotifyMonitoringReport":
            return list(read_report(request))
        case "SetVariableMonitoring":
            return [one.monitor for one in read_set_results(request, answer or {}) if one.monitor is not None]
        case "ClearVariableMonitoring":
            return [Cleared(number) for number, outcome, _ in read_clear_results(answer or {}) if outcome in _GONE]
        case "SetMonitoringBase":
            base = BASES.get(str(request.get("monitoringBase")))
            return [BaseTaken(base)] if base is not None and _is_accepted(answer) else []
        case "SetMonitoringLevel":
            level = natural_of(request.get("severity"), SEVERITY_MAX)
            return [LevelTaken(level)] if level is not None and _is_accepted(answer) else []
    return []


def read_report(payload: Payload) -> Iterator[MonitorTold]:
    """NotifyMonitoringReport (2.0.1 N02)."""
    for item in _items(payload, "monitor"):
        for one in _items(item, "variableMonitoring"):
            told = _monitor(item, one, one.get("id"), ORIGINS.get(str(one.get("eventNotificationType"))))
            if told is not None:
                yield told


def read_set_results(request: Payload, answer: Payload) -> list[SetResult]:
    """SetVariableMonitoring (2.0.1 N04): each result with the value that was asked for."""
    asked = {identity_of(item): item for item in _items(request, "setMonitoringData")}
    results = []
    for item in _items(answer, "setMonitoringResult"):
        outcome, wanted = outcome_of(item.get("status")), asked.get(identity_of(item), {})
        told = None
        if outcome is MonitorOutcome.ACCEPTED:
            told = _monitor(item, {**wanted, **item}, item.get("id", wanted.get("id")), Origin.CUSTOM_MONITOR)
        kind, severity = KINDS.get(str(item.get("type"))), natural_of(item.get("severity"), SEVERITY_MAX)
        results.append(SetResult(item, kind, severity, outcome, reason_of(item), told))
    return results


def read_clear_results(answer: Payload) -> list[tuple[int, MonitorOutcome, str | None]]:
    """ClearVariableMonitoring (2.0.1 N06): number, outcome, the station's own words."""
    results = [
        (natural_of(item.get("id")), outcome_of(item.get("status")), reason_of(item))
        for item in _items(answer, "clearMonitoringResult")
    ]
    return [(number, outcome, reason) for number, outcome, reason in results if number is not None]


def reason_of(item: Payload) -> str | None:
    """The station's own words in a `statusInfo`."""
    info = item.get("statusInfo")
    if not isinstance(info, dict):
        return None
    parts = [str(info[name]) for name in ("reasonCode", "additionalInfo") if info.get(name)]
    return ": ".join(parts)[:_REASON_CHARS_MAX] or None


def identity_of(item: Payload) -> str:
    """What request and result share (2.0.1 N04): the variable, the kind, the severity."""
    component, variable = _object(item, "component"), _object(item, "variable")
    place = _object(component, "evse")
    parts = (
        *(component.get("name"), component.get("instance"), place.get("id"), place.get("connectorId")),
        *(variable.get("name"), variable.get("instance"), item.get("type"), item.get("severity")),
    )
    return repr(parts).lower()


def _object(item: Payload, name: str) -> Payload:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _monitor(item: Payload, told: Payload, number: object, origin: Origin | None) -> MonitorTold | None:
    monitor_id, kind = natural_of(number), KINDS.get(str(told.get("type")))
    value, severity = told.get("value"), natural_of(told.get("severity"), SEVERITY_MAX)
    if monitor_id is None or kind is None or not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return MonitorTold(
        item,
        monitor_id,
        kind,
        float(value),
        SEVERITY_MAX if severity is None else severity,
        is_transaction_only=told.get("transaction") is True,
        origin=origin,
    )


def _items(payload: Payload, name: str) -> Iterator[Payload]:
    items = payload.get(name)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _is_accepted(answer: Payload | None) -> bool:
    return outcome_of((answer or {}).get("status")) is MonitorOutcome.ACCEPTED
