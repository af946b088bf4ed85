"""S15: asking a station to watch something, or not to; for its monitors, its base and its level."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, CsmsError, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.device_reports import DeviceReport, Topic, open_report, settle_report
from csms.station.information import Station, get_station
from csms.station.monitoring.model import DeviceEvent, VariableMonitor
from csms.station.monitoring.rules.telling import (
    SetResult,
    identity_of,
    read_clear_results,
    read_set_results,
    reason_of,
)
from csms.station.monitoring.rules.words import (
    CRITERIA,
    DETAILS,
    OCPP_BASES,
    OCPP_KINDS,
    ONLY_IN_21,
    EventTrigger,
    MonitoringBase,
    MonitorKind,
    MonitorOutcome,
    outcome_of,
)
from csms.station.monitoring.service.sorting import ALL, sort_in_now
from csms.station.settings import Address, known_value, learn, resolve
from csms.store import Work

ITEMS_DEFAULT: Final = 5
"""Monitors in one message while the station's limit is not known."""
ITEMS_MAX: Final = 100
SET_LIMIT: Final = Address("ItemsPerMessage", "MonitoringCtrlr", variable_instance="SetVariableMonitoring")
CLEAR_LIMIT: Final = Address("ItemsPerMessage", "MonitoringCtrlr", variable_instance="ClearVariableMonitoring")
_UNSENT: Final = frozenset({CommandOutcome.OFFLINE, CommandOutcome.EXPIRED})
_PERIODS: Final = (MonitorKind.PERIODIC, MonitorKind.PERIODIC_CLOCK_ALIGNED)


@dataclass(frozen=True, slots=True)
class MonitorWish:
    """A monitor that a station shall have."""

    name: str
    kind: MonitorKind
    value: float
    severity: int
    is_transaction_only: bool = False
    monitor_id: int | None = None
    """Given, it takes the place of the custom monitor with that number."""


@dataclass(frozen=True, slots=True)
class MonitorResult:
    """What came of a wish; `monitor_id` is the station's number of a monitor that it has now."""

    outcome: MonitorOutcome
    detail: str
    command_id: int | None
    monitor_id: int | None = None


_NOT_SENT: Final = MonitorResult(MonitorOutcome.NOT_SENT, "not sent: the message before had no answer", None)
_NOT_MENTIONED: Final = "the station's answer does not mention it; refresh its monitors"


@dataclass(frozen=True, slots=True)
class _Item:
    wish: MonitorWish
    address: Address

    def payload(self) -> dict[str, Any]:
        """SetMonitoringDataType."""
        value = int(self.wish.value) if self.wish.value.is_integer() else self.wish.value
        payload: dict[str, Any] = {
            "value": value,
            "type": OCPP_KINDS[self.wish.kind],
            "severity": self.wish.severity,
            **self.address.payload(),
        }
        if self.wish.is_transaction_only:
            payload["transaction"] = True
        return payload if self.wish.monitor_id is None else {"id": self.wish.monitor_id, **payload}


async def set_monitors(
    runtime: Runtime, caller: Caller, identity: str, wishes: Sequence[MonitorWish], *, timeout_s: float | None = None
) -> list[MonitorResult]:
    """2.0.1 N04; a result for each wish. Raises NotFound, Invalid, and Conflict for OCPP 1.6."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        items = _items(speaks_2(station), wishes)
    most = await _most(runtime, caller, station, SET_LIMIT, len(items))
    results: list[MonitorResult] = []
    for start in range(0, len(items), most):
        group = items[start : start + most]
        payload = {"setMonitoringData": [item.payload() for item in group]}
        command = await send(runtime, caller, identity, "SetVariableMonitoring", payload, timeout_s=timeout_s)
        results += _set_results(command, group)
        if command.outcome not in (CommandOutcome.ANSWERED, CommandOutcome.REFUSED):
            results += [_NOT_SENT] * (len(items) - len(results))
            break
    await sort_in_now(runtime, station.id)
    return results


async def _most(runtime: Runtime, caller: Caller, station: Station, limit: Address, count: int) -> int:
    """How many items go into one message; asked once of a station that never told."""
    if count == 1:
        return 1
    await learn(runtime, caller, station.identity, limit)
    async with runtime.store.reading(caller) as work:
        told = await known_value(work, station, limit.name) or ""
    number = int(told[:9]) if told.isdecimal() else 0
    return min(number, ITEMS_MAX) if number > 0 else ITEMS_DEFAULT


def speaks_2(station: Station) -> Version:
    """The station's version. Raises Conflict for 1.6, which has no monitors."""
    version = version_of(station)
    if version is Version.V16:
        raise Conflict(
            f"«{station.identity}» speaks OCPP 1.6, which has no monitors; its errors are told by StatusNotification"
        )
    return version


