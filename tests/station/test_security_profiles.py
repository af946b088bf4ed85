"""B10: upgrades, password changes and network profiles beside the socket: what operators do meanwhile, what is kept."""

from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.calls import Answered, Order, call_subject, read_order, write_outcome
from csms.config import Settings
from csms.ocpp.confidential import redacted
from csms.ocpp.versions import Version
from csms.runtime import Runtime
from csms.station.information import Station
from csms.station.information.passwords import hashes_for
from csms.station.logs import Exchange, describe
from csms.station.network_profiles import NetworkProfile
from csms.station.passwords import PasswordChange
from csms.station.passwords.rules import ChangeState, new_passwords, verdict
from csms.station.security_profiles import ProfileUpgrade
from csms.station.security_profiles.rules import Readiness, obstacle, profile_in
from tests.builders import connect, make_station

pytestmark = pytest.mark.feature("B10")
PEPPER = b"pepper for tests"
URL = "/api/v1/stations/CS-1"
READY = Readiness(has_tls=True, has_client_tls=True, has_authority=True)
SET_PROFILE: dict[str, Any] = {
    "configurationSlot": 2,
    "connectionData": {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": "wss://csms.example.com/ocpp",
        "messageTimeout": 30,
        "securityProfile": 2,
        "ocppInterface": "Wired0",
    },
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """An installation with a TLS port."""
    return settings.model_copy(update={"broker_tls_port": 9443, "broker_tls_url": "wss://csms.example.com/ocpp"})


async def held(runtime: Runtime, version: Version = Version.V16, **fields: Any) -> Station:
    """A station with a password, whose node accepts whatever it is sent."""
    hashes = hashes_for("x" * 16, PEPPER, is_generated=True)
    values = {"identity": "CS-1", "security_profile": 1, "password_hashes": hashes, "protocol": version.value, **fields}
    station = await make_station(runtime.store, **values)
    calling = await connect(runtime.store, station, version)

    async def serve(data: bytes) -> bytes:
        order: Order = read_order(data)
        answer = {"status": "Accepted"}
        await calling.answered(order.action, order.payload, answer)
        return write_outcome(Answered(answer))

    await runtime.bus.serve(call_subject(station.identity), serve)
    return station


async def test_a_profile_set_by_hand_ends_the_upgrade(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await held(runtime, is_online=True)
    begun = await api.post(f"{URL}/security-profile/upgrade", json={"security_profile": 2})
    assert begun.json()["state"] == "waiting"
    again = await api.post(f"{URL}/security-profile/upgrade", json={"security_profile": 2})
    assert again.json()["state"] == "waiting", "a second try takes the place of the first"
    assert (await api.get(URL)).json()["communication"]["next_security_profile"] == 2
    await api.patch(URL, json={"security_profile": 1})
    await runtime.outbox.deliver_due()
    states = [one["state"] for one in (await api.get(f"{URL}/security-profile/upgrades")).json()["items"]]
    assert states == ["cancelled", "cancelled"]
    assert (await api.get(f"{URL}/security-profile")).json()["next_security_profile"] is None


async def test_an_administrator_may_lower_it(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await held(runtime, security_profile=2)
    assert (await api.patch(URL, json={"security_profile": 1})).status_code == 200
    assert (await api.post(f"{URL}/security-profile/upgrade", json={"security_profile": 1})).status_code == 409


@pytest.mark.ocpp("2.x SetNetworkProfile")
@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_everything_goes_with_the_station(api: httpx.AsyncClient, runtime: Runtime, version: Version) -> None:
    await held(runtime, version)
    sent = await api.post(f"{URL}/commands/SetNetworkProfile", json=SET_PROFILE)
    assert sent.json()["outcome"] == "answered"
    await api.post(f"{URL}/password/change", json={})
    tables: list[Any] = [NetworkProfile, PasswordChange, ProfileUpgrade]
    async with runtime.store.reading() as work:
        assert [len((await work.session.exec(select(table))).all()) for table in tables] == [1, 1, 1]
    assert (await api.delete(URL)).status_code == 204
    await runtime.outbox.deliver_due()
    async with runtime.store.reading() as work:
        assert [len((await work.session.exec(select(table))).all()) for table in tables] == [0, 0, 0]


@pytest.mark.parametrize("version", [Version.V201, Version.V21])
async def test_what_breaks_the_schema_on_a_lenient_station_breaks_nothing(runtime: Runtime, version: Version) -> None:
    station = await make_station(runtime.store, protocol=version.value)
    calling = await connect(runtime.store, station, version)
    for answer in ({}, {"status": None}, {"status": ["Accepted"]}, {"setVariableResult": [None, 3, {}]}):
        await calling.answered("SetNetworkProfile", SET_PROFILE, answer)
        await calling.answered(
            "SetVariables", {"setVariableData": [{"variable": {"name": "BasicAuthPassword"}}]}, answer
        )
    async with runtime.store.reading() as work:
        assert not (await work.session.exec(select(NetworkProfile))).all()


@pytest.mark.parametrize(
    ("current", "wanted", "has_password", "identity", "ready", "said"),
    [
        (1, 2, True, "CS-1", READY, None),
        (2, 3, False, "CS:1", READY, None),
        (0, 3, False, "CS-1", READY, None),
        (2, 1, True, "CS-1", READY, "only raised"),
        (2, 2, True, "CS-1", READY, "has security profile 2 already"),
        (0, 1, False, "CS-1", READY, "needs a password"),
        (0, 2, True, "CS:1", READY, "colon"),
        (1, 2, True, "CS-1", Readiness(False, False, True), "needs TLS"),
        (2, 3, True, "CS-1", Readiness(True, False, True), "own TLS port"),
        (2, 3, True, "CS-1", Readiness(True, True, False), "authority"),
    ],
)
def test_what_keeps_a_station_from_a_higher_profile(  # noqa: PLR0917  # a table
    current: int, wanted: int, has_password: bool, identity: str, ready: Readiness, said: str | None
) -> None:
    found = obstacle(current, wanted, has_password=has_password, identity=identity, ready=ready)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("value", "profile"),
    [("2", 2), (" 3 ", 3), (1, 1), ("4", None), ("-1", None), ("two", None), (True, None), ({}, None)],
)
def test_what_a_security_profile_is(value: object, profile: int | None) -> None:
    assert profile_in(value) == profile


@pytest.mark.parametrize(
    ("action", "answer", "state"),
    [
        ("ChangeConfiguration", {"status": "Accepted"}, ChangeState.ACCEPTED),
        ("ChangeConfiguration", {"status": "RebootRequired"}, ChangeState.RESTART_NEEDED),
        ("ChangeConfiguration", {"status": "NotSupported"}, ChangeState.REFUSED),
        ("ChangeConfiguration", {"status": "Maybe"}, ChangeState.UNKNOWN),
        ("ChangeConfiguration", {}, ChangeState.UNKNOWN),
        ("SetVariables", {"setVariableResult": "nonsense"}, ChangeState.UNKNOWN),
        ("SetNetworkProfile", {"status": "Accepted"}, ChangeState.RESTART_NEEDED),
        ("SetNetworkProfile", {"status": "Failed"}, ChangeState.REFUSED),
    ],
)
def test_what_an_answer_decides(action: str, answer: dict[str, Any], state: ChangeState) -> None:
    assert verdict(action, answer)[0] is state


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"key": 3},
        {"setVariableData": None},
        {"setVariableData": [None, {"variable": 3}, {"variable": {"name": ["BasicAuthPassword"]}}]},
        {"connectionData": "nonsense"},
    ],
)
def test_odd_requests_name_no_password(payload: dict[str, Any]) -> None:
    for action in ("ChangeConfiguration", "SetVariables", "SetNetworkProfile", "Reset"):
        assert new_passwords(action, payload) == []


