"""S25: what stations tell by themselves: the profiles they have, and limits from outside."""

from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import col, select

from csms.routing import ConnectedStation, Payload
from csms.station.charging_profiles.model import (
    INSTALLED,
    ChargingLimit,
    ChargingProfile,
    ProfileReport,
    ProfileState,
    ReportState,
)
from csms.station.charging_profiles.rules.profile import Kind, Purpose
from csms.station.charging_profiles.rules.wire import read_profile
from csms.station.charging_profiles.service.known import LIMITS_MAX, PROFILES_MAX, installed_rows
from csms.station.charging_profiles.service.storing import Told, find_report, forget_unreported, integer, place_of, tell
from csms.store import Work

_PAGE_MAX: Final = 500
"""Profiles that are read of one message."""
_SOURCE_CHARS_MAX: Final = 40
_DYNAMIC: Final = (
    *("limit", "limit_L2", "limit_L3", "dischargeLimit", "dischargeLimit_L2", "dischargeLimit_L3"),
    *("setpoint", "setpoint_L2", "setpoint_L3", "setpointReactive", "setpointReactive_L2", "setpointReactive_L3"),
)
"""2.1 ChargingScheduleUpdateType."""


def _source(payload: Payload) -> str:
    return str(payload.get("chargingLimitSource") or "Other")[:_SOURCE_CHARS_MAX]


