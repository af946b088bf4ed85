"""S16: maintenance windows are planned, changed, ended early, end by themselves, and stay in the history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import Conflict, Invalid
from csms.outbox import Event
from csms.rights import SYSTEM
from csms.runtime import Runtime
from csms.station.charge_points.service import add_charge_point
from csms.station.information import Station
from csms.station.maintenance_windows import MaintenanceWindow, Span, Windows, WindowState, active_at, reload
from csms.station.maintenance_windows.jobs import announce_ends
from csms.station.maintenance_windows.rules import covering, state_of
from csms.station.maintenance_windows.service import WINDOWS_UPCOMING_MAX, plan_window
from csms.station.operational_management import ServicePackage, switch_package
from csms.store import Store
from tests.builders import connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S16")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHOLE = Span(1, None, NOON, NOON + HOUR)
FIRST = Span(2, 1, NOON, NOON + 2 * HOUR)


async def make_supported(store: Store, **fields: Any) -> Station:
    """A station with a service package and charge points 1 and 2."""
    station = await make_station(store, **fields)
    async with store.writing() as work:
        await switch_package(work, station, ServicePackage.SUPPORT_360, is_on=True)
        for number in (1, 2):
            await add_charge_point(work, station, number)
    return station


async def plan(
    store: Store, station: Station, *, starts_at: datetime | None = None, hours: float = 1, number: int | None = None
) -> MaintenanceWindow:
    async with store.writing(replace(SYSTEM, name="Anna")) as work:
        ends_at = (starts_at or work.now) + timedelta(hours=hours)
        return await plan_window(
            work, station, number=number, starts_at=starts_at, ends_at=ends_at, comment="new cable"
        )


async def events(store: Store, kind: str) -> list[Event]:
    async with store.reading() as work:
        return list((await work.session.exec(select(Event).where(Event.kind == kind).order_by(Event.id))).all())


@pytest.mark.parametrize(
    ("spans", "number", "at", "expected"),
    [
        pytest.param([WHOLE], 0, NOON, WHOLE, id="the first moment is inside"),
        pytest.param([WHOLE], 0, NOON + HOUR, None, id="the end is outside"),
        pytest.param([WHOLE], 0, NOON - timedelta(microseconds=1), None, id="before"),
        pytest.param([WHOLE], 7, NOON, WHOLE, id="the whole station has every charge point"),
        pytest.param([FIRST], 1, NOON, FIRST, id="its charge point"),
        pytest.param([FIRST], 2, NOON, None, id="another charge point"),
        pytest.param([FIRST], 0, NOON, None, id="one charge point is not the station"),
        pytest.param([WHOLE, FIRST], 1, NOON, FIRST, id="of two, the one that ends last"),
        pytest.param([], 1, NOON, None, id="none"),
    ],
)
def test_a_window_covers_its_charge_points_from_start_to_just_before_its_end(
    spans: list[Span], number: int, at: datetime, expected: Span | None
) -> None:
    assert covering(spans, number, at) == expected


@pytest.mark.parametrize(
    ("now", "cancelled_at", "expected"),
    [
        (NOON - HOUR, None, WindowState.PLANNED),
        (NOON, None, WindowState.ACTIVE),
        (NOON + HOUR, None, WindowState.ENDED),
        (NOON, NOON - HOUR, WindowState.CANCELLED),
    ],
)
def test_the_clock_alone_says_what_state_a_window_is_in(
    now: datetime, cancelled_at: datetime | None, expected: WindowState
) -> None:
    assert state_of(NOON, NOON + HOUR, cancelled_at, now) == expected


async def test_a_station_without_service_package_has_no_windows(store: Store) -> None:
    station = await make_station(store)
    with pytest.raises(Conflict, match="operational-management"):
        await plan(store, station)


async def test_active_windows_are_found_in_the_database_and_in_memory(store: Store, clock: FixedClock) -> None:
    station = await make_supported(store)
    window = await plan(store, station, number=1)
    planned = await plan(store, station, starts_at=clock() + 2 * HOUR)
    memory = (await connect(store, station)).connected.recall(Windows)
    for at, number, expected in [
        (clock(), 1, window),
        (clock(), 2, None),
        (clock() + HOUR, 1, None),
        (clock() + 2 * HOUR, 2, planned),
    ]:
        found = memory.active_at(number, at)
        async with store.reading() as work:
            assert await active_at(work, station.id, number, at) == found
        assert found == (expected.span if expected else None)


async def test_a_connected_station_learns_of_changes_by_reload(store: Store, clock: FixedClock) -> None:
    station = await make_supported(store)
    connected = (await connect(store, station)).connected
    window = await plan(store, station)
    assert connected.recall(Windows).active_at(0, clock()) is None
    async with store.reading() as work:
        await reload(work, [connected])
    assert connected.recall(Windows).active_at(0, clock()) == window.span
    assert [(event.station, event.data["state"]) for event in await events(store, "maintenance_window_changed")] == [
        (station.identity, "active")
    ]


async def test_the_end_is_told_once_also_after_a_long_pause(runtime: Runtime, clock: FixedClock) -> None:
    station = await make_supported(runtime.store)
    windows = [await plan(runtime.store, station, hours=hours) for hours in (1, 2)]
    await announce_ends(runtime)
    assert await events(runtime.store, "maintenance_window_ended") == []
    clock.advance(days=3)  # nothing ran meanwhile
    await announce_ends(runtime)
    await announce_ends(runtime)
    told = await events(runtime.store, "maintenance_window_ended")
    assert [event.data["maintenance_window_id"] for event in told] == [str(window.id) for window in windows]
    assert {event.data["state"] for event in told} == {"ended"}


async def test_too_many_upcoming_windows_are_refused(store: Store, clock: FixedClock) -> None:
    station = await make_supported(store)
    async with store.writing() as work:
        for number in range(WINDOWS_UPCOMING_MAX):
            work.insert(
                MaintenanceWindow,
                organisation_id=station.organisation_id,
                station_id=station.id,
                starts_at=clock() + number * HOUR,
                ends_at=clock() + (number + 1) * HOUR,
                comment="",
                created_at=clock(),
                created_by="Anna",
                is_end_announced=False,
            )
    with pytest.raises(Conflict, match="end or cancel"):
        await plan(store, station)


@pytest.mark.parametrize(
    ("starts_in", "lasts", "place"),
    [
        (-HOUR, 2 * HOUR, "body/starts_at"),
        (timedelta(days=400), HOUR, "body/starts_at"),
        (HOUR, timedelta(0), "body/ends_at"),
        (HOUR, -timedelta(minutes=30), "body/ends_at"),
        (HOUR, timedelta(days=93), "body/ends_at"),
    ],
    ids=["begins in the past", "far ahead", "empty", "ends before it begins", "forgotten for ever"],
)
async def test_times_that_cannot_be_are_refused(
    store: Store, clock: FixedClock, starts_in: timedelta, lasts: timedelta, place: str
) -> None:
    station = await make_supported(store)
    with pytest.raises(Invalid) as refused:
        await plan(store, station, starts_at=clock() + starts_in, hours=lasts / HOUR)
    assert refused.value.place == place


async def test_a_start_a_few_seconds_ago_means_now(store: Store, clock: FixedClock) -> None:
    station = await make_supported(store)
    window = await plan(store, station, starts_at=clock() - timedelta(seconds=20))
    assert window.starts_at == clock()


def path_of(station: Station, *parts: str) -> str:
    return "/".join([f"/api/v1/stations/{station.identity}/maintenance-windows", *parts])


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def test_the_life_of_a_window_over_http(store: Store, clock: FixedClock, api: httpx.AsyncClient) -> None:
    station = await make_supported(store)
    body = {"ends_at": text(clock() + HOUR), "charge_point_number": 2, "comment": "new cable"}
    made = await api.post(path_of(station), json=body)
    assert made.status_code == 201, made.text
    window = made.json()
    assert window["state"] == "active"
    assert window["station_id"] == station.identity
    assert window["created_by"].startswith("test key")

    later = await api.patch(path_of(station, window["id"]), json={"ends_at": text(clock() + 3 * HOUR)})
    assert later.json()["ends_at"] == text(clock() + 3 * HOUR)
    moved = await api.patch(path_of(station, window["id"]), json={"starts_at": text(clock() + HOUR)})
    assert moved.status_code == 409

    ended_at = clock.advance(minutes=10)
    ended = (await api.post(path_of(station, window["id"], "end"))).json()
    assert (ended["state"], ended["ends_at"], ended["ended_early_at"]) == ("ended", text(ended_at), text(ended_at))
    assert ended["ended_early_by"] == window["created_by"]
    assert (await api.post(path_of(station, window["id"], "end"))).status_code == 409
    assert (await api.patch(path_of(station, window["id"]), json={"comment": "x"})).status_code == 409
    assert (await api.get(path_of(station, window["id"]))).json() == ended
    told = [event.data["maintenance_window_id"] for event in await events(store, "maintenance_window_ended")]
    assert told == [window["id"]]


async def test_a_planned_window_can_be_moved_and_cancelled(
    runtime: Runtime, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    station = await make_supported(runtime.store)
    body = {"starts_at": "2026-01-02T08:00:00+01:00", "ends_at": "2026-01-02T10:00:00+01:00"}
    window = (await api.post(path_of(station), json=body)).json()
    assert (window["state"], window["starts_at"]) == ("planned", "2026-01-02T07:00:00Z")
    body = {"starts_at": "2026-01-03T07:00:00Z", "ends_at": "2026-01-03T09:00:00Z", "comment": "later"}
    moved = (await api.patch(path_of(station, window["id"]), json=body)).json()
    assert (moved["starts_at"], moved["comment"]) == ("2026-01-03T07:00:00Z", "later")
    cancelled = (await api.post(path_of(station, window["id"], "end"))).json()
    assert (cancelled["state"], cancelled["cancelled_by"]) == ("cancelled", window["created_by"])

    clock.advance(days=2, hours=8)  # it would be active now
    async with runtime.store.reading() as work:
        assert await active_at(work, station.id, 1, clock()) is None
    clock.advance(days=1)
    await announce_ends(runtime)
    assert await events(runtime.store, "maintenance_window_ended") == []


async def test_lists_are_filtered_by_state_and_charge_point(
    store: Store, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    station = await make_supported(store)
    ended = await plan(store, station, number=1)
    clock.advance(hours=2)
    active = await plan(store, station)
    planned = await plan(store, station, starts_at=clock() + HOUR)
    cancelled = await plan(store, station, starts_at=clock() + 2 * HOUR)
    await api.post(path_of(station, str(cancelled.id), "end"))

    async def ids(query: str) -> list[int]:
        answer = await api.get(path_of(station) + query)
        assert answer.status_code == 200, answer.text
        return [int(item["id"]) for item in answer.json()["items"]]

    assert await ids("") == [cancelled.id, planned.id, active.id, ended.id]
    assert await ids("?state=active") == [active.id]
    assert await ids("?state=planned") == [planned.id]
    assert await ids("?state=history") == [cancelled.id, ended.id]
    assert await ids("?state=active&state=planned") == [planned.id, active.id]
    assert await ids("?charge_point_number=1") == [ended.id]
    assert await ids("?limit=1&state=history") == [cancelled.id]


async def test_wrong_bodies_say_where(store: Store, clock: FixedClock, api: httpx.AsyncClient) -> None:
    station = await make_supported(store)
    for body, place in [
        ({"ends_at": text(clock() + HOUR), "charge_point_number": 9}, "body/charge_point_number"),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, "body/ends_at"),
        ({"ends_at": "2026-01-02T10:00:00"}, "body/ends_at"),
        ({"ends_at": text(clock() + HOUR), "charge_point": 1}, "body/charge_point"),
    ]:
        refused = await api.post(path_of(station), json=body)
        assert (refused.status_code, refused.json()["errors"][0]["place"]) == (422, place)


async def test_windows_are_for_those_who_may(
    store: Store, clock: FixedClock, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, api_as: Any
) -> None:
    station = await make_supported(store)
    window = await plan(store, station)
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    reader = await api_as("user")
    assert (await anonymous.get(path_of(station))).status_code == 401
    assert (await stranger.get(path_of(station))).status_code == 404
    assert (await stranger.post(path_of(station, str(window.id), "end"))).status_code == 404
    assert (await reader.get(path_of(station))).status_code == 200
    assert (await reader.post(path_of(station, str(window.id), "end"))).status_code == 403
    other = await make_supported(store)
    assert (await api.get(path_of(other, str(window.id)))).status_code == 404
