"""S25: requests and answers of the API, and how they become profiles and come from them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from csms.ids import Id
from csms.station.charging_profiles.model import (
    ChargingLimit,
    ChargingProfile,
    ProfileReport,
    ProfileState,
    ReportState,
)
from csms.station.charging_profiles.rules.composite import Difference
from csms.station.charging_profiles.rules.curve import Curve
from csms.station.charging_profiles.rules.profile import Kind, Period, Profile, Purpose, Recurrency, Schedule, Unit
from csms.station.charging_profiles.rules.wire import decimal, number, read_profile, read_schedule
from csms.station.charging_profiles.rules.words import (
    PERIOD_WORDS,
    PROFILE_WORDS,
    SCHEDULE_WORDS,
    from_wire,
    to_wire,
)
from csms.station.charging_profiles.service.in_force import InForce
from csms.station.commands import Command, CommandOutcome
from csms.web import Shown, Strict, UtcTime

INTEGER_MAX = 2**31 - 1
FIGURE_MAX = 1_000_000_000
CHARGE_POINTS_MAX = 10_000


Figure = Annotated[float, Field(ge=-FIGURE_MAX, le=FIGURE_MAX, allow_inf_nan=False)]
Seconds = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Place = Annotated[int, Field(ge=0, le=CHARGE_POINTS_MAX)]
OperationMode = Literal[
    "Idle",
    "ChargingOnly",
    "CentralSetpoint",
    "ExternalSetpoint",
    "ExternalLimits",
    "CentralFrequency",
    "LocalFrequency",
    "LocalLoadBalancing",
]
Object = dict[str, Any]


class Figures(Strict):
    """Limits and set points, in the schedule's unit. All but `limit` need OCPP 2.1."""

    limit: Figure | None = Field(None, description="at most this much; one decimal", examples=[16])
    limit_l2: Figure | None = None
    limit_l3: Figure | None = None
    discharge_limit: Figure | None = Field(None, le=0, description="V2X: at most this much back, as a negative figure")
    discharge_limit_l2: Figure | None = Field(None, le=0)
    discharge_limit_l3: Figure | None = Field(None, le=0)
    setpoint: Figure | None = Field(None, description="V2X: what the car should follow; negative is discharging")
    setpoint_l2: Figure | None = None
    setpoint_l3: Figure | None = None
    setpoint_reactive: Figure | None = None
    setpoint_reactive_l2: Figure | None = None
    setpoint_reactive_l3: Figure | None = None


class PeriodBody(Figures):
    """One stretch of a schedule, until the next begins."""

    start_s: Seconds = Field(description="seconds after the schedule's start; the first is 0", examples=[0])
    phases: int | None = Field(None, description="1 to 3; left out: 3, or direct current", examples=[3])
    phase_to_use: int | None = Field(None, description="OCPP 2.x, of one phase: which")
    preconditioning_request: bool | None = None
    evse_sleep: bool | None = None
    v2x_baseline: Figure | None = None
    operation_mode: OperationMode | None = Field(None, description="OCPP 2.1; left out: ChargingOnly")
    v2x_frequency_curve: list[Object] | None = Field(None, max_length=20)
    v2x_signal_curve: list[Object] | None = Field(None, max_length=20)
    custom_data: Object | None = None

    def value(self) -> Period:
        more = to_wire(PERIOD_WORDS, self.model_dump())
        return Period(self.start_s, decimal(self.limit), self.phases, self.phase_to_use, more)


class ScheduleBody(Strict):
    """Limits over time."""

    unit: Unit = Field(description="A: amperes of each phase; W: watts of all phases together", examples=["A"])
    starts_at: UtcTime | None = Field(None, description="not for relative schedules", examples=["2027-03-01T18:00:00Z"])
    duration_s: Seconds | None = Field(None, description="left out: the last period goes on", examples=[14400])
    minimum_rate: Figure | None = Field(None, description="below this, charging makes no sense")
    periods: list[PeriodBody] = Field(min_length=1, max_length=1024)
    limit_at_soc: Object | None = None
    power_tolerance: Figure | None = None
    signature_id: int | None = Field(None, ge=0, le=INTEGER_MAX)
    digest_value: str | None = Field(None, max_length=88)
    use_local_time: bool | None = None
    randomized_delay_s: Seconds | None = None
    sales_tariff: Object | None = Field(None, description="ISO 15118-2 sales tariff, as OCPP writes it")
    absolute_price_schedule: Object | None = None
    price_level_schedule: Object | None = None
    custom_data: Object | None = None

    def value(self) -> Schedule:
        return Schedule(
            unit=self.unit,
            periods=tuple(one.value() for one in self.periods),
            starts_at=self.starts_at,
            duration_s=self.duration_s,
            minimum_rate=decimal(self.minimum_rate),
            more=to_wire(SCHEDULE_WORDS, self.model_dump(exclude={"periods"})),
        )


