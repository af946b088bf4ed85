"""Every route there is, found in the OpenAPI document: without a key, of another organisation, with too low a role."""

import httpx
import pytest
from fastapi import FastAPI

from csms.platform.organisations import Organisation
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station
from tests.datasheet_api.walk import Step, steps

ANYBODYS = {"POST /api/v1/login"}
"""Routes without a key."""

EVERYBODYS = {"POST /api/v1/logout", "PUT /api/v1/me/password"}
"""Writing routes that concern only oneself, so that every role may use them."""


MORE = {"POST /api/v1/escalation-rules": {"recipients": ["kari@example.com"]}}
"""What a body needs beyond its schema."""


async def ask(client: httpx.AsyncClient, step: Step, **given: str) -> httpx.Response:
    body = step.body()
    if str(step) in MORE:
        body = {**body, **MORE[str(step)]}
    return await client.request(step.method.upper(), step.url(**given), params=step.query(), json=body)


@pytest.fixture
async def other(store: Store) -> Organisation:
    return await make_organisation(store, "Other")


def test_the_walk_sees_the_whole_api(app: FastAPI) -> None:
    assert len(steps(app)) > 50
    assert {"GET /api/v1/keys", "GET /api/v1/stations/{station_id}"} <= {str(step) for step in steps(app)}


@pytest.mark.feature("P2")
@pytest.mark.robustness(42)
async def test_without_a_key_every_route_is_401(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    wrong = {}
    for step in steps(app):
        answer = await ask(anonymous, step)
        if str(step) not in ANYBODYS and answer.status_code != 401:
            wrong[str(step)] = answer.status_code
    assert wrong == {}


@pytest.mark.feature("P1")
@pytest.mark.robustness(42)
async def test_another_organisations_station_does_not_exist(
    app: FastAPI, api: httpx.AsyncClient, store: Store, other: Organisation
) -> None:
    theirs = await make_station(store, other)
    wrong = {}
    for step in steps(app):
        if "{station_id}" not in step.path:
            continue
        answer = await ask(api, step, station_id=theirs.identity)
        if answer.status_code != 404:
            wrong[str(step)] = (answer.status_code, answer.text)
        elif theirs.public_id in answer.text:
            wrong[str(step)] = (404, "tells of the station")
    assert wrong == {}


@pytest.mark.feature("P1")
@pytest.mark.robustness(42)
async def test_ids_that_are_not_there_are_404(app: FastAPI, api: httpx.AsyncClient, store: Store) -> None:
    """Where the path ends with the id of a thing, on a station of one's own or on none."""
    ours = await make_station(store)
    wrong = {}
    for step in steps(app):
        name = step.path.rpartition("{")[2].rstrip("}")
        if step.path.endswith("_id}") and name != "station_id":
            answer = await ask(api, step, station_id=ours.identity, **{name: "455903678937747456"})
            if answer.status_code != 404:
                wrong[str(step)] = (answer.status_code, answer.text)
    assert wrong == {}


@pytest.mark.feature("P1")
@pytest.mark.robustness(42)
async def test_what_another_organisation_made_does_not_exist(
    app: FastAPI, api: httpx.AsyncClient, api_as: ApiAs, other: Organisation
) -> None:
    """Makes one of everything that can be made without a station, then asks for it with another organisation's key."""
    theirs = await api_as("administrator", other)
    made, wrong = set(), {}
    for step in steps(app):
        if step.method != "post" or "{" in step.path or "201" not in step.operation["responses"]:
            continue
        answer = await ask(theirs, step)
        assert answer.status_code == 201, (str(step), answer.text)
        key = answer.json().get("station_id") or answer.json()["id"]
        made.add(step.path)
        for on_it in steps(app):
            if on_it.path.startswith(f"{step.path}/{{") and on_it.path.count("{") == 1:
                name = on_it.path.partition("{")[2].partition("}")[0]
                refused = await ask(api, on_it, **{name: key})
                if refused.status_code != 404:
                    wrong[str(on_it)] = (refused.status_code, refused.text)
    assert made >= {"/api/v1/keys", "/api/v1/users", "/api/v1/stations"}
    assert wrong == {}


@pytest.mark.feature("P1")
@pytest.mark.robustness(42)
async def test_role_user_writes_nowhere(app: FastAPI, api_as: ApiAs, store: Store) -> None:
    reader = await api_as("user")
    station = await make_station(store)
    wrong = {}
    for step in steps(app):
        if not step.is_writing or str(step) in ANYBODYS | EVERYBODYS:
            continue
        answer = await ask(reader, step, station_id=station.identity)
        if answer.status_code != 403:
            wrong[str(step)] = (answer.status_code, answer.text)
    assert wrong == {}


@pytest.mark.feature("P3")
@pytest.mark.parametrize(
    ("route", "body", "table"),
    [
        ("POST /api/v1/stations", {"station_id": "NEW-1"}, "station"),
        ("PATCH /api/v1/stations/{station_id}", {"name": "Harbour"}, "station"),
        ("DELETE /api/v1/stations/{station_id}", None, "station"),
        ("PUT /api/v1/stations/{station_id}/password", {"password": "0123456789abcdef"}, "station"),
        ("POST /api/v1/keys", {"name": "export"}, "api_key"),
        ("PUT /api/v1/role-rights/user", {"rights": {"data_access": "read"}}, "role_rights"),
        ("PATCH /api/v1/organisations/current", {"name": "Fjord"}, "organisation"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_writing_leaves_a_row_in_the_audit_log(
    api: httpx.AsyncClient, store: Store, route: str, body: dict[str, object] | None, table: str
) -> None:
    station = await make_station(store)
    method, _, path = route.partition(" ")
    url = path.replace("{station_id}", station.identity)
    answer = await api.request(method, url, json=body)
    assert answer.is_success, answer.text
    rows = (await api.get("/api/v1/audit-log", params={"object_table": table})).json()["items"]
    assert [row["action"] for row in rows] == [f"{method} {url}"]
