"""A query parameter that a route does not have is refused, on every route; those of the document are not."""

import httpx
import pytest
from fastapi import FastAPI

from csms.store import Store
from tests.builders import make_station
from tests.datasheet_api.walk import steps


@pytest.fixture
def database_kind() -> str:
    """Nothing here depends on the database."""
    return "sqlite"


async def test_a_misspelt_filter_is_refused_and_told(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/stations", params={"sitte": "Hof"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["place"] == "query/sitte"
    assert "site" in problem["detail"]


async def test_a_route_without_parameters_says_so(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/v1/me", params={"verbose": "1"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "no parameter «verbose» here; there are none")


async def test_every_route_refuses_what_it_does_not_have(app: FastAPI, api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    for step in steps(app):
        names = [one["name"] for one in step.operation.get("parameters", []) if one["in"] == "query"]
        url, known = step.url(station_id=station.identity), dict.fromkeys(names, "-")
        answer = await api.request(step.method, url, params=known | {"no-such": "1"}, json=step.body())
        assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "query/no-such"), step


async def test_feeds_take_what_maps_add_against_caches(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/feeds/geojson", params={"_": "1767225600"})).status_code == 200


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2026-01-01"])
@pytest.mark.parametrize("name", ["from", "to"])
async def test_a_time_that_no_calendar_has_in_utc_is_refused(api: httpx.AsyncClient, name: str, at: str) -> None:
    answer = await api.get("/api/v1/charge-logs", params={name: at})
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, f"query/{name}")


async def test_a_wrong_method_is_told_all_right_ones(api: httpx.AsyncClient) -> None:
    """Also where two features share the path."""
    answer = await api.delete("/api/v1/stations")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    assert (await api.put("/api/v1/stations/CP-1")).headers["Allow"] == "GET, PATCH, DELETE"
