"""S3: charge points over HTTP."""

from typing import Any

import httpx
import pytest

from csms.runtime import Runtime
from csms.station.charge_points import set_status
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S3")
PATH = "/api/v1/stations/CP-1/charge-points"
PLUG = {"plug_type": "iec_62196_t2_combo", "format": "cable", "max_power_w": 150_000, "voltage_v": 920}


async def make_announced(store: Store) -> None:
    station = await make_station(store, identity="CP-1")
    calling = await connect(store, station)
    work = store.note()
    await set_status(work, calling.connected, 1, "SuspendedEV", work.now)
    await store.commit_all([work])


async def test_a_charge_point_shows_its_state_and_plugs(api: httpx.AsyncClient, store: Store) -> None:
    await make_announced(store)
    put = await api.put(f"{PATH}/1/connectors", json={"connectors": [PLUG, PLUG | {"plug_type": "chademo"}]})
    assert put.status_code == 200
    [shown] = (await api.get(PATH)).json()["items"]
    assert shown == put.json() == (await api.get(f"{PATH}/1")).json()
    assert (shown["number"], shown["status"], shown["status_word"]) == (1, "suspended_ev", "SuspendedEV")
    assert [(c["number"], c["plug_type"]) for c in shown["connectors"]] == [(1, "iec_62196_t2_combo"), (2, "chademo")]
    assert "evse_key" not in shown
    again = await api.put(f"{PATH}/1/connectors", json={"connectors": []})
    assert again.json()["connectors"] == []


async def test_label_and_evse_id_are_changed_and_emptied(api: httpx.AsyncClient, store: Store) -> None:
    await make_announced(store)
    changed = await api.patch(f"{PATH}/1", json={"label": " A1 ", "evse_id": "de*ab7*e1"})
    assert (changed.json()["label"], changed.json()["evse_id"]) == ("A1", "DE*AB7*E1")
    emptied = await api.patch(f"{PATH}/1", json={"evse_id": None})
    assert (emptied.json()["label"], emptied.json()["evse_id"]) == ("A1", None)


async def test_a_charge_point_is_described_before_it_is_seen(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1")
    added = await api.post(PATH, json={"number": 2, "evse_id": "DE*AB7*E2", "connectors": [PLUG]})
    assert added.status_code == 201
    assert (added.json()["is_announced"], added.json()["status"]) == (False, "unknown")
    assert (await api.post(PATH, json={"number": 2})).status_code == 409
    assert (await api.post(PATH, json={"number": 3, "evse_id": "DEAB7E2"})).status_code == 409
    assert (await api.delete(f"{PATH}/2")).status_code == 204
    assert (await api.get(f"{PATH}/2")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/1", {"evse_id": "socket 1"}),
        ("PATCH", "/1", {"label": "\n"}),
        ("PATCH", "/1", {"status": "available"}),
        ("PATCH", "/0", {"label": "x"}),
        ("PUT", "/1/connectors", {"connectors": [{"plug_type": "banana"}]}),
        ("PUT", "/1/connectors", {"connectors": [{"phases": 4}]}),
        ("PUT", "/1/connectors", {"connectors": [PLUG] * 17}),
        ("POST", "", {"number": 0}),
        ("POST", "", {"number": 257}),
    ],
)
async def test_wrong_descriptions_are_refused(
    api: httpx.AsyncClient, store: Store, method: str, path: str, body: dict[str, Any]
) -> None:
    await make_announced(store)
    assert (await api.request(method, PATH + path, json=body)).status_code == 422


async def test_the_check_names_place_and_remedy(api: httpx.AsyncClient, store: Store) -> None:
    await make_announced(store)
    await api.put(f"{PATH}/1/connectors", json={"connectors": [{"phases": 3, "plug_type": "chademo"}]})
    checked = (await api.get(f"{PATH}/check")).json()
    assert checked["is_ready"] is False
    places = {problem["place"]: problem["severity"] for problem in checked["problems"]}
    assert places["coordinates"] == "error"
    assert places["charge_points/1/evse_id"] == "error"
    assert places["charge_points/1/connectors/1/max_power_w"] == "error"
    assert places["charge_points/1/connectors/1/phases"] == "warning"


async def test_the_same_label_twice_is_noticed(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1")
    for number in (1, 2):
        await api.post(PATH, json={"number": number, "label": "A"})
    problems = (await api.get(f"{PATH}/check")).json()["problems"]
    assert sum("more than once" in problem["what"] for problem in problems) == 2


async def test_a_deleted_station_frees_its_evse_ids(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CP-1")
    await make_station(runtime.store, identity="CP-2")
    await api.post(PATH, json={"number": 1, "evse_id": "DE*AB7*E1", "connectors": [PLUG]})
    await api.delete("/api/v1/stations/CP-1")
    await runtime.outbox.deliver_due()
    moved = await api.post(PATH.replace("CP-1", "CP-2"), json={"number": 1, "evse_id": "DE*AB7*E1"})
    assert moved.status_code == 201


@pytest.mark.robustness(42)
async def test_others_may_not(anonymous: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    await make_announced(store)
    user = await api_as("user")
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    for method, path, body in [
        ("GET", "", None),
        ("GET", "/check", None),
        ("GET", "/1", None),
        ("POST", "", {"number": 2}),
        ("PATCH", "/1", {"label": "x"}),
        ("DELETE", "/1", None),
        ("PUT", "/1/connectors", {"connectors": []}),
    ]:
        assert (await anonymous.request(method, PATH + path, json=body)).status_code == 401
        assert (await stranger.request(method, PATH + path, json=body)).status_code == 404
        assert (await user.request(method, PATH + path, json=body)).status_code == (200 if method == "GET" else 403)
