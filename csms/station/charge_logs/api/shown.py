"""S6, S1: charge logs, samples, sums and stops as clients read and write them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import Path, Query
from pydantic import Field, StringConstraints

from csms.ids import Id
from csms.station.charge_logs.model import (
    ChargeLog,
    ChargeLogCorrection,
    ChargeState,
    EventKind,
    MeterSample,
    UnmatchedReason,
    UnmatchedStop,
)
from csms.station.charge_logs.rules import (
    HOURS,
    WEEKDAYS,
    Flag,
    duration_s,
    quantity,
)
from csms.station.tokens import TokenKind, TokenStatus
from csms.web import Shown, Strict, UtcTime

DAYS_MAX: Final = 400
REGISTER_MAX_WH: Final = 10**15

Register = Annotated[int, Field(ge=-REGISTER_MAX_WH, le=REGISTER_MAX_WH)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00]*$")]
Asked = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]
ChargeLogId = Annotated[Id, Path(description="the charge log's id")]
StopId = Annotated[Id, Path(description="the unmatched stop's id")]


class ChargeLogShown(Shown):
    """One charge."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    charge_point_number: int = Field(examples=[1])
    transaction_id: str = Field(
        description="as the station knows it: a number in OCPP 1.6, any text of up to 36 characters in 2.x",
        examples=["1203948", "f9a3c1d2-5f0e-4e8b-9f43-7d5b7e0c2a11"],
    )
    state: ChargeState
    token: str | None = Field(
        description="as the station sent it; null while it has told none", examples=["04E91C5A6F2A80"]
    )
    holder: str | None = Field(description="who held the token when the charge started")
    verdict: TokenStatus | None = Field(description="what the station was answered about the token")
    reservation_id: int | None
    started_at: datetime = Field(description="by the station's clock")
    received_at: datetime
    meter_start_wh: int | None = Field(description="null where the station has told no register")
    stopped_at: datetime | None = Field(description="by the station's clock; null while it runs")
    stop_received_at: datetime | None = Field(description="null while it runs and for an estimated end")
    meter_stop_wh: int | None
    stop_reason: str | None = Field(examples=["EVDisconnected"])
    stop_token: str | None
    energy_wh: int | None = Field(description="while it runs: as of `last_sample_at`")
    duration_s: int | None = Field(description="while it runs: until now")
    flags: list[str] = Field(description="what is unusual", examples=[["offline", "meter_reset"]])
    last_sample_at: datetime | None = Field(description="up to half a minute behind")
    last_power_w: float | None
    last_soc_percent: float | None
    is_corrected: bool
    connector_number: int | None = Field(description="which connector of it, where the station says so (OCPP 2.x)")
    token_kind: TokenKind | None = Field(description="where the station tells (OCPP 2.x)", examples=["iso14443"])
    charging_state: str | None = Field(
        description="what a running charge does, in OCPP 2.x's words; null in 1.6, which tells it of the charge point",
        examples=["SuspendedEV"],
    )
    remote_start_id: int | None = Field(description="that of the remote start that it follows (OCPP 2.x)")
    charging_s: int | None = Field(description="for how long energy has flowed, as the station says (OCPP 2.x)")
    phases_used: int | None = Field(description="OCPP 2.x")
    cable_max_a: int | None = Field(description="what the cable bears (OCPP 2.x)")
    missing_events: int | None = Field(description="numbered events of OCPP 2.x that have not come (yet)")

    @classmethod
    def of(cls, log: ChargeLog, identity: str, now: datetime) -> Self:
        fields = {name: getattr(log, name, None) for name in cls.model_fields}
        fields["token"] = log.token or None
        if Flag.NO_METER_START in log.flags:
            fields["meter_start_wh"] = None
        if log.state is ChargeState.RUNNING:
            fields["duration_s"] = duration_s(log.started_at, now)
        return cls.model_validate({**fields, "station_id": identity})


class CorrectionShown(Shown):
    """What an operator changed: columns before and after."""

    id: Id
    corrected_at: datetime
    corrected_by: str
    reason: str
    before: dict[str, Any] = Field(examples=[{"energy_wh": 12000}])
    after: dict[str, Any] = Field(examples=[{"energy_wh": 11800}])


class StatusTold(Shown):
    """What the station answered when it was asked about the transaction (OCPP 2.x GetTransactionStatus)."""

    is_ongoing: bool | None
    has_queued_messages: bool | None = Field(description="whether events of it wait to be sent")
    told_at: datetime


class ChargeEventShown(Shown):
    """Something that a station of OCPP 2.x told of a charge."""

    id: Id
    kind: EventKind
    seq_no: int = Field(description="the station's own count")
    at: datetime = Field(description="by the station's clock")
    received_at: datetime
    trigger_reason: str | None = Field(examples=["ChargingStateChanged"])
    charging_state: str | None = Field(examples=["Charging"])
    is_offline: bool = Field(description="it happened while the station had no connection")
    answer: dict[str, Any] | None = Field(description="what the station was answered, where it was more than nothing")
    details: dict[str, Any] | None = Field(description="what else it told, in OCPP's words")


