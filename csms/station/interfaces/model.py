"""S18: which interfaces a station is published on."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.store import BigInt, Owned, UtcDateTime, words


class InterfaceKind(StrEnum):
    """A service that stations can be published to."""

    GEOJSON = "geojson"
    OPEN_CHARGE_MAP = "open_charge_map"
    GOOGLE = "google"
    OCPI = "ocpi"


FED = frozenset({InterfaceKind.GEOJSON})
"""The kinds whose feed exists; no other can be switched on."""


class StationInterface(Owned, table=True):
    """A switch that is on; the row goes when it is switched off."""

    __tablename__ = "station_interface"
    __table_args__ = (UniqueConstraint("kind", "station_id", name="uq_station_interface_kind_station"),)

    station_id: int = Field(sa_type=BigInt, index=True)
    kind: InterfaceKind = Field(sa_type=words(InterfaceKind))
    since: datetime = Field(sa_type=UtcDateTime)
    switched_by: str