def test_a_network_profile_in_words_without_its_secrets() -> None:
    secret = {**SET_PROFILE["connectionData"], "basicAuthPassword": "do not tell this"}
    request = redacted("SetNetworkProfile", {"configurationSlot": 2, "connectionData": secret})
    told = describe(Exchange("SetNetworkProfile", False, "answered", request, {"status": "Accepted"}))
    assert told.text == (
        "Asked to store in slot 2 how it connects: to wss://csms.example.com/ocpp with security profile 2: done."
    )
    assert "do not tell this" not in str(request)


RAW: list[tuple[Version, str, dict[str, Any]]] = [
    (Version.V16, "ChangeConfiguration", {"key": "AuthorizationKey", "value": "ab" * 20}),
    (Version.V16, "ChangeConfiguration", {"key": "SecurityProfile", "value": "2"}),
    (Version.V201, "SetNetworkProfile", SET_PROFILE),
    (
        Version.V201,
        "SetVariables",
        {
            "setVariableData": [
                {
                    "component": {"name": "SecurityCtrlr"},
                    "variable": {"name": "BasicAuthPassword"},
                    "attributeValue": "ab" * 20,
                }
            ]
        },
    ),
    (
        Version.V201,
        "CustomerInformation",
        {"requestId": 1, "report": True, "clear": False, "customerIdentifier": "Customer 7"},
    ),
]


@pytest.mark.parametrize(("version", "action", "payload"), RAW, ids=lambda one: str(one)[:30])
async def test_a_raw_command_needs_the_right_that_its_own_route_needs(
    api: httpx.AsyncClient, runtime: Runtime, version: Version, action: str, payload: dict[str, Any]
) -> None:
    """Whoever may only operate stations could else choose the password of one, and come here in its name."""
    await held(runtime, version)
    key = {"name": "desk", "role": "administrator", "scopes": {"data_access": "read", "operation": "write"}}
    desk = {"Authorization": f"Bearer {(await api.post('/api/v1/keys', json=key)).json()['key']}"}
    refused = await api.post(f"{URL}/commands/{action}", json=payload, headers=desk)
    assert refused.status_code == 403, refused.text
    assert "device_and_customer_management" in refused.json()["detail"]
    assert (await api.get(f"{URL}/commands")).json()["items"] == []
    assert (await api.post(f"{URL}/commands/{action}", json=payload)).json()["outcome"] == "answered"
