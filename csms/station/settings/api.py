"""S15: the settings of a station over HTTP, the same whatever version of OCPP it speaks."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Depends, Path, Query, status
from pydantic import BeforeValidator, Field, StringConstraints

from csms.ids import Id
from csms.rights import Area
from csms.station.device_reports import DeviceReport, ReportState, Topic, get_report, reports_query
from csms.station.information import Station, StationDep, get_station
from csms.station.settings.model import Setting, SettingChange
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import listed
from csms.station.settings.rules.telling import names_secret
from csms.station.settings.rules.vocabulary import VOCABULARY, common_of
from csms.station.settings.rules.words import AttributeKind, DataType, Mutability, SettingOutcome
from csms.station.settings.service.changing import ChangeResult, Wish, change_settings
from csms.station.settings.service.knowledge import SettingFilter, changes_query, get_setting, settings_query
from csms.station.settings.service.refreshing import Part, Wanted, refresh
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

READING: Final = ("GetConfiguration", "GetVariables", "GetBaseReport", "GetReport", "NotifyReport")
CHANGING: Final = ("ChangeConfiguration", "SetVariables")
CHANGES_MAX: Final = 100
NAMES_MAX: Final = 200
NUMBER_MAX: Final = 10_000

StationId = Annotated[str, Path(max_length=48, description="the station's OCPP identity", examples=["CP-0001"])]
SettingId = Annotated[Id, Path(description="the setting's id")]
Timeout = Annotated[
    float | None,
    Query(ge=1, le=300, description="seconds to wait for each answer; the installation's default if left out"),
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(
        description=(
            "a common name (`heartbeat_interval`, see /settings/vocabulary), a key of OCPP 1.6 (`HeartbeatInterval`), "
            "or a variable of 2.x: `OCPPCommCtrlr.HeartbeatInterval`, `Connector#1.2.Available` (connector 2 of charge "
            "point 1), `DeviceDataCtrlr.ItemsPerMessage[GetReport]` (with an instance)"
        ),
        examples=["heartbeat_interval"],
    ),
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _as_text(value: object) -> object:
    """Numbers and true or false may stand as such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


Value = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | bool | int | float),
    StringConstraints(max_length=2500, pattern=r"^[^\x00]*$"),
    Field(description="as text; a number, true or false may stand as such", examples=["300"]),
]


class AttributeShown(Shown):
    """One attribute of a variable."""

    attribute: AttributeKind
    value: str | None
    mutability: Mutability | None
    is_persistent: bool | None
    is_constant: bool | None


