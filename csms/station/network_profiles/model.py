"""B10: the table of network profiles that stations accepted."""

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime


class NetworkProfile(Owned, table=True):
    """What stands in one of a station's slots, as far as it was set from here; no secrets."""

    __tablename__ = "network_profile"
    __table_args__ = (UniqueConstraint("station_id", "slot", name="uq_network_profile_slot"),)

    station_id: int = Field(sa_type=BigInt)
    slot: int
    url: str
    security_profile: int
    ocpp_version: str | None = None
    interface: str
    message_timeout_s: int
    identity: str | None = None
    """2.1: another OCPP identity than the present one."""
    apn: dict[str, Any] | None = Field(default=None, sa_type=Json)
    vpn: dict[str, Any] | None = Field(default=None, sa_type=Json)
    set_at: datetime = Field(sa_type=UtcDateTime)
