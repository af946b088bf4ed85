"""S1, B9, B10: registering, reading, changing, accepting and deleting stations over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.outbox import Event
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.connections import ShownCertificate, keep_server_certificates
from csms.station.connections.model import BrokerNode
from csms.station.information import Station, check_password, find_station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("S1")
PATH = "/api/v1/stations"


async def stored(store: Store, identity: str) -> Station:
    async with store.reading() as work:
        found = await find_station(work, identity)
    assert found is not None
    return found


async def kinds(store: Store) -> list[str]:
    async with store.reading() as work:
        return [event.kind for event in await work.session.exec(select(Event).order_by("id"))]


async def test_a_registered_station_has_a_datasheet(api: httpx.AsyncClient, store: Store) -> None:
    body = {
        "station_id": "CP 1|a",
        "name": "Hof",
        "site": "Depot",
        "tags": ["dc"],
        "location": {"address": "Am Hof 1", "country": "DE", "latitude": 48.1, "longitude": 11.5},
    }
    made = await api.post(PATH, json=body)
    assert made.status_code == 201
    assert made.json()["password"] is None
    read = await api.get(made.headers["Location"])
    shown = read.json()
    assert read.status_code == 200
    assert (shown["station_id"], shown["name"], shown["tags"]) == ("CP 1|a", "Hof", ["dc"])
    assert shown["registration"] == "accepted"
    assert shown["location"]["latitude"] == 48.1
    assert shown["communication"]["is_online"] is False
    assert shown["communication"]["has_password"] is False
    assert shown["communication"]["sim_card"] == {"iccid": None, "imsi": None}
    assert await kinds(store) == ["station_registered"]


@pytest.mark.feature("B10")
async def test_a_password_is_made_and_shown_once(api: httpx.AsyncClient, runtime: Runtime) -> None:
    made = await api.post(PATH, json={"station_id": "CP-1", "security_profile": 1})
    password = made.json()["password"]
    assert len(password) == 40
    station = await stored(runtime.store, "CP-1")
    assert await check_password(station.password_hashes or [], bytes.fromhex(password), runtime.secret_key)
    read = await api.get(f"{PATH}/CP-1")
    assert read.json()["communication"]["has_password"] is True
    assert password not in read.text
    assert "hashes" not in read.text


@pytest.mark.feature("B10")
async def test_a_given_password_is_not_repeated(api: httpx.AsyncClient, runtime: Runtime) -> None:
    body = {"station_id": "CP-1", "security_profile": 1, "password": "sixteen chars ok"}
    made = await api.post(PATH, json=body)
    assert made.status_code == 201
    assert "sixteen" not in made.text
    station = await stored(runtime.store, "CP-1")
    assert await check_password(station.password_hashes or [], b"sixteen chars ok", runtime.secret_key)


@pytest.mark.feature("B10")
async def test_a_new_password_stops_the_old_one(api: httpx.AsyncClient, runtime: Runtime) -> None:
    made = await api.post(PATH, json={"station_id": "CP-1", "security_profile": 1})
    changed = await api.put(f"{PATH}/CP-1/password", json={})
    station = await stored(runtime.store, "CP-1")
    hashes = station.password_hashes or []
    assert not await check_password(hashes, made.json()["password"].encode(), runtime.secret_key)
    assert await check_password(hashes, changed.json()["password"].encode(), runtime.secret_key)
    given = await api.put(f"{PATH}/CP-1/password", json={"password": "sixteen chars ok"})
    assert given.json() == {"password": None}
    assert (await api.delete(f"{PATH}/CP-1/password")).status_code == 409
    await api.patch(f"{PATH}/CP-1", json={"security_profile": 0})
    assert (await api.delete(f"{PATH}/CP-1/password")).status_code == 204
    assert (await stored(runtime.store, "CP-1")).password_hashes is None


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"station_id": "a/b"}, 422, "body/station_id"),
        ({"station_id": ".."}, 422, "body/station_id"),
        ({"station_id": "A:B", "security_profile": 1}, 422, "body/station_id"),
        ({"station_id": "CP", "security_profile": 4}, 422, "body/security_profile"),
        ({"station_id": "CP", "password": "short"}, 422, "body/password"),
        ({"station_id": "CP", "password": "g" * 21}, 422, "body/password"),
        ({"station_id": "CP", "location": {"latitude": 0, "longitude": 0}}, 422, "body/location"),
        ({"station_id": "CP", "location": {"latitude": 1}}, 422, "body/location"),
        ({"station_id": "CP", "location": {"latitude": 91, "longitude": 0}}, 422, "body/location/latitude"),
        ({"station_id": "CP", "tags": ["a,b"]}, 422, "body/tags/0"),
        ({"station_id": "CP", "name": "a\u0000b"}, 422, "body/name"),
        ({"station_id": "CP", "colour": "red"}, 422, "body/colour"),
    ],
)
async def test_a_wrong_registration_says_where(
    api: httpx.AsyncClient, body: dict[str, Any], status: int, place: str
) -> None:
    refused = await api.post(PATH, json=body)
    assert refused.status_code == status
    assert place in refused.text


async def test_an_identity_is_taken_over_all_organisations(api: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    assert (await stranger.post(PATH, json={"station_id": "CP-1"})).status_code == 201
    assert (await api.post(PATH, json={"station_id": "CP-1"})).status_code == 409
    assert (await api.get(f"{PATH}/CP-1")).status_code == 404


async def test_only_what_is_named_is_changed(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1", name="Hof", city="Ulm", latitude=48.1, longitude=11.5)
    changed = await api.patch(
        f"{PATH}/CP-1", json={"site": "Depot", "leniency": "strict", "location": {"city": None, "country": "DE"}}
    )
    shown = changed.json()
    assert (shown["name"], shown["site"], shown["communication"]["leniency"]) == ("Hof", "Depot", "strict")
    assert (shown["location"]["city"], shown["location"]["latitude"]) == (None, 48.1)
    assert (await stored(store, "CP-1")).country == "DE"
    assert await kinds(store) == ["station_changed"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"location": {"latitude": None}}, 422),
        ({"location": {"latitude": 0, "longitude": 0}}, 422),
        ({"tags": None}, 422),
        ({"security_profile": 2}, 409),
        ({"registration": "accepted"}, 422),
    ],
)
async def test_a_wrong_change_changes_nothing(
    api: httpx.AsyncClient, store: Store, body: dict[str, Any], status: int
) -> None:
    before = await make_station(store, identity="CP-1", latitude=48.1, longitude=11.5)
    assert (await api.patch(f"{PATH}/CP-1", json=body)).status_code == status
    assert (await stored(store, "CP-1")).model_dump() == before.model_dump()


@pytest.mark.feature("B9")
async def test_an_operator_accepts_a_pending_station(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1", registration=Registration.PENDING)
    accepted = await api.post(f"{PATH}/CP-1/registration", json={"registration": "accepted"})
    assert accepted.json()["registration"] == "accepted"
    async with store.reading() as work:
        [event] = (await work.session.exec(select(Event))).all()
    assert (event.kind, event.station, event.data["registration"]) == ("station_changed", "CP-1", "accepted")


async def test_a_station_is_deleted_only_while_offline(api: httpx.AsyncClient, store: Store) -> None:
    await make_station(store, identity="CP-1", is_online=True)
    await make_station(store, identity="CP-2")
    assert (await api.delete(f"{PATH}/CP-1")).status_code == 409
    assert (await api.delete(f"{PATH}/CP-2")).status_code == 204
    assert (await api.get(f"{PATH}/CP-2")).status_code == 404
    assert await kinds(store) == ["station_changed", "station_deleted"]


@pytest.mark.robustness(42)
async def test_others_may_not(anonymous: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    await make_station(store, identity="CP-1")
    user = await api_as("user")
    stranger = await api_as("administrator", await make_organisation(store, "Strangers"))
    for method, path, body in [
        ("GET", f"{PATH}/CP-1", None),
        ("PATCH", f"{PATH}/CP-1", {}),
        ("DELETE", f"{PATH}/CP-1", None),
        ("POST", f"{PATH}/CP-1/registration", {"registration": "rejected"}),
        ("PUT", f"{PATH}/CP-1/password", {}),
        ("DELETE", f"{PATH}/CP-1/password", None),
    ]:
        assert (await anonymous.request(method, path, json=body)).status_code == 401
        assert (await stranger.request(method, path, json=body)).status_code == 404
        assert (await user.request(method, path, json=body)).status_code == (200 if method == "GET" else 403)
    assert (await stored(store, "CP-1")).registration is Registration.ACCEPTED


@pytest.mark.robustness(26)
@pytest.mark.parametrize("identity", ["%01", "%C3%BC", "x%0A", "x" * 48])
async def test_an_identity_that_cannot_be_is_not_found(api: httpx.AsyncClient, identity: str) -> None:
    assert (await api.get(f"{PATH}/{identity}")).status_code == 404


@pytest.mark.feature("B10")
async def test_a_profile_with_which_no_station_can_connect_here_is_taken_with_a_warning(
    api: httpx.AsyncClient, runtime: Runtime
) -> None:
    """Operators register stations before the TLS port is there; silence would cost them a night at the station."""
    made = await api.post(PATH, json={"station_id": "CP-2", "security_profile": 2})
    assert made.status_code == 201
    [warning] = made.json()["warnings"]
    assert warning.startswith("no broker has a TLS port, so the station cannot connect with security profile 2: set ")
    assert (await api.patch(f"{PATH}/CP-2", json={"security_profile": 1})).json()["warnings"] == []
    runtime.settings = runtime.settings.model_copy(update={"broker_tls_port": 9443})
    assert (await api.patch(f"{PATH}/CP-2", json={"security_profile": 2})).json()["warnings"] == []
    [warning] = (await api.patch(f"{PATH}/CP-2", json={"security_profile": 3})).json()["warnings"]
    assert warning.startswith("nobody is trusted to have issued stations' certificates")
    await api.post("/api/v1/certificate-authority", json={"operator_name": "Fjord"})
    assert (await api.patch(f"{PATH}/CP-2", json={"name": "Hof"})).json()["warnings"] == []


@pytest.mark.feature("B10")
async def test_a_broker_in_another_process_may_have_the_tls_port(api: httpx.AsyncClient, runtime: Runtime) -> None:
    now = runtime.clock()
    shown = ShownCertificate("server.pem", "CN=csms", ("csms.example.com",), "ab", now, now + timedelta(days=90))
    async with runtime.store.writing() as work:
        await keep_server_certificates(work, "broker-1", [shown])
        work.session.add(BrokerNode(name="broker-1", started_at=now, alive_at=now))
    for profile in (2, 3):
        made = await api.post(PATH, json={"station_id": f"CP-{profile}", "security_profile": profile})
        assert made.json()["warnings"] == []
