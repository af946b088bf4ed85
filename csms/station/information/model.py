"""S1: the station."""

import secrets
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from csms.routing import Registration
from csms.store import BigInt, Json, Owned, UtcDateTime, words


class Leniency(StrEnum):
    """B8: what becomes of a message that breaks its schema."""

    LENIENT = "lenient"
    """Repaired, counted, accepted."""
    STRICT = "strict"
    """Refused with the CALLERROR of the standard."""


class StationStatus(StrEnum):
    """What the station says of itself as a whole: connector 0 of OCPP 1.6 (4.9)."""

    AVAILABLE = "available"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"
    UNKNOWN = "unknown"


def new_public_id() -> str:
    """What feeds show instead of the OCPP identity."""
    return secrets.token_hex(8)


class Station(Owned, table=True):
    """A charging station. `identity` is its OCPP identity, unique over the whole installation."""

    __table_args__ = (Index("ix_station_organisation_identity", "organisation_id", "identity"),)

    identity: str = Field(unique=True, max_length=48)
    public_id: str = Field(default_factory=new_public_id, unique=True, max_length=36)
    name: str | None = None
    site: str | None = Field(default=None, index=True)
    tags: list[str] = Field(default_factory=list, sa_type=Json)
    registration: Registration = Field(default=Registration.ACCEPTED, sa_type=words(Registration))
    leniency: Leniency = Field(default=Leniency.LENIENT, sa_type=words(Leniency))
    is_demo: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)

    # Where it stands
    address: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    latitude: float | None = None
    longitude: float | None = None

    # What it said of itself in BootNotification
    vendor: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    boot_reason: str | None = Field(default=None, max_length=40)
    """Why it booted last, as a 2.x station says it; None for 1.6, which has no such word."""
    last_boot_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: StationStatus = Field(default=StationStatus.UNKNOWN, sa_type=words(StationStatus))
    status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    # How it communicates; written by the broker that owns the socket
    security_profile: int = 0
    next_security_profile: int | None = None
    """While it is being raised (A05): that one is accepted too, and the first connection with it ends the old one."""
    password_hashes: list[str] | None = Field(default=None, sa_type=Json)
    is_online: bool = Field(default=False, index=True)
    online_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    offline_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_heartbeat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    protocol: str | None = None
    remote_address: str | None = None
    connection_id: int | None = Field(default=None, sa_type=BigInt)
    fence: int = Field(default=0, sa_type=BigInt)
    """Grows with each connection; only the newest owns the station."""