async def profiles_reported(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """One page of ReportChargingProfiles (2.0.1 K09.FR.02); pages may come in any order."""
    number, source = place_of(payload, "evseId"), _source(payload)
    listed = payload.get("chargingProfile")
    items = listed[:_PAGE_MAX] if isinstance(listed, list) else []
    profiles = [(profile, item) for item in items if (profile := read_profile(item)) is not None]
    known = await _known(work, station, [profile.id for profile, _ in profiles])
    room = PROFILES_MAX - len(await installed_rows(work, station.id))
    seen: set[int] = set()
    for profile, item in profiles:
        row, told = known.get((profile.id, number)), Told(number, profile, item, source)
        if row is not None:
            _confirm(work, station, row, told)
            seen.add(row.id)
        elif room > 0:
            room -= 1
            seen.add(_add(work, station, told))
    await _count_page(work, station, payload, kept=len(seen), ignored=len(items) - len(seen), seen=frozenset(seen))
    tell(work, station, number)


async def _known(work: Work, station: ConnectedStation, ids: Sequence[int]) -> dict[tuple[int, int], ChargingProfile]:
    """The newest row of each of these profiles that the station has, or had until a report left it out."""
    query = select(ChargingProfile).where(
        ChargingProfile.station_id == station.id,
        col(ChargingProfile.profile_id).in_(ids),
        col(ChargingProfile.state).in_((*INSTALLED, ProfileState.CLEARED, ProfileState.UNCERTAIN)),
    )
    rows = await work.session.exec(query.order_by(col(ChargingProfile.id)).limit(4 * PROFILES_MAX))
    return {(row.profile_id, row.charge_point_number): row for row in rows}


def _confirm(work: Work, station: ConnectedStation, row: ChargingProfile, told: Told) -> None:
    """The station's word is the truth, also where it differs from what was sent."""
    columns = told.columns(station)
    columns["transaction_id"] = told.profile.transaction_id or row.transaction_id
    if row.state not in INSTALLED or row.payload != told.payload or row.source != told.source:
        columns |= {"state": ProfileState.REPORTED, "state_at": work.now, "reason": None}
    work.change(ChargingProfile, row.id, **columns, reported_at=work.now)


def _add(work: Work, station: ConnectedStation, told: Told) -> int:
    state = ProfileState.REPORTED
    return work.insert(ChargingProfile, **told.columns(station), state=state, state_at=work.now, reported_at=work.now)


async def _count_page(
    work: Work, station: ConnectedStation, payload: Payload, *, kept: int, ignored: int, seen: frozenset[int]
) -> None:
    request_id = integer(payload, "requestId")
    report = None if request_id is None else await find_report(work, station.id, request_id)
    if report is None:
        return
    is_last = payload.get("tbc") is not True
    state = ReportState.COMPLETE if is_last or report.state is ReportState.COMPLETE else ReportState.RECEIVING
    counts = {"pages": report.pages + 1, "profiles": report.profiles + kept, "ignored": report.ignored + ignored}
    work.change(ProfileReport, report.id, state=state, state_at=work.now, **counts)
    if is_last and report.state is not ReportState.COMPLETE:
        rows = await installed_rows(work, station.id)
        told = {row.id for row in rows if row.reported_at is not None and row.reported_at >= report.asked_at}
        await forget_unreported(work, station, report.request, seen=seen | told)


async def limit_noticed(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """NotifyChargingLimit (2.0.1 K12): it takes the place of what that source told before of that place."""
    limit = payload.get("chargingLimit")
    limit = limit if isinstance(limit, dict) else {}
    number, source = place_of(payload, "evseId"), _source(limit)
    schedules = payload.get("chargingSchedule")
    columns: dict[str, Any] = {
        "is_grid_critical": _flag(limit.get("isGridCritical")),
        "is_local_generation": _flag(limit.get("isLocalGeneration")),
        "schedules": [one for one in schedules if isinstance(one, dict)] if isinstance(schedules, list) else [],
        "received_at": work.now,
        "cleared_at": None,
    }
    rows = await _limits(work, station)
    same = next((row for row in rows if (row.charge_point_number, row.source) == (number, source)), None)
    if same is not None:
        work.change(ChargingLimit, same.id, **columns)
    elif len(rows) < LIMITS_MAX:
        owned = {"organisation_id": station.organisation_id, "station_id": station.id}
        work.insert(ChargingLimit, **owned, charge_point_number=number, source=source, **columns)
    else:  # a station that makes up sources: the one that is over for longest, or told first, gives way
        oldest = min(rows, key=lambda row: (row.cleared_at is None, row.received_at))
        work.change(ChargingLimit, oldest.id, charge_point_number=number, source=source, **columns)
    tell(work, station, number)


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


async def _limits(work: Work, station: ConnectedStation) -> Sequence[ChargingLimit]:
    query = select(ChargingLimit).where(ChargingLimit.station_id == station.id)
    return (await work.session.exec(query.limit(LIMITS_MAX))).all()


async def limit_released(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """ClearedChargingLimit (2.0.1 K13): without an EVSE, all limits of that source are gone."""
    number, source = integer(payload, "evseId"), _source(payload)
    for row in await _limits(work, station):
        if row.source == source and number in (None, row.charge_point_number) and row.cleared_at is None:
            work.change(ChargingLimit, row.id, cleared_at=work.now)
            tell(work, station, row.charge_point_number)
    for profile in await installed_rows(work, station.id):
        is_theirs = profile.purpose is Purpose.EXTERNAL and profile.source == source
        if is_theirs and number in (None, profile.charge_point_number):
            columns = {"state": ProfileState.CLEARED, "state_at": work.now}
            work.change(ChargingProfile, profile.id, **columns, reason="its source released it")


async def schedule_pulled(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """PullDynamicScheduleUpdate (2.1 K28): the figures that are stored for the dynamic profile now."""
    row = await dynamic_profile(work, station.id, integer(payload, "chargingProfileId"))
    if row is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NotFound"}}
    return {"scheduleUpdate": dynamic_figures(row.payload), "status": "Accepted"}


async def dynamic_profile(work: Work, station_id: int, profile_id: int | None) -> ChargingProfile | None:
    """The installed dynamic profile of that OCPP id."""
    rows = await installed_rows(work, station_id)
    return next((row for row in rows if row.profile_id == profile_id and row.kind is Kind.DYNAMIC), None)


def dynamic_figures(payload: Payload) -> Payload:
    """The limits and set points of a dynamic profile."""
    period = _only_period(payload)
    return {name: period[name] for name in _DYNAMIC if name in period}


def _only_period(payload: Payload) -> Payload:
    schedules = payload.get("chargingSchedule")
    schedule = schedules[0] if isinstance(schedules, list) and schedules else {}
    periods = schedule.get("chargingSchedulePeriod") if isinstance(schedule, dict) else None
    period = periods[0] if isinstance(periods, list) and periods else {}
    return period if isinstance(period, dict) else {}


def with_figures(payload: Payload, update: Payload, updated_at: str) -> Payload:
    """The dynamic profile with new figures; those that the update leaves out stay."""
    figures = {name: update[name] for name in _DYNAMIC if update.get(name) is not None}
    period = _only_period(payload) | figures
    schedule = payload["chargingSchedule"][0] | {"chargingSchedulePeriod": [period]}
    return payload | {"dynUpdateTime": updated_at, "chargingSchedule": [schedule]}
