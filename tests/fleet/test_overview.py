"""F1: finding stations and counting the fleet."""

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.routing import Registration
from csms.station.charge_points import set_status
from csms.station.errors import StationError
from csms.station.information import Station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import connect, make_organisation, make_station

pytestmark = pytest.mark.feature("F1")
PATH = "/api/v1/stations"


async def say(store: Store, station: Station, number: int, word: str) -> None:
    calling = await connect(store, station)
    work = store.note()
    await set_status(work, calling.connected, number, word, work.now)
    await store.commit_all([work])


async def raise_error(store: Store, station: Station, *, is_resolved: bool = False) -> None:
    async with store.writing() as work:
        work.session.add(
            StationError(
                organisation_id=station.organisation_id,
                station_id=station.id,
                charge_point_number=1,
                source="hardware",
                code="GroundFailure",
                severity="error",
                raised_at=work.now,
                received_at=work.now,
                last_seen_at=work.now,
                resolved_at=work.now if is_resolved else None,
            )
        )


async def make_fleet(store: Store, clock: FixedClock) -> None:
    """A: charging, online, in error; B: offline; C: pending; D: online, never seen, without a name."""
    seen = clock()
    a = await make_station(
        store,
        identity="A",
        name="Bahnhof 50%",
        site="Depot",
        tags=["dc", "A 9"],
        vendor="Wallbe",
        model="Eco",
        firmware_version="1.2",
        serial_number="SN-77",
        city="Ulm",
        is_online=True,
        online_since=seen,
        last_seen_at=seen,
    )
    b = await make_station(
        store, identity="B", name="altes Rathaus", tags=["ac"], last_seen_at=seen - timedelta(hours=1)
    )
    await make_station(store, identity="C", name="Zoo", registration=Registration.PENDING)
    await make_station(store, identity="D", is_online=True, is_demo=True)
    await say(store, a, 1, "Charging")
    await say(store, a, 2, "Available")
    await say(store, b, 1, "Faulted")
    await raise_error(store, a)
    await raise_error(store, a)
    await raise_error(store, b, is_resolved=True)


async def found(api: httpx.AsyncClient, **params: Any) -> str:
    answer = await api.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    return "".join(one["station_id"] for one in answer.json()["items"])


@pytest.mark.parametrize(
    ("params", "identities"),
    [
        ({}, "ABCD"),
        ({"q": "rathaus"}, "B"),
        ({"q": "sn-7"}, "A"),
        ({"q": "ulm"}, "A"),
        ({"q": "50%"}, "A"),
        ({"q": "%"}, "A"),
        ({"q": "_"}, ""),
        ({"is_online": True}, "AD"),
        ({"is_online": False}, "BC"),
        ({"registration": "pending"}, "C"),
        ({"has_open_errors": True}, "A"),
        ({"has_open_errors": False}, "BCD"),
        ({"status": "charging"}, "A"),
        ({"status": ["available", "faulted"]}, "AB"),
        ({"site": "Depot"}, "A"),
        ({"firmware": "1.2", "vendor": "Wallbe", "model": "Eco"}, "A"),
        ({"firmware": "1.2", "model": "Pro"}, ""),
        ({"tag": "dc"}, "A"),
        ({"tag": "A 9"}, "A"),
        ({"tag": "d"}, ""),
        ({"is_demo": True}, "D"),
        ({"sort": "-identity"}, "DCBA"),
        ({"sort": "name"}, "DBAC"),
        ({"sort": "-name"}, "CABD"),
        ({"sort": "last_seen_at"}, "CDBA"),
        ({"sort": "-last_seen_at"}, "ABDC"),
        ({"sort": "-online_since"}, "ADCB"),
    ],
)
async def test_stations_are_found_and_sorted(
    api: httpx.AsyncClient, store: Store, clock: FixedClock, params: dict[str, Any], identities: str
) -> None:
    await make_fleet(store, clock)
    assert await found(api, **params) == identities
    if params == {"sort": "-online_since"}:
        first = (await api.get(PATH, params=params)).json()["items"][0]
        assert first["open_errors"] == 2
        assert [(one["number"], one["status"]) for one in first["charge_points"]] == [(1, "charging"), (2, "available")]
        assert "password_hashes" not in first


