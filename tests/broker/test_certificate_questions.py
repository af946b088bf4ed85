"""B10: what stations ask about the certificates of cars: real OCSP answers and revocation lists, over real sockets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from websockets.asyncio.client import ClientConnection

from csms.config import Settings
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.certificates.rules.installed import hash_data
from csms.station.certificates.rules.status import ocsp_request, read_ocsp
from csms.station.certificates.service.asking import ASKED_PER_MINUTE_MAX
from tests.broker.conftest import DEADLINE_S, Bench, call
from tests.certificate_builders import NOW, certificate_of, ec_key, name, pem_of, root_certificate, root_with_key

pytestmark = pytest.mark.feature("B10", "B2")
URL = "/api/v1/stations/CS-1"
DER = serialization.Encoding.DER
Answer = tuple[int, bytes]


class Responder:
    """An HTTP server that answers what a test tells it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[bytes], Answer] = lambda _body: (200, b"")
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocsp"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.asked.append((lines[0], headers, body))
        self.was_asked.set()
        await self.may_answer.wait()
        status, text = self.answer(body)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)
        await writer.drain()
        writer.close()


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    one = Responder()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    one.may_answer.set()
    server.close()


@pytest.fixture
def broker_settings(settings: Settings, responder: Responder) -> Settings:
    return settings.model_copy(
        update={
            "ocsp_allowed_hosts": ["127.0.0.1"],
            "contract_provider_url": f"http://127.0.0.1:{responder.port}/contracts",
        }
    )


class Pki:
    """A root, a certificate of a car that it issued, and its own OCSP answers."""

    def __init__(self) -> None:
        self.root, self.key = root_with_key("V2G Root")
        self.leaf = certificate_of(ec_key(), name("EMAID1"), self.key, self.root.subject)
        self.data = hash_data(self.leaf, self.root)

    def ocsp(self, status: ocsp.OCSPCertStatus, *, hours: int = 1, signer: "Pki | None" = None) -> bytes:
        revoked = NOW - timedelta(days=1) if status is ocsp.OCSPCertStatus.REVOKED else None
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                self.leaf,
                self.root,
                hashes.SHA256(),
                status,
                NOW - timedelta(hours=2),
                NOW + timedelta(hours=hours),
                revoked,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, (signer or self).root)
        )
        return builder.sign((signer or self).key, hashes.SHA256()).public_bytes(DER)

    def crl(self, *serials: int, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.root.subject)
        builder = builder.last_update(NOW - timedelta(days=1)).next_update(NOW + timedelta(days=1))
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(DER)


@pytest.fixture
def pki() -> Pki:
    return Pki()


async def boot(client: ClientConnection) -> None:
    await call(client, "BootNotification", chargingStation={"vendorName": "V", "model": "M"}, reason="PowerUp")


async def ask_status(client: ClientConnection, pki: Pki, url: str) -> dict[str, Any]:
    frame = await call(client, "GetCertificateStatus", ocspRequestData={**pki.data.payload, "responderURL": url})
    assert frame[0] == 3, frame
    return dict(frame[2])


@pytest.mark.ocpp("2.x GetCertificateStatus")
@pytest.mark.octt("TC_M_24_CSMS")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_the_responders_own_answer_reaches_the_station(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, pki: Pki, version: Version
) -> None:
    responder.answer = lambda _body: (200, pki.ocsp(ocsp.OCSPCertStatus.GOOD))
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        answers = [await ask_status(client, pki, responder.url) for _ in range(2)]
    for answer in answers:
        assert check(version, "GetCertificateStatus", "response", answer) is None
        assert answer["status"] == "Accepted"
        told = ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
        assert told.serial_number == pki.leaf.serial_number
    assert len(responder.asked) == 1, "the second answer is remembered"
    ((line, headers, body),) = responder.asked
    assert line.startswith("POST /ocsp")
    assert headers["content-type"] == "application/ocsp-request"
    asked = ocsp.load_der_ocsp_request(body)
    assert (asked.serial_number, asked.issuer_name_hash.hex()) == (pki.leaf.serial_number, pki.data.issuer_name_hash)
    (shown,) = (await api.get(f"{URL}/certificate-status-checks")).json()["items"]
    assert (shown["status"], shown["ask_count"], shown["url"]) == ("good", 2, responder.url)


@pytest.mark.robustness(40)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest", "not among the hosts"),
        ("http://localhost/ocsp", "not among the hosts"),
        ("ftp://127.0.0.1/ocsp", "not one that can be asked"),
        ("http://user:secret@127.0.0.1/", "not one that can be asked"),
        ("no url", "not one that can be asked"),
    ],
)
async def test_only_hosts_that_the_operator_names_are_asked(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, pki: Pki, *, url: str, words: str
) -> None:
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        answer = await ask_status(client, pki, url)
    assert answer["status"] == "Failed"
    assert words in answer["statusInfo"]["additionalInfo"]
    assert "ocspResult" not in answer
    assert responder.asked == []
    (shown,) = (await api.get(f"{URL}/certificate-status-checks")).json()["items"]
    assert shown["status"] == "failed"


