"""S5: errors told by stations, found by being offline, resolved, marked and listed."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.config import Settings
from csms.ocpp.versions import VERSIONS_2, Version
from csms.outbox import Event
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.charge_points import ChargePointStatus
from csms.station.charge_points.service import add_charge_point, charge_points_of
from csms.station.connections import Cause, record_refused
from csms.station.connections.service import node_is_alive
from csms.station.errors import OpenErrors, StationError, open_error_counts
from csms.station.errors.jobs import watch_offline
from csms.station.errors.rules import Resolution, Severity, Source
from csms.station.information import Station
from csms.station.maintenance_windows import Windows
from csms.station.maintenance_windows.service import end_window, get_window, plan_window
from csms.station.operational_management import ServicePackage, switch_package
from csms.store import Fact, Store
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S5")


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store)


@pytest.fixture
async def caller(store: Store, station: Station) -> CallingStation:
    return await connect(store, station)


async def tell(caller: CallingStation, code: str = "NoError", status: str = "Available", **more: Any) -> None:
    payload = {"connectorId": 1, "errorCode": code, "status": status, **more}
    assert await caller.call("StatusNotification", **payload) == {}


async def errors_of(store: Store, station: Station) -> list[StationError]:
    async with store.reading() as work:
        query = select(StationError).where(StationError.station_id == station.id).order_by(col(StationError.id))
        return list((await work.session.exec(query)).all())


async def facts(store: Store, *kinds: str) -> list[tuple[str, str]]:
    """Kind and code of what was told, in order."""
    async with store.reading() as work:
        query = select(Event).where(col(Event.kind).in_(kinds)).order_by(col(Event.id))
        return [(event.kind, event.data["code"]) for event in await work.session.exec(query)]


async def open_window(store: Store, station: Station, *, hours: float = 1, number: int | None = None) -> int:
    async with store.writing() as work:
        await switch_package(work, station, ServicePackage.SUPPORT_360, is_on=True)
        if number is not None and number not in [one.number for one in await charge_points_of(work, station)]:
            await add_charge_point(work, station, number)
        ends_at = work.now + timedelta(hours=hours)
        window = await plan_window(work, station, number=number, starts_at=None, ends_at=ends_at, comment="")
        return window.id


async def test_no_error_at_start_up_is_no_error_and_sets_the_state(
    store: Store, station: Station, caller: CallingStation
) -> None:
    await tell(caller)
    assert await errors_of(store, station) == []
    async with store.reading() as work:
        assert [one.status for one in await charge_points_of(work, station)] == [ChargePointStatus.AVAILABLE]


@pytest.mark.ocpp("1.6 StatusNotification")
async def test_an_error_is_raised_repeated_and_resolved(
    store: Store, station: Station, caller: CallingStation, clock: FixedClock
) -> None:
    raised_at, received_at = clock() - timedelta(minutes=2), clock()
    told = {"timestamp": raised_at.isoformat(), "vendorErrorCode": "E7", "vendorId": "acme", "info": "pump"}
    await tell(caller, "HighTemperature", "Faulted", **told)
    seen_at = clock.advance(minutes=1)
    await tell(caller, "HighTemperature", "Faulted", vendorErrorCode="E7", info="pump 2")
    resolved_at = clock.advance(minutes=1)
    await tell(caller)
    (error,) = await errors_of(store, station)
    assert (error.code, error.vendor_code, error.vendor_id, error.info) == ("HighTemperature", "E7", "acme", "pump 2")
    assert (error.raised_at, error.received_at) == (raised_at, received_at)
    assert (error.repeat_count, error.last_seen_at) == (1, seen_at)
    assert (error.resolved_at, error.resolution, error.resolved_by) == (resolved_at, Resolution.STATION, None)
    assert (error.severity, error.source) == (Severity.CRITICAL, Source.HARDWARE)
    assert await facts(store, "error_raised", "error_resolved") == [
        ("error_raised", "HighTemperature"),
        ("error_resolved", "HighTemperature"),
    ]


async def test_errors_of_different_charge_points_do_not_touch_each_other(
    store: Store, station: Station, caller: CallingStation
) -> None:
    await tell(caller, "GroundFailure", "Faulted")
    await tell(caller, "GroundFailure", "Faulted", connectorId=2)
    await tell(caller, "InternalError", "Available", connectorId=0)
    await tell(caller, connectorId=1)
    found = [(one.charge_point_number, one.code) for one in await errors_of(store, station) if one.resolved_at is None]
    assert found == [(2, "GroundFailure"), (0, "InternalError")]
    async with store.reading() as work:
        assert await open_error_counts(work, [station.id, 1]) == {station.id: 2}


async def test_the_code_of_a_fault_that_comes_later_takes_its_place(
    store: Store, station: Station, caller: CallingStation
) -> None:
    await tell(caller, "NoError", "Faulted")
    await tell(caller, "PowerMeterFailure", "Faulted")
    await tell(caller, "NoError", "Faulted")
    vague, real = await errors_of(store, station)
    assert (vague.code, vague.resolution) == ("Faulted", Resolution.DISPLACED)
    assert (real.code, real.resolved_at, real.repeat_count) == ("PowerMeterFailure", None, 1)


async def test_a_warning_that_becomes_a_fault_is_told_again(
    store: Store, station: Station, caller: CallingStation
) -> None:
    await tell(caller, "WeakSignal")
    await tell(caller, "WeakSignal", "Faulted")
    await tell(caller, "WeakSignal", "Faulted")
    (error,) = await errors_of(store, station)
    assert (error.severity, error.repeat_count) == (Severity.ERROR, 2)
    told = await facts(store, "error_raised", "error_worsened")
    assert told == [("error_raised", "WeakSignal"), ("error_worsened", "WeakSignal")]


async def test_open_errors_are_remembered_over_a_reconnect(
    store: Store, station: Station, caller: CallingStation
) -> None:
    await tell(caller, "GroundFailure", "Faulted")
    returned = await connect(store, station)
    assert returned.connected.recall(OpenErrors) == caller.connected.recall(OpenErrors)
    await tell(returned, "GroundFailure", "Faulted")
    await tell(returned)
    (error,) = await errors_of(store, station)
    assert (error.repeat_count, error.resolution) == (1, Resolution.STATION)


async def test_an_error_resolved_by_hand_opens_anew_when_the_station_tells_it_again(
    store: Store, station: Station, caller: CallingStation, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    await tell(caller, "GroundFailure", "Faulted")
    (error,) = await errors_of(store, station)
    path = f"/api/v1/stations/{station.identity}/errors/{error.id}"
    resolved_at = clock.advance(minutes=1)
    resolved = await api.post(f"{path}/resolve")
    assert resolved.status_code == 200, resolved.text
    assert resolved.json()["resolution"] == "hand"
    assert resolved.json()["resolved_by"].startswith("test key")
    assert (await api.post(f"{path}/resolve")).status_code == 409
    clock.advance(minutes=1)
    await tell(caller, "GroundFailure", "Faulted")
    first, second = await errors_of(store, station)
    assert (first.resolved_at, first.resolution, first.repeat_count) == (resolved_at, Resolution.HAND, 0)
    assert (second.code, second.resolved_at) == ("GroundFailure", None)


async def test_no_error_leaves_alone_what_a_person_resolved(
    store: Store, station: Station, caller: CallingStation, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    await tell(caller, "GroundFailure", "Faulted")
    (error,) = await errors_of(store, station)
    await api.post(f"/api/v1/stations/{station.identity}/errors/{error.id}/resolve")
    clock.advance(minutes=1)
    await tell(caller)
    (error,) = await errors_of(store, station)
    assert (error.resolution, error.resolved_at) == (Resolution.HAND, clock() - timedelta(minutes=1))
    assert caller.connected.recall(OpenErrors).by_number[1] == ()


# --- maintenance windows ------------------------------------------------------------------------------------------


@pytest.mark.feature("S16")
async def test_errors_inside_a_window_are_stored_and_marked(store: Store, station: Station, clock: FixedClock) -> None:
    window_id = await open_window(store, station, number=1)
    caller = await connect(store, station)
    await tell(caller, "GroundFailure", "Faulted")
    await tell(caller, "GroundFailure", "Faulted", connectorId=2)
    clock.advance(hours=1)
    await tell(caller, "HighTemperature", "Faulted")
    marks = [(one.charge_point_number, one.maintenance_window_id) for one in await errors_of(store, station)]
    assert marks == [(1, window_id), (2, None), (1, None)]
    assert [one.in_maintenance_window for one in await errors_of(store, station)] == [True, False, False]


@pytest.mark.feature("S16")
async def test_a_mark_made_from_old_memory_is_put_right(
    runtime: Runtime, station: Station, caller: CallingStation
) -> None:
    store = runtime.store
    window_id = await open_window(store, station)  # the node never hears of it
    await tell(caller, "GroundFailure", "Faulted")
    assert [one.maintenance_window_id for one in await errors_of(store, station)] == [None]
    await runtime.outbox.deliver_due()
    assert [one.maintenance_window_id for one in await errors_of(store, station)] == [window_id]


@pytest.mark.feature("S16")
async def test_a_window_that_ended_early_unheard_marks_nothing(
    runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    store = runtime.store
    window_id = await open_window(store, station)
    caller = await connect(store, station)
    clock.advance(minutes=1)
    async with store.writing() as work:
        await end_window(work, station, await get_window(work, station, window_id))
    await tell(caller, "GroundFailure", "Faulted")
    assert caller.connected.recall(Windows).active_at(1, clock()) is not None
    await runtime.outbox.deliver_due()
    assert [one.in_maintenance_window for one in await errors_of(store, station)] == [False]


# --- offline ------------------------------------------------------------------------------------------------------


async def go(store: Store, station: Station, *, is_online: bool, at: datetime | None = None) -> None:
    """What the broker writes when a station comes or goes."""
    async with store.writing() as work:
        row = await work.session.get_one(Station, station.id)
        row.is_online = is_online
        row.online_since, row.offline_since = (work.now, None) if is_online else (None, at or work.now)
        if is_online:
            work.emit(
                Fact(
                    kind="station_connected",
                    organisation_id=station.organisation_id,
                    station_id=station.id,
                    station=station.identity,
                )
            )


async def test_offline_for_too_long_is_one_error_until_the_station_is_back(
    runtime: Runtime, station: Station, clock: FixedClock, settings: Settings
) -> None:
    store, offline_since = runtime.store, clock()
    await go(store, station, is_online=False)
    clock.advance(seconds=settings.offline_after_s - 1)
    await watch_offline(runtime)
    assert await errors_of(store, station) == []
    raised = clock.advance(seconds=1)
    await watch_offline(runtime)
    await watch_offline(runtime)
    (error,) = await errors_of(store, station)
    assert (error.code, error.source, error.charge_point_number) == ("Offline", Source.OFFLINE, 0)
    assert (error.raised_at, error.received_at) == (offline_since, raised)
    back_at = clock.advance(minutes=5)
    await go(store, station, is_online=True)
    await runtime.outbox.deliver_due()
    (error,) = await errors_of(store, station)
    assert (error.resolved_at, error.resolution) == (back_at, Resolution.CONNECTION)
    assert await facts(store, "error_raised", "error_resolved") == [
        ("error_raised", "Offline"),
        ("error_resolved", "Offline"),
    ]


async def test_a_drop_and_return_within_minutes_is_no_error(
    runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    await go(runtime.store, station, is_online=False)
    clock.advance(minutes=2)
    await go(runtime.store, station, is_online=True)
    clock.advance(hours=1)
    await watch_offline(runtime)
    assert await errors_of(runtime.store, station) == []


@pytest.mark.robustness(30)
async def test_after_an_outage_of_ours_stations_have_time_to_come_back(
    runtime: Runtime, station: Station, clock: FixedClock, settings: Settings
) -> None:
    await go(runtime.store, station, is_online=False)
    clock.advance(minutes=30)
    async with runtime.store.writing() as work:
        await node_is_alive(work, "node-1", started_at=work.now)
    clock.advance(seconds=settings.offline_after_s // 5)
    await watch_offline(runtime)
    assert await errors_of(runtime.store, station) == []
    clock.advance(seconds=settings.offline_after_s)
    async with runtime.store.writing() as work:
        await node_is_alive(work, "node-1")
    await watch_offline(runtime)
    assert [error.code for error in await errors_of(runtime.store, station)] == ["Offline"]


@pytest.mark.robustness(36)
async def test_an_offline_error_says_that_no_broker_is_running(
    runtime: Runtime, station: Station, clock: FixedClock, settings: Settings
) -> None:
    async with runtime.store.writing() as work:
        await node_is_alive(work, "node-1", started_at=work.now)
    await go(runtime.store, station, is_online=False)
    clock.advance(seconds=settings.offline_after_s)
    await watch_offline(runtime)
    (error,) = await errors_of(runtime.store, station)
    assert error.info == "no broker of this installation is running, so no station can connect"


async def test_a_broker_that_starts_again_and_again_hides_no_station(
    runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    await go(runtime.store, station, is_online=False)
    for _ in range(35):
        clock.advance(minutes=2)
        async with runtime.store.writing() as work:
            await node_is_alive(work, "node-1", started_at=work.now)
        await watch_offline(runtime)
    assert [error.code for error in await errors_of(runtime.store, station)] == ["Offline"]


@pytest.mark.feature("B10")
@pytest.mark.parametrize("comes", [True, False])
async def test_an_offline_error_says_that_the_station_comes_and_is_refused(
    runtime: Runtime, api: httpx.AsyncClient, station: Station, clock: FixedClock, settings: Settings, *, comes: bool
) -> None:
    async def refuse(reason: str) -> None:
        async with runtime.store.writing() as work:
            cause = Cause.REFUSED_CREDENTIALS
            await record_refused(work, station.identity, "192.0.2.1", "ocpp1.6", cause, 401, "node-1", reason)

    await refuse("no user name and password")
    clock.advance(seconds=10)
    await go(runtime.store, station, is_online=False)
    if comes:
        for reason in ("no user name and password", "the password is wrong"):
            clock.advance(seconds=10)
            await refuse(reason)
    clock.advance(seconds=settings.offline_after_s)
    await watch_offline(runtime)
    (error,) = (await api.get(f"/api/v1/stations/{station.identity}/errors")).json()["items"]
    said = "its latest try to connect was refused: the password is wrong" if comes else None
    assert (error["code"], error["info"]) == ("Offline", said)


async def test_late_news_of_a_return_does_not_resolve_the_next_time_offline(
    runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    store = runtime.store
    await go(store, station, is_online=True)  # the news waits in the outbox
    clock.advance(minutes=1)
    await go(store, station, is_online=False)
    clock.advance(hours=1)
    await watch_offline(runtime)
    await runtime.outbox.deliver_due()
    (error,) = await errors_of(store, station)
    assert error.resolved_at is None


async def test_an_offline_error_whose_news_was_missed_is_resolved_by_the_job(
    runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    store = runtime.store
    await go(store, station, is_online=False)
    clock.advance(hours=1)
    await watch_offline(runtime)
    async with store.writing() as work:
        (await work.session.get_one(Station, station.id)).is_online = True
    await watch_offline(runtime)
    (error,) = await errors_of(store, station)
    assert error.resolution is Resolution.CONNECTION


@pytest.mark.parametrize(
    "fields",
    [
        {"is_demo": True},
        {"registration": Registration.PENDING},
        {"registration": Registration.REJECTED},
        {"offline_since": None},
    ],
    ids=["simulated", "waiting for an operator", "rejected", "never online"],
)
async def test_only_stations_that_are_expected_are_missed(
    runtime: Runtime, clock: FixedClock, fields: dict[str, Any]
) -> None:
    station = await make_station(runtime.store, **{"offline_since": clock()} | fields)
    clock.advance(days=1)
    await watch_offline(runtime)
    assert await errors_of(runtime.store, station) == []


@pytest.mark.feature("S16")
async def test_offline_since_a_window_is_marked_and_before_it_is_not(
    runtime: Runtime, clock: FixedClock, settings: Settings
) -> None:
    store = runtime.store
    before, inside = await make_station(store), await make_station(store)
    await go(store, before, is_online=False)
    clock.advance(minutes=1)
    for station in (before, inside):
        await open_window(store, station, hours=1)
    await go(store, inside, is_online=False, at=clock() + timedelta(minutes=58))
    clock.advance(minutes=59, seconds=settings.offline_after_s)
    await watch_offline(runtime)
    assert [one.in_maintenance_window for one in await errors_of(store, before)] == [False]
    assert [one.in_maintenance_window for one in await errors_of(store, inside)] == [True]


# --- HTTP ---------------------------------------------------------------------------------------------------------


async def items(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_errors_are_listed_filtered_and_shown(
    store: Store, station: Station, caller: CallingStation, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    path = f"/api/v1/stations/{station.identity}/errors"
    await go(store, station, is_online=True)
    await tell(caller, "GroundFailure", "Faulted")
    clock.advance(hours=1)
    await tell(caller)
    await tell(caller, "OtherError", connectorId=2, vendorErrorCode="E7")
    page = (await api.get(path)).json()
    assert (page["is_online"], page["offline_since"]) == (True, None)
    assert [item["code"] for item in page["items"]] == ["OtherError", "GroundFailure"]
    assert page["items"][0]["station_id"] == station.identity
    for query, codes in [
        ("state=open", ["OtherError"]),
        ("state=resolved", ["GroundFailure"]),
        ("code=GroundFailure", ["GroundFailure"]),
        ("vendor_code=E7", ["OtherError"]),
        ("charge_point_number=1", ["GroundFailure"]),
        ("severity=critical", ["GroundFailure"]),
        ("source=offline", []),
        ("in_maintenance_window=true", []),
        (f"from={clock().isoformat().replace('+00:00', 'Z')}", ["OtherError"]),
        (f"to={clock().isoformat().replace('+00:00', 'Z')}", ["GroundFailure"]),
        ("limit=1", ["OtherError"]),
    ]:
        assert [item["code"] for item in await items(api, f"{path}?{query}")] == codes, query
    assert (await api.get(f"{path}/{page['items'][0]['id']}")).json() == page["items"][0]


@pytest.mark.robustness(39, 41)
async def test_csv_holds_no_formula(station: Station, caller: CallingStation, api: httpx.AsyncClient) -> None:
    await tell(caller, "OtherError", "Faulted", info='=HYPERLINK("http://bad")')
    for path in (f"/api/v1/stations/{station.identity}/errors", "/api/v1/errors"):
        answer = await api.get(path, headers={"Accept": "text/csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        header, row = answer.text.splitlines()
        assert header.startswith("id,station_id,charge_point_number,connector_number,source,code")
        assert f",{station.identity},1,,hardware,OtherError," in row
        assert "\"'=HYPERLINK" in row


async def test_all_errors_are_in_the_csv_file_once_and_in_order(
    runtime: Runtime, station: Station, api: httpx.AsyncClient
) -> None:
    """More than are read at once."""
    async with runtime.store.writing() as work:
        for number in range(600):
            at = work.now - timedelta(minutes=number // 3)
            error = {"source": Source.HARDWARE, "severity": Severity.ERROR, "code": f"E{number:03}"}
            times = {"raised_at": at, "received_at": at, "last_seen_at": at}
            owner = {"organisation_id": station.organisation_id, "station_id": station.id}
            work.session.add(StationError(charge_point_number=1, **owner, **error, **times))
    for path in (f"/api/v1/stations/{station.identity}/errors", "/api/v1/errors"):
        answer = await api.get(path, params={"format": "csv", "limit": 1})
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert {row["code"] for row in rows} == {f"E{number:03}" for number in range(600)}
        assert [row["raised_at"] for row in rows] == sorted((row["raised_at"] for row in rows), reverse=True)
        assert len(rows) == 600


async def test_a_station_that_is_still_offline_is_not_resolved_by_hand(
    runtime: Runtime, station: Station, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    await go(runtime.store, station, is_online=False)
    clock.advance(hours=1)
    await watch_offline(runtime)
    (error,) = await items(api, f"/api/v1/stations/{station.identity}/errors")
    refused = await api.post(f"/api/v1/stations/{station.identity}/errors/{error['id']}/resolve")
    assert refused.status_code == 409
    assert "maintenance window" in refused.json()["detail"]


async def test_the_fleet_list_shows_only_ones_own_stations(
    store: Store, caller: CallingStation, api: httpx.AsyncClient, api_as: Any, anonymous: httpx.AsyncClient
) -> None:
    await tell(caller, "GroundFailure", "Faulted")
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    assert len(await items(api, "/api/v1/errors?state=open")) == 1
    assert await items(stranger, "/api/v1/errors") == []
    (error,) = await items(api, "/api/v1/errors")
    path = f"/api/v1/stations/{caller.connected.identity}/errors/{error['id']}"
    assert (await stranger.get(path)).status_code == 404
    assert (await (await api_as("user")).post(f"{path}/resolve")).status_code == 403
    assert (await anonymous.get("/api/v1/errors")).status_code == 401


@pytest.mark.ocpp("2.x StatusNotification")
@pytest.mark.parametrize("version", VERSIONS_2)
class TestConnectors:
    """2.x: a status is told for each connector of an EVSE and has no error code."""

    @staticmethod
    async def say(caller: CallingStation, connector: int, word: str, evse: int = 1) -> None:
        status = {"connectorStatus": word, "evseId": evse, "connectorId": connector}
        assert await caller.call("StatusNotification", timestamp="2026-01-01T00:00:00Z", **status) == {}

    async def test_a_fault_opens_repeats_and_ends_for_its_connector_alone(
        self, store: Store, station: Station, version: Version
    ) -> None:
        caller = await connect(store, station, version)
        for connector, word in ((1, "Faulted"), (1, "Faulted"), (2, "Faulted"), (2, "Available")):
            await self.say(caller, connector, word)
        first, second = await errors_of(store, station)
        assert (first.charge_point_number, first.connector_number, first.code) == (1, 1, "Faulted")
        assert (first.resolved_at, first.repeat_count, first.severity) == (None, 1, Severity.ERROR)
        assert (second.connector_number, second.resolution) == (2, Resolution.STATION)

    async def test_a_fault_outlives_a_reconnect(self, store: Store, station: Station, version: Version) -> None:
        await self.say(await connect(store, station, version), 1, "Faulted")
        again = await connect(store, station, version)
        await self.say(again, 1, "Faulted")
        await self.say(again, 1, "Occupied")
        (error,) = await errors_of(store, station)
        assert (error.repeat_count, error.resolution) == (1, Resolution.STATION)

    async def test_evse_0_is_the_station_itself(self, store: Store, station: Station, version: Version) -> None:
        await self.say(await connect(store, station, version), 0, "Faulted", evse=0)
        (error,) = await errors_of(store, station)
        assert (error.charge_point_number, error.connector_number) == (0, None)
        async with store.reading() as work:
            assert (await work.session.get_one(Station, station.id)).status == "faulted"
