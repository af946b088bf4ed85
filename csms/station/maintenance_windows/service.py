"""S16: planning, changing and ending windows, and asking whether one is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.routing import ConnectedStation
from csms.station.charge_points import get_charge_point
from csms.station.information import Station, fact_about
from csms.station.maintenance_windows.model import MaintenanceWindow
from csms.station.maintenance_windows.rules import Span, WindowState, covering
from csms.station.operational_management import has_active_package
from csms.store import Work

CLOCK_SKEW_S = 60
"""A start so little in the past is the caller's clock and means now."""
WINDOW_DAYS_MAX = 92
"""A window that somebody forgot must not silence a station for ever."""
AHEAD_DAYS_MAX = 366
"""How long before its start a window can be planned."""
WINDOWS_UPCOMING_MAX = 100
"""Planned and active windows of one station."""
ENDS_PER_RUN = 500


@dataclass(slots=True)
class Windows:
    """The planned and active windows of a connected station; read with `station.recall(Windows)`."""

    spans: tuple[Span, ...] = ()

    def active_at(self, number: int, at: datetime) -> Span | None:
        """The window in force for that charge point (0: the station itself); of several, the one that ends last."""
        return covering(self.spans, number, at)


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Windows` of connected stations, at connect and whenever `maintenance_window_changed` is heard."""
    spans = await spans_since(work, [station.id for station in stations], work.now)
    for station in stations:
        station.recall(Windows).spans = tuple(spans.get(station.id, ()))


async def active_at(work: Work, station_id: int, number: int, at: datetime) -> Span | None:
    """The window that was in force at that time, by the database; `number` 0 is the station itself."""
    spans = await spans_since(work, [station_id], at)
    return covering(spans.get(station_id, ()), number, at)


async def spans_since(work: Work, station_ids: Sequence[int], at: datetime) -> dict[int, list[Span]]:
    """All windows that were not over at that time, planned ones too, by station: one query for many stations."""
    query = select(MaintenanceWindow).where(
        col(MaintenanceWindow.station_id).in_(station_ids),
        MaintenanceWindow.ends_at > at,
        col(MaintenanceWindow.cancelled_at).is_(None),
    )
    found: dict[int, list[Span]] = {}
    for window in await work.session.exec(query):
        found.setdefault(window.station_id, []).append(window.span)
    return found


def windows_query(
    station: Station, now: datetime, *, states: Sequence[WindowState] = (), number: int | None = None
) -> SelectOfScalar[MaintenanceWindow]:
    """The station's windows in any of these states; all of them if none is given."""
    query = select(MaintenanceWindow).where(MaintenanceWindow.station_id == station.id)
    if states:
        query = query.where(_any_state(states, now))
    if number is not None:
        query = query.where(MaintenanceWindow.charge_point_number == number)
    return query


def _any_state(states: Sequence[WindowState], now: datetime) -> Any:
    is_kept = col(MaintenanceWindow.cancelled_at).is_(None)
    has_begun, has_ended = col(MaintenanceWindow.starts_at) <= now, col(MaintenanceWindow.ends_at) <= now
    conditions = {
        WindowState.PLANNED: is_kept & ~has_begun,
        WindowState.ACTIVE: is_kept & has_begun & ~has_ended,
        WindowState.ENDED: is_kept & has_ended,
        WindowState.CANCELLED: ~is_kept,
    }
    first, *others = (conditions[state] for state in states)
    for other in others:
        first = first | other
    return first


async def get_window(work: Work, station: Station, window_id: int, *, to_change: bool = False) -> MaintenanceWindow:
    """Raises NotFound. `to_change` keeps others from changing the row until the commit."""
    query = select(MaintenanceWindow).where(
        MaintenanceWindow.station_id == station.id, MaintenanceWindow.id == window_id
    )
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such window; GET …/maintenance-windows lists them")
    return found


async def plan_window(
    work: Work, station: Station, *, number: int | None, starts_at: datetime | None, ends_at: datetime, comment: str
) -> MaintenanceWindow:
    """Plan a window, or begin one now (no start).

    Raises Conflict without a service package or with too many windows, Invalid for times that cannot be.
    """
    await _check_package(work, station)
    await _check_number(work, station, number)
    await _check_count(work, station)
    start = _start(starts_at, work.now)
    _check_end(start, ends_at)
    window = MaintenanceWindow(
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=number,
        starts_at=start,
        ends_at=ends_at,
        comment=comment,
        created_at=work.now,
        created_by=work.actor.name,
    )
    work.session.add(window)
    _tell(work, station, window, "maintenance_window_changed")
    return window


async def change_window(
    work: Work,
    station: Station,
    window: MaintenanceWindow,
    *,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    comment: str | None = None,
) -> None:
    """Change what is given. Raises Conflict for a window that is over, and for the start of one that has begun."""
    state = window.state_at(work.now)
    if state not in (WindowState.PLANNED, WindowState.ACTIVE):
        raise Conflict(f"this window is {state}; plan a new one instead")
    if starts_at is not None and starts_at != window.starts_at:
        if state is WindowState.ACTIVE:
            raise Conflict("this window has begun, so its start stays; its end and comment can be changed")
        window.starts_at = _start(starts_at, work.now)
    if ends_at is not None:
        if ends_at > window.ends_at:
            await _check_package(work, station)
        window.ends_at = ends_at
    _check_end(max(window.starts_at, work.now), window.ends_at, since=window.starts_at)
    if comment is not None:
        window.comment = comment
    _tell(work, station, window, "maintenance_window_changed")


async def end_window(work: Work, station: Station, window: MaintenanceWindow) -> None:
    """End an active window now, or cancel a planned one. Raises Conflict for one that is over."""
    state = window.state_at(work.now)
    window.is_end_announced = True
    if state is WindowState.ACTIVE:
        window.ends_at = window.ended_early_at = work.now
        window.ended_early_by = work.actor.name
        _tell(work, station, window, "maintenance_window_ended")
    elif state is WindowState.PLANNED:
        window.cancelled_at, window.cancelled_by = work.now, work.actor.name
    else:
        raise Conflict(f"this window is {state} already; there is nothing to end")
    _tell(work, station, window, "maintenance_window_changed")


async def announce_ended(work: Work) -> int:
    """Emit `maintenance_window_ended` for windows that ended by time, once each; returns how many there were."""
    query = (
        select(MaintenanceWindow, Station)
        .join(Station, col(Station.id) == MaintenanceWindow.station_id)
        .where(col(MaintenanceWindow.is_end_announced).is_(False), MaintenanceWindow.ends_at <= work.now)
        .order_by(col(MaintenanceWindow.ends_at))
        .limit(ENDS_PER_RUN)
        .with_for_update(of=MaintenanceWindow, skip_locked=True)
    )
    rows = (await work.session.exec(query)).all()
    for window, station in rows:
        window.is_end_announced = True
        _tell(work, station, window, "maintenance_window_ended")
    return len(rows)


async def _check_package(work: Work, station: Station) -> None:
    if not await has_active_package(work, station.id):
        raise Conflict(
            f"«{station.identity}» has no active service package, which maintenance windows need; "
            f"switch one on at /api/v1/stations/{station.identity}/operational-management"
        )


async def _check_number(work: Work, station: Station, number: int | None) -> None:
    if number is None:
        return
    try:
        await get_charge_point(work, station, number)
    except NotFound as error:
        raise Invalid(error.detail, place="body/charge_point_number") from error


async def _check_count(work: Work, station: Station) -> None:
    states = (WindowState.PLANNED, WindowState.ACTIVE)
    upcoming = windows_query(station, work.now, states=states).subquery()
    count = (await work.session.exec(select(func.count()).select_from(upcoming))).one()
    if count >= WINDOWS_UPCOMING_MAX:
        raise Conflict(f"«{station.identity}» has {count} planned and active windows; end or cancel some first")


def _start(starts_at: datetime | None, now: datetime) -> datetime:
    if starts_at is None:
        return now
    if starts_at < now - timedelta(seconds=CLOCK_SKEW_S):
        raise Invalid("a window cannot start in the past; leave `starts_at` out to start now", place="body/starts_at")
    if starts_at > now + timedelta(days=AHEAD_DAYS_MAX):
        raise Invalid(f"a window starts at most {AHEAD_DAYS_MAX} days from now", place="body/starts_at")
    return max(starts_at, now)


def _check_end(earliest: datetime, ends_at: datetime, *, since: datetime | None = None) -> None:
    if ends_at <= earliest:
        raise Invalid(
            "a window must end after it starts, and not in the past; to end it now, POST …/end", place="body/ends_at"
        )
    if ends_at - (since or earliest) > timedelta(days=WINDOW_DAYS_MAX):
        raise Invalid(
            f"a window lasts at most {WINDOW_DAYS_MAX} days; plan a second one after it", place="body/ends_at"
        )


def _tell(work: Work, station: Station, window: MaintenanceWindow, kind: str) -> None:
    data = {
        "maintenance_window_id": str(window.id),
        "charge_point_number": window.charge_point_number,
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
        "state": window.state_at(work.now).value,
    }
    work.emit(fact_about(station, kind, data))
