"""B1, B9, B10, B11: who gets in, and what a refused station is told."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import func, select
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broker.admission import STRANGER_RECONNECTS
from broker.handshake import credentials_of, identity_of, subprotocols_of
from broker.server import Broker
from broker.strangers import EACH_AT_ONCE, FRAME_CHARS_MAX, Strangers
from csms.config import Settings, UnknownStations
from csms.ocpp.versions import Version
from csms.outbox import Event
from csms.routing import Registration
from csms.station.communication_logs import Frame
from csms.station.information import Station, stations_by_identity
from csms.station.information.passwords import hashes_for
from csms.store import Store
from tests.broker.conftest import Bench, boot, call, eventually
from tests.builders import make_station

PEPPER = b"pepper for tests"


def basic(username: str, password: bytes) -> dict[str, str]:
    token = base64.b64encode(username.encode() + b":" + password).decode()
    return {"Authorization": f"Basic {token}"}


async def refusal(bench: Bench, identity: str = "CS-1", **options: Any) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as refused:
        async with bench.station(identity, **options):
            pass
    return refused.value


async def make_secured(store: Store, password: bytes, **fields: Any) -> Station:
    hashes = hashes_for(password, PEPPER, is_generated=True)
    return await make_station(store, identity="CS-1", security_profile=1, password_hashes=hashes, **fields)


class TestPath:
    @pytest.mark.parametrize(
        ("path", "identity"),
        [
            ("/ocpp/CS-1", "CS-1"),
            ("/ocpp/RDAM%20123", "RDAM 123"),
            ("/ocpp/RDAM%7C123", "RDAM|123"),
            ("/ocpp/CS-1?version=1.6", "CS-1"),
            ("/ocpp/", None),
            ("/ocpp/a/b", None),
            ("/ocpp/..%2Fadmin", None),
            ("/ocpp/%FF", None),
            ("/ocpp/" + "x" * 49, None),
            ("/other/CS-1", None),
            ("/ocpp/%2525", None),
            ("/ocpp/CS-1%0A", None),
            ("/ocpp/%20CS-1", None),
            ("/ocpp/..", None),
        ],
    )
    def test_the_identity_is_decoded_once_and_strict(self, path: str, identity: str | None) -> None:
        assert identity_of(path) == identity

    def test_subprotocols_of_repeated_headers(self) -> None:
        assert subprotocols_of(["ocpp2.0.1, ocpp1.6", " ocpp1.5"]) == ["ocpp2.0.1", "ocpp1.6", "ocpp1.5"]

    def test_credentials_are_bytes_split_at_the_first_colon(self) -> None:
        raw = b"\x00\xff:\x10"
        found = credentials_of(basic("CS-1", raw)["Authorization"])
        assert found is not None
        assert (found.username, found.password) == ("CS-1", raw)

    @pytest.mark.parametrize("header", [None, "", "Bearer x", "Basic !!!", "Basic YQ=="])
    def test_unreadable_credentials_are_none(self, header: str | None) -> None:
        assert credentials_of(header) is None


@pytest.mark.feature("B1")
@pytest.mark.robustness(49)
class TestSubprotocol:
    async def test_none_offered_is_refused_with_a_reason_and_a_row(self, bench: Bench) -> None:
        refused = await refusal(bench, subprotocols=None)
        assert refused.response.status_code == 400
        assert b"ocpp1.6" in (refused.response.body or b"")
        row = await bench.closed()
        assert (row.cause, row.http_status) == ("no_subprotocol", 400)

    @pytest.mark.octt("TC_088_CSMS", "TC_B_58_CSMS")
    async def test_only_unknown_ones_complete_the_handshake_and_are_closed(self, bench: Bench) -> None:
        async with bench.station(subprotocols=["ocpp1.2", "ocpp1.5"]) as client:
            assert client.subprotocol is None
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002
        row = await bench.closed()
        assert (row.cause, row.offered) == ("no_subprotocol", "ocpp1.2, ocpp1.5")

    async def test_a_known_one_among_others_is_taken(self, bench: Bench) -> None:
        async with bench.station(subprotocols=["ocpp1.2", "ocpp1.6"]) as client:
            assert client.subprotocol == "ocpp1.6"

    @pytest.mark.robustness(49)
    @pytest.mark.parametrize("first", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
    @pytest.mark.octt("TC_088_CSMS", "TC_B_58_CSMS")
    async def test_the_station_s_order_decides_among_those_we_speak(self, bench: Bench, first: str) -> None:
        others = [one for one in ("ocpp2.1", "ocpp2.0.1", "ocpp1.6") if one != first]
        async with bench.station(subprotocols=["ocpp2.0", first, *others]) as client:
            assert client.subprotocol == first


async def test_other_paths_and_methods_are_refused(bench: Bench) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://127.0.0.1:{bench.port}/elsewhere", subprotocols=["ocpp1.6"]):  # type: ignore[list-item]
            pass
    assert refused.value.response.status_code == 404
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(b"POST /ocpp/CS-1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert b" 405 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()


@pytest.mark.feature("B9")
class TestUnknownRefused:
    @pytest.fixture
    def unknown(self) -> UnknownStations:
        return UnknownStations.REFUSE

    @pytest.mark.robustness(1)
    async def test_it_is_refused_with_404_and_a_row(self, bench: Bench) -> None:
        assert (await refusal(bench)).response.status_code == 404
        row = await bench.closed()
        assert (row.cause, row.http_status, row.station_id) == ("refused_unknown_station", 404, None)


@pytest.mark.feature("B9")
class TestUnknownHeld:
    @pytest.fixture
    def unknown(self) -> UnknownStations:
        return UnknownStations.HOLD

    @pytest.mark.robustness(16)
    async def test_it_is_pending_and_only_boot_is_answered_until_accepted(self, bench: Bench) -> None:
        async with bench.station() as client:
            assert (await boot(client))[2]["status"] == "Pending"
            refused = await call(client, "Heartbeat")
            assert refused[:1] + refused[2:3] == [4, "SecurityError"]
            async with bench.store.writing() as work:
                station = (await stations_by_identity(work, ["CS-1"]))["CS-1"]
                assert station.registration is Registration.PENDING

    async def test_a_stranger_that_flaps_is_slowed_until_it_is_accepted(self, bench: Bench) -> None:
        """Each of its connections is a row in the history."""
        for _ in range(STRANGER_RECONNECTS):
            async with bench.station() as client:
                assert (await boot(client))[2]["status"] == "Pending"
        refused = (await refusal(bench)).response
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        async with bench.store.writing() as work:
            station = (await stations_by_identity(work, ["CS-1"]))["CS-1"]
            station.registration = Registration.ACCEPTED
        async with bench.station() as client:
            assert (await boot(client))[2]["status"] == "Accepted"

    async def test_strangers_do_not_fill_the_disk(self, bench: Bench) -> None:
        """Anybody may connect as one: what they send is answered, and little of it kept, however often they return."""
        bench.broker.node._strangers = Strangers(lambda: 0.0)

        async def stored(identity: str) -> tuple[int, int]:
            """Frames, and the events of boots."""
            async with bench.store.reading() as work:
                station = (await stations_by_identity(work, [identity]))[identity]
                frames = await work.session.exec(select(func.count()).where(Frame.station_id == station.id))
                boots = select(func.count()).where(Event.station_id == station.id, Event.kind == "station_booted")
                return frames.one(), (await work.session.exec(boots)).one()

        async with bench.station() as client:
            large = await call(client, "DataTransfer", vendorId="V", data="x" * FRAME_CHARS_MAX)
            assert large[2] == "SecurityError"
            assert await stored("CS-1") == (0, 0)
            for _ in range(EACH_AT_ONCE // 2):
                assert (await boot(client))[2]["status"] == "Pending"
        async with bench.station() as client:
            for _ in range(EACH_AT_ONCE):
                assert (await call(client, "Heartbeat"))[2] == "SecurityError"
            assert (await boot(client))[2] == "SecurityError"
            await client.send("no JSON")
            assert (await call(client, "Heartbeat"))[2] == "SecurityError"
            assert await stored("CS-1") == (EACH_AT_ONCE, EACH_AT_ONCE // 2)
        async with bench.station("CS-2") as client:
            assert (await boot(client))[2]["status"] == "Pending"
            assert await stored("CS-2") == (1, 1)

    async def test_no_more_than_the_limit_are_held(self, bench: Bench) -> None:
        limited = bench.broker.runtime.settings.model_copy(update={"pending_stations_max": 1})
        bench.broker.admission._settings = limited
        async with bench.station("CS-1"):
            assert (await refusal(bench, "CS-2")).response.status_code == 404


@pytest.mark.feature("B10")
class TestPasswords:
    @pytest.mark.robustness(6)
    @pytest.mark.parametrize("form", ["hex text", "raw bytes"])
    @pytest.mark.octt("TC_085_CSMS", "TC_A_01_CSMS")
    @pytest.mark.parametrize("version", list(Version))
    async def test_both_forms_of_a_key_are_accepted(self, bench: Bench, form: str, version: Version) -> None:
        key = b"0123456789abcdef0123456789abcdef"
        await make_secured(bench.store, key)
        presented = key if form == "hex text" else bytes.fromhex(key.decode())
        headers = basic("CS-1", presented)
        async with bench.station(subprotocols=[version.value], additional_headers=headers) as client:
            assert (await boot(client, version))[2]["status"] == "Accepted"

    @pytest.mark.robustness(2)
    @pytest.mark.parametrize(
        "headers",
        [{}, basic("CS-1", b"wrong"), basic("CS-2", b"0123456789abcdef0123456789abcdef")],
        ids=["none", "wrong", "another's name"],
    )
    @pytest.mark.octt("TC_A_02_CSMS", "TC_A_03_CSMS")
    @pytest.mark.parametrize("version", list(Version))
    async def test_wrong_credentials_are_refused_with_401_and_a_row(
        self, bench: Bench, headers: dict[str, str], version: Version
    ) -> None:
        await make_secured(bench.store, b"0123456789abcdef0123456789abcdef")
        refused = await refusal(bench, additional_headers=headers, subprotocols=[version.value])
        assert refused.response.status_code == 401
        assert "Basic" in refused.response.headers["WWW-Authenticate"]
        assert (await bench.closed()).cause == "refused_credentials"

    @pytest.mark.robustness(4)
    async def test_a_station_of_a_tls_profile_is_refused_on_the_plain_port(self, bench: Bench) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=2)
        refused = (await refusal(bench)).response
        told = "this station is registered with security profile 2: it must come over TLS (wss://)"
        assert (refused.status_code, (refused.body or b"").decode().strip()) == (403, told)
        row = await bench.closed()
        assert row.cause == "refused_security_profile"
        assert row.reason == f"{told}; this system has no TLS port, set CSMS_BROKER_TLS_PORT"


class TestTries:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"password_tries_per_minute_max": 3})

    @pytest.mark.robustness(3)
    async def test_tries_from_an_address_are_limited(self, bench: Bench) -> None:
        await make_secured(bench.store, b"0123456789abcdef0123456789abcdef")
        wrong = basic("CS-1", b"wrong")
        statuses = [(await refusal(bench, additional_headers=wrong)).response.status_code for _ in range(5)]
        assert statuses == [401, 401, 401, 503, 503]


class TestFlapping:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"reconnects_per_minute_max": 3})

    @pytest.mark.robustness(11)
    async def test_one_identity_that_flaps_is_slowed_and_others_are_not(self, bench: Bench) -> None:
        for _ in range(3):
            async with bench.station():
                pass
        refused = await refusal(bench)
        assert refused.response.status_code == 503
        assert int(refused.response.headers["Retry-After"]) > 0
        async with bench.station("CS-2") as other:
            assert (await boot(other))[0] == 3


async def test_a_rejected_station_is_refused(bench: Bench) -> None:
    await make_station(bench.store, identity="CS-1", registration=Registration.REJECTED)
    assert (await refusal(bench)).response.status_code == 403


@pytest.mark.feature("B11")
class TestSecondConnection:
    @pytest.mark.robustness(9)
    async def test_without_a_password_a_live_connection_is_kept(self, bench: Bench) -> None:
        async with bench.station() as first:
            await boot(first)
            assert (await refusal(bench)).response.status_code == 409
            assert (await call(first, "Heartbeat"))[0] == 3

        async def alarm() -> Event | None:
            async with bench.store.reading() as work:
                return (await work.session.exec(select(Event).where(Event.kind == "security_event"))).first()

        assert (await eventually(alarm)).data["type"] == "second_connection"

    @pytest.mark.feature("B12")
    @pytest.mark.robustness(9, 36)
    async def test_nor_is_it_taken_over_through_another_node(self, bench: Bench) -> None:
        settings = bench.broker.runtime.settings.model_copy(update={"node_name": "node-2"})
        second = Broker(replace(bench.broker.runtime, settings=settings), unknown=UnknownStations.ACCEPT)
        other = Bench(second, await second.start(), bench.store)
        try:
            async with bench.station() as first:
                await boot(first)
                assert (await refusal(other)).response.status_code == 409
                assert (await call(first, "Heartbeat"))[0] == 3
            await bench.closed()
            async with other.station() as later:
                assert (await boot(later))[0] == 3
        finally:
            await second.stop()

    @pytest.mark.robustness(8)
    async def test_with_a_password_the_new_one_takes_over_at_once(self, bench: Bench) -> None:
        key = b"0123456789abcdef0123456789abcdef"
        await make_secured(bench.store, key)
        headers = basic("CS-1", key)
        async with bench.station(additional_headers=headers) as old:
            await boot(old)
            async with bench.station(additional_headers=headers) as new:
                assert (await call(new, "Heartbeat"))[0] == 3
                with pytest.raises(ConnectionClosed) as closed:
                    await old.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4001

    @pytest.mark.robustness(10)
    async def test_the_end_of_the_old_one_leaves_the_new_one_registered(self, bench: Bench) -> None:
        key = b"0123456789abcdef0123456789abcdef"
        station = await make_secured(bench.store, key)
        headers = basic("CS-1", key)

        async def old_row_is_closed() -> bool:
            return (await bench.history())[0].closed_at is not None

        async with (
            bench.station(additional_headers=headers) as old,
            bench.station(additional_headers=headers) as new,
        ):
            with pytest.raises(ConnectionClosed):
                await old.recv()
            await eventually(old_row_is_closed)
            async with bench.store.reading() as work:
                now = await work.session.get(Station, station.id)
            assert now is not None
            rows = await bench.history()
            assert now.is_online
            assert now.connection_id == rows[1].id
            assert now.fence == 2
            assert (await call(new, "Heartbeat"))[0] == 3
