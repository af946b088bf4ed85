"""B10: the table of password changes over OCPP."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field

from csms.station.passwords.rules import ChangeState
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept

_SENDING = text("state = 'sending'")
_OPEN = text("password_hash IS NOT NULL")


class PasswordChange(Owned, table=True):
    """A new password that was sent to a station; its hash is here only until it is decided which one holds."""

    __tablename__ = "password_change"
    __table_args__ = (
        Index("ix_password_change_station", "station_id", "id"),
        Index("ix_password_change_open", "station_id", postgresql_where=_OPEN, sqlite_where=_OPEN),
        Index(
            "uq_password_change_sending",
            "station_id",
            unique=True,
            postgresql_where=_SENDING,
            sqlite_where=_SENDING,
        ),
    )

    station_id: int = Field(sa_type=BigInt)
    command_id: int = Field(sa_type=BigInt)
    state: ChangeState = Field(sa_type=words(ChangeState))
    password_hash: str | None = None
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str
    due_at: datetime = Field(sa_type=UtcDateTime)
    """When no outcome can come any more."""
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reason: str | None = None


KEPT = (Kept(PasswordChange, "history_kept_days"),)