class ChargeLogDetail(ChargeLogShown):
    """One charge with what was corrected in it, and what only some stations tell."""

    details: dict[str, Any] | None = Field(
        description="tariff, limits, operation mode, cost details and the like, in OCPP's words (2.1)"
    )
    cost_told: float | None = Field(description="the running cost that the station was sent last (OCPP 2.x)")
    cost_told_at: datetime | None
    status_told: StatusTold | None = Field(description="null if it was never asked")

    corrections: list[CorrectionShown] = Field(description="oldest first; the first one's `before` is the original")

    @classmethod
    def with_corrections(
        cls, log: ChargeLog, identity: str, now: datetime, corrections: Sequence[ChargeLogCorrection]
    ) -> Self:
        shown = ChargeLogShown.of(log, identity, now).model_dump()
        shown |= {"details": log.details, "cost_told": log.cost_told, "cost_told_at": log.cost_told_at}
        word = None
        if log.status_told_at is not None:
            told = {"is_ongoing": log.is_ongoing, "has_queued_messages": log.has_queued_messages}
            word = StatusTold(**told, told_at=log.status_told_at)
        corrected = [CorrectionShown.model_validate(one) for one in corrections]
        return cls.model_validate({**shown, "status_told": word, "corrections": corrected})


class Correction(Strict):
    """What was wrong in an ended charge log; energy and duration follow from the rest unless they are given."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)] = Field(
        examples=["the customer showed the car's log"]
    )
    started_at: UtcTime | None = None
    stopped_at: UtcTime | None = None
    meter_start_wh: Register | None = None
    meter_stop_wh: Register | None = None
    energy_wh: Annotated[int, Field(ge=0, le=REGISTER_MAX_WH)] | None = None
    token: Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[!-~ ]+$")] | None = None
    holder: Text | None = None
    stop_reason: Text | None = None


class Quantity(Shown):
    """One value in base units (Wh, W, A, V, Celsius, Percent, …)."""

    measurand: str = Field(examples=["Power.Active.Import"])
    phase: str | None = Field(examples=["L1"])
    location: str = Field(examples=["Outlet"])
    unit: str = Field(examples=["W"])
    value: float = Field(examples=[7360.0])


class MeterSampleShown(Shown):
    """The values of one moment."""

    id: Id
    charge_log_id: Id | None = Field(description="null outside of a charge")
    charge_point_number: int = Field(description="0 is the station's main meter")
    measured_at: datetime = Field(description="by the station's clock")
    received_at: datetime
    context: str | None = Field(examples=["Sample.Periodic"])
    energy_wh: float | None = Field(description="the import register")
    power_w: float | None
    soc_percent: float | None
    quantities: list[Quantity] = Field(description="all numbers, in base units")
    sampled_values: list[Any] = Field(description="as the station sent them")

    @classmethod
    def of(cls, sample: MeterSample) -> Self:
        read = [quantity(value) for value in sample.sampled_values if isinstance(value, dict)]
        quantities = [Quantity.model_validate(one) for one in read if one is not None]
        return cls.model_validate({**sample.model_dump(), "quantities": quantities})


class PointShown(Shown):
    """The charge at one moment."""

    at: datetime
    energy_wh: float | None = Field(description="since the start")
    power_w: float | None = Field(description="as sent, else from the energy between two samples")
    soc_percent: float | None


class Curve(Shown):
    """A charge's course, ready for a chart."""

    samples: int = Field(description="how many there are; the points are chosen among them")
    points: list[PointShown]


class SumShown(Shown):
    """Charges taken together."""

    charges: int
    running: int
    energy_wh: int
    charging_s: int


class ChargePointSum(SumShown):
    charge_point_number: int


class Summary(Shown):
    total: SumShown
    charge_points: list[ChargePointSum]


class ConsumptionPart(Shown):
    """One day or month; charges count where they began."""

    part: str = Field(examples=["2026-01-31"])
    charges: int
    energy_wh: float
    charging_s: float


class Consumption(Shown):
    by: Literal["day", "month"]
    timezone: str = Field(examples=["Europe/Oslo"])
    parts: list[ConsumptionPart] = Field(description="every day or month of the period, also those without charges")


class UseShown(Shown):
    charges: int = Field(description="that began then")
    charging_s: float
    energy_wh: float


class HourUse(UseShown):
    hour: int = Field(ge=0, lt=HOURS, description="of the day, 0 to 23")


class WeekdayUse(UseShown):
    weekday: int = Field(ge=1, le=WEEKDAYS, description="1 is Monday (ISO 8601)")


class WeekdayHours(WeekdayUse):
    hours: list[HourUse]


class UsageShown(Shown):
    """When the station is used."""

    timezone: str = Field(examples=["Europe/Oslo"])
    hours: list[HourUse] = Field(description="over all weekdays")
    weekdays: list[WeekdayHours]


class UnmatchedStopShown(Shown):
    """A StopTransaction that belongs to no charge; it was answered normally."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity")
    transaction_id: str = Field(description="as the station sent it")
    reason: UnmatchedReason
    received_at: datetime
    stopped_at: datetime
    meter_stop_wh: int
    stop_reason: str | None
    token: str | None
    paired_charge_log_id: Id | None
    paired_at: datetime | None
    paired_by: str | None

    @classmethod
    def of(cls, stop: UnmatchedStop, identity: str) -> Self:
        return cls.model_validate({**stop.model_dump(), "station_id": identity})


class UnmatchedStopDetail(UnmatchedStopShown):
    payload: dict[str, Any] = Field(description="the whole request")
    suggestions: list[ChargeLogShown] = Field(
        description="charges without a stop of their own, the likeliest first, by token, register and time"
    )


class Pairing(Strict):
    charge_log_id: Id = Field(description="an open charge, or one whose end was estimated")
