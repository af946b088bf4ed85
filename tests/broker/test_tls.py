"""B10: security profiles 2 and 3 over real TLS sockets: who gets in, and what is kept of those who do not."""

import asyncio
import base64
import os
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import REGISTRY
from sqlmodel import select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from broker.server import Broker
from broker.tls import server_context
from csms.config import Settings, UnknownStations
from csms.launch.process import reload_at_sighup
from csms.ocpp.versions import Version
from csms.outbox import Event
from csms.platform.certificate_authority import import_authority
from csms.platform.organisations import Organisation
from csms.routing import Registration
from csms.runtime import open_runtime
from csms.station.information import Station
from csms.station.information.passwords import hashes_for
from csms.store import Fact
from tests.broker.conftest import Bench, boot, eventually
from tests.broker.tls import Authorities, only_suite, only_tls_1_1
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("B10")
PEPPER = b"pepper for tests"
KEY = b"0123456789abcdef0123456789abcdef"
SUITES = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
]
RSA_SUITES = ["AES128-GCM-SHA256", "AES256-GCM-SHA384"]


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture
def broker_settings(settings: Settings, authorities: Authorities) -> Settings:
    return authorities.settings(settings)


def basic(username: str = "CS-1", password: bytes = KEY) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(username.encode() + b":" + password).decode()}


@asynccontextmanager
async def over_tls(
    bench: Bench, context: ssl.SSLContext, identity: str = "CS-1", **options: Any
) -> AsyncIterator[ClientConnection]:
    url = f"wss://127.0.0.1:{bench.broker.tls_port}/ocpp/{identity}"
    values: dict[str, Any] = {"subprotocols": ["ocpp1.6"], "compression": None, **options}
    async with connect(url, ssl=context, **values) as client:
        yield client


async def refused(bench: Bench, context: ssl.SSLContext, identity: str = "CS-1", **options: Any) -> int:
    """The HTTP status of the refusal, or 0 where TLS itself failed."""
    try:
        async with over_tls(bench, context, identity, **options):
            pytest.fail("it was let in")
    except InvalidStatus as error:
        return error.response.status_code
    except (ssl.SSLError, ConnectionError, InvalidMessage, EOFError):
        return 0


async def with_password(bench: Bench, profile: int = 2, **fields: Any) -> Station:
    hashes = hashes_for(KEY, PEPPER, is_generated=True)
    values: dict[str, Any] = {"identity": "CS-1", "security_profile": profile, "password_hashes": hashes, **fields}
    return await make_station(bench.store, **values)


def security_events(bench: Bench) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    async def find() -> list[dict[str, Any]]:
        async with bench.store.reading() as work:
            rows = (await work.session.exec(select(Event).where(Event.kind == "security_event"))).all()
        return [{**row.data, "station": row.station} for row in rows]

    return find


def failures(kind: str) -> float:
    return REGISTRY.get_sample_value("csms_broker_tls_failures_total", {"kind": kind}) or 0.0


