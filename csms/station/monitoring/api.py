"""S15: monitors of a station and the events that it told, over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Depends, Path, Query, status
from pydantic import Field, StringConstraints

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import Timeout
from csms.station.device_reports import DeviceReport, ReportState, Topic, get_report, reports_query
from csms.station.information import StationDep, StationId
from csms.station.monitoring.model import DeviceEvent, VariableMonitor
from csms.station.monitoring.rules.words import (
    SEVERITY_MAX,
    EventTrigger,
    MonitoringBase,
    MonitorKind,
    MonitorOutcome,
    Origin,
)
from csms.station.monitoring.service.setting import (
    EventFilter,
    MonitorResult,
    MonitorWish,
    Wanted,
    clear_monitors,
    events_query,
    get_monitor,
    monitors_query,
    refresh_monitors,
    set_base,
    set_level,
    set_monitors,
)
from csms.station.monitoring.service.sorting import policy_of
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    behind,
    may_read,
    may_write,
    page_of,
    within,
)

router = APIRouter()

MONITORS_MAX: Final = 50
NUMBER_MAX: Final = 10_000
MonitorId = Annotated[Id, Path(description="the monitor's id here")]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="as settings are named: `Component.Variable`", examples=["EVSE#1.Power"]),
]
Severity = Annotated[
    int,
    Field(ge=0, le=SEVERITY_MAX, description="0 danger, 2 system failure, 5 alert, 7 notice, 9 debug", examples=[5]),
]


class MonitorWanted(Strict):
    """Something that the station shall watch."""

    name: Name
    kind: MonitorKind = Field(examples=["upper_threshold"])
    value: float = Field(
        ge=-1e12, le=1e12, description="the threshold, the difference, or the seconds between events", examples=[11000]
    )
    severity: Severity
    is_transaction_only: bool = Field(False, description="only while a transaction is running")
    monitor_id: int | None = Field(
        None, ge=0, le=2**31 - 1, description="the station's number of a custom monitor to put this in place of"
    )


class MonitorsWanted(Strict):
    """Monitors to set."""

    monitors: list[MonitorWanted] = Field(min_length=1, max_length=MONITORS_MAX)


class MonitorsToClear(Strict):
    """Monitors by their ids here."""

    ids: list[Id] = Field(min_length=1, max_length=200)


class MonitorResultShown(Shown):
    """What came of it."""

    outcome: MonitorOutcome
    detail: str = Field(description="in words", examples=["the station does it from now on"])
    command_id: Id | None = Field(description="the command log's entry, if one was sent")
    monitor_id: int | None = Field(description="the station's number of the monitor")


class MonitorResultsShown(Shown):
    """What came of each monitor, in their order."""

    results: list[MonitorResultShown]


class MonitorShown(Shown):
    """A monitor that the station has, as far as it is known."""

    id: Id
    monitor_id: int = Field(description="the station's own number")
    name: str = Field(examples=["EVSE#1.Power"])
    component: str
    component_instance: str | None
    charge_point_number: int | None = Field(description="null: of the station as a whole")
    connector_number: int | None
    variable: str
    variable_instance: str | None
    kind: MonitorKind
    value: float
    severity: int
    is_transaction_only: bool
    origin: Origin | None = Field(description="null: the station did not say who made it")
    told_at: datetime = Field(description="when the station last said that it has it")


class MonitoringShown(Shown):
    """What the station was told to watch and to tell at all."""

    base: MonitoringBase | None = Field(description="null: never set from here")
    base_set_at: datetime | None
    level: int | None = Field(description="events with a greater severity number are not told; null: never set")
    level_set_at: datetime | None


class BaseWanted(Strict):
    """Which monitors the station shall have."""

    base: MonitoringBase = Field(
        description="all: also preconfigured ones; factory_default: without custom ones; hard_wired_only: nothing else"
    )


class LevelWanted(Strict):
    """Which events the station shall tell."""

    level: Severity


class RefreshWanted(Strict):
    """Which monitors to ask for; without anything, all."""

    names: list[Name] = Field(default_factory=list, max_length=100, description="only of these variables")
    criteria: list[Literal["threshold", "delta", "periodic"]] = Field(default_factory=list, max_length=3)


class RefreshShown(Shown):
    """A refresh of the monitors and what came of it."""

    id: Id
    scope: str = Field(description="all or chosen")
    state: ReportState
    requested_at: datetime
    requested_by: str
    part_count: int = Field(description="parts that came")
    ended_at: datetime | None
    detail: str | None = Field(description="why it is not complete")

    @classmethod
    def of(cls, report: DeviceReport) -> Self:
        more = {"state": report.state, "part_count": len(report.parts)}
        return cls.model_validate(report.model_dump() | more)


class DeviceEventShown(Shown):
    """An event of a component, as the station told it."""

    id: Id
    event_id: int = Field(description="the station's own number")
    at: datetime = Field(description="by the station's clock")
    received_at: datetime
    trigger: EventTrigger
    severity: int | None = Field(description="of the event or of the monitor behind it; null: not known")
    component: str
    component_instance: str | None
    charge_point_number: int | None = Field(description="null: of the station as a whole")
    connector_number: int | None
    variable: str
    variable_instance: str | None
    actual_value: str
    is_cleared: bool = Field(description="what was wrong is over")
    origin: Origin | None
    monitor_id: int | None = Field(description="the station's number of the monitor that made it")
    cause_event_id: int | None = Field(description="the event that this one follows from")
    tech_code: str | None
    tech_info: str | None
    transaction_id: str | None


async def _filter(
    *,
    trigger: Annotated[EventTrigger | None, Query()] = None,
    severity_up_to: Annotated[
        int | None, Query(ge=0, le=SEVERITY_MAX, description="as severe as this, or more")
    ] = None,
    component: Annotated[str | None, Query(max_length=50)] = None,
    charge_point_number: Annotated[int | None, Query(ge=0, le=NUMBER_MAX)] = None,
    transaction_id: Annotated[str | None, Query(max_length=36)] = None,
) -> EventFilter:
    return EventFilter(trigger, severity_up_to, component, charge_point_number, transaction_id)


def _shown(result: MonitorResult) -> MonitorResultShown:
    return MonitorResultShown.model_validate(result)


_CAN_CHANGE: Final = [may_write(Area.OPERATION)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "the station speaks OCPP 1.6, which has no monitors, or may not be asked this now"},
    422: {"description": "no such variable, or a kind that the station's version of OCPP does not have"},
}


@router.get(
    "/stations/{station_id}/monitors",
    dependencies=[may_read()],
    openapi_extra=behind("SetVariableMonitoring", "NotifyMonitoringReport"),
    summary="What the station watches, as far as it is known",
)
async def list_monitors(station: StationDep, work: Reading, page: PageDep) -> Page[MonitorShown]:
    """By the station's numbers. To learn of monitors that were not set from here: POST …/monitors/refreshes."""
    rows, cursor = await page_of(work, monitors_query(station), page, by=VariableMonitor.monitor_id, descending=False)
    return Page(items=[MonitorShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/stations/{station_id}/monitors",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("SetVariableMonitoring"),
    summary="Have the station watch variables",
)
async def create_monitors(
    station_id: StationId, body: MonitorsWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> MonitorResultsShown:
    """Each has an outcome of its own."""
    wishes = [MonitorWish(**wanted.model_dump()) for wanted in body.monitors]
    results = await set_monitors(runtime, caller, station_id, wishes, timeout_s=timeout_s)
    return MonitorResultsShown(results=[_shown(result) for result in results])


@router.get(
    "/stations/{station_id}/monitors/refreshes",
    dependencies=[may_read()],
    summary="Refreshes of the monitors, newest first",
)
async def list_refreshes(station: StationDep, work: Reading, page: PageDep) -> Page[RefreshShown]:
    """Also those that were asked for by a raw command."""
    rows, cursor = await page_of(work, reports_query(station, Topic.MONITORS), page)
    return Page(items=[RefreshShown.of(row) for row in rows], next_cursor=cursor)


@router.post(
    "/stations/{station_id}/monitors/refreshes",
    status_code=status.HTTP_201_CREATED,
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("GetMonitoringReport", "NotifyMonitoringReport"),
    summary="Ask the station for its monitors",
)
async def start_refresh(
    station_id: StationId, body: RefreshWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> RefreshShown:
    """They come in parts: GET the refresh until it has ended. After a refresh of all, what was not told is gone."""
    wanted = Wanted(tuple(body.names), tuple(body.criteria))
    return RefreshShown.of(await refresh_monitors(runtime, caller, station_id, wanted, timeout_s=timeout_s))


@router.get(
    "/stations/{station_id}/monitors/refreshes/{refresh_id}",
    dependencies=[may_read()],
    summary="One refresh of the monitors and how far it is",
)
async def show_refresh(refresh_id: Annotated[Id, Path()], station: StationDep, work: Reading) -> RefreshShown:
    """The state ends as `complete`, `incomplete` (parts stayed away), `empty` or `refused`."""
    return RefreshShown.of(await get_report(work, station, Topic.MONITORS, refresh_id))


@router.get("/stations/{station_id}/monitors/{monitor_id}", dependencies=[may_read()], summary="One monitor")
async def show_monitor(monitor_id: MonitorId, station: StationDep, work: Reading) -> MonitorShown:
    """As the station last told it."""
    return MonitorShown.model_validate(await get_monitor(work, station, monitor_id))


@router.delete(
    "/stations/{station_id}/monitors/{monitor_id}",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("ClearVariableMonitoring"),
    summary="Have the station stop watching",
)
async def delete_monitor(
    monitor_id: MonitorId, station_id: StationId, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> MonitorResultShown:
    """The monitor is gone from the list once the station has cleared it, or says that it does not have it."""
    results = await clear_monitors(runtime, caller, station_id, [monitor_id], timeout_s=timeout_s)
    return _shown(results[0])


@router.post(
    "/stations/{station_id}/monitors/clear",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("ClearVariableMonitoring"),
    summary="Have the station stop watching several things",
)
async def delete_monitors(
    station_id: StationId, body: MonitorsToClear, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> MonitorResultsShown:
    """In as few messages as the station takes; each has an outcome of its own."""
    results = await clear_monitors(runtime, caller, station_id, body.ids, timeout_s=timeout_s)
    return MonitorResultsShown(results=[_shown(result) for result in results])


@router.get(
    "/stations/{station_id}/monitoring",
    dependencies=[may_read()],
    openapi_extra=behind("SetMonitoringBase", "SetMonitoringLevel"),
    summary="Which monitors the station has at all, and which events it tells",
)
async def show_monitoring(station: StationDep, work: Reading) -> MonitoringShown:
    """As it was set from here; nulls where it never was."""
    policy = await policy_of(work, station.id)
    nothing = dict.fromkeys(MonitoringShown.model_fields)
    return MonitoringShown.model_validate(policy or nothing)


@router.put(
    "/stations/{station_id}/monitoring/base",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("SetMonitoringBase"),
    summary="Set which monitors the station has at all",
)
async def change_base(
    station_id: StationId, body: BaseWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> MonitorResultShown:
    """`factory_default` and `hard_wired_only` remove the monitors that were set from here."""
    return _shown(await set_base(runtime, caller, station_id, body.base, timeout_s=timeout_s))


@router.put(
    "/stations/{station_id}/monitoring/level",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind("SetMonitoringLevel"),
    summary="Set which events the station tells",
)
async def change_level(
    station_id: StationId, body: LevelWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> MonitorResultShown:
    """Events with a greater severity number are not told."""
    return _shown(await set_level(runtime, caller, station_id, body.level, timeout_s=timeout_s))


@router.get(
    "/stations/{station_id}/device-events",
    dependencies=[may_read()],
    openapi_extra=behind("NotifyEvent"),
    summary="Events that the station told of its components, newest first",
)
async def list_device_events(
    station: StationDep,
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    wanted: Annotated[EventFilter, Depends(_filter)],
) -> Page[DeviceEventShown]:
    """OCPP 2.x only; alerting ones are errors as well. `from` and `to` are about when they were received."""
    query = within(events_query(station, wanted), DeviceEvent.received_at, period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[DeviceEventShown.model_validate(row) for row in rows], next_cursor=cursor)
