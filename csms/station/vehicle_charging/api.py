"""S25: what vehicles need and plan, over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter, Path
from pydantic import Field

from csms.exceptions import Conflict
from csms.ids import Id
from csms.rights import Area
from csms.station.charging_profiles import CommandResult
from csms.station.information import StationDep, StationId
from csms.station.vehicle_charging.model import PlanState, VehicleCharging, VehicleChargingPolicy
from csms.station.vehicle_charging.rules import read_needs
from csms.station.vehicle_charging.service.hearing import allow_transfer, get_vehicle, policy_of
from csms.station.vehicle_charging.service.planning import plan_now
from csms.store import Work
from csms.web import CallerDep, Reading, RuntimeDep, Shown, Strict, Writing, behind, may_read, may_write

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=10_000, description="the charge point's number")]
Transfer = Literal[
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
    "DC",
    "AC_BPT",
    "AC_BPT_DER",
    "AC_DER",
    "DC_BPT",
    "DC_ACDP",
    "DC_ACDP_BPT",
    "WPT",
]
_CAN_SEND: Final = [may_write(Area.OPERATION)]
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "no such station, or no vehicle there has told anything"},
    409: {"description": "nothing charges there, or the station may not be sent this now"},
}


class ExceedsShown(Shown):
    """Where the vehicle would draw more than is allowed."""

    at: datetime
    allowed_w: float
    planned_w: float


class VehicleShown(Shown):
    """What the vehicle at a charge point told last."""

    charge_point_number: int
    transaction_id: str | None
    needs_at: datetime | None
    transfer: str | None = Field(description="how it wants to charge", examples=["AC_three_phase"])
    energy_wh: float | None
    departs_at: datetime | None
    state_of_charge_percent: float | None
    max_current_a: float | None
    max_power_w: float | None
    needs_answer: str | None = Field(description="what the station was answered", examples=["Accepted"])
    needs: dict[str, Any] | None = Field(description="as they went over the wire")
    plan_state: PlanState
    plan_at: datetime | None
    plan_reason: str | None
    plan_profile_id: Id | None = Field(description="the charging profile that was sent")
    schedule_at: datetime | None = Field(description="when it told what it will draw")
    schedule_from: datetime | None
    schedule: dict[str, Any] | None = Field(description="as it went over the wire")
    is_within_limits: bool | None
    exceeds: list[ExceedsShown] | None
    allowed_transfer: list[str] | None
    allowed_at: datetime | None

    @classmethod
    def of(cls, row: VehicleCharging) -> Self:
        needs = read_needs(row.needs)
        values = {name: getattr(row, name, None) for name in cls.model_fields}
        for name in ("transfer", "energy_wh", "departs_at", "state_of_charge_percent"):
            values[name] = getattr(needs, name)
        values["max_current_a"] = None if needs.max_current_a is None else float(needs.max_current_a)
        values["max_power_w"] = None if needs.most_w is None else float(needs.most_w)
        return cls(**values)


class PlanShown(Shown):
    """A plan that was sent."""

    charging_profile_id: Id


class AllowedTransfer(Strict):
    kinds: list[Transfer] = Field(min_length=1, max_length=11, examples=[["AC_three_phase", "AC_BPT"]])


class Policy(Strict):
    """What this organisation does when vehicles tell of their needs."""

    plans_for_vehicles: bool = Field(
        description="calculate limits from what is in force and send them as profiles of their charges"
    )


class PolicyShown(Shown):
    plans_for_vehicles: bool
    changed_at: datetime | None
    changed_by: str | None


@router.get(
    "/stations/{station_id}/charge-points/{number}/vehicle",
    summary="What the vehicle at a charge point needs and plans (OCPP 2.x, ISO 15118)",
    dependencies=[may_read()],
    responses={404: {"description": "no such station, or no vehicle there has told anything"}},
    openapi_extra=behind("NotifyEVChargingNeeds", "NotifyEVChargingSchedule", "NotifyAllowedEnergyTransfer"),
)
async def show_vehicle(station: StationDep, work: Reading, number: Number) -> VehicleShown:
    return VehicleShown.of(await get_vehicle(work, station, number))


@router.post(
    "/stations/{station_id}/charge-points/{number}/vehicle/plan",
    summary="Calculate limits for the vehicle anew and send them",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("SetChargingProfile"),
)
async def send_plan(station_id: StationId, number: Number, runtime: RuntimeDep, caller: CallerDep) -> PlanShown:
    """From what is in force without a profile for this charge, and never more than the vehicle takes."""
    return PlanShown(charging_profile_id=await plan_now(runtime, caller, station_id, number))


@router.post(
    "/stations/{station_id}/charge-points/{number}/allowed-energy-transfer",
    summary="Tell the station which kinds of energy transfer the charge may use (OCPP 2.1)",
    dependencies=_CAN_SEND,
    responses=_PROBLEMS,
    openapi_extra=behind("NotifyAllowedEnergyTransfer"),
)
async def allow_energy_transfer(
    station_id: StationId, number: Number, body: AllowedTransfer, runtime: RuntimeDep, caller: CallerDep
) -> CommandResult:
    return CommandResult.of(await allow_transfer(runtime, caller, station_id, number, list(body.kinds)))


@router.get(
    "/vehicle-charging-policy",
    summary="What this organisation does when vehicles tell of their needs",
    dependencies=[may_read(Area.SYSTEM_CONFIGURATION)],
)
async def show_policy(work: Reading) -> PolicyShown:
    return _policy_shown(await policy_of(work, _organisation_id(work)))


def _policy_shown(row: VehicleChargingPolicy | None) -> PolicyShown:
    if row is None:
        return PolicyShown(plans_for_vehicles=False, changed_at=None, changed_by=None)
    return PolicyShown.model_validate(row)


def _organisation_id(work: Work) -> int:
    if work.actor.organisation_id is None:
        raise Conflict("this belongs to one organisation; use a key of that organisation")
    return work.actor.organisation_id


@router.put(
    "/vehicle-charging-policy",
    summary="Decide what this organisation does when vehicles tell of their needs",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def set_policy(work: Writing, body: Policy) -> PolicyShown:
    """Switched on, stations are answered `Accepted` and sent limits; otherwise they are told that none will come."""
    organisation_id = _organisation_id(work)
    row = await policy_of(work, organisation_id)
    if row is None:
        row = VehicleChargingPolicy(organisation_id=organisation_id, changed_at=work.now, changed_by=work.actor.name)
        work.session.add(row)
    row.plans_for_vehicles, row.changed_at, row.changed_by = body.plans_for_vehicles, work.now, work.actor.name
    return _policy_shown(row)
