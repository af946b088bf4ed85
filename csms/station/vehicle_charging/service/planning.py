"""S25: the limits that are calculated for a vehicle and sent as the profile of its charge (2.0.1 K15.FR.07 ff.)."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlmodel import col, select

from csms.exceptions import Conflict, CsmsError
from csms.ocpp.versions import Version
from csms.rights import SYSTEM, Caller
from csms.runtime import Runtime
from csms.station.charging_profiles import (
    Circumstances,
    Kind,
    Limit,
    Period,
    Profile,
    Purpose,
    Schedule,
    Site,
    Supply,
    Unit,
    Window,
    composite,
    converted,
    level_above,
    running_at,
    send_made,
    site_of,
    transaction_of,
)
from csms.station.information import Station, get_station
from csms.station.vehicle_charging.model import PlanState, VehicleCharging
from csms.station.vehicle_charging.rules import Needs, fewer, read_needs
from csms.station.vehicle_charging.service.hearing import get_vehicle
from csms.store import Work

PLAN_IDS_FROM: Final = 1_500_000_000
"""Profiles for vehicles have ids from here on, one for each charge point, so that a new plan replaces the old."""
STEPS_MAX: Final = 1024
CHARGE_WAIT: Final = timedelta(seconds=60)
"""How long a plan waits for the transaction to be told of."""
PLANS_AT_ONCE: Final = 20
_IS_DUE: Final = text("vehicle_charging.plan_state = 'due'")
"""Spelt out, so that the partial index is used."""
_AHEAD: Final = timedelta(days=1)
_DEPARTURE_MAX: Final = timedelta(days=7)
_STEPS_READ_MAX: Final = 500
"""Of the curve; the station keeps to its other limits anyway."""
_TENTH: Final = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class Due:
    """A plan that is to be sent."""

    vehicle_id: int
    identity: str
    number: int


def plan(
    site: Site, number: int, needs: Needs, now: datetime, steps_max: int | None
) -> tuple[Unit, tuple[Period, ...]]:
    """What is allowed without a profile for this charge, and never more than the vehicle takes."""
    others = [one for one in site.profiles if one.profile.purpose is not Purpose.TRANSACTION or one.number != number]
    unit = Unit.WATT if needs.is_dc or needs.max_current_a is None else Unit.AMPERE
    supply = site.supply_of(number)
    most = _most(needs, unit, supply)
    curve = composite(replace(site, profiles=others), number, Window(now, _until(needs, now)), unit)
    steps = []
    for step in curve[:_STEPS_READ_MAX]:
        allowed = None if step.limit is None else step.limit.value
        value = most if allowed is None else min(most, allowed)
        steps.append((int((step.at - now).total_seconds()), value - value % _TENTH))
    merged = fewer(steps, min(steps_max or STEPS_MAX, STEPS_MAX))
    phases = None if needs.is_dc else needs.phases
    return unit, tuple(Period(start, value, phases) for start, value in merged)


def _most(needs: Needs, unit: Unit, supply: Supply) -> Decimal:
    if unit is Unit.AMPERE and needs.max_current_a is not None:
        return needs.max_current_a
    if needs.most_w is not None:
        return needs.most_w
    limit = converted(Limit(needs.max_current_a or Decimal(0), Unit.AMPERE, needs.phases), Unit.WATT, supply)
    return (limit.value if limit is not None else None) or Decimal(0)


def _until(needs: Needs, now: datetime) -> datetime:
    departs_at = needs.departs_at
    if departs_at is None or departs_at <= now + timedelta(minutes=1):
        return now + _AHEAD
    return min(departs_at, now + _DEPARTURE_MAX)


async def send_plan(runtime: Runtime, caller: Caller, identity: str, number: int) -> int:
    """Calculate limits for the vehicle there and send them; returns the row's id of the charging profile.

    Raises NotFound, Conflict while nothing charges there or the vehicle did not say what it takes, and what
    `send_made` raises.
    """

    async def make(work: Work, station: Station, known: Circumstances) -> Profile:
        vehicle = await get_vehicle(work, station, number)
        log = await running_at(work, station.id, number)
        needs = read_needs(vehicle.needs)
        if log is None:
            raise Conflict(f"nothing charges at charge point {number} now")
        if not needs.is_known:
            raise Conflict("the vehicle did not say how much it takes; set a limit instead")
        unit, periods = plan(await site_of(work, station), number, needs, work.now, vehicle.steps_max)
        if known.version is Version.V16:
            raise Conflict("vehicles tell of their needs in OCPP 2.x only")
        return _profile(number, transaction_of(log), Schedule(unit, periods, starts_at=work.now), known)

    return await send_made(runtime, caller, identity, number, make)


def _profile(number: int, transaction_id: str, schedule: Schedule, known: Circumstances) -> Profile:
    profile_id = PLAN_IDS_FROM + number
    return Profile(
        id=profile_id,
        purpose=Purpose.TRANSACTION,
        stack_level=level_above(known, Purpose.TRANSACTION, profile_id),
        kind=Kind.ABSOLUTE,
        schedules=(schedule,),
        transaction_id=transaction_id,
    )


async def plan_now(runtime: Runtime, caller: Caller, identity: str, number: int) -> int:
    """Send a plan at an operator's wish (K16: renegotiation); returns the row's id of the charging profile."""
    profile_id = await send_plan(runtime, caller, identity, number)
    async with runtime.store.writing(caller) as work:
        vehicle = await get_vehicle(work, await get_station(work, identity), number)
        _note(vehicle, work.now, profile_id, None)
    return profile_id


async def send_due(runtime: Runtime) -> None:
    """Send the plans that are due, some at a time; a slow station does not keep the others waiting."""
    async with runtime.store.reading() as work:  # nearly always nothing is due: no write lock for that
        if (await work.session.exec(select(VehicleCharging.id).where(_IS_DUE).limit(1))).first() is None:
            return
    due = await _claim(runtime)
    await asyncio.gather(*(_send_one(runtime, one) for one in due))


async def _claim(runtime: Runtime) -> list[Due]:
    """Those whose charge is known to run; the others wait a while for it."""
    found = []
    async with runtime.store.writing() as work:
        query = (
            select(VehicleCharging, Station)
            .join(Station, col(Station.id) == VehicleCharging.station_id)
            .where(_IS_DUE)
            .order_by(col(VehicleCharging.plan_due_at))
            .limit(PLANS_AT_ONCE)
        )
        for vehicle, station in (await work.session.exec(query)).all():
            log = await running_at(work, station.id, vehicle.charge_point_number)
            if log is not None:
                vehicle.plan_state, vehicle.plan_at = PlanState.SENT, work.now
                vehicle.transaction_id = transaction_of(log)
                found.append(Due(vehicle.id, station.identity, vehicle.charge_point_number))
            elif vehicle.plan_due_at is None or work.now - vehicle.plan_due_at > CHARGE_WAIT:
                _note(vehicle, work.now, None, "no charge was told of")
    return found


async def _send_one(runtime: Runtime, due: Due) -> None:
    profile_id, reason = None, None
    try:
        profile_id = await send_plan(runtime, SYSTEM, due.identity, due.number)
    except CsmsError as error:
        reason = error.detail
    async with runtime.store.writing() as work:
        vehicle = await work.session.get(VehicleCharging, due.vehicle_id)
        if vehicle is not None and vehicle.plan_state is PlanState.SENT:
            _note(vehicle, work.now, profile_id, reason)


def _note(vehicle: VehicleCharging, at: datetime, profile_id: int | None, reason: str | None) -> None:
    state = PlanState.FAILED if profile_id is None else PlanState.SENT
    columns: dict[str, Any] = {"plan_state": state, "plan_at": at, "plan_reason": reason}
    columns |= {"plan_profile_id": profile_id, "plan_count": vehicle.plan_count + (profile_id is not None)}
    for name, value in columns.items():
        setattr(vehicle, name, value)