EXAMPLE: dict[str, Any] = {
    "charge_point_number": 1,
    "purpose": "transaction_default",
    "stack_level": 0,
    "kind": "recurring",
    "recurrency": "daily",
    "schedules": [
        {
            "unit": "A",
            "starts_at": "2027-03-01T18:00:00Z",
            "duration_s": 43200,
            "periods": [{"start_s": 0, "limit": 16}, {"start_s": 14400, "limit": 21.4}],
        }
    ],
}


class NewProfile(Strict):
    """A charging profile to set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    charge_point_number: Place = Field(description="0: the whole station")
    purpose: Purpose
    stack_level: int = Field(0, ge=0, le=INTEGER_MAX, description="of one purpose, the highest prevails")
    kind: Kind
    recurrency: Recurrency | None = Field(None, description="of recurring ones")
    valid_from: UtcTime | None = None
    valid_to: UtcTime | None = None
    transaction_id: str | None = Field(None, max_length=36, description="of purpose `transaction`")
    profile_id: int | None = Field(None, ge=1, lt=1_000_000_000, description="to replace that one; else a free id")
    schedules: list[ScheduleBody] = Field(min_length=1, max_length=3, description="one; OCPP 2.x: one to three")
    max_offline_duration_s: Seconds | None = None
    invalid_after_offline_duration: bool | None = None
    dynamic_update_interval_s: Seconds | None = Field(None, description="how often the station asks for new figures")
    price_schedule_signature: str | None = Field(None, max_length=256)
    custom_data: Object | None = None

    def value(self) -> Profile:
        return Profile(
            id=self.profile_id or 0,
            purpose=self.purpose,
            stack_level=self.stack_level,
            kind=self.kind,
            recurrency=self.recurrency,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            transaction_id=self.transaction_id,
            schedules=tuple(one.value() for one in self.schedules),
            more=to_wire(PROFILE_WORDS, self.model_dump(exclude={"schedules"})),
        )


class ClearWanted(Strict):
    """Which profiles to remove: those that match everything that is given."""

    charge_point_number: Place | None = Field(None, description="0: those of the station itself", examples=[1])
    purpose: Purpose | None = None
    stack_level: int | None = Field(None, ge=0, le=INTEGER_MAX)


class RefreshWanted(Strict):
    """Which profiles the station should tell of; nothing given: all."""

    charge_point_number: Place | None = Field(None, description="0: those of the station itself")
    purpose: Purpose | None = None
    stack_level: int | None = Field(None, ge=0, le=INTEGER_MAX)
    profile_ids: list[int] | None = Field(
        None, min_length=1, max_length=100, description="instead of the other criteria"
    )
    sources: list[Literal["EMS", "Other", "SO", "CSO"]] | None = Field(None, min_length=1, max_length=4)


class LimitWanted(Strict):
    """A limit: `power_w` or `current_a`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"power_w": 11000}]})

    power_w: float | None = Field(None, ge=0, le=FIGURE_MAX, allow_inf_nan=False, examples=[11000])
    current_a: float | None = Field(None, ge=0, le=FIGURE_MAX, allow_inf_nan=False, description="of each phase")
    phases: int | None = Field(None, ge=1, le=3, description="charge with so many phases only")
    until: UtcTime | None = Field(None, description="left out: until it is removed", examples=["2030-03-01T18:00:00Z"])
    only_this_charge: bool = Field(default=False, description="only the charge that runs there now")

    @model_validator(mode="after")
    def _one_figure(self) -> Self:
        if (self.power_w is None) == (self.current_a is None):
            raise ValueError("give power_w or current_a, and not both")
        return self

    def figure(self) -> tuple[Decimal, Unit]:
        """One decimal, rounded down: a limit must not grow."""
        unit = Unit.WATT if self.power_w is not None else Unit.AMPERE
        value = self.power_w if self.power_w is not None else self.current_a
        exact = decimal(value) or Decimal(0)
        return exact - exact % Decimal("0.1"), unit


