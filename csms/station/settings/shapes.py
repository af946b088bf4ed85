"""S15: what settings look like over HTTP: requests and answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints

from csms.ids import Id
from csms.station.device_reports import DeviceReport, ReportState
from csms.station.information import Station
from csms.station.settings.model import Setting
from csms.station.settings.rules.addresses import Address
from csms.station.settings.rules.checking import listed
from csms.station.settings.rules.recommending import Recommended, deviates
from csms.station.settings.rules.telling import names_secret
from csms.station.settings.rules.vocabulary import common_of
from csms.station.settings.rules.words import AttributeKind, DataType, Mutability, SettingOutcome
from csms.station.settings.service.changing import ChangeResult
from csms.station.settings.service.recommending import Comparison
from csms.station.settings.service.refreshing import Part
from csms.web import Shown, Strict

CHANGES_MAX = 100
NAMES_MAX = 200
NUMBER_MAX = 10_000

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(
        description=(
            "a common name (`heartbeat_interval`, see /settings/vocabulary), a key of OCPP 1.6 (`HeartbeatInterval`), "
            "or a variable of 2.x: `OCPPCommCtrlr.HeartbeatInterval`, `Connector#1.2.Available` (connector 2 of charge "
            "point 1), `DeviceDataCtrlr.ItemsPerMessage[GetReport]` (with an instance)"
        ),
        examples=["heartbeat_interval"],
    ),
]
Comment = Annotated[str, Field(max_length=1000, examples=["agreed with the grid operator"])]
Make = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _as_text(value: object) -> object:
    """Numbers and true or false may stand as such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value


Value = Annotated[
    str,
    BeforeValidator(_as_text, json_schema_input_type=str | bool | int | float),
    StringConstraints(max_length=2500, pattern=r"^[^\x00]*$"),
    Field(description="as text; a number, true or false may stand as such", examples=["300"]),
]


class AttributeShown(Shown):
    """One attribute of a variable."""

    attribute: AttributeKind
    value: str | None
    mutability: Mutability | None
    is_persistent: bool | None
    is_constant: bool | None


class SettingShown(Shown):
    """A setting as the station last told it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    name: str = Field(examples=["OCPPCommCtrlr.HeartbeatInterval"])
    common_name: str | None = Field(description="its name whatever the station speaks", examples=["heartbeat_interval"])
    meaning: str | None = Field(description="in words, where it is known", examples=["Time between heartbeats"])
    component: str | None = Field(description="null in OCPP 1.6")
    component_instance: str | None
    charge_point_number: int | None = Field(description="null: of the station as a whole")
    connector_number: int | None
    variable: str
    variable_instance: str | None
    value: str | None = Field(description="the actual value; null where none was told, and always of secrets")
    attributes: list[AttributeShown] = Field(description="all attributes, `actual` first")
    mutability: Mutability | None = Field(description="of the actual value; null: not known")
    is_secret: bool = Field(description="the value is never shown")
    is_unknown: bool = Field(description="the station says that it has no such setting")
    data_type: DataType | None
    unit: str | None
    min_limit: float | None
    max_limit: float | None
    allowed_values: list[str] | None
    max_elements: int | None
    can_be_monitored: bool | None
    read_at: datetime | None = Field(description="when the station last told of it")
    changed_at: datetime | None = Field(description="when the station last took a value from here")
    changed_by: str | None
    reboot_required: bool = Field(description="a new value waits for the next restart")
    value_after_reboot: str | None
    recommended_value: str | None = Field(description="what your organisation recommends for this station")
    deviates: bool | None = Field(description="whether the value is another than recommended; null: nothing to compare")

    @classmethod
    def of(cls, setting: Setting, station: Station, recommended: Mapping[str, tuple[Address, Recommended]]) -> Self:
        """`recommended` is what is recommended for the station, by the setting's key."""
        common = common_of(setting.key)
        wanted = recommended[setting.key][1].value if setting.key in recommended else None
        data_type = setting.data_type or (common.data_type if common else None)
        value = setting.value_after_reboot or setting.value
        more: dict[str, Any] = {
            "station_id": station.identity,
            "common_name": common.name if common else None,
            "meaning": common.meaning if common else None,
            "data_type": data_type,
            "recommended_value": wanted,
            "deviates": None if wanted is None else deviates(data_type, value, wanted),
            "unit": setting.unit or (common.unit if common else None),
            "allowed_values": None if setting.values_list is None else listed(setting.values_list),
            "attributes": _attributes(setting),
            "reboot_required": setting.reboot_required_since is not None,
        }
        return cls.model_validate(setting.model_dump() | more)


def _attributes(setting: Setting) -> list[AttributeShown]:
    actual = {name: getattr(setting, name) for name in ("value", "mutability", "is_persistent", "is_constant")}
    every = {AttributeKind.ACTUAL: actual, **(setting.attributes or {})}
    empty = dict.fromkeys(actual)
    return [AttributeShown.model_validate({"attribute": kind, **empty, **told}) for kind, told in every.items()]


class ComponentWanted(Strict):
    """A component of OCPP 2.x, or one of its variables."""

    component: Word = Field(examples=["OCPPCommCtrlr"])
    component_instance: Word | None = None
    charge_point_number: int | None = Field(None, ge=0, le=NUMBER_MAX)
    connector_number: int | None = Field(None, ge=0, le=NUMBER_MAX)
    variable: Word | None = Field(None, description="left out: all variables of the component")
    variable_instance: Word | None = None

    def part(self) -> Part:
        return Part(
            Address(
                self.variable or "",
                self.component,
                self.component_instance,
                self.charge_point_number,
                self.connector_number,
                self.variable_instance,
            )
        )


