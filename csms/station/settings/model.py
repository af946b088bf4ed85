"""S15: the settings of stations as they are known, how they changed, and what is recommended."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field

from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import Known
from csms.station.settings.rules.words import AttributeKind, DataType, Mutability, SettingOutcome
from csms.store import BigInt, Json, Owned, UtcDateTime, words
from csms.store.retention import Kept

_NEEDS_REBOOT = text("reboot_required_since IS NOT NULL")


class Setting(Owned, table=True):
    """A configuration key (1.6) or variable (2.x) of a station, as it was last told. Secret values are never here."""

    __table_args__ = (
        UniqueConstraint("station_id", "key", name="uq_setting_station_key"),
        Index(
            "ix_setting_reboot",
            "station_id",
            sqlite_where=_NEEDS_REBOOT,
            postgresql_where=_NEEDS_REBOOT,
        ),
    )

    station_id: int = Field(sa_type=BigInt)
    key: str
    """`Address.key`: the same setting, however its name is spelt."""
    name: str
    component: str | None = None
    """None: a key of OCPP 1.6."""
    component_instance: str | None = None
    charge_point_number: int | None = Field(default=None, sa_type=BigInt)
    connector_number: int | None = Field(default=None, sa_type=BigInt)
    variable: str
    variable_instance: str | None = None

    value: str | None = None
    """The actual value; None where the station told none, and of secrets."""
    mutability: Mutability | None = Field(default=None, sa_type=words(Mutability))
    is_persistent: bool | None = None
    is_constant: bool | None = None
    attributes: dict[str, dict[str, Any]] | None = Field(default=None, sa_type=Json)
    """The other attributes by their word: value, mutability, is_persistent, is_constant."""

    data_type: DataType | None = Field(default=None, sa_type=words(DataType))
    unit: str | None = None
    min_limit: float | None = None
    max_limit: float | None = None
    values_list: str | None = None
    max_elements: int | None = None
    can_be_monitored: bool | None = None

    is_secret: bool = False
    is_unknown: bool = False
    """The station says that it has no such setting."""
    read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the station last told of it."""
    changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the station last took a value from us."""
    changed_by: str | None = None
    value_after_reboot: str | None = None
    reboot_required_since: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def address(self) -> Address:
        return Address(
            self.variable,
            self.component,
            self.component_instance,
            self.charge_point_number,
            self.connector_number,
            self.variable_instance,
        )

    @property
    def known(self) -> Known:
        return Known(
            mutability=self.mutability,
            is_constant=self.is_constant,
            data_type=self.data_type,
            min_limit=self.min_limit,
            max_limit=self.max_limit,
            values_list=self.values_list,
            max_elements=self.max_elements,
            attributes=self.attributes,
        )


class SettingChange(Owned, table=True):
    """A try to change a setting that the station answered, or a change that was seen when it was read."""

    __tablename__ = "setting_change"
    __table_args__ = (Index("ix_setting_change_station", "station_id", "key", "id"),)

    station_id: int = Field(sa_type=BigInt)
    key: str
    name: str
    attribute: AttributeKind = Field(sa_type=words(AttributeKind))
    at: datetime = Field(sa_type=UtcDateTime)
    old_value: str | None = None
    new_value: str | None = None
    """What was asked for; None for a secret."""
    outcome: SettingOutcome = Field(sa_type=words(SettingOutcome))
    reason: str | None = None
    changed_by: str | None = None
    """Who asked for it; None for a change that was only seen."""
    command_id: int | None = Field(default=None, sa_type=BigInt)


class SettingRecommendation(Owned, table=True):
    """A value that stations of an organisation should have: all, or those of a make."""

    __tablename__ = "setting_recommendation"
    __table_args__ = (UniqueConstraint("organisation_id", "key", "make", name="uq_setting_recommendation"),)

    name: str
    """As people name settings: the common name, a 1.6 key or `Component.Variable`."""
    key: str
    """The name in small letters."""
    vendor: str | None = None
    """None: of any."""
    model: str | None = None
    make: str
    """Vendor and model in small letters, so that there is one value for the same stations."""
    value: str
    comment: str = ""
    changed_at: datetime = Field(sa_type=UtcDateTime)
    changed_by: str


KEPT = (Kept(SettingChange, "history_kept_days"),)
