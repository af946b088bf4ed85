"""S25: charging profiles and limits over HTTP."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, status
from sqlmodel import select

from csms.ids import Id
from csms.rights import Area, Caller
from csms.runtime import Runtime
from csms.station.charging_profiles import shapes
from csms.station.charging_profiles.model import ProfileReport, ProfileState
from csms.station.charging_profiles.rules.profile import Purpose, Unit
from csms.station.charging_profiles.service import dynamic, priority, sending
from csms.station.charging_profiles.service.in_force import Comparison, compare, in_force
from csms.station.charging_profiles.service.known import ProfileFilter, get_profile, profiles_query
from csms.station.commands import Command
from csms.station.information import Station, StationDep, StationId, get_station
from csms.store import Work
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter(prefix="/stations/{station_id}")

ProfileId = Annotated[Id, Path(description="the profile's id here")]
Number = Annotated[
    int, Path(ge=0, le=shapes.CHARGE_POINTS_MAX, description="the charge point's number; 0: the station")
]
Duration = Annotated[int, Query(ge=1, le=7 * 86_400, description="seconds from now on; a week at most")]
InUnit = Annotated[Unit, Query(description="of the curves")]
_CAN_SEND: Final = [may_write(Area.OPERATION)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such station, charge point or profile"},
    409: {"description": "the station may not be sent this now; the detail says why"},
    422: {"description": "the profile is wrong; `errors` has each place and what to do"},
}


async def _profile(runtime: Runtime, caller: Caller, station_id: str, row_id: int) -> shapes.ProfileShown:
    async with runtime.store.reading(caller) as work:
        row = await get_profile(work, await get_station(work, station_id), row_id)
        return shapes.ProfileShown.of(row)


async def _filter(
    state: Annotated[list[ProfileState] | None, Query(max_length=9, description="one or several")] = None,
    purpose: Annotated[list[Purpose] | None, Query(max_length=6, description="one or several")] = None,
    charge_point_number: Annotated[int | None, Query(ge=0, le=shapes.CHARGE_POINTS_MAX)] = None,
    transaction_id: Annotated[str | None, Query(max_length=36)] = None,
) -> ProfileFilter:
    return ProfileFilter(tuple(state or ()), tuple(purpose or ()), charge_point_number, transaction_id)


@router.get(
    "/charging-profiles",
    summary="The charging profiles of the station, with what is known of each",
    dependencies=[may_read()],
    openapi_extra=behind("SetChargingProfile", "ReportChargingProfiles"),
)
async def list_profiles(
    station: StationDep, work: Reading, page: PageDep, wanted: Annotated[ProfileFilter, Depends(_filter)]
) -> Page[shapes.ProfileShown]:
    """Newest first. `accepted` and `reported` are what the station has; the others are history."""
    rows, cursor = await page_of(work, profiles_query(station, wanted), page)
    return Page(items=[shapes.ProfileShown.of(row) for row in rows], next_cursor=cursor)


@router.post(
    "/charging-profiles",
    status_code=status.HTTP_201_CREATED,
    summary="Set a charging profile",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("SetChargingProfile"),
)
async def create_profile(
    station_id: StationId, body: shapes.NewProfile, runtime: RuntimeDep, caller: CallerDep
) -> shapes.ProfileShown:
    """Checked first, then sent; `state` says what the station answered."""
    row_id = await sending.set_profile(runtime, caller, station_id, body.charge_point_number, body.value())
    return await _profile(runtime, caller, station_id, row_id)


@router.post(
    "/charging-profiles/clear",
    summary="Remove all profiles that match",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("ClearChargingProfile"),
)
async def clear_profiles(
    station_id: StationId, body: shapes.ClearWanted, runtime: RuntimeDep, caller: CallerDep
) -> shapes.Removal:
    """`Unknown` means that the station has none such. A station of OCPP 1.6 removes all if nothing is given."""
    criteria = sending.Criteria(body.charge_point_number, body.purpose, body.stack_level)
    return _removal([await sending.clear_profiles(runtime, caller, station_id, criteria)])


def _removal(commands: list[Command]) -> shapes.Removal:
    return shapes.Removal(commands=[shapes.CommandResult.of(one) for one in commands])


@router.post(
    "/charging-profiles/refresh",
    summary="Ask the station which profiles it has (OCPP 2.x)",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("GetChargingProfiles", "ReportChargingProfiles"),
)
async def refresh_profiles(
    station_id: StationId, body: shapes.RefreshWanted, runtime: RuntimeDep, caller: CallerDep
) -> shapes.ReportShown:
    """The station reports them in pages that follow; see `charging-profile-reports` for how far it is."""
    wanted = sending.ReportWanted(
        number=body.charge_point_number,
        purpose=body.purpose,
        stack_level=body.stack_level,
        profile_ids=body.profile_ids,
        sources=body.sources,
    )
    report_id = await sending.refresh(runtime, caller, station_id, wanted)
    async with runtime.store.reading(caller) as work:
        report = await sending.get_report(work, await get_station(work, station_id), report_id)
        return shapes.ReportShown.of(report)


@router.get(
    "/charging-profiles/{charging_profile_id}",
    summary="One charging profile",
    dependencies=[may_read()],
    openapi_extra=behind("SetChargingProfile", "ReportChargingProfiles"),
)
async def show_profile(station: StationDep, work: Reading, charging_profile_id: ProfileId) -> shapes.ProfileShown:
    return shapes.ProfileShown.of(await get_profile(work, station, charging_profile_id))


@router.delete(
    "/charging-profiles/{charging_profile_id}",
    summary="Remove a charging profile from the station",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("ClearChargingProfile"),
)
async def delete_profile(
    station_id: StationId, charging_profile_id: ProfileId, runtime: RuntimeDep, caller: CallerDep
) -> shapes.ProfileShown:
    """The row stays in the history; `state` is `cleared` when the station has removed it."""
    await sending.clear_profile(runtime, caller, station_id, charging_profile_id)
    return await _profile(runtime, caller, station_id, charging_profile_id)


@router.post(
    "/charging-profiles/{charging_profile_id}/figures",
    summary="Change the figures of a dynamic profile (OCPP 2.1)",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("UpdateDynamicSchedule", "PullDynamicScheduleUpdate"),
)
async def change_figures(
    station_id: StationId,
    charging_profile_id: ProfileId,
    body: shapes.DynamicWanted,
    runtime: RuntimeDep,
    caller: CallerDep,
) -> shapes.ProfileShown:
    """Sent at once, or kept until the station asks for them."""
    await dynamic.change_figures(runtime, caller, station_id, charging_profile_id, body.update(), is_sent=body.send_now)
    return await _profile(runtime, caller, station_id, charging_profile_id)


@router.get(
    "/charging-profile-reports",
    summary="When the station was asked for its profiles, and what came of it",
    dependencies=[may_read()],
    openapi_extra=behind("GetChargingProfiles", "ReportChargingProfiles"),
)
async def list_reports(station: StationDep, work: Reading, page: PageDep) -> Page[shapes.ReportShown]:
    query = select(ProfileReport).where(ProfileReport.station_id == station.id)
    rows, cursor = await page_of(work, query, page)
    return Page(items=[shapes.ReportShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/charging-profile-reports/{report_id}",
    summary="One report of the station's profiles",
    dependencies=[may_read()],
    openapi_extra=behind("GetChargingProfiles", "ReportChargingProfiles"),
)
async def show_report(
    station: StationDep, work: Reading, report_id: Annotated[Id, Path(description="the report's id")]
) -> shapes.ReportShown:
    return shapes.ReportShown.of(await sending.get_report(work, station, report_id))


@router.get(
    "/charging-limits",
    summary="What limits the station and its charge points now",
    dependencies=[may_read()],
    openapi_extra=behind("NotifyChargingLimit", "ClearedChargingLimit"),
)
async def show_limits(station: StationDep, work: Reading) -> shapes.LimitsShown:
    """By all profiles and external limits that are known; the composite schedule shows it over time."""
    found, external = await in_force(work, station)
    return shapes.LimitsShown(
        station=shapes.InForceShown.of(found[0]),
        charge_points=[shapes.InForceShown.of(one) for one in found[1:]],
        external_limits=[shapes.ExternalLimitShown.of(one) for one in external],
    )


@router.put(
    "/charge-points/{number}/charging-limit",
    summary="Limit a charge point, its charge, or the whole station",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("SetChargingProfile"),
)
async def limit(
    station_id: StationId, number: Number, body: shapes.LimitWanted, runtime: RuntimeDep, caller: CallerDep
) -> shapes.ProfileShown:
    """Takes the place of the limit that was set so before. `state` says what the station answered."""
    value, unit = body.figure()
    wanted = sending.Wanted(value, unit, body.only_this_charge, body.until, body.phases)
    row_id = await sending.set_limit(runtime, caller, station_id, number, wanted)
    return await _profile(runtime, caller, station_id, row_id)


@router.delete(
    "/charge-points/{number}/charging-limit",
    summary="Remove a limit that was set so",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("ClearChargingProfile"),
)
async def remove_limit(
    station_id: StationId,
    number: Number,
    runtime: RuntimeDep,
    caller: CallerDep,
    only_this_charge: Annotated[bool | None, Query(description="left out: both kinds")] = None,
) -> shapes.Removal:
    return _removal(await sending.remove_limit(runtime, caller, station_id, number, is_charge=only_this_charge))


@router.post(
    "/charge-points/{number}/priority-charging",
    summary="Let the charge that runs there go before others, or not any more (OCPP 2.1)",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("UsePriorityCharging", "NotifyPriorityCharging"),
)
async def give_priority(
    station_id: StationId, number: Number, body: shapes.PriorityWanted, runtime: RuntimeDep, caller: CallerDep
) -> shapes.CommandResult:
    """Profiles of purpose `priority_charging` are then in force for it. `NoProfile`: the station has none."""
    command = await priority.give_priority(runtime, caller, station_id, number, is_active=body.is_active)
    return shapes.CommandResult.of(command)


async def _question(number: Number, duration_s: Duration = 86_400, unit: InUnit = Unit.AMPERE) -> sending.Question:
    return sending.Question(number, duration_s, unit)


@router.get(
    "/charge-points/{number}/composite-schedule",
    summary="What a charge point, or the whole station, may draw over the next hours",
    dependencies=[may_read()],
    responses=_PROBLEMS,
    openapi_extra=behind("GetCompositeSchedule"),
)
async def show_composite(
    station: StationDep, work: Reading, asked: Annotated[sending.Question, Depends(_question)]
) -> shapes.CompositeShown:
    """Calculated from what is known, beside what the station last told."""
    return await _composite(work, station, asked)


async def _composite(work: Work, station: Station, asked: sending.Question) -> shapes.CompositeShown:
    found = await compare(work, station, asked.number, timedelta(seconds=asked.duration_s), asked.unit)
    return shapes.CompositeShown(
        charge_point_number=asked.number,
        unit=asked.unit,
        starts_at=found.window.start,
        ends_at=found.window.end,
        calculated=shapes.points_of(found.calculated),
        told=_told(found),
        differences=None
        if found.differences is None
        else [shapes.DifferenceShown.of(one) for one in found.differences],
    )


def _told(found: Comparison) -> shapes.ToldShown | None:
    if found.row is None:
        return None
    return shapes.ToldShown(
        told_at=found.row.told_at,
        is_accepted=found.row.is_accepted,
        reason=found.row.reason,
        points=None if found.told is None else shapes.points_of(found.told),
        payload=found.row.schedule,
    )


@router.post(
    "/charge-points/{number}/composite-schedule",
    summary="Ask the station what it will allow, and compare it with the calculation",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("GetCompositeSchedule"),
)
async def ask_composite(
    station_id: StationId,
    runtime: RuntimeDep,
    caller: CallerDep,
    asked: Annotated[sending.Question, Depends(_question)],
) -> shapes.CompositeShown:
    command = await sending.ask_composite(runtime, caller, station_id, asked)
    async with runtime.store.reading(caller) as work:
        shown = await _composite(work, await get_station(work, station_id), asked)
    shown.command = shapes.CommandResult.of(command)
    return shown
