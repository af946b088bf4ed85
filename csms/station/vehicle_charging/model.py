"""S25: what vehicles told through stations, one row for each charge point, and what an organisation does about it."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime, words


class PlanState(StrEnum):
    """What became of the limits that are calculated for a vehicle."""

    NONE = "none"
    DUE = "due"
    """To be calculated and sent."""
    SENT = "sent"
    """Sent; the charging profile says what the station answered."""
    FAILED = "failed"


_DUE = text("plan_state = 'due'")


class VehicleCharging(Owned, table=True):
    """What the vehicle at a charge point needs and plans; the next vehicle takes its place."""

    __tablename__ = "vehicle_charging"
    __table_args__ = (
        UniqueConstraint("station_id", "charge_point_number", name="uq_vehicle_charging_station_place"),
        Index("ix_vehicle_charging_due", "plan_due_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    transaction_id: str | None = None
    """The transaction that ran there when it told of its needs."""

    needs: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """As the station wrote them."""
    needs_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    needs_answer: str | None = None
    steps_max: int | None = Field(default=None, sa_type=BigInt)
    """How many periods the vehicle can take."""

    plan_state: PlanState = Field(default=PlanState.NONE, sa_type=words(PlanState))
    plan_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    plan_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    plan_reason: str | None = None
    plan_profile_id: int | None = Field(default=None, sa_type=BigInt)
    """The row of the charging profile."""
    plan_count: int = 0
    """Plans sent since it told of its needs."""

    schedule: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """What the vehicle will draw, as the station wrote it."""
    schedule_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    schedule_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_within_limits: bool | None = None
    exceeds: list[dict[str, Any]] | None = Field(default=None, sa_type=Json)
    """Where it would draw more than is allowed."""

    allowed_transfer: list[str] | None = Field(default=None, sa_type=Json)
    allowed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class VehicleChargingPolicy(Owned, table=True):
    """What an organisation does about vehicles' needs; without a row, nothing."""

    __tablename__ = "vehicle_charging_policy"
    __table_args__ = (UniqueConstraint("organisation_id", name="uq_vehicle_charging_policy_organisation"),)

    plans_for_vehicles: bool = False
    """Calculate limits for vehicles that tell of their needs, and send them as profiles of their charges."""
    changed_at: datetime = Field(sa_type=UtcDateTime)
    changed_by: str
