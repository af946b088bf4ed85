"""S15: the monitors of stations, what they watch at all, and the events that stations told."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from csms.station.monitoring.rules.words import EventTrigger, MonitoringBase, MonitorKind, Origin
from csms.store import BigInt, Owned, UtcDateTime, words
from csms.store.retention import Kept


class VariableMonitor(Owned, table=True):
    """A monitor that a station has, as far as it is known."""

    __tablename__ = "variable_monitor"
    __table_args__ = (UniqueConstraint("station_id", "monitor_id", name="uq_variable_monitor_station"),)

    station_id: int = Field(sa_type=BigInt)
    monitor_id: int = Field(sa_type=BigInt)
    """The station's own number."""
    name: str
    """Of what is watched, as settings are named: `Component.Variable`."""
    component: str
    component_instance: str | None = None
    charge_point_number: int | None = Field(default=None, sa_type=BigInt)
    connector_number: int | None = Field(default=None, sa_type=BigInt)
    variable: str
    variable_instance: str | None = None
    kind: MonitorKind = Field(sa_type=words(MonitorKind))
    value: float
    severity: int
    is_transaction_only: bool = False
    origin: Origin | None = Field(default=None, sa_type=words(Origin))
    told_at: datetime = Field(sa_type=UtcDateTime)
    """When the station last said that it has it."""


class MonitoringPolicy(Owned, table=True):
    """What a station was told to watch and to tell at all; a row each."""

    __tablename__ = "monitoring_policy"

    station_id: int = Field(sa_type=BigInt, unique=True)
    base: MonitoringBase | None = Field(default=None, sa_type=words(MonitoringBase))
    base_set_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    level: int | None = None
    """Events of a greater severity number are not told."""
    level_set_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeviceEvent(Owned, table=True):
    """An event of a component, as the station told it (NotifyEvent)."""

    __tablename__ = "device_event"
    __table_args__ = (Index("ix_device_event_station", "station_id", "id"),)

    station_id: int = Field(sa_type=BigInt)
    event_id: int = Field(sa_type=BigInt)
    """The station's own number."""
    at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    trigger: EventTrigger = Field(sa_type=words(EventTrigger))
    origin: Origin | None = Field(default=None, sa_type=words(Origin))
    component: str
    component_instance: str | None = None
    charge_point_number: int | None = Field(default=None, sa_type=BigInt)
    connector_number: int | None = Field(default=None, sa_type=BigInt)
    variable: str
    variable_instance: str | None = None
    actual_value: str
    is_cleared: bool
    severity: int | None = None
    monitor_id: int | None = Field(default=None, sa_type=BigInt)
    cause_event_id: int | None = Field(default=None, sa_type=BigInt)
    tech_code: str | None = None
    tech_info: str | None = None
    transaction_id: str | None = None


KEPT = (Kept(DeviceEvent, "frames_kept_days"),)