class PriorityWanted(Strict):
    """Whether the charge that runs there goes before others."""

    is_active: bool = Field(examples=[True])


class DynamicWanted(Figures):
    """New figures of a dynamic profile (OCPP 2.1); those left out stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 7000, "send_now": True}]})

    send_now: bool = Field(default=True, description="false: the station gets them when it asks")

    def update(self) -> Object:
        values = self.model_dump(exclude={"send_now"})
        figures = to_wire({"limit": "limit", **PERIOD_WORDS}, values)
        return {name: number(Decimal(str(value))) for name, value in figures.items()}


class PeriodShown(Shown):
    start_s: int
    limit: float | None
    phases: int | None
    phase_to_use: int | None
    only_2_1: Object = Field(description="what only OCPP 2.1 has, by the names that a new profile has for it")

    @classmethod
    def of(cls, period: Period) -> Self:
        return cls(
            start_s=period.start_s,
            limit=None if period.limit is None else float(period.limit),
            phases=period.phases,
            phase_to_use=period.phase_to_use,
            only_2_1=from_wire(PERIOD_WORDS, period.more),
        )


class ScheduleShown(Shown):
    unit: Unit
    starts_at: datetime | None
    duration_s: int | None
    minimum_rate: float | None
    periods: list[PeriodShown]
    only_2_1: Object

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        return cls(
            unit=schedule.unit,
            starts_at=schedule.starts_at,
            duration_s=schedule.duration_s,
            minimum_rate=None if schedule.minimum_rate is None else float(schedule.minimum_rate),
            periods=[PeriodShown.of(one) for one in schedule.periods],
            only_2_1=from_wire(SCHEDULE_WORDS, schedule.more),
        )


class ProfileShown(Shown):
    """A charging profile, and what is known of it."""

    id: Id
    charge_point_number: int = Field(description="0: the whole station")
    profile_id: int = Field(description="the number that the station knows it by")
    purpose: Purpose
    stack_level: int
    kind: Kind
    recurrency: Recurrency | None
    valid_from: datetime | None
    valid_to: datetime | None
    transaction_id: str | None
    source: str = Field(description="who set it: CSO is this system", examples=["CSO"])
    state: ProfileState
    state_at: datetime
    reason: str | None = Field(description="why it is in this state")
    sent_at: datetime | None
    sent_by: str | None
    reported_at: datetime | None = Field(description="when the station last told that it has it")
    schedules: list[ScheduleShown]
    only_2_1: Object
    payload: Object = Field(description="as it went over the wire")

    @classmethod
    def of(cls, row: ChargingProfile) -> Self:
        profile = read_profile(row.payload)
        values = {name: getattr(row, name, None) for name in cls.model_fields}
        values["recurrency"] = None if profile is None else profile.recurrency
        values["schedules"] = [] if profile is None else [ScheduleShown.of(one) for one in profile.schedules]
        values["only_2_1"] = {} if profile is None else from_wire(PROFILE_WORDS, profile.more)
        return cls(**values)


class CommandResult(Shown):
    """What became of the command behind a request."""

    command_id: Id
    outcome: CommandOutcome
    status: str | None = Field(description="the station's own word", examples=["Accepted"])
    reason: str | None

    @classmethod
    def of(cls, command: Command) -> Self:
        payload, error = command.payload or {}, command.error or {}
        status = payload.get("status")
        return cls(
            command_id=command.id,
            outcome=command.outcome,
            status=None if status is None else str(status),
            reason=command.reason or error.get("description") or error.get("code"),
        )


class Removal(Shown):
    """What became of a removal; the states of the profiles show what the station has left."""

    commands: list[CommandResult]


class ReportShown(Shown):
    """A report of the profiles that the station has."""

    id: Id
    state: ReportState
    state_at: datetime
    reason: str | None
    asked_at: datetime
    pages: int
    profiles: int
    ignored: int = Field(description="profiles beyond what is kept of one station")

    @classmethod
    def of(cls, report: ProfileReport) -> Self:
        return cls.model_validate(report)


class PointShown(Shown):
    """From then on, until the next point."""

    at: datetime
    limit: float | None = Field(description="null: no limit")
    phases: int | None


def points_of(curve: Curve) -> list[PointShown]:
    return [
        PointShown(
            at=step.at,
            limit=None if step.limit is None or step.limit.value is None else float(step.limit.value),
            phases=None if step.limit is None else step.limit.phases,
        )
        for step in curve
    ]


class DifferenceShown(Shown):
    """Where calculation and station disagree."""

    starts_at: datetime
    ends_at: datetime
    calculated: float | None
    told: float | None

    @classmethod
    def of(cls, one: Difference) -> Self:
        return cls(
            starts_at=one.start,
            ends_at=one.end,
            calculated=None if one.one is None else float(one.one),
            told=None if one.other is None else float(one.other),
        )


class ToldShown(Shown):
    """What the station last told."""

    told_at: datetime
    is_accepted: bool
    reason: str | None
    points: list[PointShown] | None = Field(description="null: it told nothing of the time asked for")
    payload: Object | None = Field(description="as it went over the wire")


class CompositeShown(Shown):
    """What a charge point, or the station (0), may draw from now on."""

    charge_point_number: int
    unit: Unit
    starts_at: datetime
    ends_at: datetime
    calculated: list[PointShown] = Field(description="by what this system knows")
    told: ToldShown | None = Field(description="null: the station has never been asked; POST asks it")
    differences: list[DifferenceShown] | None = Field(description="null: there is nothing to compare")
    command: CommandResult | None = Field(None, description="what became of the question, where one was asked")


class ExternalLimitShown(Shown):
    """A limit from outside this system, as the station told it."""

    id: Id
    charge_point_number: int
    source: str = Field(description="EMS, SO (grid operator), Other, or a word of OCPP 2.1")
    is_grid_critical: bool | None
    is_local_generation: bool | None = Field(description="it is more power instead of less")
    received_at: datetime
    schedules: list[ScheduleShown]

    @classmethod
    def of(cls, row: ChargingLimit) -> Self:
        values = {name: getattr(row, name, None) for name in cls.model_fields}
        schedules = [read_schedule(one) for one in row.schedules]
        return cls(**values | {"schedules": [ScheduleShown.of(one) for one in schedules if one is not None]})


class BecauseShown(Shown):
    """What sets the limit."""

    charging_profile_id: Id | None
    external_limit_id: Id | None
    purpose: Purpose
    source: str


class InForceShown(Shown):
    """What limits a charge point now; null figures: nothing does."""

    charge_point_number: int = Field(description="0: the whole station")
    current_a: float | None
    power_w: float | None
    phases: int | None
    because: BecauseShown | None = Field(description="null: nothing, or the sum of several")
    changes_at: datetime | None = Field(description="when it changes next, within a day")
    then_current_a: float | None
    transaction_id: str | None = Field(description="what charges there now")
    has_priority: bool = Field(description="OCPP 2.1: this charge goes before others")

    @classmethod
    def of(cls, one: InForce) -> Self:
        return cls(
            charge_point_number=one.number,
            current_a=None if one.amperes is None or one.amperes.value is None else float(one.amperes.value),
            power_w=None if one.watts is None or one.watts.value is None else float(one.watts.value),
            phases=None if one.amperes is None else one.amperes.phases,
            because=_because(one.because),
            changes_at=one.changes_at,
            then_current_a=None if one.then is None or one.then.value is None else float(one.then.value),
            transaction_id=one.transaction_id,
            has_priority=one.has_priority,
        )


def _because(row: ChargingProfile | ChargingLimit | None) -> BecauseShown | None:
    if row is None:
        return None
    is_profile = isinstance(row, ChargingProfile)
    return BecauseShown(
        charging_profile_id=row.id if is_profile else None,
        external_limit_id=None if is_profile else row.id,
        purpose=row.purpose if isinstance(row, ChargingProfile) else Purpose.EXTERNAL,
        source=row.source,
    )


class LimitsShown(Shown):
    """Everything that limits the station now."""

    station: InForceShown
    charge_points: list[InForceShown]
    external_limits: list[ExternalLimitShown]
