"""S27: a vehicle's contract may charge when its certificate is verified: chains, real OCSP answers, real sockets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from csms.config import Settings
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.certificates import hash_data
from csms.station.contract_checks.rules import Finding, gravest, judge_chain, read_certificates
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted
from tests.broker.test_certificate_questions import Responder
from tests.certificate_builders import NOW, certificate_of, ec_key, name, pem_of, root_with_key

pytestmark = pytest.mark.feature("S27", "B10")
EMAID = "NO-ABC-C12345678-X"
GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    one = Responder()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


@pytest.fixture
def broker_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"ocsp_allowed_hosts": ["127.0.0.1"]})


class Contract:
    """A root, an authority below it, and a contract's certificate that says where to ask about it."""

    def __init__(self, url: str | None, *, days: int = 365, common_name: str = "NOABCC12345678X") -> None:
        self.root, root_key = root_with_key("MO Root")
        self.key = ec_key()
        self.authority = certificate_of(self.key, name("MO Sub"), root_key, self.root.subject, is_ca=True)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(self.authority.subject)
            .public_key(ec_key().public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=400))
            .not_valid_after(NOW + timedelta(days=days))
        )
        if url is not None:
            where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
        self.leaf = builder.sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return pem_of(self.leaf) + pem_of(self.authority)

    def ocsp(self, status: ocsp.OCSPCertStatus) -> bytes:
        revoked = NOW - timedelta(days=1) if status is REVOKED else None
        builder = ocsp.OCSPResponseBuilder().add_response(
            self.leaf,
            self.authority,
            hashes.SHA256(),
            status,
            NOW - timedelta(hours=2),
            NOW + timedelta(hours=1),
            revoked,
            None,
        )
        signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.authority)
        return signed.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def trust(bench: Bench, certificate: x509.Certificate, kind: str = "MORootCertificate") -> None:
    """The root was installed on the station."""
    connection = bench.broker.node.connections["CS-1"]
    async with bench.store.writing() as work:
        body = {"certificateType": kind, "certificate": pem_of(certificate)}
        answer = {"status": "Accepted"}
        await connection._routes.answered(work, connection.station, "InstallCertificate", body, answer)


async def ask(station: ScriptedStation, **certificates: Any) -> tuple[str, str]:
    answer = await station.call("Authorize", idToken={"idToken": EMAID, "type": "eMAID"}, **certificates)
    assert check(station.version, "Authorize", "response", answer) is None
    return str(answer["certificateStatus"]), str(answer["idTokenInfo"]["status"])


@pytest.fixture(params=VERSIONS_2)
async def station(
    request: pytest.FixtureRequest, bench: Bench, api: httpx.AsyncClient
) -> AsyncIterator[ScriptedStation]:
    await api.post("/api/v1/tokens", json={"uid": EMAID, "kind": "emaid"})
    async with scripted(bench, Version(request.param)) as booted:
        yield booted


@pytest.mark.ocpp("2.x Authorize")
@pytest.mark.octt("TC_C_52_CSMS")
async def test_a_chain_that_the_station_cannot_verify_is_verified_here(
    station: ScriptedStation, bench: Bench, responder: Responder, api: httpx.AsyncClient
) -> None:
    contract = Contract(responder.url)
    responder.answer = lambda _body: (200, contract.ocsp(GOOD))
    assert await ask(station, certificate=contract.pem) == ("CertChainError", "Invalid"), "nobody knows the root"
    await trust(bench, contract.root)
    assert await ask(station, certificate=contract.pem) == ("Accepted", "Accepted")
    (token,) = (await api.get("/api/v1/tokens")).json()["items"]
    await api.patch(f"/api/v1/tokens/{token['id']}", json={"is_blocked": True})
    assert await ask(station, certificate=contract.pem) == ("ContractCancelled", "Blocked")
    plain = await station.call("Authorize", idToken={"idToken": EMAID, "type": "eMAID"})
    assert "certificateStatus" not in plain


