"""S3: the charge points of a station, their connectors, and what maps and apps still lack."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, status
from pydantic import Field, StringConstraints

from csms.ids import Id
from csms.rights import Area
from csms.station.charge_points.model import ChargePoint, Connector
from csms.station.charge_points.rules import (
    EVSE_ID_CHARS_MAX,
    ChargePointStatus,
    ConnectorFormat,
    PlugType,
    Severity,
)
from csms.station.charge_points.service import (
    CHARGE_POINTS_MAX,
    CONNECTORS_MAX,
    add_charge_point,
    charge_points_of,
    check_station,
    connectors_of,
    get_charge_point,
    remove_charge_point,
    replace_connectors,
    set_evse_id,
    tell_changed,
)
from csms.station.information import Station, StationDep, StationToChange
from csms.store import Work
from csms.web import Page, Reading, Shown, Strict, Writing, behind, may_read, may_write

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=CHARGE_POINTS_MAX, description="1.6 connectorId or 2.x EVSE id", examples=[1])]
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=r"^[^\x00-\x1f\x7f]*$")
]
EvseIdText = Annotated[
    str,
    Field(
        max_length=EVSE_ID_CHARS_MAX,
        description="ISO 15118-1 or DIN SPEC 91286; unique however it is spelt",
        examples=["DE*AB7*E840*6487"],
    ),
]


class ConnectorBody(Strict):
    """A plug; its number is its place in the list."""

    plug_type: PlugType | None = Field(None, examples=["iec_62196_t2_combo"])
    format: ConnectorFormat | None = Field(None, examples=["cable"])
    max_power_w: int | None = Field(None, ge=1, le=10_000_000, examples=[150_000])
    voltage_v: int | None = Field(None, ge=1, le=10_000, examples=[920])
    amperage_a: int | None = Field(None, ge=1, le=10_000, examples=[250])
    phases: int | None = Field(None, ge=1, le=3, description="null for direct current")


class ConnectorShown(Shown):
    """A plug of a charge point."""

    number: int
    plug_type: PlugType | None
    format: ConnectorFormat | None
    max_power_w: int | None
    voltage_v: int | None
    amperage_a: int | None
    phases: int | None
    status: ChargePointStatus | None = Field(description="as the station says; null in OCPP 1.6, which does not")
    status_at: datetime | None = Field(description="since when, by the station's clock")


class ChargePointShown(Shown):
    """A charge point (EVSE) of the station."""

    id: Id
    number: int = Field(description="1.6 connectorId or 2.x EVSE id")
    label: str | None
    evse_id: str | None
    status: ChargePointStatus
    status_word: str | None = Field(
        description="as the station wrote it; with OCPP 2.x, what its connectors and its transaction come to",
        examples=["SuspendedEV"],
    )
    status_at: datetime | None = Field(description="since when, by the station's clock")
    is_operative: bool = Field(description="as the operator asked with ChangeAvailability and the station agreed")
    is_announced: bool = Field(description="whether the station itself has ever mentioned it")
    connectors: list[ConnectorShown]
    created_at: datetime


class ChargePointToAdd(Strict):
    """A charge point that the station has not mentioned yet."""

    number: int = Field(ge=1, le=CHARGE_POINTS_MAX, examples=[1])
    label: Label | None = Field(None, description="what is printed on it", examples=["A1"])
    evse_id: EvseIdText | None = None
    connectors: list[ConnectorBody] = Field(default_factory=list, max_length=CONNECTORS_MAX)


class ChargePointChanges(Strict):
    """What to change; fields left out stay as they are, null empties them."""

    label: Label | None = Field(None, examples=["A1"])
    evse_id: EvseIdText | None = None


class Connectors(Strict):
    """All connectors of a charge point, in their order."""

    connectors: list[ConnectorBody] = Field(max_length=CONNECTORS_MAX)


class ProblemShown(Shown):
    """Something not configured right."""

    severity: Severity
    place: str = Field(examples=["charge_points/1/evse_id"])
    what: str = Field(examples=["the EVSE id is missing"])
    todo: str = Field(examples=["set it as your operator id and contract say"])


class CheckResult(Shown):
    """What keeps maps and apps from showing the station well."""

    is_ready: bool = Field(description="no problem is an error")
    problems: list[ProblemShown]


def _shown(one: ChargePoint, connectors: list[Connector]) -> ChargePointShown:
    shown = [ConnectorShown.model_validate(connector) for connector in connectors]
    return ChargePointShown.model_validate(one.model_dump() | {"connectors": shown})


async def _show(work: Work, station: Station, number: int) -> ChargePointShown:
    one = await get_charge_point(work, station, number)
    return _shown(one, (await connectors_of(work, station)).get(one.id, []))


async def _replace(work: Work, station: Station, one: ChargePoint, bodies: list[ConnectorBody]) -> None:
    connectors = [
        Connector(
            organisation_id=station.organisation_id,
            station_id=station.id,
            charge_point_id=one.id,
            number=number,
            **body.model_dump(),
        )
        for number, body in enumerate(bodies, 1)
    ]
    await replace_connectors(work, one, connectors)


@router.get(
    "/stations/{station_id}/charge-points",
    summary="All charge points",
    dependencies=[may_read()],
    openapi_extra=behind("StatusNotification", "ChangeAvailability"),
)
async def list_charge_points(station: StationDep, work: Reading) -> Page[ChargePointShown]:
    connectors = await connectors_of(work, station)
    rows = await charge_points_of(work, station)
    return Page(items=[_shown(one, connectors.get(one.id, [])) for one in rows], next_cursor=None)


@router.get(
    "/stations/{station_id}/charge-points/check",
    summary="What is not configured right for maps and apps",
    dependencies=[may_read()],
)
async def read_check(station: StationDep, work: Reading) -> CheckResult:
    problems = await check_station(work, station)
    return CheckResult(
        is_ready=all(problem.severity is not Severity.ERROR for problem in problems),
        problems=[ProblemShown.model_validate(problem) for problem in problems],
    )


@router.post(
    "/stations/{station_id}/charge-points",
    status_code=status.HTTP_201_CREATED,
    summary="Describe a charge point before the station mentions it",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "there is one of that number, or the EVSE id is taken"}},
)
async def add(station: StationToChange, body: ChargePointToAdd, work: Writing) -> ChargePointShown:
    one = await add_charge_point(work, station, body.number)
    one.label = body.label
    await set_evse_id(work, one, body.evse_id)
    await _replace(work, station, one, body.connectors)
    tell_changed(work, station, body.number)
    return await _show(work, station, body.number)


@router.get("/stations/{station_id}/charge-points/{number}", summary="One charge point", dependencies=[may_read()])
async def read(station: StationDep, number: Number, work: Reading) -> ChargePointShown:
    return await _show(work, station, number)


@router.patch(
    "/stations/{station_id}/charge-points/{number}",
    summary="Change label and EVSE id",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the EVSE id belongs to another charge point"}},
)
async def change(station: StationToChange, number: Number, body: ChargePointChanges, work: Writing) -> ChargePointShown:
    one = await get_charge_point(work, station, number)
    if "label" in body.model_fields_set:
        one.label = body.label
    if "evse_id" in body.model_fields_set:
        await set_evse_id(work, one, body.evse_id)
    tell_changed(work, station, number)
    return await _show(work, station, number)


@router.delete(
    "/stations/{station_id}/charge-points/{number}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Remove a charge point that the station never mentioned",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
    responses={409: {"description": "the station has mentioned it, so it has a history"}},
)
async def remove(station: StationToChange, number: Number, work: Writing) -> None:
    await remove_charge_point(work, await get_charge_point(work, station, number))
    tell_changed(work, station, number)


@router.put(
    "/stations/{station_id}/charge-points/{number}/connectors",
    summary="Describe all connectors of a charge point",
    dependencies=[may_write(Area.DEVICE_AND_CUSTOMER_MANAGEMENT)],
)
async def put_connectors(station: StationToChange, number: Number, body: Connectors, work: Writing) -> ChargePointShown:
    one = await get_charge_point(work, station, number)
    await _replace(work, station, one, body.connectors)
    tell_changed(work, station, number)
    return await _show(work, station, number)
