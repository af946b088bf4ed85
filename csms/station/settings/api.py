"""S15: the settings of a station over HTTP, the same whatever version of OCPP it speaks."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Response, status
from sqlmodel import col

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import Timeout
from csms.station.device_reports import Topic, get_report, reports_query
from csms.station.information import StationDep, StationId, get_station
from csms.station.settings.model import Setting, SettingChange, SettingRecommendation
from csms.station.settings.rules.recommending import Recommended
from csms.station.settings.rules.vocabulary import VOCABULARY
from csms.station.settings.service.changing import Wish, change_settings
from csms.station.settings.service.knowledge import SettingFilter, changes_query, get_setting, settings_query
from csms.station.settings.service.recommending import (
    add_recommendation,
    apply_recommended,
    change_recommendation,
    compare,
    deviating_ids,
    get_recommendation,
    recommendations_query,
    recommended_of,
)
from csms.station.settings.service.refreshing import Wanted, refresh
from csms.station.settings.shapes import (
    NUMBER_MAX,
    ApplyWanted,
    ChangesWanted,
    CommonShown,
    ComparisonShown,
    ComparisonsShown,
    RecommendationChange,
    RecommendationShown,
    RecommendationWanted,
    RefreshShown,
    RefreshWanted,
    ResultShown,
    ResultsShown,
    SettingChangeShown,
    SettingShown,
    ValueWanted,
)
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    RuntimeDep,
    Writing,
    behind,
    may_read,
    may_write,
    page_of,
    within,
)

router = APIRouter()

READING: Final = ("GetConfiguration", "GetVariables", "GetBaseReport", "GetReport", "NotifyReport")
CHANGING: Final = ("ChangeConfiguration", "SetVariables")

SettingId = Annotated[Id, Path(description="the setting's id")]


async def _filter(
    *,
    q: Annotated[str | None, Query(max_length=255, description="part of the name")] = None,
    component: Annotated[str | None, Query(max_length=50, description="of this component (2.x)")] = None,
    charge_point_number: Annotated[int | None, Query(ge=0, le=NUMBER_MAX)] = None,
    is_writable: Annotated[bool, Query(description="only what can be changed")] = False,
    reboot_required: Annotated[bool, Query(description="only what waits for a restart")] = False,
    is_unknown: Annotated[bool | None, Query(description="only what the station has not, or only what it has")] = None,
    is_common: Annotated[bool, Query(description="only what has a common name")] = False,
) -> SettingFilter:
    return SettingFilter(q, component, charge_point_number, is_writable, reboot_required, is_unknown, is_common)


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
async def list_common() -> Page[CommonShown]:
    """Use these names to read, change and recommend settings of stations of both kinds."""
    return Page(items=[CommonShown.model_validate(common) for common in VOCABULARY], next_cursor=None)


@router.get(
    "/settings/recommendations",
    dependencies=[may_read()],
    summary="Values that your stations should have",
)
async def list_recommendations(work: Reading, page: PageDep) -> Page[RecommendationShown]:
    """By name."""
    rows, cursor = await page_of(work, recommendations_query(), page, by=SettingRecommendation.key, descending=False)
    return Page(items=[RecommendationShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post(
    "/settings/recommendations",
    status_code=status.HTTP_201_CREATED,
    dependencies=_CAN_CHANGE,
    responses={
        409: {"description": "there is one for the same setting and stations, or there are too many"},
        422: {"description": "a secret, or a value that no station would take"},
    },
    summary="Recommend a value",
)
async def create_recommendation(work: Writing, body: RecommendationWanted) -> RecommendationShown:
    """For all stations, or those of a vendor or model. Nothing is sent; stations that have another value deviate."""
    wanted = Recommended(body.name, body.value, body.vendor, body.model)
    return RecommendationShown.model_validate(await add_recommendation(work, wanted, body.comment))


@router.patch(
    "/settings/recommendations/{recommendation_id}",
    dependencies=_CAN_CHANGE,
    summary="Change a recommended value",
)
async def update_recommendation(
    recommendation_id: Annotated[Id, Path()], work: Writing, body: RecommendationChange
) -> RecommendationShown:
    """Its setting and stations stay; delete it and make another for those."""
    row = await get_recommendation(work, recommendation_id)
    await change_recommendation(work, row, body.value, body.comment)
    return RecommendationShown.model_validate(row)


@router.delete(
    "/settings/recommendations/{recommendation_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=_CAN_CHANGE,
    summary="Recommend it no longer",
)
async def delete_recommendation(recommendation_id: Annotated[Id, Path()], work: Writing) -> Response:
    """Stations keep the values that they have."""
    await work.session.delete(await get_recommendation(work, recommendation_id))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get(
    "/stations/{station_id}/settings",
    dependencies=[may_read()],
    openapi_extra=behind(*READING),
    summary="The settings of a station as it last told them",
)
async def list_settings(
    station: StationDep,
    work: Reading,
    page: PageDep,
    wanted: Annotated[SettingFilter, Depends(_filter)],
    deviates: Annotated[bool | None, Query(description="only what is another than recommended, or as it is")] = None,
) -> Page[SettingShown]:
    """By name. Nothing here? Then they were never read: POST …/settings/refreshes."""
    query = settings_query(station, wanted)
    if deviates is not None:
        query = query.where(col(Setting.id).in_(await deviating_ids(work, station, is_deviating=deviates)))
    rows, cursor = await page_of(work, query, page, by=Setting.key, descending=False)
    recommended = await recommended_of(work, station)
    return Page(items=[SettingShown.of(row, station, recommended) for row in rows], next_cursor=cursor)


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
    "/stations/{station_id}/settings/recommendations",
    dependencies=[may_read()],
    summary="Recommended values beside those that the station has",
)
async def list_comparisons(station: StationDep, work: Reading) -> ComparisonsShown:
    """Those for its vendor and model hold before those for all. Compared with what it last told: refresh it first."""
    return ComparisonsShown(items=[ComparisonShown.of(one) for one in await compare(work, station)])


@router.post(
    "/stations/{station_id}/settings/recommendations/apply",
    dependencies=_CAN_CHANGE,
    responses=_PROBLEMS,
    openapi_extra=behind(*CHANGING),
    summary="Give the station the recommended values that it does not have",
)
async def apply_recommendations(
    station_id: StationId,
    runtime: RuntimeDep,
    caller: CallerDep,
    body: Annotated[ApplyWanted | None, Body()] = None,
    timeout_s: Timeout = None,
) -> ResultsShown:
    """Those that deviate, and those whose value is not known. What this station would not take is `not_sent`."""
    names = body.names if body else None
    results = await apply_recommended(runtime, caller, station_id, names, timeout_s=timeout_s)
    return ResultsShown(results=[ResultShown.of(result) for result in results])


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
    setting = await get_setting(work, station, setting_id)
    return SettingShown.of(setting, station, await recommended_of(work, station))


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
