"""B10: the table of security profile upgrades."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.security_profiles.rules import UpgradeState
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept

_OPEN = text("ended_at IS NULL")


class ProfileUpgrade(Owned, table=True):
    """A station that was asked to use a higher security profile, and what became of it."""

    __tablename__ = "security_profile_upgrade"
    __table_args__ = (
        Index("ix_security_profile_upgrade_station", "station_id", "id"),
        Index(
            "uq_security_profile_upgrade_open", "station_id", unique=True, postgresql_where=_OPEN, sqlite_where=_OPEN
        ),
    )

    station_id: int = Field(sa_type=BigInt)
    command_id: int = Field(sa_type=BigInt)
    from_profile: int
    to_profile: int
    state: UpgradeState = Field(sa_type=words(UpgradeState))
    reason: str | None = None
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


KEPT = (Kept(ProfileUpgrade, "history_kept_days"),)