class SettingShown(Shown):
    """A setting as the station last told it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    name: str = Field(examples=["OCPPCommCtrlr.HeartbeatInterval"])
    common_name: str | None = Field(description="its name whatever the station speaks", examples=["heartbeat_interval"])
    meaning: str | None = Field(description="in words, where it is known", examples=["Time between heartbeats"])
    component: str | None = Field(description="null in OCPP 1.6")
    component_instance: str | None
    charge_point_number: int | None = Field(description="null: of the station as a whole")
    connector_number: int | None
    variable: str
    variable_instance: str | None
    value: str | None = Field(description="the actual value; null where none was told, and always of secrets")
    attributes: list[AttributeShown] = Field(description="all attributes, `actual` first")
    mutability: Mutability | None = Field(description="of the actual value; null: not known")
    is_secret: bool = Field(description="the value is never shown")
    is_unknown: bool = Field(description="the station says that it has no such setting")
    data_type: DataType | None
    unit: str | None
    min_limit: float | None
    max_limit: float | None
    allowed_values: list[str] | None
    max_elements: int | None
    can_be_monitored: bool | None
    read_at: datetime | None = Field(description="when the station last told of it")
    changed_at: datetime | None = Field(description="when the station last took a value from here")
    changed_by: str | None
    reboot_required: bool = Field(description="a new value waits for the next restart")
    value_after_reboot: str | None

    @classmethod
    def of(cls, setting: Setting, station: Station) -> Self:
        common = common_of(setting.key)
        more: dict[str, Any] = {
            "station_id": station.identity,
            "common_name": common.name if common else None,
            "meaning": common.meaning if common else None,
            "data_type": setting.data_type or (common.data_type if common else None),
            "unit": setting.unit or (common.unit if common else None),
            "allowed_values": None if setting.values_list is None else listed(setting.values_list),
            "attributes": _attributes(setting),
            "reboot_required": setting.reboot_required_since is not None,
        }
        return cls.model_validate(setting.model_dump() | more)


def _attributes(setting: Setting) -> list[AttributeShown]:
    actual = {name: getattr(setting, name) for name in ("value", "mutability", "is_persistent", "is_constant")}
    every = {AttributeKind.ACTUAL: actual, **(setting.attributes or {})}
    empty = dict.fromkeys(actual)
    return [AttributeShown.model_validate({"attribute": kind, **empty, **told}) for kind, told in every.items()]


class ComponentWanted(Strict):
    """A component of OCPP 2.x, or one of its variables."""

    component: Word = Field(examples=["OCPPCommCtrlr"])
    component_instance: Word | None = None
    charge_point_number: int | None = Field(None, ge=0, le=NUMBER_MAX)
    connector_number: int | None = Field(None, ge=0, le=NUMBER_MAX)
    variable: Word | None = Field(None, description="left out: all variables of the component")
    variable_instance: Word | None = None

    def part(self) -> Part:
        return Part(
            Address(
                self.variable or "",
                self.component,
                self.component_instance,
                self.charge_point_number,
                self.connector_number,
                self.variable_instance,
            )
        )


class RefreshWanted(Strict):
    """What to read; without anything, all settings."""

    scope: Literal["all", "configuration", "summary"] = Field(
        "all",
        description="2.x: the full inventory, what can be configured, or what is wrong; OCPP 1.6 always tells all",
    )
    names: list[Name] = Field(default_factory=list, max_length=NAMES_MAX, description="only these settings")
    components: list[ComponentWanted] = Field(
        default_factory=list, max_length=NAMES_MAX, description="2.x: only these components or variables"
    )
    criteria: list[Literal["active", "available", "enabled", "problem"]] = Field(
        default_factory=list, max_length=4, description="2.x: only components in one of these states"
    )


class RefreshShown(Shown):
    """A refresh and what came of it."""

    id: Id
    station_id: str = Field(examples=["CP-0001"])
    scope: str = Field(description="all, configuration, summary, names, chosen; of raw commands OCPP's own word")
    state: ReportState
    requested_at: datetime
    requested_by: str
    part_count: int = Field(description="parts that came; 0 where the answer itself held the settings")
    item_count: int = Field(description="settings that were told")
    ended_at: datetime | None
    detail: str | None = Field(description="why it is not complete, or which settings the station does not have")

    @classmethod
    def of(cls, report: DeviceReport, identity: str) -> Self:
        more = {"station_id": identity, "state": report.state, "part_count": len(report.parts)}
        return cls.model_validate(report.model_dump() | more)


class ChangeWanted(Strict):
    """A setting and the value that it shall have."""

    name: Name
    value: Value
    attribute: AttributeKind = Field(AttributeKind.ACTUAL, description="OCPP 1.6 has `actual` alone")


class ChangesWanted(Strict):
    """Settings to change; nothing is sent if one of them cannot be right."""

    changes: list[ChangeWanted] = Field(min_length=1, max_length=CHANGES_MAX)


class ValueWanted(Strict):
    """The value that a setting shall have."""

    value: Value
    attribute: AttributeKind = AttributeKind.ACTUAL


class ResultShown(Shown):
    """What came of changing one setting."""

    name: str = Field(description="as you wrote it", examples=["heartbeat_interval"])
    setting: str = Field(description="as the station calls it", examples=["OCPPCommCtrlr.HeartbeatInterval"])
    attribute: AttributeKind
    value: str | None = Field(description="what was asked for; null for a secret")
    outcome: SettingOutcome
    detail: str = Field(description="in words", examples=["the station has taken the value"])
    command_id: Id | None = Field(description="the command log's entry, if one was sent")

    @classmethod
    def of(cls, result: ChangeResult) -> Self:
        return cls(
            name=result.wish.name,
            setting=result.address.name,
            attribute=result.wish.attribute,
            value=None if names_secret(result.address) else result.wish.value,
            outcome=result.outcome,
            detail=result.detail,
            command_id=result.command_id,
        )


class ResultsShown(Shown):
    """What came of each change, in their order."""

    results: list[ResultShown]


class SettingChangeShown(Shown):
    """An entry of the history."""

    id: Id
    name: str
    attribute: AttributeKind
    at: datetime
    old_value: str | None
    new_value: str | None = Field(description="what was asked for, or seen; null for a secret")
    outcome: SettingOutcome
    reason: str | None = Field(description="the station's own words")
    changed_by: str | None = Field(description="null: not changed from here, only seen")
    command_id: Id | None


class CommonShown(Shown):
    """A setting that has one name whatever the station speaks."""

    name: str = Field(examples=["heartbeat_interval"])
    meaning: str
    key: str | None = Field(description="in OCPP 1.6", examples=["HeartbeatInterval"])
    variable: str | None = Field(description="in OCPP 2.x", examples=["OCPPCommCtrlr.HeartbeatInterval"])
    data_type: DataType
    unit: str | None


async def _filter(
    *,
    text: Annotated[str | None, Query(max_length=255, description="part of the name")] = None,
    component: Annotated[str | None, Query(max_length=50, description="of this component (2.x)")] = None,
    charge_point_number: Annotated[int | None, Query(ge=0, le=NUMBER_MAX)] = None,
    is_writable: Annotated[bool, Query(description="only what can be changed")] = False,
    reboot_required: Annotated[bool, Query(description="only what waits for a restart")] = False,
    is_unknown: Annotated[bool | None, Query(description="only what the station has not, or only what it has")] = None,
    is_common: Annotated[bool, Query(description="only what has a common name")] = False,
) -> SettingFilter:
    return SettingFilter(text, component, charge_point_number, is_writable, reboot_required, is_unknown, is_common)


_CAN_CHANGE: Final = [may_write(Area.OPERATION)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "the station may not be asked this now, or it is its login password"},
    422: {"description": "no such setting in the station's version of OCPP, or a value that it cannot take"},
}


@router.get(
    "/settings/vocabulary",
    dependencies=[may_read()],
    summary="Settings that have one name, whatever version of OCPP a station speaks",
)
async def list_common() -> list[CommonShown]:
    """Use these names to read, change and recommend settings of stations of both kinds."""
    return [CommonShown.model_validate(common) for common in VOCABULARY]


@router.get(
    "/stations/{station_id}/settings",
    dependencies=[may_read()],
    openapi_extra=behind(*READING),
    summary="The settings of a station as it last told them",
)
async def list_settings(
    station: StationDep, work: Reading, page: PageDep, wanted: Annotated[SettingFilter, Depends(_filter)]
) -> Page[SettingShown]:
    """By name. Nothing here? Then they were never read: POST …/settings/refreshes."""
    rows, cursor = await page_of(work, settings_query(station, wanted), page, by=Setting.key, descending=False)
    return Page(items=[SettingShown.of(row, station) for row in rows], next_cursor=cursor)


@router.patch(
    "/stations/{station_id}/settings",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind(*CHANGING),
    summary="Change settings by name",
)
async def change_several(
    station_id: StationId, body: ChangesWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> ResultsShown:
    """Each has an outcome of its own. `reboot_required` means: taken, in force after the next restart."""
    wishes = [Wish(change.name, change.value, change.attribute) for change in body.changes]
    results = await change_settings(runtime, caller, station_id, wishes, timeout_s=timeout_s)
    return ResultsShown(results=[ResultShown.of(result) for result in results])


@router.get(
    "/stations/{station_id}/settings/refreshes",
    dependencies=[may_read()],
    openapi_extra=behind("GetBaseReport", "GetReport", "NotifyReport"),
    summary="Refreshes of the settings, newest first",
)
async def list_refreshes(station: StationDep, work: Reading, page: PageDep) -> Page[RefreshShown]:
    """Also those that were asked for by a raw command."""
    rows, cursor = await page_of(work, reports_query(station, Topic.SETTINGS), page)
    return Page(items=[RefreshShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/stations/{station_id}/settings/refreshes",
    status_code=status.HTTP_201_CREATED,
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind(*READING),
    summary="Read settings from the station",
)
async def start_refresh(
    station_id: StationId, body: RefreshWanted, runtime: RuntimeDep, caller: CallerDep, timeout_s: Timeout = None
) -> RefreshShown:
    """Reads by name, and OCPP 1.6, answer at once: `complete`.

    An inventory of 2.x comes in parts (`receiving`): GET the refresh until it has ended. What has come can be read
    meanwhile.
    """
    parts = tuple(component.part() for component in body.components)
    wanted = Wanted(body.scope, tuple(body.names), parts, tuple(dict.fromkeys(body.criteria)))
    report = await refresh(runtime, caller, station_id, wanted, timeout_s=timeout_s)
    return RefreshShown.of(report, station_id)


@router.get(
    "/stations/{station_id}/settings/refreshes/{refresh_id}",
    dependencies=[may_read()],
    summary="One refresh and how far it is",
)
async def show_refresh(refresh_id: Annotated[Id, Path()], station: StationDep, work: Reading) -> RefreshShown:
    """The state ends as `complete`, `incomplete` (parts stayed away), `empty` or `refused`."""
    return RefreshShown.of(await get_report(work, station, Topic.SETTINGS, refresh_id), station.identity)


@router.get(
    "/stations/{station_id}/settings/changes",
    dependencies=[may_read()],
    openapi_extra=behind(*CHANGING),
    summary="The history of all changes of settings, newest first",
)
async def list_changes(
    station: StationDep, work: Reading, page: PageDep, period: PeriodDep
) -> Page[SettingChangeShown]:
    """Tries that the station refused are here too, and changes that were only seen when settings were read."""
    query = within(changes_query(station), SettingChange.at, period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[SettingChangeShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.get(
    "/stations/{station_id}/settings/{setting_id}",
    dependencies=[may_read()],
    summary="One setting",
)
async def show_setting(setting_id: SettingId, station: StationDep, work: Reading) -> SettingShown:
    """As the station last told it."""
    return SettingShown.of(await get_setting(work, station, setting_id), station)


@router.put(
    "/stations/{station_id}/settings/{setting_id}/value",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind(*CHANGING),
    summary="Change one setting",
)
async def change_one(
    setting_id: SettingId,
    station_id: StationId,
    body: ValueWanted,
    *,
    runtime: RuntimeDep,
    caller: CallerDep,
    timeout_s: Timeout = None,
) -> ResultShown:
    """The value is shown as the setting's only after the station has taken it."""
    async with runtime.store.reading(caller) as work:
        setting = await get_setting(work, await get_station(work, station_id), setting_id)
    wish = Wish(setting.name, body.value, body.attribute, setting.address)
    results = await change_settings(runtime, caller, station_id, [wish], timeout_s=timeout_s)
    return ResultShown.of(results[0])


@router.get(
    "/stations/{station_id}/settings/{setting_id}/changes",
    dependencies=[may_read()],
    summary="The history of one setting, newest first",
)
async def list_changes_of(
    setting_id: SettingId, station: StationDep, work: Reading, page: PageDep, period: PeriodDep
) -> Page[SettingChangeShown]:
    """Who asked for what, and what the station said."""
    setting = await get_setting(work, station, setting_id)
    query = within(changes_query(station, setting.key), SettingChange.at, period)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[SettingChangeShown.model_validate(row) for row in rows], next_cursor=cursor)
