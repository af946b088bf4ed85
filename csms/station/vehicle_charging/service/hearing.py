"""S25: what vehicles tell through stations (2.0.1 K15 to K17), and how they are answered."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import select

from csms.exceptions import Conflict, NotFound
from csms.ocpp.reading import integer_of
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.charging_profiles import (
    Unit,
    Window,
    composite,
    in_unit,
    read_schedule,
    read_time,
    running_at,
    site_of,
    told_curve,
    transaction_of,
)
from csms.station.commands import Command, send
from csms.station.information import Station, fact_about, get_station
from csms.station.vehicle_charging.model import PlanState, VehicleCharging, VehicleChargingPolicy
from csms.station.vehicle_charging.rules import read_needs
from csms.store import Work

NUMBERS_MAX: Final = 256
"""Charge points of one station of which vehicles are kept."""
PLANS_MAX: Final = 5
"""Plans for one vehicle that keeps planning more than is allowed."""
EXCEEDS_MAX: Final = 50
LOOK_AHEAD: Final = timedelta(days=1)
_KINDS_MAX: Final = 20


async def policy_of(work: Work, organisation_id: int) -> VehicleChargingPolicy | None:
    """What the organisation decided; None if it never did."""
    query = select(VehicleChargingPolicy).where(VehicleChargingPolicy.organisation_id == organisation_id)
    return (await work.session.exec(query)).first()


async def plans_for_vehicles(work: Work, organisation_id: int) -> bool:
    policy = await policy_of(work, organisation_id)
    return policy is not None and policy.plans_for_vehicles


async def find_vehicle(work: Work, station_id: int, number: int) -> VehicleCharging | None:
    query = select(VehicleCharging).where(
        VehicleCharging.station_id == station_id, VehicleCharging.charge_point_number == number
    )
    return (await work.session.exec(query)).first()


async def get_vehicle(work: Work, station: Station, number: int) -> VehicleCharging:
    """Raises NotFound while no vehicle there has told anything."""
    found = await find_vehicle(work, station.id, number)
    if found is None:
        raise NotFound(f"no vehicle at charge point {number} of «{station.identity}» has told what it needs")
    return found


async def needs_heard(work: Work, station: ConnectedStation, payload: Payload, *, knows_no_profile: bool) -> Payload:
    """NotifyEVChargingNeeds (K15): the answer says truly whether limits will follow.

    `knows_no_profile`: 2.1 has a word for «heard, and no profile will come»; 2.0.1 says Rejected for it.
    """
    number = _number(payload)
    log = await running_at(work, station.id, number)
    told = payload.get("chargingNeeds")
    needs = read_needs(told)
    is_planned = needs.is_known and await plans_for_vehicles(work, station.organisation_id)
    answer = _answer(needs_known=needs.is_known, is_planned=is_planned, is_charging=log is not None)
    if knows_no_profile and not is_planned:
        answer = {"status": "NoChargingProfile"}
    columns: dict[str, Any] = {
        "transaction_id": None if log is None else transaction_of(log),
        "needs": told if isinstance(told, dict) else None,
        "needs_at": work.now,
        "needs_answer": answer["status"],
        "steps_max": integer_of(payload.get("maxScheduleTuples")),
        "plan_state": PlanState.DUE if is_planned else PlanState.NONE,
        "plan_due_at": work.now if is_planned else None,
        "plan_reason": None,
        "plan_profile_id": None,
        "plan_count": 0,
        "schedule": None,
        "schedule_from": None,
        "schedule_at": None,
        "is_within_limits": None,
        "exceeds": None,
    }
    await _store(work, station, number, columns)
    return answer


def _answer(*, needs_known: bool, is_planned: bool, is_charging: bool) -> Payload:
    if not needs_known:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "MissingParam"}}
    if not is_planned:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "NotEnabled"}}
    return {"status": "Accepted" if is_charging else "Processing"}


async def _store(work: Work, station: ConnectedStation, number: int, columns: dict[str, Any]) -> None:
    found = await find_vehicle(work, station.id, number)
    if found is not None:
        work.change(VehicleCharging, found.id, **columns)
    elif 1 <= number <= NUMBERS_MAX:
        owned = {"organisation_id": station.organisation_id, "station_id": station.id}
        base = {"plan_state": PlanState.NONE, "plan_count": 0}
        work.insert(VehicleCharging, **owned, charge_point_number=number, **(base | columns))
    else:
        return
    work.emit(fact_about(station, "vehicle_charging_changed", {"charge_point_number": number}))


async def schedule_heard(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """NotifyEVChargingSchedule (K15.FR.11 to FR.13): kept and compared with the limits.

    A plan that exceeds them is rejected, and limits are sent anew where that is switched on.
    """
    number, told = _number(payload), payload.get("chargingSchedule")
    schedule = read_schedule(told)
    if schedule is None:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidSchedule"}}
    starts_at = read_time(payload.get("timeBase")) or work.now
    row = await work.session.get(Station, station.id)
    exceeds = [] if row is None else await _exceeding(work, row, number, told, starts_at)
    columns: dict[str, Any] = {
        "schedule": told,
        "schedule_from": starts_at,
        "schedule_at": work.now,
        "is_within_limits": not exceeds,
        "exceeds": exceeds,
    }
    vehicle = await find_vehicle(work, station.id, number)
    has_room = vehicle is not None and vehicle.plan_count < PLANS_MAX and vehicle.needs is not None
    if exceeds and has_room and await plans_for_vehicles(work, station.organisation_id):
        columns |= {"plan_state": PlanState.DUE, "plan_due_at": work.now, "plan_reason": None}
    await _store(work, station, number, columns)
    if exceeds:
        return {"status": "Rejected", "statusInfo": {"reasonCode": "ValueTooHigh"}}
    return {"status": "Accepted"}


async def _exceeding(work: Work, station: Station, number: int, told: Any, starts_at: datetime) -> list[dict[str, Any]]:
    """Where the vehicle would draw more than is allowed, within a day from now."""
    schedule = read_schedule(told)
    window = Window(work.now, work.now + LOOK_AHEAD)
    if schedule is None:
        return []
    site = await site_of(work, station)
    allowed = composite(site, number, window, Unit.WATT)
    planned = in_unit(told_curve(schedule, starts_at, window), Unit.WATT, site.supply_of(number))
    found = []
    for at in sorted({step.at for step in (*allowed, *planned)}):
        limit = next(step.limit for step in reversed(allowed) if step.at <= at)
        wish = next(step.limit for step in reversed(planned) if step.at <= at)
        if limit is None or limit.value is None or wish is None or wish.value is None or wish.value <= limit.value:
            continue
        found.append({"at": at.isoformat(), "allowed_w": float(limit.value), "planned_w": float(wish.value)})
    return found[:EXCEEDS_MAX]


async def allow_transfer(runtime: Runtime, caller: Caller, identity: str, number: int, kinds: list[str]) -> Command:
    """Tell which kinds of energy transfer the charge may use (2.1 Q). Raises NotFound, Conflict without a charge."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        log = await running_at(work, station.id, number)
        if log is None:
            raise Conflict(f"nothing charges at charge point {number} now")
        request = {"transactionId": transaction_of(log), "allowedEnergyTransfer": kinds}
    return await send(runtime, caller, identity, "NotifyAllowedEnergyTransfer", request)


async def transfer_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """NotifyAllowedEnergyTransfer was answered (2.1)."""
    kinds = request.get("allowedEnergyTransfer")
    if answer.get("status") != "Accepted" or not isinstance(kinds, list):
        return
    number = await _number_of(work, station, request.get("transactionId"))
    if number is not None:
        columns = {"allowed_transfer": [str(kind) for kind in kinds[:_KINDS_MAX]], "allowed_at": work.now}
        await _store(work, station, number, columns)


async def _number_of(work: Work, station: ConnectedStation, transaction_id: Any) -> int | None:
    row = await work.session.get(Station, station.id)
    if row is None or not isinstance(transaction_id, str):
        return None
    charges = (await site_of(work, row)).charges
    return next((number for number, one in charges.items() if one.transaction_id == transaction_id), None)


def _number(payload: Payload) -> int:
    return integer_of(payload.get("evseId")) or 0