@pytest.mark.parametrize("sort", ["identity", "-identity", "name", "-name", "last_seen_at", "-online_since"])
async def test_pages_show_every_station_once(
    api: httpx.AsyncClient, store: Store, clock: FixedClock, sort: str
) -> None:
    await make_fleet(store, clock)
    await make_station(store, identity="E")
    pages, cursor = "", None
    for _ in range(3):
        params = {"sort": sort, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(PATH, params=params)).json()
        pages += "".join(one["station_id"] for one in page["items"])
        cursor = page["next_cursor"]
    assert cursor is None
    assert pages == await found(api, sort=sort)
    assert sorted(pages) == list("ABCDE")


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "password_hashes"},
        {"cursor": "x"},
        {"cursor": "WzEsMl0"},
        {"cursor": "W251bGwsbnVsbCxudWxsLG51bGxd", "sort": "last_seen_at"},
        {"limit": 0},
        {"limit": 501},
        {"status": "exploded"},
        {"q": "\0"},
        {"format": "xml"},
    ],
)
async def test_a_wrong_question_is_refused(api: httpx.AsyncClient, store: Store, params: dict[str, Any]) -> None:
    assert (await api.get(PATH, params=params)).status_code == 422


async def test_a_cursor_of_another_order_is_refused(api: httpx.AsyncClient, store: Store, clock: FixedClock) -> None:
    await make_fleet(store, clock)
    cursor = (await api.get(PATH, params={"limit": 1})).json()["next_cursor"]
    assert (await api.get(PATH, params={"cursor": cursor, "sort": "-identity"})).status_code == 422


@pytest.mark.robustness(39)
@pytest.mark.parametrize(
    ("params", "headers"), [({"format": "csv"}, {}), ({}, {"Accept": "text/csv"}), ({"format": "csv", "limit": 1}, {})]
)
async def test_the_list_is_exported_whole_as_csv(
    api: httpx.AsyncClient, store: Store, clock: FixedClock, params: dict[str, Any], headers: dict[str, str]
) -> None:
    await make_fleet(store, clock)
    await make_station(store, identity="=cmd()", name="+49", latitude=-1.5, longitude=2.0)
    answer = await api.get(PATH, params=params, headers=headers)
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = {row["station_id"]: row for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
    assert set(rows) == {"A", "B", "C", "D", "'=cmd()"}
    assert rows["A"]["tags"] == "dc, A 9"
    assert rows["A"]["open_errors"] == "2"
    assert rows["A"]["charge_points"] == "1:charging 2:available"
    assert rows["A"]["last_seen_at"] == "2026-01-01T00:00:00Z"
    assert (rows["'=cmd()"]["name"], rows["'=cmd()"]["latitude"]) == ("'+49", "-1.5")


async def test_json_is_the_default(api: httpx.AsyncClient, store: Store) -> None:
    answer = await api.get(PATH, params={"format": "json"}, headers={"Accept": "text/csv"})
    assert answer.json() == {"items": [], "next_cursor": None}


async def test_the_fleet_is_counted(api: httpx.AsyncClient, api_as: ApiAs, store: Store, clock: FixedClock) -> None:
    await make_fleet(store, clock)
    counts = (await api.get("/api/v1/fleet/overview")).json()
    states = {state: count for state, count in counts.pop("charge_points").items() if count}
    assert states == {"charging": 1, "available": 1, "faulted": 1}
    assert counts == {
        "stations": 4,
        "online": 2,
        "offline": 1,
        "pending": 1,
        "rejected": 0,
        "with_open_errors": 1,
        "charging": 1,
    }
    stranger = await api_as("user", await make_organisation(store, "Strangers"))
    assert (await stranger.get("/api/v1/fleet/overview")).json()["stations"] == 0
    assert await found(stranger) == ""


@pytest.mark.robustness(42)
async def test_the_list_needs_a_key(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get(PATH)).status_code == 401
    assert (await anonymous.get("/api/v1/fleet/overview")).status_code == 401