@pytest.mark.parametrize("kind", ["500", "rubbish", "another", "old", "unsuccessful"])
async def test_an_answer_that_is_none_is_failed(bench: Bench, responder: Responder, pki: Pki, kind: str) -> None:
    refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(DER)
    answers: dict[str, Answer] = {
        "500": (500, b"oops"),
        "rubbish": (200, b"rubbish"),
        "another": (200, Pki().ocsp(ocsp.OCSPCertStatus.GOOD)),
        "old": (200, pki.ocsp(ocsp.OCSPCertStatus.GOOD, hours=-1)),
        "unsuccessful": (200, refused),
    }
    responder.answer = lambda _body: answers[kind]
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        answer = await ask_status(client, pki, responder.url)
        assert answer["status"] == "Failed"
        assert (await call(client, "Heartbeat"))[0] == 3


@pytest.mark.robustness(27)
async def test_nobody_else_waits_for_a_slow_responder(bench: Bench, responder: Responder, pki: Pki) -> None:
    responder.may_answer.clear()
    responder.answer = lambda _body: (200, pki.ocsp(ocsp.OCSPCertStatus.GOOD))
    async with bench.station(subprotocols=[Version.V201]) as client, bench.station("CS-2") as neighbour:
        await boot(client)
        await call(neighbour, "BootNotification", chargePointVendor="V", chargePointModel="M")
        asking = asyncio.create_task(ask_status(client, pki, responder.url))
        await asyncio.wait_for(responder.was_asked.wait(), DEADLINE_S)
        assert (await call(neighbour, "Heartbeat"))[0] == 3
        assert not asking.done()
        responder.may_answer.set()
        assert (await asking)["status"] == "Accepted"


@pytest.mark.robustness(8)
async def test_a_station_that_leaves_meanwhile_leaves_nothing_behind(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, pki: Pki
) -> None:
    responder.may_answer.clear()
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        payload = {"ocspRequestData": {**pki.data.payload, "responderURL": responder.url}}
        await client.send(json.dumps([2, "m1", "GetCertificateStatus", payload]))
        await asyncio.wait_for(responder.was_asked.wait(), DEADLINE_S)
    async with asyncio.timeout(DEADLINE_S):
        assert (await bench.closed()).closed_at is not None
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        assert (await call(client, "Heartbeat"))[0] == 3
    (shown,) = (await api.get(f"{URL}/certificate-status-checks")).json()["items"]
    assert shown["status"] == "failed"


@pytest.mark.robustness(20)
async def test_a_station_that_asks_without_end_makes_us_ask_nobody(bench: Bench, responder: Responder) -> None:
    responder.answer = lambda _body: (404, b"")
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        for number in range(ASKED_PER_MINUTE_MAX + 5):
            data = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa" * 32, "issuerKeyHash": "bb" * 32}
            request = {**data, "serialNumber": f"{number:x}", "responderURL": responder.url}
            await call(client, "GetCertificateStatus", ocspRequestData=request)
    assert len(responder.asked) == ASKED_PER_MINUTE_MAX


async def ask_chain(client: ClientConnection, pki: Pki, source: str, *urls: str) -> dict[str, Any]:
    question = {"certificateHashData": pki.data.payload, "source": source, "urls": list(urls)}
    frame = await call(client, "GetCertificateChainStatus", certificateStatusRequests=[question])
    assert frame[0] == 3, frame
    assert check(Version.V21, "GetCertificateChainStatus", "response", frame[2]) is None
    (status,) = frame[2]["certificateStatus"]
    assert status["certificateHashData"] == pki.data.payload
    return dict(status)


@pytest.mark.ocpp("2.1 GetCertificateChainStatus")
@pytest.mark.parametrize("source", ["OCSP", "CRL"])
@pytest.mark.parametrize("is_revoked", [False, True])
async def test_a_chain_of_2_1_is_checked_here_with_the_issuers_signature(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, pki: Pki, *, source: str, is_revoked: bool
) -> None:
    status = ocsp.OCSPCertStatus.REVOKED if is_revoked else ocsp.OCSPCertStatus.GOOD
    serials = [pki.leaf.serial_number] if is_revoked else [7]
    text = pki.ocsp(status) if source == "OCSP" else pki.crl(*serials)
    responder.answer = lambda _body: (200, text)
    urls = ("http://169.254.169.254/", responder.url)
    async with bench.station(subprotocols=[Version.V21]) as client:
        await boot(client)
        assert (await ask_chain(client, pki, source, *urls))["status"] == "Failed", "nobody knows the issuer yet"
        connection = bench.broker.node.connections["CS-1"]
        async with bench.store.writing() as work:
            body = {"certificateType": "V2GRootCertificate", "certificate": pem_of(pki.root)}
            routes = connection._routes
            await routes.answered(work, connection.station, "InstallCertificate", body, {"status": "Accepted"})
        found = await ask_chain(client, pki, source, *urls)
    assert found["status"] == ("Revoked" if is_revoked else "Good")
    assert found["source"] == source
    (shown,) = (await api.get(f"{URL}/certificate-status-checks")).json()["items"]
    assert (shown["status"], shown["ask_count"]) == ("revoked" if is_revoked else "good", 2)


