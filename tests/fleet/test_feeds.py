"""F4: the public GeoJSON feed shows published stations, live, and nothing that identifies hardware."""

import asyncio
from typing import Any

import geojson
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.clock import FixedClock
from csms.fleet.feeds.rules import (
    Circle,
    PublicState,
    best_state,
    distance_m,
    is_known,
    public_state,
    read_box,
    read_point,
)
from csms.fleet.feeds.service import GeoJsonFeed, feed_of
from csms.routing import Registration
from csms.station.charge_points import ChargePointStatus, set_status
from csms.station.information import Station, StationStatus
from csms.station.interfaces import InterfaceKind, switch_interface
from csms.store import Store, Work
from tests.builders import connect, make_organisation, make_station

pytestmark = pytest.mark.feature("F4")
PATH = "/feeds/geojson"
MUNICH = {"latitude": 48.1374, "longitude": 11.5755}


async def publish(store: Store, *, is_on: bool = True, **fields: Any) -> Station:
    """A station with its switch on."""
    values = {"is_online": True, **MUNICH, **fields}
    station = await make_station(store, **values)
    await switch(store, station, is_on=is_on)
    return station


async def switch(store: Store, station: Station, *, is_on: bool) -> None:
    async with store.writing() as work:
        await switch_interface(work, station, InterfaceKind.GEOJSON, is_on=is_on)


async def say(store: Store, station: Station, number: int, word: str) -> None:
    calling = await connect(store, station)
    work = store.note()
    await set_status(work, calling.connected, number, word, work.now)
    await store.commit_all([work])