def _items(version: Version, wishes: Sequence[MonitorWish]) -> list[_Item]:
    items = []
    for index, wish in enumerate(wishes):
        place = f"body/monitors/{index}"
        address = resolve(wish.name, version)
        if address is None:
            raise Invalid(f"«{wish.name}» is no variable; write Component.Variable", place=f"{place}/name")
        if wish.kind in ONLY_IN_21 and version is not Version.V21:
            raise Invalid(f"{wish.kind} exists only in OCPP 2.1", place=f"{place}/kind")
        if wish.kind in _PERIODS and wish.value <= 0:
            raise Invalid("a period has at least one second", place=f"{place}/value")
        items.append(_Item(wish, address))
    return items


def _set_results(command: Command, group: Sequence[_Item]) -> list[MonitorResult]:
    if command.outcome is not CommandOutcome.ANSWERED:
        return [unanswered(command)] * len(group)
    request = {"setMonitoringData": [item.payload() for item in group]}
    told: dict[str, list[SetResult]] = {}
    for one in read_set_results(request, command.payload or {}):
        told.setdefault(identity_of(one.item), []).append(one)
    return [_set_result(told.get(identity_of(item.payload()), []), command) for item in group]


def _set_result(told: list[SetResult], command: Command) -> MonitorResult:
    """The first of the results that fit is this wish's; the next is that of the same wish made twice."""
    if not told:
        return MonitorResult(MonitorOutcome.NOT_ANSWERED, _NOT_MENTIONED, command.id)
    result = told.pop(0)
    number = result.monitor.monitor_id if result.monitor else None
    return MonitorResult(result.outcome, _said(result.outcome, result.reason), command.id, number)


def _said(outcome: MonitorOutcome, reason: str | None) -> str:
    detail = DETAILS[outcome]
    return detail if reason is None else f"{detail} ({reason})"


def unanswered(command: Command) -> MonitorResult:
    """The result of a command that the station did not answer as asked."""
    if command.outcome is CommandOutcome.REFUSED:
        error = command.error or {}
        detail = f"the station refused {command.action}: {error.get('code')} {error.get('description') or ''}".strip()
        return MonitorResult(MonitorOutcome.UNSUPPORTED, detail, command.id)
    outcome = MonitorOutcome.NOT_SENT if command.outcome in _UNSENT else MonitorOutcome.NOT_ANSWERED
    return MonitorResult(outcome, command.reason or f"{command.action} has no answer", command.id)


async def clear_monitors(
    runtime: Runtime, caller: Caller, identity: str, row_ids: Sequence[int], *, timeout_s: float | None = None
) -> list[MonitorResult]:
    """2.0.1 N06; a result for each, in their order. Raises NotFound if one of them is not there."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        numbers = [(await get_monitor(work, station, row_id)).monitor_id for row_id in dict.fromkeys(row_ids)]
    most = await _most(runtime, caller, station, CLEAR_LIMIT, len(numbers))
    results: list[MonitorResult] = []
    for start in range(0, len(numbers), most):
        group = numbers[start : start + most]
        payload = {"id": group}
        command = await send(runtime, caller, identity, "ClearVariableMonitoring", payload, timeout_s=timeout_s)
        results += _clear_results(command, group)
        if command.outcome not in (CommandOutcome.ANSWERED, CommandOutcome.REFUSED):
            results += [_NOT_SENT] * (len(numbers) - len(results))
            break
    await sort_in_now(runtime, station.id)
    return results


def _clear_results(command: Command, group: Sequence[int]) -> list[MonitorResult]:
    if command.outcome is not CommandOutcome.ANSWERED:
        return [unanswered(command)] * len(group)
    told = {number: (outcome, reason) for number, outcome, reason in read_clear_results(command.payload or {})}
    return [_cleared(command, number, told.get(number)) for number in group]


def _cleared(command: Command, number: int, told: tuple[MonitorOutcome, str | None] | None) -> MonitorResult:
    if told is None:
        return MonitorResult(MonitorOutcome.NOT_ANSWERED, _NOT_MENTIONED, command.id, number)
    outcome, reason = told
    if outcome is MonitorOutcome.ACCEPTED:
        return MonitorResult(outcome, "the station does not watch it any more", command.id, number)
    return MonitorResult(outcome, _said(outcome, reason), command.id, number)


async def set_base(
    runtime: Runtime, caller: Caller, identity: str, base: MonitoringBase, *, timeout_s: float | None = None
) -> MonitorResult:
    """2.0.1 N05: which monitors the station has at all."""
    payload = {"monitoringBase": OCPP_BASES[base]}
    return await _set_policy(runtime, caller, identity, ("SetMonitoringBase", payload), timeout_s)


async def set_level(
    runtime: Runtime, caller: Caller, identity: str, level: int, *, timeout_s: float | None = None
) -> MonitorResult:
    """2.0.1 N03: events up to which severity number the station tells."""
    return await _set_policy(runtime, caller, identity, ("SetMonitoringLevel", {"severity": level}), timeout_s)


async def _set_policy(
    runtime: Runtime, caller: Caller, identity: str, message: tuple[str, dict[str, Any]], timeout_s: float | None
) -> MonitorResult:
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        speaks_2(station)
    action, payload = message
    command = await send(runtime, caller, identity, action, payload, timeout_s=timeout_s)
    await sort_in_now(runtime, station.id)
    if command.outcome is not CommandOutcome.ANSWERED:
        return unanswered(command)
    answer = command.payload or {}
    outcome = outcome_of(answer.get("status"))
    return MonitorResult(outcome, _said(outcome, reason_of(answer)), command.id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which monitors to ask for; nothing: all."""

    names: Sequence[str] = ()
    criteria: Sequence[str] = ()


