"""S21: service packages and the history of their switches."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.store import BigInt, Owned, UtcDateTime, words


class ServicePackage(StrEnum):
    """What an operator can buy for a station."""

    SUPPORT_360 = "360.SUPPORT"
    CHARGEPOINT_OPERATION = "Chargepoint.OPERATION"


class ActivePackage(Owned, table=True):
    """A package that is on for a station; the row goes when it is switched off."""

    __tablename__ = "active_package"
    __table_args__ = (UniqueConstraint("station_id", "package", name="uq_active_package_station_package"),)

    station_id: int = Field(sa_type=BigInt)
    package: ServicePackage = Field(sa_type=words(ServicePackage))
    since: datetime = Field(sa_type=UtcDateTime)


class PackageSwitch(Owned, table=True):
    """Who switched a package on or off, and when."""

    __tablename__ = "package_switch"
    __table_args__ = (Index("ix_package_switch_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    package: ServicePackage = Field(sa_type=words(ServicePackage))
    is_on: bool
    switched_at: datetime = Field(sa_type=UtcDateTime)
    switched_by: str