async def shown(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await client.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    collection = geojson.loads(answer.text)
    assert collection.is_valid, collection.errors()
    return list(collection["features"])


@pytest.mark.feature("S18")
async def test_a_published_station_is_a_feature_with_live_state(
    anonymous: httpx.AsyncClient, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    station = await publish(store, name="Hof", address="Am Hof 1", city="München", country="DE")
    await say(store, station, 0, "Available")
    await say(store, station, 1, "Available")
    path = f"/api/v1/stations/{station.identity}/charge-points/1"
    await api.patch(path, json={"label": "A1", "evse_id": "DE*AB7*E1"})
    await api.put(f"{path}/connectors", json={"connectors": [{"plug_type": "chademo", "max_power_w": 50_000}]})
    [feature] = await shown(anonymous)
    assert feature["id"] == station.public_id
    assert feature["geometry"] == {"type": "Point", "coordinates": [11.5755, 48.1374]}
    properties = feature["properties"]
    assert (properties["name"], properties["operator"], properties["state"]) == ("Hof", "Default", "available")
    [charge_point] = properties["charge_points"]
    assert (charge_point["evse_id"], charge_point["state"]) == ("DE*AB7*E1", "available")
    assert charge_point["connectors"][0]["plug_type"] == "chademo"
    assert properties["updated_at"] == clock().isoformat().replace("+00:00", "Z")
    await say(store, station, 1, "Charging")
    assert (await shown(anonymous))[0]["properties"]["state"] == "occupied"
    await say(store, station, 0, "Faulted")
    assert (await shown(anonymous))[0]["properties"]["state"] == "out_of_order"


@pytest.mark.feature("S18")
@pytest.mark.robustness(44)
async def test_only_switched_accepted_placed_stations_are_shown(anonymous: httpx.AsyncClient, store: Store) -> None:
    await publish(store, is_on=False)
    await publish(store, registration=Registration.PENDING)
    await publish(store, registration=Registration.REJECTED)
    await publish(store, latitude=None, longitude=None)
    await publish(store, latitude=0.0, longitude=0.0)
    await publish(store, latitude=95.0)
    published = await publish(store)
    assert [feature["id"] for feature in await shown(anonymous)] == [published.public_id]


@pytest.mark.robustness(44)
async def test_nothing_identifies_hardware_or_customers(anonymous: httpx.AsyncClient, store: Store) -> None:
    hidden = {
        "identity": "SECRET-1",
        "serial_number": "SECRET-2",
        "remote_address": "203.0.113.77",
        "iccid": "SECRET-3",
        "imsi": "SECRET-4",
        "tags": ["SECRET-5"],
        "site": "SECRET-6",
        "password_hashes": ["SECRET-7"],
        "meter_serial_number": "SECRET-8",
    }
    station = await publish(store, **hidden)
    await say(store, station, 1, "Available")
    body = (await anonymous.get(PATH)).text
    assert "SECRET" not in body
    assert "203.0.113.77" not in body
    assert str(station.id) not in body


@pytest.mark.feature("S18")
@pytest.mark.robustness(44)
async def test_a_switch_turned_off_anywhere_is_off_in_the_next_answer_of_every_process(store: Store) -> None:
    here, elsewhere = GeoJsonFeed(store), GeoJsonFeed(store)
    station, other = await publish(store), await publish(store)
    for feed in (here, elsewhere):
        assert len((await feed.current()).features) == 2
    await switch(store, station, is_on=False)
    for feed in (here, elsewhere):
        assert [one.public_id for one in (await feed.current()).features] == [other.public_id]


@pytest.mark.parametrize(
    "change",
    [
        {"is_online": False},
        {"name": "new"},
        {"latitude": 1.0},
        {"registration": Registration.REJECTED},
        {"status": StationStatus.FAULTED},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_every_change_of_a_station_is_seen(store: Store, change: dict[str, Any]) -> None:
    feed = GeoJsonFeed(store)
    station = await publish(store, name="old")
    await say(store, station, 1, "Available")
    before = (await feed.current()).etag
    work = store.note()
    work.change(Station, station.id, **change)
    await store.commit_all([work])
    assert (await feed.current()).etag != before


async def test_a_deleted_station_is_gone(anonymous: httpx.AsyncClient, api: httpx.AsyncClient, store: Store) -> None:
    station = await publish(store, is_online=False)
    assert len(await shown(anonymous)) == 1
    await api.delete(f"/api/v1/stations/{station.identity}")
    assert await shown(anonymous) == []


async def test_only_changed_stations_are_rendered_anew(store: Store) -> None:
    stations = [await publish(store) for _ in range(5)]
    feed = GeoJsonFeed(store)
    first = await feed.current()
    assert feed.rendered_count == 5
    assert await feed.current() is first
    await say(store, stations[3], 1, "Available")
    assert (await feed.current()).etag != first.etag
    assert feed.rendered_count == 6


async def test_requests_that_wait_share_one_look_at_the_database(store: Store) -> None:
    feed = GeoJsonFeed(store)
    await publish(store)
    first = await asyncio.gather(*(feed.current() for _ in range(20)))
    assert len({id(one) for one in first}) == 1
    assert feed.rendered_count == 1


class HeldFeed(GeoJsonFeed):
    """Looks at the database and then waits, the first time."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_looked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def _refresh(self, work: Work) -> None:
        await super()._refresh(work)
        self.has_looked.set()
        await self.may_go_on.wait()


async def test_a_request_never_gets_a_comparison_that_began_before_it(store: Store) -> None:
    feed = HeldFeed(store)
    station = await publish(store)
    early = asyncio.create_task(feed.current())
    await feed.has_looked.wait()
    await switch(store, station, is_on=False)
    late = asyncio.create_task(feed.current())
    await asyncio.sleep(0)
    feed.may_go_on.set()
    assert len((await late).features) == 0
    await early


async def test_one_waiter_that_gives_up_does_not_disturb_the_others(store: Store) -> None:
    feed = GeoJsonFeed(store)
    await publish(store)
    first, second = (asyncio.create_task(feed.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert len((await second).features) == 1


async def test_an_etag_answers_304_until_something_changes(anonymous: httpx.AsyncClient, store: Store) -> None:
    station = await publish(store)
    first = await anonymous.get(PATH)
    assert first.headers["Content-Type"] == "application/geo+json"
    assert first.headers["Cache-Control"] == "public, no-cache"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
    again = await anonymous.get(PATH, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await say(store, station, 1, "Available")
    assert (await anonymous.get(PATH, headers=known)).status_code == 200


async def test_head_says_what_get_would(anonymous: httpx.AsyncClient, store: Store) -> None:
    await publish(store)
    got, head = await anonymous.get(PATH), await anonymous.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
        assert head.headers[name] == got.headers[name]
    assert (await anonymous.head(PATH, headers={"If-None-Match": got.headers["ETag"]})).status_code == 304


async def test_a_browser_of_another_origin_may_ask(anonymous: httpx.AsyncClient) -> None:
    asked = {"Origin": "https://map.example", "Access-Control-Request-Method": "GET"}
    answer = await anonymous.options(PATH, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "If-None-Match" in answer.headers["Access-Control-Allow-Headers"]


async def test_a_part_of_the_map_is_asked_for(anonymous: httpx.AsyncClient, store: Store) -> None:
    munich = await publish(store)
    fiji = await publish(store, latitude=-17.7, longitude=178.1)
    samoa = await publish(store, latitude=-13.8, longitude=-171.8)
    everywhere = {munich.public_id, fiji.public_id, samoa.public_id}

    async def ids(**params: Any) -> set[str]:
        return {feature["id"] for feature in await shown(anonymous, **params)}

    assert await ids() == everywhere
    assert await ids(bbox="11,48,12,49") == {munich.public_id}
    assert await ids(bbox="170,-30,-170,0") == {fiji.public_id, samoa.public_id}
    assert await ids(bbox="-180,-90,180,90") == everywhere
    assert await ids(near="48.14,11.58") == {munich.public_id}
    assert await ids(near="48.14,11.58", radius_m=100) == set()
    assert await ids(near="-17,180", radius_m=1_000_000) == {fiji.public_id, samoa.public_id}


async def test_a_huge_answer_comes_in_pages(anonymous: httpx.AsyncClient, store: Store) -> None:
    public_ids = sorted([(await publish(store)).public_id for _ in range(5)])
    await publish(store, latitude=-17.7, longitude=178.1)
    path: str | None = f"{PATH}?bbox=11,48,12,49&limit=2"
    found = []
    while path is not None:
        answer = await anonymous.get(path)
        found.append([feature["id"] for feature in answer.json()["features"]])
        path = answer.links.get("next", {}).get("url")
    assert found == [public_ids[:2], public_ids[2:4], public_ids[4:]]


@pytest.mark.parametrize(
    "params",
    [
        {"bbox": "1,2,3"},
        {"bbox": "1,2,3,x"},
        {"bbox": "0,10,0,-10"},
        {"bbox": "-181,0,0,1"},
        {"bbox": "nan,0,0,1"},
        {"near": "48"},
        {"near": "91,0"},
        {"near": "0,inf"},
        {"near": "0,0", "radius_m": 0},
        {"near": "0,0", "radius_m": "nan"},
        {"near": "0,0", "bbox": "0,0,1,1"},
        {"limit": 0},
        {"cursor": "../x"},
    ],
)
async def test_a_wrong_question_is_refused(anonymous: httpx.AsyncClient, params: dict[str, Any]) -> None:
    refused = await anonymous.get(PATH, params=params)
    assert refused.status_code == 422
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


async def test_stations_of_every_operator_are_in_one_feed(anonymous: httpx.AsyncClient, store: Store) -> None:
    await publish(store)
    other = await make_organisation(store, "Others")
    station = await make_station(store, other, **MUNICH)
    await switch(store, station, is_on=True)
    operators = {feature["properties"]["operator"] for feature in await shown(anonymous)}
    assert operators == {"Default", "Others"}


async def test_each_database_has_its_own_feed(store: Store) -> None:
    assert feed_of(store) is feed_of(store)


@pytest.mark.parametrize("status", list(ChargePointStatus))
def test_every_status_has_a_public_state(status: ChargePointStatus) -> None:
    state = public_state(status, is_online=True, is_station_working=True)
    expected = {
        "available": PublicState.AVAILABLE,
        "unavailable": PublicState.OUT_OF_ORDER,
        "faulted": PublicState.OUT_OF_ORDER,
        "unknown": PublicState.UNKNOWN,
    }
    assert state is expected.get(status.value, PublicState.OCCUPIED)
    assert public_state(status, is_online=False, is_station_working=True) is PublicState.UNKNOWN
    assert public_state(status, is_online=True, is_station_working=False) is PublicState.OUT_OF_ORDER


def test_a_station_is_as_good_as_its_best_charge_point() -> None:
    assert best_state([PublicState.OUT_OF_ORDER, PublicState.OCCUPIED]) is PublicState.OCCUPIED
    assert best_state([PublicState.UNKNOWN, PublicState.OUT_OF_ORDER]) is PublicState.OUT_OF_ORDER
    assert best_state([]) is PublicState.UNKNOWN


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((48.1374, 11.5755), (52.52, 13.405), 504_400),
        ((0, 179.5), (0, -179.5), 111_195),
        ((90, 0), (-90, 0), 20_015_115),
        ((10, 10), (10, 10), 0),
    ],
)
def test_distances_are_great_circles(one: tuple[float, float], other: tuple[float, float], metres: float) -> None:
    assert distance_m(*one, *other) == pytest.approx(metres, rel=0.005)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_a_circle_that_spans_the_globe_holds_everything(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> None:
    assert Circle(latitude, longitude, 20_100_000).holds(other_latitude, other_longitude)


@given(st.text(max_size=50))
def test_any_text_is_a_box_or_none(text: str) -> None:
    assert read_box(text) is None or text.count(",") == 3
    assert read_point(text) is None or text.count(",") == 1


def test_if_none_match_is_compared_weakly() -> None:
    assert is_known('W/"a", "b"', '"a"')
    assert is_known("*", '"a"')
    assert not is_known('"ab"', '"a"')
    assert not is_known(None, '"a"')