class RefreshWanted(Strict):
    """What to read; without anything, all settings."""

    scope: Literal["all", "configuration", "summary"] = Field(
        "all",
        description="2.x: the full inventory, what can be configured, or what is wrong; OCPP 1.6 always tells all",
    )
    names: list[Name] = Field(default_factory=list, max_length=NAMES_MAX, description="only these settings")
    components: list[ComponentWanted] = Field(
        default_factory=list, max_length=NAMES_MAX, description="2.x: only these components or variables"
    )
    criteria: list[Literal["active", "available", "enabled", "problem"]] = Field(
        default_factory=list, max_length=4, description="2.x: only components in one of these states"
    )


class RefreshShown(Shown):
    """A refresh and what came of it."""

    id: Id
    station_id: str = Field(examples=["CP-0001"])
    scope: str = Field(description="all, configuration, summary, names, chosen; of raw commands OCPP's own word")
    state: ReportState
    requested_at: datetime
    requested_by: str
    part_count: int = Field(description="parts that came; 0 where the answer itself held the settings")
    item_count: int = Field(description="settings that were told")
    ended_at: datetime | None
    detail: str | None = Field(description="why it is not complete, or which settings the station does not have")

    @classmethod
    def of(cls, report: DeviceReport, identity: str) -> Self:
        more = {"station_id": identity, "state": report.state, "part_count": len(report.parts)}
        return cls.model_validate(report.model_dump() | more)


class ChangeWanted(Strict):
    """A setting and the value that it shall have."""

    name: Name
    value: Value
    attribute: AttributeKind = Field(AttributeKind.ACTUAL, description="OCPP 1.6 has `actual` alone")


class ChangesWanted(Strict):
    """Settings to change; nothing is sent if one of them cannot be right."""

    changes: list[ChangeWanted] = Field(min_length=1, max_length=CHANGES_MAX)


class ValueWanted(Strict):
    """The value that a setting shall have."""

    value: Value
    attribute: AttributeKind = AttributeKind.ACTUAL


class ResultShown(Shown):
    """What came of changing one setting."""

    name: str = Field(description="as you wrote it", examples=["heartbeat_interval"])
    setting: str = Field(description="as the station calls it", examples=["OCPPCommCtrlr.HeartbeatInterval"])
    attribute: AttributeKind
    value: str | None = Field(description="what was asked for; null for a secret")
    outcome: SettingOutcome
    detail: str = Field(description="in words", examples=["the station has taken the value"])
    command_id: Id | None = Field(description="the command log's entry, if one was sent")

    @classmethod
    def of(cls, result: ChangeResult) -> Self:
        return cls(
            name=result.wish.name,
            setting=result.address.name,
            attribute=result.wish.attribute,
            value=None if names_secret(result.address) else result.wish.value,
            outcome=result.outcome,
            detail=result.detail,
            command_id=result.command_id,
        )


class ResultsShown(Shown):
    """What came of each change, in their order."""

    results: list[ResultShown]


class SettingChangeShown(Shown):
    """An entry of the history."""

    id: Id
    name: str
    attribute: AttributeKind
    at: datetime
    old_value: str | None
    new_value: str | None = Field(description="what was asked for, or seen; null for a secret")
    outcome: SettingOutcome
    reason: str | None = Field(description="the station's own words")
    changed_by: str | None = Field(description="null: not changed from here, only seen")
    command_id: Id | None


class CommonShown(Shown):
    """A setting that has one name whatever the station speaks."""

    name: str = Field(examples=["heartbeat_interval"])
    meaning: str
    key: str | None = Field(description="in OCPP 1.6", examples=["HeartbeatInterval"])
    variable: str | None = Field(description="in OCPP 2.x", examples=["OCPPCommCtrlr.HeartbeatInterval"])
    data_type: DataType
    unit: str | None


class RecommendationWanted(Strict):
    """A value that stations should have."""

    name: Name
    value: Value
    vendor: Make | None = Field(None, description="only stations of this vendor, as they tell it at boot")
    model: Make | None = Field(None, description="only stations of this model")
    comment: Comment = ""


class RecommendationChange(Strict):
    """What to change; fields left out (or null) stay as they are."""

    value: Value | None = None
    comment: Comment | None = None


class RecommendationShown(Shown):
    """A value that stations should have; of several, the one that is meant most narrowly holds."""

    id: Id
    name: str = Field(examples=["heartbeat_interval"])
    value: str = Field(examples=["300"])
    vendor: str | None = Field(description="null: of any vendor")
    model: str | None = Field(description="null: of any model")
    comment: str
    changed_at: datetime
    changed_by: str


class ComparisonShown(Shown):
    """A recommended value beside what the station has."""

    name: str = Field(description="as it is recommended", examples=["heartbeat_interval"])
    setting: str = Field(description="as the station calls it", examples=["HeartbeatInterval"])
    setting_id: Id | None = Field(description="null: the station never told of it")
    recommended_value: str
    value: str | None = Field(description="what the station has, or will have after its next restart; null: not known")
    deviates: bool | None = Field(description="null: not known, or the station has no such setting")

    @classmethod
    def of(cls, one: Comparison) -> Self:
        return cls(
            name=one.recommended.name,
            setting=one.address.name,
            setting_id=one.setting.id if one.setting else None,
            recommended_value=one.recommended.value,
            value=one.value,
            deviates=one.deviates,
        )


class ComparisonsShown(Shown):
    """All recommended values that concern the station."""

    items: list[ComparisonShown]


class ApplyWanted(Strict):
    """Which recommended values to apply; without anything, all that the station does not have."""

    names: list[Name] | None = Field(None, max_length=NAMES_MAX)