@pytest.mark.parametrize("source", ["OCSP", "CRL"])
async def test_an_answer_signed_by_somebody_else_is_not_believed(
    bench: Bench, responder: Responder, pki: Pki, source: str
) -> None:
    forged = pki.ocsp(ocsp.OCSPCertStatus.GOOD, signer=Pki()) if source == "OCSP" else pki.crl(key=ec_key())
    responder.answer = lambda _body: (200, forged)
    async with bench.station(subprotocols=[Version.V21]) as client:
        await boot(client)
        connection = bench.broker.node.connections["CS-1"]
        async with bench.store.writing() as work:
            body = {"certificateType": "V2GRootCertificate", "certificate": pem_of(pki.root)}
            await connection._routes.answered(
                work, connection.station, "InstallCertificate", body, {"status": "Accepted"}
            )
        assert (await ask_chain(client, pki, source, responder.url))["status"] == "Failed"


def test_questions_and_answers_hold_what_is_read_out_of_them() -> None:
    pki = Pki()
    request = ocsp_request(pki.data)
    assert request is not None
    assert ocsp.load_der_ocsp_request(request).serial_number == pki.leaf.serial_number
    found = read_ocsp(pki.ocsp(ocsp.OCSPCertStatus.REVOKED), pki.data, NOW)
    assert (found.status.value, found.next_update_at) == ("revoked", NOW + timedelta(hours=1))
    strange = hash_data(root_certificate(), root_certificate())
    assert ocsp_request(strange) is not None


# --- contract certificates --------------------------------------------------------------------------------------------

EXI = base64.b64encode(b"exi of a car").decode()


async def ask_contract(client: ClientConnection, version: Version, action: str = "Install") -> dict[str, Any]:
    frame = await call(
        client,
        "Get15118EVCertificate",
        iso15118SchemaVersion="urn:iso:15118:2:2013:MsgDef",
        action=action,
        exiRequest=EXI,
    )
    assert frame[0] == 3, frame
    assert check(version, "Get15118EVCertificate", "response", frame[2]) is None
    return dict(frame[2])


@pytest.mark.ocpp("2.x Get15118EVCertificate")
@pytest.mark.octt("TC_M_26_CSMS", "TC_M_28_CSMS")
@pytest.mark.parametrize("wish", ["Install", "Update"])
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_a_car_gets_its_contract_from_the_provider(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, *, version: Version, wish: str
) -> None:
    told = {"status": "Accepted", "exiResponse": "QUJD", "remainingContracts": 1}
    responder.answer = lambda _body: (200, json.dumps(told).encode())
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        answer = await ask_contract(client, version, wish)
    assert (answer["status"], answer["exiResponse"]) == ("Accepted", "QUJD")
    assert answer.get("remainingContracts") == (1 if version is Version.V21 else None)
    ((line, headers, body),) = responder.asked
    assert line.startswith("POST /contracts")
    assert headers["x-station-id"] == "cs-1"
    assert json.loads(body)["exiRequest"] == EXI
    (shown,) = (await api.get(f"{URL}/contract-requests")).json()["items"]
    assert (shown["action"], shown["is_accepted"], shown["reason"]) == (wish, True, None)


@pytest.mark.parametrize(
    "told",
    [
        (200, b'{"status": "Failed", "exiResponse": ""}'),
        (200, b'{"status": "Accepted", "exiResponse": ""}'),
        (200, b'{"status": "Accepted", "exiResponse": "' + b"A" * 20_000 + b'"}'),
        (200, b'{"status": "Perhaps", "exiResponse": "QUJD"}'),
        (200, b"[]"),
        (200, b"no json"),
        (503, b"{}"),
    ],
    ids=["failed", "nothing", "long", "word", "list", "text", "503"],
)
async def test_what_the_provider_does_not_give_is_refused(
    bench: Bench, api: httpx.AsyncClient, responder: Responder, told: Answer
) -> None:
    responder.answer = lambda _body: told
    async with bench.station(subprotocols=[Version.V201]) as client:
        await boot(client)
        answer = await ask_contract(client, Version.V201)
    assert (answer["status"], answer["exiResponse"]) == ("Failed", "")
    assert answer["statusInfo"]["additionalInfo"]
    (shown,) = (await api.get(f"{URL}/contract-requests")).json()["items"]
    assert shown["is_accepted"] is False
    assert shown["reason"]


class TestWithoutProvider:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings

    async def test_without_a_provider_nothing_is_made_up(self, bench: Bench) -> None:
        async with bench.station(subprotocols=[Version.V201]) as client:
            await boot(client)
            answer = await ask_contract(client, Version.V201)
        assert answer["status"] == "Failed"
        assert answer["statusInfo"]["additionalInfo"] == "there is no provider of contract certificates"
