"""B2: grid controls over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import ConfigDict, Field

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import SaidShown
from csms.station.der_controls.model import DerControl
from csms.station.der_controls.rules import ControlState, ControlType
from csms.station.der_controls.service import alarms_of, clear, controls_of, get_control, install, refresh
from csms.station.information import StationDep, StationId
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, behind, may_read, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}")
_CAN_WRITE = [may_write(Area.OPERATION)]

ControlId = Annotated[Id, Path(description="the control's id here")]


class NewControl(Strict):
    """A grid control."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "control_type": "LimitMaxDischarge",
                    "values": {"priority": 0, "pctMaxDischargePower": 50, "duration": 3600},
                }
            ]
        }
    )

    control_type: ControlType
    values: dict[str, Any] = Field(description="as OCPP 2.1 writes them for this type: settings or a curve")
    is_default: bool = Field(False, description="in force whenever no scheduled one of its type is")


class ControlShown(Shown):
    """A grid control and what became of it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    control_id: str = Field(description="what the station calls it")
    control_type: str = Field(examples=["LimitMaxDischarge"])
    is_default: bool
    values: dict[str, Any]
    starts_at: datetime | None
    duration_s: float | None
    state: ControlState
    state_at: datetime
    reason: str | None = Field(description="why it is so, in plain words")
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, row: DerControl, identity: str) -> Self:
        return cls.model_validate({**row.model_dump(), "station_id": identity})


class AlarmShown(Shown):
    """The grid made the station act, or that is over."""

    id: Id
    control_type: str
    fault: str | None = Field(description="the standard's word", examples=["OverVoltage"])
    has_ended: bool
    told_at: datetime = Field(description="by the station's clock")
    received_at: datetime
    info: str | None


class RefreshShown(SaidShown):
    """What the station said when it was asked for all its controls."""

    status: str | None = Field(description="`Accepted`: they follow; `NotFound`: it has none", examples=["Accepted"])


@router.get(
    "/der-controls",
    summary="Grid controls and their history (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("SetDERControl", "ReportDERControl", "NotifyDERStartStop", "ClearDERControl"),
)
async def list_controls(
    station: StationDep,
    work: Reading,
    page: PageDep,
    state: Annotated[list[ControlState] | None, Query(description="one or several", max_length=7)] = None,
) -> Page[ControlShown]:
    """Newest first."""
    rows, cursor = await page_of(work, controls_of(station, state or ()), page)
    return Page(items=[ControlShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/der-controls",
    status_code=status.HTTP_201_CREATED,
    summary="Set a grid control",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station"},
        409: {"description": "the station speaks an older version, or has too many controls"},
    },
    openapi_extra=behind("SetDERControl"),
)
async def create_control(
    station_id: StationId, body: NewControl, runtime: RuntimeDep, caller: CallerDep
) -> ControlShown:
    """Asks the station and waits for its word: see `state` and `reason`."""
    row = await install(runtime, caller, station_id, body.control_type, body.values, is_default=body.is_default)
    return ControlShown.of(row, station_id)


@router.get(
    "/der-controls/{row_id}",
    summary="One grid control",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or control"}},
)
async def show_control(station: StationDep, work: Reading, row_id: ControlId) -> ControlShown:
    """A control of this station in whatever state."""
    return ControlShown.of(await get_control(work, station, row_id), station.identity)


@router.delete(
    "/der-controls/{row_id}",
    summary="Clear a grid control",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or control"},
        409: {"description": "it is not there any more, or the station could not be asked"},
    },
    openapi_extra=behind("ClearDERControl"),
)
async def delete_control(
    station_id: StationId, row_id: ControlId, runtime: RuntimeDep, caller: CallerDep
) -> ControlShown:
    """The row stays as history, as `cleared`."""
    return ControlShown.of(await clear(runtime, caller, station_id, row_id), station_id)


@router.post(
    "/der-controls/refresh",
    summary="Have the station tell its grid controls",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station"}, 409: {"description": "the station speaks an older version"}},
    openapi_extra=behind("GetDERControl", "ReportDERControl"),
)
async def refresh_controls(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> RefreshShown:
    """They are told after the answer; what the station then does not name becomes `gone`."""
    return RefreshShown.of(await refresh(runtime, caller, station_id))


@router.get(
    "/der-alarms",
    summary="What the grid made the station do (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("NotifyDERAlarm"),
)
async def list_alarms(station: StationDep, work: Reading, page: PageDep) -> Page[AlarmShown]:
    """Newest first; an alarm and its end are rows of their own."""
    rows, cursor = await page_of(work, alarms_of(station), page)
    return Page(items=[AlarmShown.model_validate(row.model_dump()) for row in rows], next_cursor=cursor)
