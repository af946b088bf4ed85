"""S9: reservations, and whether a station takes them."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.station.charge_points import PlugType
from csms.station.reservations.rules import ReservationState
from csms.station.tokens import Hold, TokenKind
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept

_IS_LIVE = text("state IN ('requested', 'active')")


class Reservation(Owned, table=True):
    """A place that is kept for somebody: one charge point, or any of the station's."""

    __table_args__ = (
        UniqueConstraint("station_id", "number", name="uq_reservation_station_number"),
        Index(
            "uq_reservation_live",
            "station_id",
            "charge_point_number",
            unique=True,
            postgresql_where=_IS_LIVE,
            sqlite_where=_IS_LIVE,
        ),
        Index("ix_reservation_live_until", "until", postgresql_where=_IS_LIVE, sqlite_where=_IS_LIVE),
    )

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    """OCPP's reservation id: random, unique within the station."""
    charge_point_number: int | None = None
    """None: any charge point."""
    plug_type: PlugType | None = Field(default=None, sa_type=words(PlugType))
    """OCPP 2.x: any charge point that has this plug."""
    token: str
    token_key: str
    token_kind: TokenKind | None = Field(default=None, sa_type=words(TokenKind))
    group_uid: str | None = None
    """Whoever belongs to this group may use it too."""
    group_key: str | None = None
    contact: str | None = None
    comment: str = ""
    until: datetime = Field(sa_type=UtcDateTime)
    state: ReservationState = Field(default=ReservationState.REQUESTED, sa_type=words(ReservationState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    station_word: str | None = None
    """The station's own word, where it said no or gave the place up."""
    reason: str | None = None
    """Why it is as it is, in plain words."""
    charge_log_id: int | None = Field(default=None, sa_type=BigInt)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    cancel_requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Somebody cancelled it; until the station has agreed, it still keeps the place."""
    cancel_requested_by: str | None = None
    cancel_tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def hold(self) -> Hold:
        """As it keeps others out."""
        return Hold(self.charge_point_number, self.token_key, self.group_key, self.created_at, self.until, self.number)


class ReservationPolicy(Owned, table=True):
    """Whether a station takes reservations; without a row it does."""

    __tablename__ = "reservation_policy"
    __table_args__ = (UniqueConstraint("station_id", name="uq_reservation_policy_station"),)

    station_id: int = Field(sa_type=BigInt)
    is_allowed: bool = True


KEPT = (Kept(Reservation, "history_kept_days"),)