class TestProfile2:
    @pytest.mark.parametrize(("suite", "version"), list(zip(SUITES, Version, strict=True)))
    @pytest.mark.octt("TC_086_CSMS", "TC_A_04_CSMS")
    async def test_password_over_tls_with_each_suite(
        self, bench: Bench, authorities: Authorities, suite: str, version: Version
    ) -> None:
        await with_password(bench)
        context = only_suite(authorities.client(), suite)
        speaks = {"subprotocols": [version.value]}
        async with over_tls(bench, context, additional_headers=basic(), **speaks) as client:
            assert (await boot(client, version))[2]["status"] == "Accepted"
            assert client.transport.get_extra_info("cipher")[0] == suite

    async def test_tls_1_3(self, bench: Bench, authorities: Authorities) -> None:
        await with_password(bench)
        async with over_tls(bench, authorities.client(), additional_headers=basic()) as client:
            assert client.transport.get_extra_info("cipher")[1] == "TLSv1.3"
            assert (await boot(client))[2]["status"] == "Accepted"
            await bench.is_registered()
        row = await bench.closed()
        assert (row.code, row.messages_in) == ("1000", 1)

    @pytest.mark.robustness(2)
    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({}, "the station sent no user name and password"),
            (basic(password=b"wrong" * 4), "the password is wrong"),
            (basic("CS-2"), "the station sent another user name than its id, CS-1"),
        ],
        ids=["none", "wrong", "name"],
    )
    async def test_wrong_credentials(
        self, bench: Bench, authorities: Authorities, headers: dict[str, str], reason: str
    ) -> None:
        await with_password(bench)
        assert await refused(bench, authorities.client(), additional_headers=headers) == 401
        row = await bench.closed()
        assert (row.cause, row.http_status, row.reason) == ("refused_credentials", 401, reason)

    async def test_without_a_password_of_its_own_it_stays_out(self, bench: Bench, authorities: Authorities) -> None:
        await with_password(bench, password_hashes=None)
        assert await refused(bench, authorities.client(), additional_headers=basic()) == 401
        assert (await bench.closed()).reason == "the station has no password here; set one with PUT …/password"

    @pytest.mark.robustness(4)
    @pytest.mark.parametrize("profile", [0, 1, 2, 3])
    async def test_another_profile_than_the_stations_is_refused_and_kept_as_an_event(
        self, bench: Bench, authorities: Authorities, profile: int
    ) -> None:
        await with_password(bench, profile)
        if profile > 1:
            with pytest.raises(InvalidStatus) as error:
                async with bench.station(additional_headers=basic()):
                    pass
            status = error.value.response.status_code
        else:
            status = await refused(bench, authorities.client(), additional_headers=basic())
        assert status == 403
        row = await bench.closed()
        way = "over TLS (wss://)" if profile > 1 else "without TLS (ws://)"
        assert row.cause == "refused_security_profile"
        assert row.reason == f"this station is registered with security profile {profile}: it must come {way}"
        [event] = await eventually(security_events(bench))
        assert (event["type"], event["station"]) == ("wrong_security_profile", "CS-1")
        assert f"profile {profile}" in event["reason"]


class TestRsaKeyExchange:
    @pytest.mark.parametrize("suite", RSA_SUITES)
    async def test_it_is_off_by_default(self, bench: Bench, authorities: Authorities, suite: str) -> None:
        await with_password(bench)
        before = failures("cipher")
        assert await refused(bench, only_suite(authorities.client(), suite), additional_headers=basic()) == 0
        assert failures("cipher") == before + 1

    class TestSwitchedOn:
        @pytest.fixture
        def broker_settings(self, settings: Settings, authorities: Authorities) -> Settings:
            return authorities.settings(settings, tls_rsa_key_exchange=True)

        @pytest.mark.octt("TC_A_04_CSMS")
        @pytest.mark.parametrize("suite", [*SUITES, *RSA_SUITES])
        async def test_all_four_suites_of_the_standard(
            self, bench: Bench, authorities: Authorities, suite: str
        ) -> None:
            await with_password(bench)
            context = only_suite(authorities.client(), suite)
            async with over_tls(bench, context, additional_headers=basic()) as client:
                assert client.transport.get_extra_info("cipher")[0] == suite


