"""What was made can be read where `Location` says, and the document says which answers have it."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from csms.store import Store
from datasheet_api.openapi import operations
from tests.builders import make_station

THINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("keys", {"name": "map", "role": "user"}),
    ("users", {"email": "kari@example.com", "name": "Kari", "role": "user", "password": "a good long password 7"}),
    ("tokens", {"uid": "04E1"}),
    ("firmware", {"version": "2.0"}),
    ("stations", {"station_id": "Am Hof 1"}),
    ("stations/{}/charge-points", {"number": 7}),
    ("escalation-rules", {"name": "Night", "channel": "email", "recipients": ["kari@example.com"]}),
)


@pytest.mark.parametrize(("path", "body"), THINGS, ids=[path for path, _ in THINGS])
async def test_what_was_made_is_where_location_says(
    api: httpx.AsyncClient, store: Store, path: str, body: dict[str, Any]
) -> None:
    station = await make_station(store, identity="Alte Post@2")
    made = await api.post(f"/api/v1/{path.format(station.identity)}", json=body)
    assert made.status_code == 201, made.text
    read = await api.get(made.headers["Location"])
    assert (read.status_code, read.json()["id"]) == (200, made.json()["id"])


async def test_without_a_path_of_its_own_nothing_is_said(api: httpx.AsyncClient) -> None:
    token = (await api.post("/api/v1/tokens", json={"uid": "04E1"})).json()
    made = await api.post("/api/v1/local-list-rules", json={"site": "Am Hof", "token_id": token["id"]})
    assert made.status_code == 201, made.text
    assert "Location" not in made.headers


def test_the_document_says_which_answers_tell_where(app: FastAPI) -> None:
    document = app.openapi()
    told = {
        path
        for path, _, one in operations(document)
        if "Location" in one["responses"].get("201", {}).get("headers", {})
    }
    assert {f"/api/v1/{path.replace('{}', '{station_id}')}" for path, _ in THINGS} <= told
    assert "/api/v1/local-list-rules" not in told
