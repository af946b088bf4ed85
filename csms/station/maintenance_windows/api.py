"""S16: the maintenance windows of a station over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import Field

from csms.ids import Id
from csms.rights import Area
from csms.station.information import Station, StationDep, StationToChange
from csms.station.maintenance_windows.model import MaintenanceWindow
from csms.station.maintenance_windows.rules import WindowState
from csms.station.maintenance_windows.service import (
    change_window,
    end_window,
    get_window,
    plan_window,
    windows_query,
)
from csms.web import Page, PageDep, Reading, Shown, Strict, UtcTime, Writing, may_read, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}/maintenance-windows")
WindowId = Annotated[Id, Path(description="the window's id")]
COMMENT_CHARS_MAX = 1000
CHARGE_POINTS_MAX = 10_000


Comment = Annotated[str, Field(max_length=COMMENT_CHARS_MAX, examples=["replace the cable of charge point 2"])]


class NewWindow(Strict):
    """A window to plan, or to begin now."""

    charge_point_number: int | None = Field(
        None, ge=1, le=CHARGE_POINTS_MAX, description="left out or null: the whole station"
    )
    starts_at: UtcTime | None = Field(None, description="left out or null: now", examples=["2027-03-01T08:00:00Z"])
    ends_at: UtcTime = Field(description="it ends by itself at this time", examples=["2027-03-01T12:00:00Z"])
    comment: Comment = ""


class WindowChange(Strict):
    """What to change; fields left out (or null) stay as they are."""

    starts_at: UtcTime | None = Field(None, description="only of a planned window")
    ends_at: UtcTime | None = Field(None, examples=["2027-03-01T14:00:00Z"])
    comment: Comment | None = None


class WindowShown(Shown):
    """A maintenance window."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    charge_point_number: int | None = Field(description="null: the whole station")
    state: WindowState
    starts_at: datetime
    ends_at: datetime = Field(description="the true end: of a window ended early, that moment")
    comment: str
    created_at: datetime
    created_by: str
    ended_early_at: datetime | None
    ended_early_by: str | None
    cancelled_at: datetime | None
    cancelled_by: str | None

    @classmethod
    def of(cls, window: MaintenanceWindow, station: Station, now: datetime) -> Self:
        fields = {name: getattr(window, name, None) for name in cls.model_fields}
        return cls(**fields | {"station_id": station.identity, "state": window.state_at(now)})


StateQuery = Annotated[
    list[Literal["planned", "active", "ended", "cancelled", "history"]],
    Query(description="one or several; `history` means ended and cancelled", max_length=5),
]


def _states(asked: list[str]) -> list[WindowState]:
    named = {WindowState(word) for word in asked if word != "history"}
    history = {WindowState.ENDED, WindowState.CANCELLED} if "history" in asked else set()
    return sorted(named | history)


@router.get("", summary="Active and planned windows, and the history", dependencies=[may_read()])
async def list_windows(
    station: StationDep,
    work: Reading,
    page: PageDep,
    state: StateQuery = [],  # noqa: B006  # FastAPI copies it
    charge_point_number: Annotated[int | None, Query(ge=1, le=CHARGE_POINTS_MAX)] = None,
) -> Page[WindowShown]:
    """Latest start first. Without `state`, all of them."""
    query = windows_query(station, work.now, states=_states(list(state)), number=charge_point_number)
    rows, cursor = await page_of(work, query, page, by=MaintenanceWindow.starts_at)
    return Page(items=[WindowShown.of(row, station, work.now) for row in rows], next_cursor=cursor)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    summary="Plan a window, or begin one now",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "no service package is active, or there are too many windows"}},
)
async def create_window(station: StationToChange, work: Writing, body: NewWindow) -> WindowShown:
    """Errors inside a window are stored and marked, and nobody is told of them (S16)."""
    window = await plan_window(
        work,
        station,
        number=body.charge_point_number,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        comment=body.comment,
    )
    return WindowShown.of(window, station, work.now)


@router.get("/{window_id}", summary="One window", dependencies=[may_read()])
async def show_window(station: StationDep, work: Reading, window_id: WindowId) -> WindowShown:
    """A window of this station in whatever state."""
    return WindowShown.of(await get_window(work, station, window_id), station, work.now)


@router.patch(
    "/{window_id}",
    summary="Change a planned or active window",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "the window is over, or its start cannot change any more"}},
)
async def update_window(
    station: StationToChange, work: Writing, window_id: WindowId, body: WindowChange
) -> WindowShown:
    """An active window's end can be moved to any later time; to end it now, use `…/end`."""
    window = await get_window(work, station, window_id, to_change=True)
    await change_window(work, station, window, starts_at=body.starts_at, ends_at=body.ends_at, comment=body.comment)
    return WindowShown.of(window, station, work.now)


@router.post(
    "/{window_id}/end",
    summary="End an active window now, or cancel a planned one",
    dependencies=[may_write(Area.OPERATION)],
    responses={409: {"description": "the window is over already"}},
)
async def end_window_now(station: StationToChange, work: Writing, window_id: WindowId) -> WindowShown:
    """The end time becomes this moment. Errors that began before the window and are still open are escalated now."""
    window = await get_window(work, station, window_id, to_change=True)
    await end_window(work, station, window)
    return WindowShown.of(window, station, work.now)
