"""B2: swaps."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class SwapState(StrEnum):
    """How far a swap is."""

    REQUESTED = "requested"
    """Asked for here; the station has not answered."""
    ACCEPTED = "accepted"
    """The station waits for the driver."""
    REFUSED = "refused"
    BATTERIES_IN = "batteries_in"
    """The driver has put theirs in."""
    DONE = "done"
    """Charged ones were taken out."""
    TIMED_OUT = "timed_out"
    """They were not taken out in time."""


EVENTS: Final = {
    "BatteryIn": SwapState.BATTERIES_IN,
    "BatteryOut": SwapState.DONE,
    "BatteryOutTimeout": SwapState.TIMED_OUT,
}


class BatterySwap(Owned, table=True):
    """One swap of one driver."""

    __tablename__ = "battery_swap"
    __table_args__ = (UniqueConstraint("station_id", "number", name="uq_battery_swap_station_number"),)

    station_id: int = Field(sa_type=BigInt)
    number: int = Field(sa_type=BigInt)
    """OCPP's request id, which both sides give."""
    token: str
    state: SwapState = Field(sa_type=words(SwapState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    batteries_in: list[dict[str, Any]] = Field(sa_type=Json)
    """OCPP's BatteryData objects."""
    batteries_out: list[dict[str, Any]] = Field(sa_type=Json)
    requested_at: datetime = Field(sa_type=UtcDateTime)
    requested_by: str


KEPT = (Kept(BatterySwap, "history_kept_days"),)