@pytest.mark.robustness(5)
class TestTlsFailures:
    @pytest.mark.octt("TC_A_06_CSMS")
    async def test_tls_1_1_is_refused_and_counted(self, bench: Bench, authorities: Authorities) -> None:
        before = failures("version")
        assert await refused(bench, only_tls_1_1(authorities.client())) == 0
        assert failures("version") == before + 1

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.octt("TC_A_08_CSMS")
    async def test_a_certificate_of_another_authority(
        self, bench: Bench, authorities: Authorities, version: ssl.TLSVersion
    ) -> None:
        await with_password(bench, 3, serial_number="SN-77")
        context = authorities.client("SN-77", by=trustme.CA())
        context.maximum_version = version
        before = failures("certificate")
        assert await refused(bench, context) == 0
        [event] = await eventually(security_events(bench))
        assert (event["type"], event["station"]) == ("tls_certificate", "CS-1")
        assert failures("certificate") == before + 1

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_an_expired_certificate(
        self, bench: Bench, authorities: Authorities, version: ssl.TLSVersion
    ) -> None:
        await with_password(bench, 3)
        context = authorities.expired_client("CS-1")
        context.maximum_version = version
        assert await refused(bench, context) == 0
        [event] = await eventually(security_events(bench))
        assert event["type"] == "tls_certificate"
        assert event["reason"] == "the certificate that it showed is not trusted here (certificate has expired)"
        row = await bench.closed()
        assert (row.code, row.cause, row.reason) == ("1015", "refused_tls", event["reason"])

    async def test_one_that_names_no_station_leaves_no_event(self, bench: Bench, authorities: Authorities) -> None:
        before = failures("certificate")
        assert await refused(bench, authorities.client("nobody", by=trustme.CA())) == 0
        assert failures("certificate") == before + 1
        assert not await security_events(bench)()

    async def test_plain_words_on_the_tls_port(self, bench: Bench) -> None:
        before = failures("plain")
        reader, writer = await asyncio.open_connection("127.0.0.1", bench.broker.tls_port)
        writer.write(b"GET /ocpp/CS-1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) is not None
        writer.close()
        assert failures("plain") == before + 1

    async def test_a_station_that_does_not_trust_us_is_told_apart(self, bench: Bench) -> None:
        before = failures("rejected")

        def connect_without_trust() -> None:  # asyncio's client hangs up without saying why; a station says it
            with (
                socket.create_connection(("127.0.0.1", bench.broker.tls_port or 0)) as plain,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")

        await asyncio.to_thread(connect_without_trust)

        async def counted() -> bool:
            return failures("rejected") == before + 1

        await eventually(counted)

    class TestLimit:
        @pytest.fixture
        def broker_settings(self, settings: Settings, authorities: Authorities) -> Settings:
            return authorities.settings(settings, tls_handshakes_per_address_max=3)

        @pytest.mark.robustness(27)
        async def test_unfinished_handshakes_of_an_address_are_limited(self, bench: Bench) -> None:
            sockets = [await asyncio.open_connection("127.0.0.1", bench.broker.tls_port) for _ in range(4)]
            readers = [reader for reader, _ in sockets]
            done, _ = await asyncio.wait(
                [asyncio.create_task(reader.read()) for reader in readers],
                timeout=5,
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert len(done) == 1
            for _, writer in sockets:
                writer.close()
            await asyncio.sleep(0)


class TestProfile3:
    @pytest.mark.parametrize("name", ["CS-1", "SN-77"], ids=["identity", "serial number"])
    @pytest.mark.octt("TC_087_CSMS", "TC_A_07_CSMS")
    @pytest.mark.parametrize("version", list(Version))
    async def test_a_certificate_of_its_own_is_enough(
        self, bench: Bench, authorities: Authorities, name: str, version: Version
    ) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=3, serial_number="SN-77")
        async with over_tls(bench, authorities.client(name), subprotocols=[version.value]) as client:
            assert (await boot(client, version))[2]["status"] == "Accepted"

    @pytest.mark.robustness(5)
    @pytest.mark.octt("TC_A_08_CSMS")
    @pytest.mark.parametrize(
        ("name", "organisation", "said"),
        [
            ("CS-2", "Example Charging", "CN «CS-2»"),
            ("CS-1", "Somebody Else", "O is «Somebody Else»"),
            (None, "", "must show its certificate"),
        ],
        ids=["of another station", "wrong O", "none"],
    )
    async def test_anothers_certificate_is_refused_with_row_and_event(
        self, bench: Bench, authorities: Authorities, name: str | None, organisation: str, said: str
    ) -> None:
        await with_password(bench, 3)
        context = authorities.client(name, organisation=organisation)
        assert await refused(bench, context, additional_headers=basic()) == 403
        assert (await bench.closed()).cause == "refused_certificate"
        [event] = await eventually(security_events(bench))
        assert event["type"] == "wrong_certificate"
        assert said in event["reason"]

    @pytest.mark.feature("B11")
    @pytest.mark.robustness(8)
    async def test_a_certificate_takes_over_a_live_connection(self, bench: Bench, authorities: Authorities) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=3)
        async with over_tls(bench, authorities.client("CS-1")) as old:
            await boot(old)
            async with over_tls(bench, authorities.client("CS-1")) as new:
                assert (await boot(new))[0] == 3
                with pytest.raises(ConnectionClosed) as closed:
                    await old.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4001

    class TestWithoutOperatorName:
        @pytest.fixture
        def broker_settings(self, settings: Settings, authorities: Authorities) -> Settings:
            return authorities.settings(settings, operator_name=None)

        async def test_nobody_is_let_in_by_certificate(self, bench: Bench, authorities: Authorities) -> None:
            await make_station(bench.store, identity="CS-1", security_profile=3)
            assert await refused(bench, authorities.client("CS-1")) == 403


class TestUnknownStations:
    @pytest.mark.robustness(1, 2)
    async def test_an_unknown_identity_is_told_the_same_as_a_wrong_password(
        self, bench: Bench, authorities: Authorities
    ) -> None:
        await with_password(bench)
        answers = []
        for identity in ("CS-1", "CS-2"):
            with pytest.raises(InvalidStatus) as error:
                async with over_tls(
                    bench, authorities.client(), identity, additional_headers=basic(identity, b"x" * 16)
                ):
                    pass
            response = error.value.response
            headers = {name: value for name, value in response.headers.raw_items() if name != "Date"}
            answers.append((response.status_code, response.body, headers))
        assert answers[0] == answers[1]
        assert answers[0][0] == 401

    class TestAccepted:
        @pytest.fixture
        def unknown(self) -> UnknownStations:
            return UnknownStations.ACCEPT

        async def test_with_its_certificate_it_is_accepted_into_profile_3(
            self, bench: Bench, authorities: Authorities
        ) -> None:
            async with over_tls(bench, authorities.client("CS-1")) as client:
                assert (await boot(client))[2]["status"] == "Accepted"
            assert await refused(bench, authorities.client("CS-2"), "CS-3") == 403

        async def test_without_one_it_waits_and_works_only_with_a_password(
            self, bench: Bench, authorities: Authorities
        ) -> None:
            async with over_tls(bench, authorities.client(), additional_headers=basic()) as client:
                assert (await boot(client))[2]["status"] == "Pending"
                async with bench.store.writing() as work:
                    station = (await work.session.exec(select(Station))).one()
                    assert station.security_profile == 2
                    station.password_hashes = hashes_for(KEY, PEPPER, is_generated=True)
                    station.registration = Registration.ACCEPTED
                    work.emit(
                        Fact(
                            kind="station_changed",
                            organisation_id=station.organisation_id,
                            station_id=station.id,
                            station=station.identity,
                        )
                    )
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4004
            async with over_tls(bench, authorities.client(), additional_headers=basic()) as client:
                assert (await boot(client))[2]["status"] == "Accepted"


class TestRenewal:
    async def test_new_certificates_are_taken_into_use_and_open_connections_stay(
        self, bench: Bench, authorities: Authorities
    ) -> None:
        await with_password(bench)
        async with over_tls(bench, authorities.client(), additional_headers=basic()) as open_before:
            old = open_before.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            authorities.renew_server()
            assert bench.broker.tls is not None
            assert await bench.broker.tls.reload()
            assert not await bench.broker.tls.reload()
            await with_password(bench, identity="CS-2")
            async with over_tls(bench, authorities.client(), "CS-2", additional_headers=basic("CS-2")) as after:
                assert after.transport.get_extra_info("ssl_object").getpeercert(binary_form=True) != old
            assert (await boot(open_before))[0] == 3

    async def test_what_is_in_force_and_until_when_is_shown(
        self, bench: Bench, authorities: Authorities, api: httpx.AsyncClient
    ) -> None:
        before = (await api.get("/api/v1/server-certificates")).json()["items"]
        assert {(one["file"], *one["hosts"]) for one in before} == {
            ("ECDSA.pem", "127.0.0.1"),
            ("RSA.pem", "127.0.0.1"),
        }
        ends = datetime.fromisoformat(before[0]["not_after"])
        assert before[0]["days_left"] == (ends - bench.broker.runtime.clock()).days
        gauge = {"file": before[0]["file"]}
        assert REGISTRY.get_sample_value("csms_broker_tls_certificate_not_after_seconds", gauge) == ends.timestamp()
        authorities.renew_server()
        await bench.broker.reload_certificates()
        after = (await api.get("/api/v1/server-certificates")).json()["items"]
        assert len(after) == 2
        assert not {one["fingerprint"] for one in after} & {one["fingerprint"] for one in before}

    async def test_a_signal_has_them_read_at_once(self, bench: Bench) -> None:
        tls = bench.broker.tls
        assert tls is not None
        before = tls.current

        async def is_renewed() -> bool:
            return tls.current is not before

        reload_at_sighup(bench.broker)
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(is_renewed)
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)

    class TestByItself:
        @pytest.fixture
        def broker_settings(self, settings: Settings, authorities: Authorities) -> Settings:
            return authorities.settings(settings, tls_reload_s=0.02)

        async def test_changed_files_are_noticed(self, bench: Bench, authorities: Authorities) -> None:
            tls = bench.broker.tls
            assert tls is not None
            before = tls.current
            authorities.renew_server()

            async def is_renewed() -> bool:
                return tls.current is not before

            await eventually(is_renewed)

    async def test_broken_files_leave_the_old_ones_in_force(self, bench: Bench, authorities: Authorities) -> None:
        await with_password(bench)
        (authorities.folder / "RSA.pem").write_text("nonsense")
        assert bench.broker.tls is not None
        assert not await bench.broker.tls.reload()
        await bench.broker.reload_certificates()
        async with over_tls(bench, authorities.client(), additional_headers=basic()) as client:
            assert (await boot(client))[0] == 3

    @pytest.mark.parametrize(
        ("file", "content", "said"),
        [
            ("ECDSA.pem", b"nonsense", "ECDSA.pem holds no certificate that can be read"),
            ("ECDSA.key", b"nonsense", "the key in {folder}/ECDSA.key cannot be used with {folder}/ECDSA.pem"),
            (
                "ECDSA.key",
                "other",
                "the key in {folder}/ECDSA.key is not that of the certificate in {folder}/ECDSA.pem",
            ),
            ("ECDSA.key", "locked", "the key in {folder}/ECDSA.key is encrypted"),
            ("stations.pem", b"nonsense", "stations.pem holds no certificate that can be read"),
            ("ECDSA.pem", None, "No such file or directory: '{folder}/ECDSA.pem'"),
        ],
        ids=["certificate", "key", "another key", "locked key", "authority", "gone"],
    )
    def test_the_log_says_which_file_is_wrong(
        self, authorities: Authorities, settings: Settings, file: str, content: bytes | str | None, said: str
    ) -> None:
        folder = authorities.folder
        shutil.copy(folder / "ECDSA.pem", folder / "ECDSA.key")
        key = ec.generate_private_key(ec.SECP256R1())
        lock = serialization.BestAvailableEncryption(b"x") if content == "locked" else serialization.NoEncryption()
        made = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        (folder / file).write_bytes(made if isinstance(content, str) else content or b"")
        if content is None:
            (folder / file).unlink()
        files = {"tls_chain_files": [folder / "ECDSA.pem"], "tls_key_files": [folder / "ECDSA.key"]}
        with pytest.raises((OSError, ValueError)) as error:
            server_context(authorities.settings(settings, **files), [])
        assert said.format(folder=folder) in str(error.value)

    async def test_an_authority_that_is_taken_away_is_trusted_no_more(
        self, bench: Bench, authorities: Authorities
    ) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=3)
        context = authorities.client("CS-1")
        async with over_tls(bench, context) as client:
            await boot(client)
        trustme.CA().cert_pem.write_to_path(str(authorities.folder / "stations.pem"))
        await bench.broker.reload_certificates()
        assert await refused(bench, context) == 0


