"""S26: tariffs on stations, settlements that stations tell, VAT numbers that they ask about."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.tariffs.rules import TariffKind, TariffState
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept


class StationTariff(Owned, table=True):
    """A tariff that a station holds for a charge point, or for all."""

    __tablename__ = "station_tariff"
    __table_args__ = (
        UniqueConstraint("station_id", "charge_point_number", "tariff_id", name="uq_station_tariff_place"),
    )

    station_id: int = Field(sa_type=BigInt)
    charge_point_number: int = Field(sa_type=BigInt)
    """0: all of the station's."""
    tariff_id: str
    kind: TariffKind = Field(sa_type=words(TariffKind))
    content: dict[str, Any] | None = Field(default=None, sa_type=Json)
    """OCPP's Tariff object; None for one that the station named without its content."""
    state: TariffState = Field(sa_type=words(TariffState))
    state_at: datetime = Field(sa_type=UtcDateTime)
    reason: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str


class Settlement(Owned, table=True):
    """What a station tells of a payment made there."""

    __table_args__ = (Index("ix_settlement_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    transaction_id: str | None = None
    reference: str
    """The payment service's own."""
    status: str
    amount: float
    settled_at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    receipt_id: str | None = None
    receipt_url: str | None = None
    info: str | None = None


class VatCheck(Owned, table=True):
    """A VAT number that a station asked about."""

    __tablename__ = "vat_check"
    __table_args__ = (Index("ix_vat_check_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    vat_number: str
    charge_point_number: int | None = Field(default=None, sa_type=BigInt)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    is_confirmed: bool
    reason: str | None = None


KEPT = (Kept(Settlement, "history_kept_days"), Kept(VatCheck, "history_kept_days"))