async def test_a_revoked_contract_may_not_charge(station: ScriptedStation, bench: Bench, responder: Responder) -> None:
    contract = Contract(responder.url)
    await trust(bench, contract.root)
    responder.answer = lambda _body: (200, contract.ocsp(REVOKED))
    assert await ask(station, certificate=contract.pem) == ("CertificateRevoked", "Invalid")


async def test_a_contract_of_which_nobody_answers_may_not_charge(
    station: ScriptedStation, bench: Bench, responder: Responder
) -> None:
    contract = Contract(responder.url)
    await trust(bench, contract.root)
    for answer in ((500, b""), (200, b"rubbish"), (200, Contract(None).ocsp(GOOD))):
        responder.answer = lambda _body, told=answer: told  # type: ignore[misc]
        assert await ask(station, certificate=contract.pem) == ("CertChainError", "Invalid")
    responder.answer = lambda _body: (200, contract.ocsp(GOOD))
    assert await ask(station, certificate=contract.pem) == ("Accepted", "Accepted"), "a bad answer is not remembered"


@pytest.mark.octt("TC_C_50_CSMS", "TC_C_51_CSMS")
@pytest.mark.parametrize(
    ("status", "expected"), [(GOOD, ("Accepted", "Accepted")), (REVOKED, ("CertificateRevoked", "Invalid"))]
)
async def test_a_chain_that_the_station_verified_is_asked_about(
    station: ScriptedStation,
    bench: Bench,
    responder: Responder,
    status: ocsp.OCSPCertStatus,
    expected: tuple[str, str],
) -> None:
    contract = Contract(None)
    await trust(bench, contract.authority)
    responder.answer = lambda _body: (200, contract.ocsp(status))
    data = {**hash_data(contract.leaf, contract.authority).payload, "responderURL": responder.url}
    assert await ask(station, iso15118CertificateHashData=[data]) == expected


async def test_only_roots_for_contracts_vouch_for_them(station: ScriptedStation, bench: Bench) -> None:
    contract = Contract(None)
    await trust(bench, contract.root, "CSMSRootCertificate")
    assert await ask(station, certificate=contract.pem) == ("CertChainError", "Invalid")
    await trust(bench, contract.root, "V2GRootCertificate")
    assert await ask(station, certificate=contract.pem) == ("Accepted", "Accepted")


async def test_an_expired_contract_may_not_charge(station: ScriptedStation, bench: Bench) -> None:
    contract = Contract(None, days=-1)
    await trust(bench, contract.root)
    assert await ask(station, certificate=contract.pem) == ("CertificateExpired", "Expired")


def test_a_chain_must_be_whole_and_of_that_contract() -> None:
    one, other = Contract(None), Contract(None, common_name="SOMEBODY")
    roots = [one.root, other.root]
    chain = [one.leaf, one.authority]
    assert judge_chain(chain, roots, EMAID, NOW) is Finding.VALID
    assert judge_chain([*chain, one.root], roots, EMAID.lower(), NOW) is Finding.VALID
    assert judge_chain([other.leaf, other.authority], roots, EMAID, NOW) is Finding.UNVERIFIABLE
    assert judge_chain([one.leaf, other.authority], roots, EMAID, NOW) is Finding.UNVERIFIABLE
    assert judge_chain([one.leaf], roots, EMAID, NOW) is Finding.UNVERIFIABLE
    assert judge_chain([], roots, EMAID, NOW) is Finding.UNVERIFIABLE
    assert judge_chain(chain, roots, EMAID, NOW - timedelta(days=500)) is Finding.UNVERIFIABLE
    below = certificate_of(ec_key(), name(EMAID), one.key, one.leaf.subject)
    assert judge_chain([below, one.leaf, one.authority], roots, EMAID, NOW) is Finding.UNVERIFIABLE, "no authority"
    assert read_certificates(one.pem) == chain
    assert read_certificates("-----BEGIN CERTIFICATE-----\nrubbish") == []
    assert read_certificates(7) == []


def test_the_gravest_finding_counts() -> None:
    assert gravest([Finding.VALID, Finding.UNVERIFIABLE, Finding.EXPIRED]) is Finding.EXPIRED
    assert gravest([Finding.VALID, Finding.VALID]) is Finding.VALID
    assert gravest([]) is Finding.UNVERIFIABLE
