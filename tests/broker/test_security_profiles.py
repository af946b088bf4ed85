"""B10: a real client is raised from one security profile to the next over OCPP, and never locked out (A05)."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from csms.config import Settings, UnknownStations
from csms.ocpp.versions import Version
from csms.station.information import Station
from csms.station.information.passwords import hashes_for
from tests.broker.conftest import DEADLINE_S, Bench
from tests.broker.scripted import answer_next, basic
from tests.broker.tls import Authorities
from tests.builders import make_station

pytestmark = pytest.mark.feature("B10")
PEPPER = b"pepper for tests"
KEY = "0123456789abcdef0123456789abcdef"
URL = "/api/v1/stations/CS-1"
TLS_URL = "wss://csms.example.com:9443/ocpp"
VERSIONS = [Version.V16, Version.V201, Version.V21]
ACCEPTED = {"status": "Accepted"}


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture
def broker_settings(settings: Settings, authorities: Authorities) -> Settings:
    return authorities.settings(settings, broker_tls_url=TLS_URL)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


class RealStation:
    """A station with a password and a certificate, which connects with whichever profile it is told to use."""

    def __init__(self, bench: Bench, authorities: Authorities, version: Version) -> None:
        self.bench = bench
        self.version = version
        self.contexts: dict[int, ssl.SSLContext | None] = {
            0: None,
            1: None,
            2: authorities.client(),
            3: authorities.client("CS-1"),
        }

    @asynccontextmanager
    async def with_profile(self, profile: int) -> AsyncIterator[ClientConnection]:
        context = self.contexts[profile]
        port = self.bench.broker.tls_port if context else self.bench.port
        url = f"{'wss' if context else 'ws'}://127.0.0.1:{port}/ocpp/CS-1"
        headers = basic("CS-1", KEY) if profile in (1, 2) else {}
        subprotocols: Any = [self.version.value]
        async with connect(
            url, ssl=context, subprotocols=subprotocols, additional_headers=headers, compression=None
        ) as client:
            yield client

    async def gets_in(self, profile: int) -> bool:
        try:
            async with self.with_profile(profile):
                return True
        except InvalidStatus as error:
            if error.response.status_code not in (401, 403):
                raise
            return False

    async def answer_upgrade(self, client: ClientConnection, status: str = "Accepted") -> list[tuple[str, Any]]:
        """Answer what the upgrade asks, as far as it goes; returns what was asked."""
        if self.version is Version.V16:
            return [await answer_next(client, {"status": status})]
        value = {"attributeStatus": "Accepted", "attributeValue": "1, 3"}
        asked = [await answer_next(client, {"getVariableResult": [{**PRIORITY, **value}]})]
        asked.append(await answer_next(client, {"status": status}))
        if status == "Accepted":
            set_result = {**PRIORITY, "attributeStatus": "RebootRequired"}
            asked.append(await answer_next(client, {"setVariableResult": [set_result]}))
            asked.append(await answer_next(client, ACCEPTED))
        return asked


PRIORITY = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "NetworkConfigurationPriority"}}


@pytest.fixture
def real(bench: Bench, authorities: Authorities, version: Version) -> RealStation:
    return RealStation(bench, authorities, version)


async def make(bench: Bench, profile: int = 1, **fields: Any) -> Station:
    hashes = hashes_for(KEY, PEPPER, is_generated=True)
    values: dict[str, Any] = {"identity": "CS-1", "security_profile": profile, "password_hashes": hashes, **fields}
    return await make_station(bench.store, **values)


async def upgrade(api: httpx.AsyncClient, profile: int, **more: Any) -> httpx.Response:
    return await api.post(f"{URL}/security-profile/upgrade", json={"security_profile": profile, **more})


async def profiles(api: httpx.AsyncClient) -> tuple[int, int | None]:
    shown = (await api.get(f"{URL}/security-profile")).json()
    return shown["security_profile"], shown["next_security_profile"]


@pytest.mark.ocpp(
    "1.6 ChangeConfiguration", "2.x SetNetworkProfile", "2.x SetVariables", "2.x Reset", "2.x GetVariables"
)
@pytest.mark.octt("TC_083_CSMS", "TC_A_19_CSMS")
async def test_from_1_over_2_to_3(bench: Bench, api: httpx.AsyncClient, real: RealStation) -> None:
    await make(bench, 1)
    for old, new in ((1, 2), (2, 3)):
        async with real.with_profile(old) as client:
            await bench.is_registered()
            asking = asyncio.create_task(upgrade(api, new))
            asked = await real.answer_upgrade(client)
            begun = (await asking).json()
            assert (begun["state"], begun["from_profile"], begun["to_profile"]) == ("waiting", old, new)
            assert begun["doubts"]
            assert await profiles(api) == (old, new)
        expect_asked(asked, real.version, new)
        assert await real.gets_in(old), "until it has come with the new one"
        assert await real.gets_in(new)
        assert await profiles(api) == (new, None)
        assert not await real.gets_in(old), "and never again"
    assert not await real.gets_in(1)
    states = [one["state"] for one in (await api.get(f"{URL}/security-profile/upgrades")).json()["items"]]
    assert states == ["done", "done"]


def expect_asked(asked: list[tuple[str, Any]], version: Version, profile: int) -> None:
    if version is Version.V16:
        assert asked == [("ChangeConfiguration", {"key": "SecurityProfile", "value": str(profile)})]
        return
    assert [action for action, _ in asked] == ["GetVariables", "SetNetworkProfile", "SetVariables", "Reset"]
    payload = asked[1][1]
    assert payload["configurationSlot"] == 2, "the first that the station does not use"
    data = payload["connectionData"]
    assert (data["securityProfile"], data["ocppCsmsUrl"], data["ocppTransport"]) == (profile, TLS_URL, "JSON")
    assert data["ocppVersion"] == ("OCPP20" if version is Version.V201 else "OCPP21")
    assert asked[2][1] == {"setVariableData": [{**PRIORITY, "attributeValue": "2,1,3"}]}
    assert asked[3][1] == {"type": "OnIdle"}


@pytest.mark.ocpp("2.x SetNetworkProfile")
async def test_a_station_that_refuses_keeps_its_profile(
    bench: Bench, api: httpx.AsyncClient, real: RealStation
) -> None:
    await make(bench, 1)
    async with real.with_profile(1) as client:
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 2))
        await real.answer_upgrade(client, "Rejected")
        begun = (await asking).json()
    assert (begun["state"], begun["reason"]) == ("refused", "Rejected")
    assert await profiles(api) == (1, None)
    assert not await real.gets_in(2)
    assert await real.gets_in(1)


@pytest.mark.parametrize("version", [Version.V16], indirect=True)
async def test_without_an_answer_either_profile_gets_in_until_the_new_one_has(
    bench: Bench, api: httpx.AsyncClient, real: RealStation
) -> None:
    await make(bench, 1)
    async with real.with_profile(1) as client:
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 2))
        await asyncio.wait_for(client.recv(), DEADLINE_S)
        await client.close()
        assert (await asking).json()["state"] == "waiting"
    assert await real.gets_in(1)
    assert await real.gets_in(2)
    assert not await real.gets_in(1)


@pytest.mark.parametrize("version", [Version.V16], indirect=True)
async def test_one_that_needs_a_restart_is_restarted(bench: Bench, api: httpx.AsyncClient, real: RealStation) -> None:
    await make(bench, 1)
    async with real.with_profile(1) as client:
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 2))
        await answer_next(client, {"status": "RebootRequired"})
        assert await answer_next(client, ACCEPTED) == ("Reset", {"type": "Soft"})
        assert (await asking).json()["state"] == "waiting"
    assert await real.gets_in(2)


async def test_an_upgrade_can_be_given_up(bench: Bench, api: httpx.AsyncClient, real: RealStation) -> None:
    await make(bench, 1)
    async with real.with_profile(1) as client:
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 2))
        await real.answer_upgrade(client)
        await asking
    cancelled = (await api.post(f"{URL}/security-profile/cancel")).json()
    assert cancelled["state"] == "cancelled"
    assert not await real.gets_in(2)
    assert await real.gets_in(1)
    assert (await api.post(f"{URL}/security-profile/cancel")).status_code == 409


@pytest.mark.parametrize("version", [Version.V201, Version.V21], indirect=True)
async def test_an_order_that_is_refused_ends_the_upgrade(
    bench: Bench, api: httpx.AsyncClient, real: RealStation
) -> None:
    await make(bench, 1)
    async with real.with_profile(1) as client:
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 2, network_profile={"slot": 5}))
        await answer_next(client, {"getVariableResult": [{**PRIORITY, "attributeStatus": "UnknownVariable"}]})
        _, payload = await answer_next(client, ACCEPTED)
        await answer_next(client, {"setVariableResult": [{**PRIORITY, "attributeStatus": "Rejected"}]})
        begun = (await asking).json()
    assert payload["configurationSlot"] == 5
    assert (begun["state"], begun["reason"]) == ("refused", "the order of slots was not set: Rejected")
    assert await profiles(api) == (1, None)


@pytest.mark.robustness(7)
@pytest.mark.ocpp("1.6 ChangeConfiguration", "2.x SetVariables")
@pytest.mark.parametrize("uses_it_before", [False, True])
async def test_from_0_to_1_with_its_first_password_nobody_is_locked_out_between(
    bench: Bench, api: httpx.AsyncClient, real: RealStation, *, uses_it_before: bool
) -> None:
    await make(bench, 0, password_hashes=None)
    assert "needs a password" in (await upgrade(api, 1)).json()["detail"]
    async with real.with_profile(0) as client:
        await bench.is_registered()
        asking = asyncio.create_task(api.post(f"{URL}/password/change", json={"password": KEY}))
        names = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
        result = {"setVariableResult": [{"attributeStatus": "Accepted", **names}]}
        await answer_next(client, ACCEPTED if real.version is Version.V16 else result)
        assert (await asking).json()["state"] == "waiting"
    if uses_it_before:
        assert await real.gets_in(1)
        assert not await real.gets_in(0)
    async with real.with_profile(1 if uses_it_before else 0) as client:  # profile 0 sends no password
        await bench.is_registered()
        asking = asyncio.create_task(upgrade(api, 1, network_profile={"url": "ws://csms.example.com/ocpp", "slot": 2}))
        await real.answer_upgrade(client)
        assert (await asking).json()["state"] == "waiting"
    assert uses_it_before or await real.gets_in(0)
    assert await real.gets_in(1)
    assert await profiles(api) == (1, None)
    assert not await real.gets_in(0)
    (listed,) = (await api.get(f"{URL}/password/changes")).json()["items"]
    assert (listed["state"], listed["reason"]) == ("accepted", "the station logged in with it")


@pytest.mark.parametrize(
    ("fields", "wanted", "said"),
    [
        ({"profile": 2}, 1, "only raised"),
        ({"profile": 2, "protocol": "ocpp2.0.1"}, 1, "only raised"),
        ({"profile": 2}, 0, "only raised"),
        ({"profile": 2}, 2, "has security profile 2 already"),
        ({"profile": 0, "password_hashes": None}, 1, "needs a password"),
        ({"profile": 1, "protocol": "ocpp1.6"}, 2, "not connected"),
        ({"profile": 1, "protocol": "ocpp2.0.1"}, 2, "not connected"),
    ],
    ids=["lower", "lower 2.x", "none", "same", "no password", "offline", "offline 2.x"],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(
    bench: Bench, api: httpx.AsyncClient, fields: dict[str, Any], wanted: int, said: str
) -> None:
    await make(bench, **fields)
    answered = await upgrade(api, wanted)
    assert answered.status_code == 409
    assert said in answered.json()["detail"]


@pytest.mark.parametrize("version", [Version.V16], indirect=True)
async def test_raw_commands_lower_no_profile_and_raise_it_the_same_way(
    bench: Bench, api: httpx.AsyncClient, real: RealStation
) -> None:
    await make(bench, 2)
    async with real.with_profile(2) as client:
        await bench.is_registered()
        url = f"{URL}/commands/ChangeConfiguration"
        for value, status in (("1", 409), ("9", 422)):
            refused = await api.post(url, json={"key": "securityProfile", "value": value})
            assert refused.status_code == status
        asking = asyncio.create_task(api.post(url, json={"key": "SecurityProfile", "value": "3"}))
        await answer_next(client, ACCEPTED)
        assert (await asking).status_code == 200
    assert await real.gets_in(3)
    assert await profiles(api) == (3, None)


class TestNotReady:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings

    async def test_without_tls_here_no_station_is_sent_to_it(self, bench: Bench, api: httpx.AsyncClient) -> None:
        await make(bench, 1)
        answered = await upgrade(api, 2)
        assert answered.status_code == 409
        assert "CSMS_BROKER_TLS_PORT" in answered.json()["detail"]


class TestNetworkProfiles:
    @pytest.mark.ocpp("2.x SetNetworkProfile", "2.x SetVariables")
    @pytest.mark.parametrize("version", [Version.V201, Version.V21], indirect=True)
    @pytest.mark.octt("TC_B_42_CSMS")
    async def test_a_slot_is_set_kept_and_shown_without_secrets(
        self, bench: Bench, api: httpx.AsyncClient, real: RealStation
    ) -> None:
        await make(bench, 1)
        body = {
            "url": "ws://csms.example.com/ocpp",
            "security_profile": 1,
            "interface": "wireless0",
            "message_timeout_s": 45,
            "apn": {"name": "iot.example.com", "user": "u", "password": "apn secret", "sim_pin": "4711"},
            "vpn": {"kind": "ikev2", "server": "vpn.example.com", "user": "v", "password": "vpn secret", "key": "psk!"},
        }
        async with real.with_profile(1) as client:
            await bench.is_registered()
            for _ in range(2):
                asking = asyncio.create_task(api.put(f"{URL}/network-profiles/3", json=body))
                _, payload = await answer_next(client, ACCEPTED)
                told = (await asking).json()
            ordering = asyncio.create_task(api.post(f"{URL}/network-profiles/priority", json={"slots": [3, 1]}))
            _, ordered = await answer_next(
                client, {"setVariableResult": [{**PRIORITY, "attributeStatus": "RebootRequired"}]}
            )
            assert (await ordering).json()["status"] == "RebootRequired"
        data = payload["connectionData"]
        assert (data["apn"]["apnPassword"], data["apn"]["simPin"]) == ("apn secret", 4711)
        assert (data["vpn"]["type"], data["vpn"]["key"], data["ocppInterface"]) == ("IKEv2", "psk!", "Wireless0")
        assert ordered["setVariableData"][0]["attributeValue"] == "3,1"
        assert (told["status"], told["outcome"]) == ("Accepted", "answered")
        [listed] = (await api.get(f"{URL}/network-profiles")).json()["items"]
        assert listed == told["profile"] == (await api.get(f"{URL}/network-profiles/3")).json()
        assert (listed["url"], listed["message_timeout_s"], listed["vpn"]["kind"]) == (body["url"], 45, "IKEv2")
        commands = json.dumps((await api.get(f"{URL}/commands")).json())
        for secret in ("apn secret", "vpn secret", "psk!", "4711"):
            assert secret not in json.dumps(listed)
            assert secret not in commands

    @pytest.mark.parametrize("version", [Version.V201, Version.V21], indirect=True)
    @pytest.mark.octt("TC_B_44_CSMS")
    async def test_what_is_refused_is_not_kept_and_no_profile_is_lowered(
        self, bench: Bench, api: httpx.AsyncClient, real: RealStation
    ) -> None:
        await make(bench, 2)
        async with real.with_profile(2) as client:
            await bench.is_registered()
            url = f"{URL}/network-profiles/1"
            asking = asyncio.create_task(api.put(url, json={"url": TLS_URL, "security_profile": 2}))
            await answer_next(client, {"status": "Failed"})
            assert (await asking).json()["profile"] is None
            lower = await api.put(url, json={"url": "ws://csms.example.com/ocpp", "security_profile": 1})
            mixed = await api.put(url, json={"url": "ws://csms.example.com/ocpp", "security_profile": 2})
        assert (lower.status_code, mixed.status_code) == (409, 422)
        assert (await api.get(url)).status_code == 404

    @pytest.mark.parametrize("version", [Version.V21], indirect=True)
    async def test_a_password_inside_a_profile_holds_beside_the_old_one_until_it_is_used(
        self, bench: Bench, api: httpx.AsyncClient, real: RealStation
    ) -> None:
        await make(bench, 1)
        secret = "another password of 2.1"
        data = {
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "ws://csms.example.com/ocpp",
            "messageTimeout": 30,
            "securityProfile": 1,
            "ocppInterface": "Any",
            "basicAuthPassword": secret,
        }
        async with real.with_profile(1) as client:
            await bench.is_registered()
            body = {"configurationSlot": 2, "connectionData": data}
            asking = asyncio.create_task(api.post(f"{URL}/commands/SetNetworkProfile", json=body))
            await answer_next(client, ACCEPTED)
            assert secret not in (await asking).text
        assert await real.gets_in(1)
        async with bench.station(subprotocols=[real.version.value], additional_headers=basic("CS-1", secret)):
            pass
        assert not await real.gets_in(1)

    async def test_a_station_of_1_6_has_none(self, bench: Bench, api: httpx.AsyncClient) -> None:
        await make(bench, 1, protocol=Version.V16.value)
        answered = await api.put(f"{URL}/network-profiles/1", json={"url": TLS_URL})
        assert answered.status_code == 404
        assert (await api.get(f"{URL}/network-profiles")).json()["items"] == []
