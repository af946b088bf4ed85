"""S3: charge points (EVSEs) and their connectors."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.station.charge_points.rules import ChargePointStatus, ConnectorFormat, PlugType
from csms.store import BigInt, Owned, UtcDateTime, words


class ChargePoint(Owned, table=True):
    """A place where one vehicle charges; `number` is 1.6's connectorId or 2.x's EVSE id, from 1.

    Number 0 of OCPP means the station itself and is kept on the station's row.
    """

    __tablename__ = "charge_point"
    __table_args__ = (UniqueConstraint("station_id", "number", name="uq_charge_point_station_number"),)

    station_id: int = Field(sa_type=BigInt)
    number: int
    label: str | None = None
    evse_id: str | None = Field(default=None, max_length=48)
    evse_key: str | None = Field(default=None, unique=True, max_length=48)
    """The EVSE id without `*`: what is unique over the installation."""
    status: ChargePointStatus = Field(default=ChargePointStatus.UNKNOWN, sa_type=words(ChargePointStatus))
    status_word: str | None = None
    """As the station wrote it."""
    status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when, by the station's clock."""
    status_received_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When this system learnt it."""
    charging_status: ChargePointStatus | None = Field(default=None, sa_type=words(ChargePointStatus))
    """What the transaction that runs there says (2.x chargingState); None without one, and in 1.6."""
    is_operative: bool = True
    """What the operator asked for by ChangeAvailability and the station agreed to."""
    is_announced: bool = False
    """Whether the station itself has ever mentioned it."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class Connector(Owned, table=True):
    """A plug of a charge point; `number` counts from 1 within it, and is 2.x's connectorId."""

    __table_args__ = (UniqueConstraint("charge_point_id", "number", name="uq_connector_charge_point_number"),)

    station_id: int = Field(sa_type=BigInt, index=True)
    charge_point_id: int = Field(sa_type=BigInt)
    number: int
    plug_type: PlugType | None = Field(default=None, sa_type=words(PlugType))
    format: ConnectorFormat | None = Field(default=None, sa_type=words(ConnectorFormat))
    max_power_w: int | None = None
    voltage_v: int | None = None
    amperage_a: int | None = None
    phases: int | None = None
    """1 to 3; none for direct current."""
    status: ChargePointStatus | None = Field(default=None, sa_type=words(ChargePointStatus))
    """As the station says (2.x); None for a connector that it never mentioned, and in 1.6."""
    status_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when, by the station's clock."""
    status_received_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