async def refresh_monitors(
    runtime: Runtime, caller: Caller, identity: str, wanted: Wanted, *, timeout_s: float | None = None
) -> DeviceReport:
    """2.0.1 N02: ask for the monitors; they come in parts. Raises NotFound, Invalid, Conflict."""
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        choice = _choice(speaks_2(station), wanted)
        report = open_report(work, station, Topic.MONITORS, "chosen" if choice else ALL)
    payload = {"requestId": report.request_id, **choice}
    try:
        command = await send(runtime, caller, identity, "GetMonitoringReport", payload, timeout_s=timeout_s)
    except CsmsError as error:
        await _settle(runtime, report, error.detail)
        raise
    if command.outcome is not CommandOutcome.ANSWERED:
        return await _settle(runtime, report, unanswered(command).detail)
    async with runtime.store.reading() as work:
        return await work.session.get_one(DeviceReport, report.id)


def _choice(version: Version, wanted: Wanted) -> dict[str, Any]:
    choice: dict[str, Any] = {}
    if wanted.criteria:
        choice["monitoringCriteria"] = [CRITERIA[one] for one in dict.fromkeys(wanted.criteria)]
    if wanted.names:
        items = _items(version, [MonitorWish(name, MonitorKind.DELTA, 1, 9) for name in wanted.names])
        choice["componentVariable"] = [item.address.payload() for item in items]
    return choice


async def _settle(runtime: Runtime, report: DeviceReport, detail: str) -> DeviceReport:
    async with runtime.store.writing() as work:
        return await settle_report(work, report.id, ended_at=work.now, status="not asked", detail=detail)


async def get_monitor(work: Work, station: Station, row_id: int) -> VariableMonitor:
    """Raises NotFound."""
    found = (await work.session.exec(monitors_query(station).where(VariableMonitor.id == row_id))).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such monitor; GET …/monitors lists them")
    return found


def monitors_query(station: Station) -> SelectOfScalar[VariableMonitor]:
    """The station's monitors, to be paged."""
    return select(VariableMonitor).where(VariableMonitor.station_id == station.id)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; None does not restrict."""

    trigger: EventTrigger | None = None
    severity_up_to: int | None = None
    component: str | None = None
    charge_point_number: int | None = None
    transaction_id: str | None = None


def events_query(station: Station, wanted: EventFilter) -> SelectOfScalar[DeviceEvent]:
    """The events that the station told, to be paged."""
    query = select(DeviceEvent).where(DeviceEvent.station_id == station.id)
    if wanted.trigger is not None:
        query = query.where(DeviceEvent.trigger == wanted.trigger)
    if wanted.severity_up_to is not None:
        query = query.where(col(DeviceEvent.severity) <= wanted.severity_up_to)
    if wanted.component:
        query = query.where(DeviceEvent.component == wanted.component)
    if wanted.charge_point_number is not None:
        query = query.where(DeviceEvent.charge_point_number == wanted.charge_point_number)
    if wanted.transaction_id:
        query = query.where(DeviceEvent.transaction_id == wanted.transaction_id)
    return query
