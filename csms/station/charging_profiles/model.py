"""S25: charging profiles as they are known, external limits, composite schedules that stations told, and reports."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.station.charging_profiles.rules.profile import Kind, Purpose, Unit
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

CSMS_SOURCE = "CSO"
"""OCPP's word for limits of the charging station operator: ours."""


class ProfileState(StrEnum):
    """What is known of a profile."""

    SENT = "sent"
    """On its way; no answer yet."""
    ACCEPTED = "accepted"
    """The station has it, by its own answer."""
    REPORTED = "reported"
    """The station has it: it said so when it was asked for its profiles."""
    REJECTED = "rejected"
    UNDELIVERED = "undelivered"
    """It never left: the station was offline or busy."""
    UNCERTAIN = "uncertain"
    """It left and no answer came: the station may have it."""
    SUPERSEDED = "superseded"
    """Another one took its place."""
    CLEARED = "cleared"
    """Removed at our request, or no longer there when the station reported its profiles."""
    ENDED = "ended"
    """The charge that it was for has ended, or its validity is over."""


INSTALLED = (ProfileState.ACCEPTED, ProfileState.REPORTED)
"""States in which the station has the profile."""
_INSTALLED = text("state IN ('accepted', 'reported')")
_SENT = text("state = 'sent'")
_OF_A_CHARGE = text("state IN ('accepted', 'reported') AND purpose = 'transaction'")


class ReportState(StrEnum):
    """How far a report of the profiles that a station has is."""

    ASKED = "asked"
    RECEIVING = "receiving"
    COMPLETE = "complete"
    NO_PROFILES = "no_profiles"
    """The station has none that match."""
    FAILED = "failed"
    """The station did not agree, or could not be asked."""


class ChargingProfile(Owned, table=True):
    """A charging profile of a station; `payload` is the object as it went over the wire."""

    __tablename__ = "charging_profile"
    __table_args__ = (
        Index("ix_charging_profile_station", "station_id", "id"),
        Index(
            "ix_charging_profile_of_a_charge",
            "station_id",
            "transaction_id",
            postgresql_where=_OF_A_CHARGE,
            sqlite_where=_OF_A_CHARGE,
        ),
        Index("ix_charging_profile_sent", "state_at", postgresql_where=_SENT, sqlite_where=_SENT),
        Index("ix_charging_profile_installed", "station_id", postgresql_where=_INSTALLED, sqlite_where=_INSTALLED),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    """0: the whole station."""
    profile_id: int = Field(sa_type=BigInt)
    """OCPP's, unique within the station."""
    purpose: Purpose = Field(sa_type=words(Purpose))
    stack_level: int = Field(sa_type=BigInt)
    kind: Kind = Field(sa_type=words(Kind))
    transaction_id: str | None = None
    """OCPP's, as text in every version."""
    valid_from: datetime | None = Field(default=None, sa_type=UtcDateTime)
    valid_to: datetime | None = Field(default=None, sa_type=UtcDateTime)
    source: str = CSMS_SOURCE
    """Who set it: CSO is this system, others are EMS, SO, Other, and words of 2.1."""
    protocol: str
    payload: dict[str, Any] = Field(sa_type=Json)
    state: ProfileState = Field(sa_type=words(ProfileState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sent_by: str | None = None
    """None: it came with a command, or the station told of it."""
    reported_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ChargingLimit(Owned, table=True):
    """A limit from outside this system that a station told of; one row for each place and source."""

    __tablename__ = "charging_limit"
    __table_args__ = (
        UniqueConstraint("station_id", "charge_point_number", "source", name="uq_charging_limit_station_place_source"),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    source: str
    is_grid_critical: bool | None = None
    is_local_generation: bool | None = None
    """2.1: it is more power instead of less."""
    schedules: list[dict[str, Any]] = Field(sa_type=Json)
    """As the station wrote them; empty if it told only that there is a limit."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    cleared_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CompositeSchedule(Owned, table=True):
    """What a station last told that it will allow; one row for each place."""

    __tablename__ = "composite_schedule"
    __table_args__ = (
        UniqueConstraint("station_id", "charge_point_number", name="uq_composite_schedule_station_place"),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    told_at: datetime = Field(sa_type=UtcDateTime)
    duration_s: int = Field(sa_type=BigInt)
    """What was asked for."""
    unit: Unit | None = Field(default=None, sa_type=words(Unit))
    is_accepted: bool
    reason: str | None = None
    starts_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    schedule: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """As the station wrote it."""


class ProfileReport(Owned, table=True):
    """A request to a station to report the profiles that it has (2.0.1 K09), and how far it is."""

    __tablename__ = "profile_report"
    __table_args__ = (Index("ix_profile_report_station", "station_id", "request_id"),)

    station_id: int = Field(sa_type=BigInt)
    request_id: int = Field(sa_type=BigInt)
    request: dict[str, Any] = Field(sa_type=Json)
    state: ReportState = Field(sa_type=words(ReportState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    asked_at: datetime = Field(sa_type=UtcDateTime)
    pages: int = 0
    profiles: int = 0
    ignored: int = 0
    """Profiles beyond what is kept of one station."""


class PriorityCharge(Owned, table=True):
    """2.1: whether the charge at a charge point has priority; one row for each place."""

    __tablename__ = "priority_charge"
    __table_args__ = (UniqueConstraint("station_id", "charge_point_number", name="uq_priority_charge_station_place"),)

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    transaction_id: str
    is_active: bool
    changed_at: datetime = Field(sa_type=UtcDateTime)
    is_own_wish: bool
    """Asked for at the station, by its driver; otherwise by us."""


KEPT = (Kept(ProfileReport, "history_kept_days"),)
