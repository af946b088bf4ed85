"""S15: sorts what stations told of their monitors into the table."""

from collections.abc import Iterable
from typing import Any, Final

import structlog
from sqlmodel import col, delete, select

from csms.runtime import Runtime
from csms.station.device_reports import DeviceMessage, DeviceReport, ReportState, Topic, take
from csms.station.information import Station
from csms.station.monitoring.model import MonitoringPolicy, VariableMonitor
from csms.station.monitoring.rules.telling import BaseTaken, Cleared, LevelTaken, MonitorTold, Said, read_message
from csms.station.monitoring.rules.words import MonitoringBase, Origin
from csms.station.settings import read_address
from csms.store import Fact, Work

log = structlog.get_logger(__name__)

MESSAGES_A_UNIT: Final = 20
MONITORS_MAX: Final = 5_000
"""Monitors of one station that are kept."""
ALL: Final = "all"
"""The scope of a report that tells every monitor, so that what it leaves out is gone."""

Monitors = dict[int, VariableMonitor]


async def sort_in(work: Work, station_id: int) -> bool:
    """Sort in the oldest messages of a station; returns whether there may be more."""
    messages = await take(work, station_id, Topic.MONITORS, "monitor", MESSAGES_A_UNIT)
    if not messages:
        return False
    query = select(VariableMonitor).where(VariableMonitor.station_id == station_id)
    monitors = {monitor.monitor_id: monitor for monitor in await work.session.exec(query)}
    for message in messages:
        for one in read_message(message.action, message.request, message.answer):
            await _take(work, message, monitors, one)
    await work.session.flush()
    await _forget_untold(work, messages)
    await _tell(work, messages[-1])
    return len(messages) == MESSAGES_A_UNIT


async def sort_in_now(runtime: Runtime, station_id: int) -> None:
    """Sort in all that waits, so that the caller reads what the station has just answered."""
    has_more = True
    while has_more:
        async with runtime.store.writing() as work:
            has_more = await sort_in(work, station_id)


async def _take(work: Work, message: DeviceMessage, monitors: Monitors, one: Said) -> None:
    match one:
        case MonitorTold():
            _keep(work, message, monitors, one)
        case Cleared(monitor_id):
            await _remove(work, monitors, [monitor_id])
        case BaseTaken(base):
            policy = await _policy(work, message)
            policy.base, policy.base_set_at = base, message.at
            await _remove(work, monitors, _gone_by(base, monitors.values()))
        case LevelTaken(level):
            policy = await _policy(work, message)
            policy.level, policy.level_set_at = level, message.at


def _keep(work: Work, message: DeviceMessage, monitors: Monitors, told: MonitorTold) -> None:
    address = read_address(told.item)
    if address is None or address.component is None:
        return
    known = monitors.get(told.monitor_id)
    values: dict[str, Any] = {
        "name": address.name,
        "component": address.component,
        "component_instance": address.component_instance,
        "charge_point_number": address.evse,
        "connector_number": address.connector,
        "variable": address.variable,
        "variable_instance": address.variable_instance,
        "kind": told.kind,
        "value": told.value,
        "severity": told.severity,
        "is_transaction_only": told.is_transaction_only,
        "told_at": message.at,
    }
    if known is not None:
        known.sqlmodel_update(values | {"origin": told.origin or known.origin})
        return
    if len(monitors) >= MONITORS_MAX:
        log.warning("a station tells more monitors than are kept", station_id=message.station_id)
        return
    row = VariableMonitor(
        organisation_id=message.organisation_id,
        station_id=message.station_id,
        monitor_id=told.monitor_id,
        origin=told.origin,
        **values,
    )
    monitors[told.monitor_id] = row
    work.session.add(row)


def _gone_by(base: MonitoringBase, monitors: Iterable[VariableMonitor]) -> list[int]:
    """2.0.1 N05: the factory's monitors have no custom ones beside them; of hard-wired ones there are only those."""
    gone = {
        MonitoringBase.ALL: (),
        MonitoringBase.FACTORY_DEFAULT: (Origin.CUSTOM_MONITOR,),
        MonitoringBase.HARD_WIRED_ONLY: (Origin.CUSTOM_MONITOR, Origin.PRECONFIGURED_MONITOR),
    }[base]
    return [monitor.monitor_id for monitor in monitors if monitor.origin in gone]


async def _remove(work: Work, monitors: Monitors, numbers: Iterable[int]) -> None:
    for number in numbers:
        row = monitors.pop(number, None)
        if row is not None:
            await work.session.flush()
            await work.session.delete(row)
            await work.session.flush()  # the number may come again in the same unit of work


async def _policy(work: Work, message: DeviceMessage) -> MonitoringPolicy:
    policy = await policy_of(work, message.station_id)
    if policy is None:
        policy = MonitoringPolicy(organisation_id=message.organisation_id, station_id=message.station_id)
        work.session.add(policy)
        await work.session.flush()
    return policy


async def policy_of(work: Work, station_id: int) -> MonitoringPolicy | None:
    query = select(MonitoringPolicy).where(MonitoringPolicy.station_id == station_id)
    return (await work.session.exec(query)).first()


async def _forget_untold(work: Work, messages: Iterable[DeviceMessage]) -> None:
    """A whole report of all monitors has come: those that it did not tell are gone."""
    numbers = {message.request.get("requestId") for message in messages if message.answer is None}
    for request_id in numbers - {None}:
        query = select(DeviceReport).where(
            DeviceReport.station_id == next(iter(messages)).station_id, DeviceReport.request_id == request_id
        )
        report = (await work.session.exec(query)).first()
        if report is None or report.scope != ALL or report.state is not ReportState.COMPLETE:
            continue
        await work.session.exec(
            delete(VariableMonitor).where(
                col(VariableMonitor.station_id) == report.station_id,
                col(VariableMonitor.told_at) < report.requested_at,
            )
        )


async def _tell(work: Work, last: DeviceMessage) -> None:
    """Connected stations' memory of severities is loaded anew by this news."""
    station = await work.session.get(Station, last.station_id)
    work.emit(
        Fact(
            kind="monitors_updated",
            organisation_id=last.organisation_id,
            station_id=last.station_id,
            station=station.identity if station else None,
        )
    )
