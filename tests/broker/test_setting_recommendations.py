"""S15: recommended values: kept, compared with what stations have, applied; over real sockets and the API."""

from typing import Any

import httpx
import pytest

from csms.ocpp.versions import Version
from csms.station.information import Station
from tests.broker.answering import answering
from tests.broker.conftest import Bench
from tests.builders import make_station

pytestmark = pytest.mark.feature("S15")
KEYS = {"HeartbeatInterval": "300", "MeterValueSampleInterval": "60", "NumberOfConnectors": "1"}


def url(station: Station, rest: str = "") -> str:
    return f"/api/v1/stations/{station.identity}/settings{rest}"


async def recommend(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post("/api/v1/settings/recommendations", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()  # type: ignore[no-any-return]


def answers() -> dict[str, Any]:
    told = [{"key": key, "value": value, "readonly": key.startswith("Number")} for key, value in KEYS.items()]
    return {
        "GetConfiguration": lambda _: {"configurationKey": told},
        "ChangeConfiguration": lambda _: {"status": "Accepted"},
    }


@pytest.fixture
async def station(bench: Bench) -> Station:
    return await make_station(bench.store, protocol=Version.V16.value, vendor="Acme", model="X1")


async def compared(api: httpx.AsyncClient, station: Station) -> dict[str, tuple[str | None, str, bool | None]]:
    items = (await api.get(url(station, "/recommendations"))).json()["items"]
    return {one["setting"]: (one["value"], one["recommended_value"], one["deviates"]) for one in items}


async def test_what_deviates_is_shown_and_applied_by_one_action(
    bench: Bench, api: httpx.AsyncClient, station: Station
) -> None:
    await recommend(api, name="heartbeat_interval", value=600)
    await recommend(api, name="sampled_interval", value="60", comment="contract")
    await recommend(api, name="offline_threshold", value="60")  # 1.6 does not have it
    await recommend(api, name="NumberOfConnectors", value="2")
    async with answering(bench, station.identity, Version.V16, answers()) as connected:
        assert (await compared(api, station))["HeartbeatInterval"] == (None, "600", None)
        await api.post(url(station, "/refreshes"), json={})
        assert await compared(api, station) == {
            "HeartbeatInterval": ("300", "600", True),
            "MeterValueSampleInterval": ("60", "60", False),
            "NumberOfConnectors": ("1", "2", True),
        }
        shown = (await api.get(url(station), params={"deviates": True})).json()["items"]
        assert [(one["name"], one["recommended_value"], one["deviates"]) for one in shown] == [
            ("HeartbeatInterval", "600", True),
            ("NumberOfConnectors", "2", True),
        ]
        results = (await api.post(url(station, "/recommendations/apply"))).json()["results"]
        assert [(one["setting"], one["outcome"]) for one in results] == [
            ("HeartbeatInterval", "accepted"),
            ("NumberOfConnectors", "not_sent"),
        ]
        assert "read-only" in results[1]["detail"]
        assert connected.sent("ChangeConfiguration") == [{"key": "HeartbeatInterval", "value": "600"}]
    assert (await compared(api, station))["HeartbeatInterval"] == ("600", "600", False)
    alike = (await api.get(url(station), params={"deviates": False})).json()["items"]
    assert [one["name"] for one in alike] == ["HeartbeatInterval", "MeterValueSampleInterval"]


async def test_only_chosen_ones_are_applied(bench: Bench, api: httpx.AsyncClient, station: Station) -> None:
    await recommend(api, name="heartbeat_interval", value=600)
    await recommend(api, name="MeterValueSampleInterval", value="30")
    async with answering(bench, station.identity, Version.V16, answers()) as connected:
        body = {"names": ["HeartbeatInterval"]}
        await api.post(url(station, "/recommendations/apply"), json=body)
        assert [one["key"] for one in connected.sent("ChangeConfiguration")] == ["HeartbeatInterval"]


async def test_the_most_narrowly_meant_value_holds(bench: Bench, api: httpx.AsyncClient, station: Station) -> None:
    await recommend(api, name="heartbeat_interval", value="1")
    await recommend(api, name="heartbeat_interval", value="2", vendor="ACME ")
    await recommend(api, name="HeartbeatInterval", value="3", vendor="acme", model="x1")
    await recommend(api, name="OCPPCommCtrlr.HeartbeatInterval", value="4", model="Y9")
    other = await make_station(bench.store, protocol=Version.V201.value, vendor="Acme", model="Z")
    assert (await compared(api, station))["HeartbeatInterval"][1] == "3"
    assert (await compared(api, other))["OCPPCommCtrlr.HeartbeatInterval"][1] == "2"


async def test_recommendations_are_changed_and_deleted(api: httpx.AsyncClient, station: Station) -> None:
    made = await recommend(api, name="heartbeat_interval", value="600", vendor="Acme")
    path = f"/api/v1/settings/recommendations/{made['id']}"
    again = await api.post("/api/v1/settings/recommendations", json={**made_body(made), "vendor": "acme"})
    assert again.status_code == 409
    changed = (await api.patch(path, json={"value": 900, "comment": "calm"})).json()
    assert (changed["value"], changed["comment"], changed["name"]) == ("900", "calm", "heartbeat_interval")
    assert (await api.patch(path, json={"value": "often"})).status_code == 422
    assert (await api.delete(path)).status_code == 204
    assert (await api.delete(path)).status_code == 404
    assert await compared(api, station) == {}


def made_body(made: dict[str, Any]) -> dict[str, Any]:
    return {"name": made["name"].upper(), "value": made["value"]}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "AuthorizationKey", "value": "x" * 16}, "body/name"),
        ({"name": "SecurityCtrlr.BasicAuthPassword", "value": "x" * 16}, "body/name"),
        ({"name": "heartbeat_interval", "value": "often"}, "body/value"),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
async def test_what_cannot_be_recommended(api: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
    answer = await api.post("/api/v1/settings/recommendations", json=body)
    assert (answer.status_code, place in answer.text) == (422, True)