class TestOwnAuthorities:
    """The certificates of authorities that organisations keep here."""

    @pytest.fixture
    def broker_settings(self, settings: Settings, authorities: Authorities) -> Settings:
        return authorities.settings(settings, tls_client_ca_files=[], operator_name=None)

    async def trust(self, bench: Bench, authority: trustme.CA, organisation: Organisation) -> None:
        """Have the organisation take the authority over; the broker hears of it at once."""
        assert bench.broker.tls is not None
        before = bench.broker.tls.current
        async with bench.store.writing() as work:
            key, chain = authority.private_key_pem.bytes(), authority.cert_pem.bytes().decode()
            await import_authority(work, organisation.id, chain, key, password=None, secret_key=PEPPER)

        async def reloaded() -> bool:
            return bench.broker.tls is not None and bench.broker.tls.current is not before

        await eventually(reloaded)

    async def test_a_station_of_the_organisation_gets_in_without_a_restart(
        self, bench: Bench, authorities: Authorities
    ) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=3)
        authority = trustme.CA(organization_name="Fjord Charging")
        context = authorities.client("CS-1", by=authority, organisation="Fjord Charging")
        assert await refused(bench, context) == 403
        assert "nobody is trusted here to have issued" in ((await bench.closed()).reason or "")
        await self.trust(bench, authority, await make_organisation(bench.store))
        async with over_tls(bench, context) as client:
            assert (await boot(client))[2]["status"] == "Accepted"
        context = authorities.client("CS-1", by=authority, organisation="Somebody Else")
        assert await refused(bench, context) == 403

    @pytest.mark.robustness(5)
    async def test_another_organisations_authority_says_nothing_of_this_ones_stations(
        self, bench: Bench, authorities: Authorities
    ) -> None:
        await make_station(bench.store, identity="CS-1", security_profile=3)
        ours, theirs = (trustme.CA(organization_name="Fjord Charging") for _ in range(2))
        await self.trust(bench, ours, await make_organisation(bench.store))
        await self.trust(bench, theirs, await make_organisation(bench.store, "the others"))
        assert await refused(bench, authorities.client("CS-1", by=theirs, organisation="Fjord Charging")) == 403
        [event] = await eventually(security_events(bench))
        assert event["reason"] == "the certificate comes from another organisation's authority"
        child = theirs.create_child_ca()
        assert await refused(bench, authorities.client("CS-1", by=child, organisation="Fjord Charging")) == 403
        async with over_tls(bench, authorities.client("CS-1", by=ours, organisation="Fjord Charging")) as client:
            assert (await boot(client))[2]["status"] == "Accepted"


async def test_it_works_on_the_event_loop_of_a_real_start(
    broker_settings: Settings, database_kind: str, authorities: Authorities
) -> None:
    """uvloop reads from new connections at another moment than asyncio's own loop."""

    async def start_and_connect() -> list[int | str]:
        runtime = await open_runtime(broker_settings)
        await make_organisation(runtime.store)
        bench = Bench(Broker(runtime, unknown=UnknownStations.REFUSE), 0, runtime.store)
        bench.port = await bench.broker.start()
        await make_station(runtime.store, identity="CS-1", security_profile=3)
        results: list[int | str] = [await refused(bench, authorities.client("CS-1", by=trustme.CA()))]
        async with over_tls(bench, authorities.client("CS-1")) as client:
            results.append((await boot(client))[2]["status"])
        await bench.broker.stop()
        await runtime.close()
        return results

    def on_uvloop() -> list[int | str]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(start_and_connect())

    assert await asyncio.to_thread(on_uvloop) == [0, "Accepted"]
