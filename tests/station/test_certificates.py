"""B10: certificates of stations: what is signed and what not, what is known to be installed, what is refused."""

import base64
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sqlmodel import col, select

from csms.calls import Answered, Offline, Order, Outcome, Refused, TimedOut, call_subject, read_order, write_outcome
from csms.clock import FixedClock
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.certificates import CertificateRequest, StationCertificate
from csms.station.certificates.rules.installed import hash_data
from csms.station.certificates.rules.requests import (
    ROWS_PER_HOUR_MAX,
    Asker,
    CertificateUse,
    ReadRequest,
    Unusable,
    fault_of,
    read_request,
)
from csms.station.certificates.service.signing import work_through
from csms.station.certificates.service.trust import refusal_of
from csms.station.information import Station
from csms.station.logs import Exchange, describe
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station
from tests.certificate_builders import (
    certificate_of,
    csr_pem,
    ec_key,
    name,
    pem_of,
    root_certificate,
    root_with_key,
)

pytestmark = pytest.mark.feature("B10")
CA = "/api/v1/certificate-authority"
POLICY = "/api/v1/certificate-policy"
SHA1_REQUEST = """-----BEGIN CERTIFICATE REQUEST-----
MIHIMHECAQAwDzENMAsGA1UEAwwEQ1MtMTBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABM2NUBvGU/l3JRPLBsr8gPGWHtqMZVpcChW30nPXMox0iEgJ9tSbwp8vEdWm
RUhyBfO2fWejOc/uEScUeEIZV0agADAJBgcqhkjOPQQBA0gAMEUCIGuJ/6njF8RZ
LXrQf7EK7yUjGdvcTq7A7kVbduj1uF8LAiEA3375FEzZdn3uQEFR8X7YPgf3bz3B
leiJF42YyRJp/h4=
-----END CERTIFICATE REQUEST-----
"""


class Bench:
    """A station held by a node on the bus: our calls are answered, and the answers stored as the broker does."""

    def __init__(self, runtime: Runtime, api: httpx.AsyncClient, calling: CallingStation) -> None:
        self.runtime = runtime
        self.api = api
        self.calling = calling
        self.orders: list[Order] = []
        self.outcome: Outcome = Answered({"status": "Accepted"})
        self.url = f"/api/v1/stations/{calling.connected.identity}"

    @property
    def identity(self) -> str:
        return self.calling.connected.identity

    async def serve(self, data: bytes) -> bytes:
        order = read_order(data)
        self.orders.append(order)
        if isinstance(self.outcome, Answered):
            await self.calling.answered(order.action, order.payload, self.outcome.payload)
        return write_outcome(self.outcome)

    async def ask(self, csr: str, **more: Any) -> dict[str, Any]:
        """The station's SignCertificate."""
        answer = await self.calling.call("SignCertificate", csr=csr, **more)
        assert check(self.calling.connected.version, "SignCertificate", "response", answer) is None
        return answer

    async def work(self, clock: FixedClock, **pause: float) -> None:
        clock.advance(**(pause or {"seconds": 3}))
        await work_through(self.runtime)

    async def requests(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.api.get(f"{self.url}/certificate-requests")).json()["items"]
        return items

    async def certificates(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.api.get(f"{self.url}/certificates", params=query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


async def make_bench(runtime: Runtime, api: httpx.AsyncClient, version: Version, **fields: Any) -> Bench:
    values = {"security_profile": 2, "serial_number": "SN-7", "is_online": True, "protocol": version.value, **fields}
    station = await make_station(runtime.store, **values)
    bench = Bench(runtime, api, await connect(runtime.store, station, version))
    await runtime.bus.serve(call_subject(station.identity), bench.serve)
    return bench


@pytest.fixture(params=list(Version))
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


@pytest.fixture
async def bench(runtime: Runtime, api: httpx.AsyncClient, version: Version) -> Bench:
    """A station that logs in with a password, and an authority."""
    await api.post(CA, json={"operator_name": "Fjord"})
    return await make_bench(runtime, api, version)


@pytest.fixture
async def bench_21(runtime: Runtime, api: httpx.AsyncClient) -> Bench:
    await api.post(CA, json={"operator_name": "Fjord"})
    return await make_bench(runtime, api, Version.V21)


# --- signing ------------------------------------------------------------------------------------------------------


@pytest.mark.ocpp("1.6 SignCertificate", "2.x SignCertificate", "1.6 CertificateSigned", "2.x CertificateSigned")
async def test_a_request_is_signed_sent_and_known_to_be_installed(bench: Bench, clock: FixedClock) -> None:
    assert await bench.ask(csr_pem("SN-7", "Fjord")) == {"status": "Accepted"}
    (request,) = await bench.requests()
    assert (request["state"], request["common_name"], request["key_kind"]) == ("approved", "SN-7", "EC secp256r1")
    assert await bench.certificates() == []
    await bench.work(clock)
    (order,) = bench.orders
    assert order.action == "CertificateSigned"
    assert check(bench.calling.connected.version, order.action, "request", order.payload) is None
    leaf = x509.load_pem_x509_certificate(order.payload["certificateChain"].encode())
    root = x509.load_pem_x509_certificate((await bench.api.get(f"{CA}/root.pem")).content)
    leaf.verify_directly_issued_by(root)
    assert leaf.subject.rfc4514_string() == "O=Fjord,CN=SN-7"
    (request,) = await bench.requests()
    assert (request["state"], request["problem"]) == ("installed", None)
    (certificate,) = await bench.certificates()
    assert certificate["id"] == request["certificate_id"]
    assert certificate["kind"] == "charging_station"
    assert (certificate["is_installed"], certificate["is_issued_here"]) == (True, True)
    assert certificate["days_left"] in (364, 365)
    assert certificate["hash_data"] == hash_data(leaf, root).payload
    assert x509.load_pem_x509_certificate(certificate["pem"].encode()) == leaf


async def test_2_1_gets_its_request_id_back(bench_21: Bench, clock: FixedClock) -> None:
    await bench_21.ask(csr_pem(bench_21.identity), requestId=42, certificateType="ChargingStationCertificate")
    await bench_21.work(clock)
    payload = bench_21.orders[0].payload
    assert (payload["requestId"], payload["certificateType"]) == (42, "ChargingStationCertificate")


async def test_two_requests_for_one_trigger_give_one_certificate(bench: Bench, clock: FixedClock) -> None:
    """Some stations send the same request twice, some make a new key for the second one."""
    first, second = ec_key(), ec_key()
    for key in (first, first, second, second):
        assert await bench.ask(csr_pem("SN-7", "Fjord", key)) == {"status": "Accepted"}
    assert [one["state"] for one in await bench.requests()] == ["approved", "superseded"]
    assert [one["repeat_count"] for one in await bench.requests()] == [1, 1]
    await bench.work(clock)
    await bench.work(clock)
    (order,) = bench.orders
    leaf = x509.load_pem_x509_certificate(order.payload["certificateChain"].encode())
    assert leaf.public_key() == second.public_key()
    assert len(await bench.certificates()) == 1


async def test_a_request_that_comes_again_gets_the_same_certificate_again(bench: Bench, clock: FixedClock) -> None:
    key = ec_key()
    for _ in range(2):
        await bench.ask(csr_pem("SN-7", "Fjord", key))
        await bench.work(clock)
    chains = [order.payload["certificateChain"] for order in bench.orders]
    assert len(chains) == 2
    assert chains[0] == chains[1]
    assert [one["state"] for one in await bench.requests()] == ["installed"]


async def test_a_renewed_certificate_takes_the_place_of_the_old_one(bench: Bench, clock: FixedClock) -> None:
    for _ in range(2):
        await bench.ask(csr_pem("SN-7", "Fjord"))
        await bench.work(clock, hours=1)
    new, old = await bench.certificates()
    assert (new["is_installed"], old["is_installed"]) == (True, False)
    assert old["removed_because"] == "a newer one took its place"
    assert old["revoked_at"] is None, "the station may fall back to it"


@pytest.mark.robustness(24)
async def test_a_station_that_is_away_gets_it_later(
    bench: Bench, store: Store, runtime: Runtime, clock: FixedClock
) -> None:
    bench.outcome = Offline("the station is not connected")
    await bench.ask(csr_pem("SN-7", "Fjord"))
    await bench.work(clock)
    (request,) = await bench.requests()
    assert (request["state"], request["problem"]) == ("signed", "the station is not connected")
    await bench.work(clock, seconds=5)
    assert len(bench.orders) == 1, "it waits before it tries again"
    async with store.writing() as work:
        station = await work.session.get_one(Station, bench.calling.connected.id)
        station.is_online = False
    await bench.work(clock, days=1)
    assert len(bench.orders) == 1, "nothing is sent to a station that is offline"
    async with store.writing() as work:
        station = await work.session.get_one(Station, bench.calling.connected.id)
        station.is_online = True
    bench.outcome = Answered({"status": "Accepted"})
    await bench.work(clock)
    assert [one["state"] for one in await bench.requests()] == ["installed"]


async def test_a_station_that_never_comes_back_is_given_up(bench: Bench, clock: FixedClock) -> None:
    bench.outcome = TimedOut(30)
    await bench.ask(csr_pem("SN-7", "Fjord"))
    await bench.work(clock)
    await bench.work(clock, days=15)
    (request,) = await bench.requests()
    assert (request["state"], request["reason"]) == ("failed", "the station could not be reached for two weeks")


@pytest.mark.octt("TC_077_CSMS", "TC_A_14_CSMS")
async def test_a_station_that_does_not_take_it(bench: Bench, runtime: Runtime, clock: FixedClock) -> None:
    info = {} if bench.calling.connected.version is Version.V16 else {"statusInfo": {"reasonCode": "InvalidCert"}}
    bench.outcome = Answered({"status": "Rejected", **info})
    await bench.ask(csr_pem("SN-7", "Fjord"))
    await bench.work(clock)
    (request,) = await bench.requests()
    assert request["state"] == "refused_by_station"
    assert request["reason"] == ("InvalidCert" if info else "the station gives no reason")
    (certificate,) = await bench.certificates()
    assert certificate["is_installed"] is False
    word = "InvalidChargingStationCertificate" if info else "InvalidChargePointCertificate"
    await bench.calling.call("SecurityEventNotification", type=word, timestamp="2026-01-01T00:00:03Z")
    await runtime.outbox.deliver_due()
    (error,) = (await bench.api.get(f"{bench.url}/errors")).json()["items"]
    assert (error["code"], error["severity"]) == (word, "error")


async def test_a_station_that_does_not_know_the_message(bench: Bench, clock: FixedClock) -> None:
    bench.outcome = Refused("NotImplemented", "what is that", {})
    await bench.ask(csr_pem("SN-7", "Fjord"))
    await bench.work(clock)
    await bench.work(clock, hours=1)
    (request,) = await bench.requests()
    assert request["state"] == "failed"
    assert "NotImplemented" in request["reason"]
    assert len(bench.orders) == 1


# --- what is not signed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("csr", "words"),
    [
        ("", "no certificate signing request"),
        ("hello", "cannot be read"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "cannot be read"),
        (csr_pem("CS-OTHER", "Fjord"), "its CN is «CS-OTHER»; it must be the identity"),
        (csr_pem(None, "Fjord"), "no common name"),
        (csr_pem("SN-7", "Somebody Else"), "its O is «Somebody Else», not «Fjord»"),
        (csr_pem("SN-7", "Fjord", ec.generate_private_key(ec.SECP192R1())), "its EC key has 192 bits"),
        (csr_pem("SN-7", "Fjord", ed25519.Ed25519PrivateKey.generate()), "RSA and EC keys can be signed"),
    ],
    ids=["empty", "words", "no request", "another name", "no name", "another operator", "short key", "odd key"],
)
async def test_what_breaks_a_rule_is_rejected_and_shown_with_the_reason(
    bench: Bench, clock: FixedClock, csr: str, words: str
) -> None:
    answer = await bench.ask(csr)
    assert answer["status"] == "Rejected"
    if bench.calling.connected.version is not Version.V16:
        assert words in answer["statusInfo"]["additionalInfo"]
    (request,) = await bench.requests()
    assert request["state"] == "rejected"
    assert words in request["reason"]
    await bench.work(clock)
    assert bench.orders == []


def test_a_signature_that_is_not_the_keys_own_is_noticed() -> None:
    lines = csr_pem("SN-7").splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-1] ^= 1
    read = read_request(base64.b64encode(der).decode())
    assert isinstance(read, Unusable)
    assert "signature is wrong" in read.reason


@pytest.mark.parametrize("bits", [1024, 2048])
def test_short_rsa_keys_are_refused(bits: int) -> None:
    read = read_request(csr_pem("CS-1", key=rsa.generate_private_key(65537, bits)))
    assert isinstance(read, ReadRequest)
    fault = fault_of(read, CertificateUse.STATION, Asker("CS-1", None), None)
    assert (fault is None) == (bits == 2048)


def test_a_request_signed_with_an_old_hash_is_refused() -> None:
    read = read_request(SHA1_REQUEST)
    assert isinstance(read, Unusable)
    assert "SHA1" in read.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\\n"),
        lambda text: text.replace("\n", ""),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "".join(text.split("\n")[1:-2]),
        lambda text: text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    ],
    ids=["pem", "escaped", "one line", "dos", "base64", "new"],
)
def test_requests_are_read_however_stations_write_them(change: Any) -> None:
    assert isinstance(read_request(change(csr_pem("CS-1"))), ReadRequest)


@pytest.mark.parametrize("other", [{"identity": "SN-7"}, {"serial_number": "sn-7"}], ids=["identity", "serial number"])
async def test_no_station_gets_a_certificate_in_the_name_of_another(
    bench_21: Bench, store: Store, other: dict[str, str]
) -> None:
    """A station tells its serial number itself: it could tell another's, and log in as that one."""
    await make_station(store, await make_organisation(store, "Other"), **other)
    answer = await bench_21.ask(csr_pem("SN-7", "Fjord"))
    assert answer["status"] == "Rejected"
    assert "another station" in answer["statusInfo"]["additionalInfo"]
    assert (await bench_21.ask(csr_pem(bench_21.identity, "Fjord")))["status"] == "Accepted"


async def test_without_an_authority_nothing_is_signed(runtime: Runtime, api: httpx.AsyncClient) -> None:
    bench = await make_bench(runtime, api, Version.V201)
    answer = await bench.ask(csr_pem("SN-7"))
    assert answer["status"] == "Rejected"
    assert answer["statusInfo"]["reasonCode"] == "NotEnabled"
    assert "no certificate authority" in (await bench.requests())[0]["reason"]


@pytest.mark.robustness(20)
async def test_a_station_that_asks_without_end_is_held_back(bench_21: Bench, clock: FixedClock) -> None:
    for _ in range(ROWS_PER_HOUR_MAX):
        await bench_21.ask(csr_pem("nobody"))
    for _ in range(3):
        answer = await bench_21.ask(csr_pem("SN-7", "Fjord"))
        assert answer["status"] == "Rejected"
    items = await bench_21.requests()
    assert len(items) == ROWS_PER_HOUR_MAX
    assert items[0]["repeat_count"] == 3
    clock.advance(hours=2)
    assert (await bench_21.ask(csr_pem("SN-7", "Fjord")))["status"] == "Accepted"


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    "payload",
    [{}, {"csr": None}, {"csr": 7}, {"csr": "x" * 60_000}, {"csr": "é\x7f", "certificateType": [], "requestId": "a"}],
    ids=["empty", "null", "number", "long", "odd"],
)
async def test_odd_requests_are_answered(bench: Bench, payload: dict[str, Any]) -> None:
    answer = await bench.calling.call("SignCertificate", **payload)
    assert answer["status"] == "Rejected"
    assert (await bench.requests())[0]["state"] == "rejected"


# --- policy and approval ------------------------------------------------------------------------------------------


async def test_for_a_station_without_password_an_operator_decides(
    runtime: Runtime, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    await api.post(CA, json={})
    bench = await make_bench(runtime, api, Version.V16, security_profile=0)
    assert await bench.ask(csr_pem(bench.identity)) == {"status": "Accepted"}
    await bench.work(clock)
    (request,) = await bench.requests()
    assert request["state"] == "waiting_for_approval"
    assert "without a password" in request["reason"]
    waiting = await api.get("/api/v1/certificate-requests", params={"state": "waiting_for_approval"})
    assert [one["id"] for one in waiting.json()["items"]] == [request["id"]]
    url = f"{bench.url}/certificate-requests/{request['id']}"
    approved = await api.post(f"{url}/approve", json={})
    assert approved.json()["state"] == "approved"
    assert (await api.post(f"{url}/approve", json={})).status_code == 409
    await bench.work(clock)
    shown = (await api.get(url)).json()
    assert shown["state"] == "installed"
    assert shown["decided_by"].startswith("test key")


async def test_always_means_also_without_a_password(
    runtime: Runtime, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    await api.post(CA, json={})
    assert (await api.patch(POLICY, json={"signing": "always", "days": 90})).json()["days"] == 90
    bench = await make_bench(runtime, api, Version.V16, security_profile=0)
    await bench.ask(csr_pem(bench.identity))
    await bench.work(clock)
    assert (await bench.certificates())[0]["days_left"] in (89, 90)


async def test_an_operator_rejects(bench_21: Bench, clock: FixedClock) -> None:
    await bench_21.api.patch(POLICY, json={"signing": "approval"})
    await bench_21.ask(csr_pem("SN-7", "Fjord"))
    (request,) = await bench_21.requests()
    url = f"{bench_21.url}/certificate-requests/{request['id']}"
    rejected = await bench_21.api.post(f"{url}/reject", json={"reason": "nobody ordered it"})
    assert (rejected.json()["state"], rejected.json()["reason"]) == ("rejected", "nobody ordered it")
    assert (await bench_21.api.post(f"{url}/approve", json={})).status_code == 409
    await bench_21.work(clock)
    assert bench_21.orders == []


async def test_the_policy_is_checked(api: httpx.AsyncClient, api_as: ApiAs) -> None:
    default = {
        "signing": "authenticated",
        "days": 365,
        "takes_v2g_requests": False,
        "warn_days": [30, 7, 1],
        "renew_days": None,
    }
    assert (await api.get(POLICY)).json() == default
    assert (await api.patch(POLICY, json={"warn_days": [3, 14, 3]})).json()["warn_days"] == [14, 3]
    assert (await api.patch(POLICY, json={"renew_days": 30})).json()["renew_days"] == 30
    assert (await api.patch(POLICY, json={"renew_days": None})).json()["renew_days"] is None
    for wrong in ({"days": None}, {"days": 0}, {"signing": "never"}, {"warn_days": [0]}):
        assert (await api.patch(POLICY, json=wrong)).status_code == 422
    assert (await (await api_as("superuser")).patch(POLICY, json={"days": 3})).status_code == 403


@pytest.mark.octt("TC_A_12_CSMS")
@pytest.mark.parametrize("use", ["V2GCertificate", "V2G20Certificate"])
async def test_a_v2g_certificate_is_signed_elsewhere(bench_21: Bench, clock: FixedClock, use: str) -> None:
    key = ec_key()
    csr = csr_pem("DEFJOE1234", "Fjord", key)
    assert (await bench_21.ask(csr, certificateType=use))["statusInfo"]["reasonCode"] == "NotEnabled"
    await bench_21.api.patch(POLICY, json={"takes_v2g_requests": True})
    assert (await bench_21.ask(csr, certificateType=use))["status"] == "Accepted"
    request = (await bench_21.requests())[0]
    url = f"{bench_21.url}/certificate-requests/{request['id']}/approve"
    assert (await bench_21.api.post(url, json={})).status_code == 422
    message = {"V2GCertificate": "v2g_certificate_request", "V2G20Certificate": "v2g_20_certificate_request"}[use]
    triggered = await bench_21.api.post(f"{bench_21.url}/trigger", json={"message": message})
    assert (triggered.json()["outcome"], bench_21.orders.pop().payload) == (
        "accepted",
        {"requestedMessage": f"Sign{use}"},
    )
    root, root_key = root_with_key("V2G Root")
    for wrong in ("no pem", pem_of(root)):
        assert (await bench_21.api.post(url, json={"certificate_chain": wrong})).status_code == 422
    leaf = certificate_of(key, name("DEFJOE1234"), root_key, root.subject)
    chain = pem_of(leaf) + pem_of(root)
    approved = await bench_21.api.post(url, json={"certificate_chain": chain})
    assert approved.status_code == 200, approved.text
    await bench_21.work(clock)
    assert bench_21.orders[0].payload["certificateType"] == use
    assert bench_21.orders[0].payload["certificateChain"] == chain
    (certificate,) = await bench_21.certificates()
    assert (certificate["kind"], certificate["is_installed"]) == (use.removesuffix("Certificate").lower(), True)
    assert certificate["is_issued_here"] is False


# --- what is on the station -----------------------------------------------------------------------------------------


@pytest.mark.ocpp("1.6 InstallCertificate", "2.x InstallCertificate", "1.6 DeleteCertificate", "2.x DeleteCertificate")
@pytest.mark.octt("TC_075_1_CSMS", "TC_076_CSMS", "TC_M_02_CSMS", "TC_M_20_CSMS")
async def test_a_root_is_installed_and_deleted(bench: Bench) -> None:
    root = root_certificate("Maker Root")
    told = await bench.api.post(
        f"{bench.url}/certificates", json={"kind": "manufacturer_root", "certificate": pem_of(root)}
    )
    assert told.status_code == 200, told.text
    assert (told.json()["outcome"], told.json()["status"]) == ("answered", "Accepted")
    assert bench.orders[0].payload["certificateType"] == "ManufacturerRootCertificate"
    (shown,) = await bench.certificates(is_installed=True)
    assert (shown["kind"], shown["subject"]) == ("manufacturer_root", "CN=Maker Root")
    assert shown["hash_data"] == hash_data(root, root).payload
    gone = await bench.api.delete(f"{bench.url}/certificates/{shown['id']}")
    assert gone.json()["status"] == "Accepted"
    assert bench.orders[1].payload == {"certificateHashData": shown["hash_data"]}
    assert await bench.certificates(is_installed=True) == []
    (shown,) = await bench.certificates(is_installed=False)
    assert shown["removed_because"] == "deleted"


ROOTS = {
    Version.V16: ("csms_root", "manufacturer_root"),
    Version.V201: ("csms_root", "manufacturer_root", "v2g_root", "mo_root"),
    Version.V21: ("csms_root", "manufacturer_root", "v2g_root", "mo_root", "oem_root"),
}


@pytest.mark.octt("TC_075_2_CSMS", "TC_M_01_CSMS", "TC_M_03_CSMS", "TC_M_04_CSMS", "TC_M_101_CSMS")
async def test_every_kind_of_root_is_installed(bench: Bench) -> None:
    kinds = ROOTS[bench.calling.connected.version]
    for kind in kinds:
        body = {"kind": kind, "certificate": pem_of(root_certificate(kind))}
        assert (await bench.api.post(f"{bench.url}/certificates", json=body)).json()["status"] == "Accepted"
    shown = await bench.certificates(is_installed=True)
    assert [(one["kind"], one["subject"]) for one in reversed(shown)] == [(kind, f"CN={kind}") for kind in kinds]


@pytest.mark.octt(
    "TC_M_12_CSMS", "TC_M_13_CSMS", "TC_M_14_CSMS", "TC_M_15_CSMS", "TC_M_16_CSMS", "TC_M_17_CSMS", "TC_M_19_CSMS"
)
async def test_every_kind_is_asked_for_alone_or_with_others(bench: Bench) -> None:
    version = bench.calling.connected.version
    kinds = [*ROOTS[version], *([] if version is Version.V16 else ["v2g_chain"])]
    bench.outcome = Answered({"status": "NotFound"})
    for wanted in ([kind] for kind in kinds):
        told = await bench.api.post(f"{bench.url}/certificates/refresh", json={"kinds": wanted})
        assert [one["status"] for one in told.json()["items"]] == ["NotFound"]
    await bench.api.post(f"{bench.url}/certificates/refresh", json={"kinds": ["csms_root", "manufacturer_root"]})
    asked = [order.payload["certificateType"] for order in bench.orders]
    if version is Version.V16:
        assert asked == ["CentralSystemRootCertificate", "ManufacturerRootCertificate"] * 2
    else:
        assert asked[0] == ["CSMSRootCertificate"]
        assert asked[len(kinds) - 1] == ["V2GCertificateChain"]
        assert asked[-1] == ["CSMSRootCertificate", "ManufacturerRootCertificate"]
    assert all(check(version, order.action, "request", order.payload) is None for order in bench.orders)
    refused = await bench.api.post(f"{bench.url}/certificates/refresh", json={"kinds": ["charging_station"]})
    assert refused.status_code == 422


@pytest.mark.octt("TC_M_21_CSMS")
async def test_a_certificate_that_the_station_keeps_stays_in_the_list(bench: Bench) -> None:
    await bench.api.post(f"{bench.url}/certificates", json={"kind": "csms_root"})
    (shown,) = await bench.certificates()
    bench.outcome = Answered({"status": "Failed"})
    assert (await bench.api.delete(f"{bench.url}/certificates/{shown['id']}")).json()["status"] == "Failed"
    assert (await bench.certificates())[0]["is_installed"] is True
    bench.outcome = Answered({"status": "NotFound"})
    await bench.api.delete(f"{bench.url}/certificates/{shown['id']}")
    (shown,) = await bench.certificates()
    assert shown["removed_because"] == "the station says that it does not have it"


async def test_ones_own_root_is_installed_without_being_pasted(bench: Bench) -> None:
    await bench.api.post(f"{bench.url}/certificates", json={"kind": "csms_root"})
    root = (await bench.api.get(f"{CA}/root.pem")).text
    assert bench.orders[0].payload["certificate"] == root
    (shown,) = await bench.certificates()
    assert shown["subject"] == "O=Fjord,CN=Fjord Station CA"


@pytest.mark.octt("TC_078_CSMS", "TC_M_05_CSMS")
@pytest.mark.parametrize("word", ["Rejected", "Failed"])
async def test_a_root_that_the_station_refuses_is_not_installed(bench: Bench, word: str) -> None:
    bench.outcome = Answered({"status": word})
    told = await bench.api.post(f"{bench.url}/certificates", json={"kind": "csms_root"})
    assert told.json()["status"] == word
    assert await bench.certificates() == []
    event = {"type": "InvalidCentralSystemCertificate", "timestamp": "2026-01-01T00:00:00Z"}
    assert await bench.calling.call("SecurityEventNotification", **event) == {}
    bench.outcome = Refused("NotSupported", "no room", {})
    told = await bench.api.post(f"{bench.url}/certificates", json={"kind": "csms_root"})
    assert (told.json()["outcome"], told.json()["reason"]) == ("refused", "NotSupported no room")


async def test_what_is_no_root_never_leaves(bench: Bench, clock: FixedClock) -> None:
    good, old = pem_of(root_certificate()), pem_of(root_certificate(days=1))
    clock.advance(days=2)
    for body, place, words in (
        ({"kind": "csms_root", "certificate": "hello"}, "body/certificate", "no -----BEGIN"),
        ({"kind": "csms_root", "certificate": good.replace("M", "*", 1)}, "body/certificate", "line 1"),
        ({"kind": "csms_root", "certificate": good + good}, "body/certificate", "one certificate"),
        ({"kind": "csms_root", "certificate": old}, "body/certificate", "expired"),
        ({"kind": "charging_station", "certificate": good}, "body/kind", "csms_root"),
    ):
        answer = await bench.api.post(f"{bench.url}/certificates", json=body)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["place"] == place
        assert words in answer.json()["detail"]
    is_16 = bench.calling.connected.version is Version.V16
    answer = await bench.api.post(f"{bench.url}/certificates", json={"kind": "v2g_root", "certificate": good})
    assert answer.status_code == (422 if is_16 else 200)
    assert len(bench.orders) == (0 if is_16 else 1)


def _answer(version: Version, word: str, *listed: dict[str, str]) -> dict[str, Any]:
    if version is Version.V16:
        return {"status": "Accepted", "certificateHashData": list(listed)}
    chain = [{"certificateType": word, "certificateHashData": one} for one in listed]
    return {"status": "Accepted", "certificateHashDataChain": chain}


@pytest.mark.ocpp("1.6 GetInstalledCertificateIds", "2.x GetInstalledCertificateIds")
@pytest.mark.octt("TC_M_12_CSMS", "TC_M_20_CSMS")
async def test_the_list_follows_what_the_station_says(bench: Bench, clock: FixedClock) -> None:
    version = bench.calling.connected.version
    word = "CentralSystemRootCertificate" if version is Version.V16 else "CSMSRootCertificate"
    ours = root_certificate("Ours")
    await bench.api.post(f"{bench.url}/certificates", json={"kind": "csms_root", "certificate": pem_of(ours)})
    strange = {"hashAlgorithm": "SHA256", "issuerNameHash": "AB", "issuerKeyHash": "CD", "serialNumber": "00F1"}
    mine = hash_data(ours, ours, "SHA512").payload
    mine["serialNumber"] = "0" + mine["serialNumber"].upper()
    asked = {"certificateType": word} if version is Version.V16 else {}
    clock.advance(minutes=1)
    for _ in range(2):
        await bench.calling.answered("GetInstalledCertificateIds", asked, _answer(version, word, mine, strange))
    new, known = await bench.certificates()
    assert (known["subject"], known["is_installed"]) == ("CN=Ours", True)
    assert known["last_seen_at"] > known["installed_at"]
    assert (new["subject"], new["serial_number"], new["is_installed"]) == (None, "f1", True)
    await bench.calling.answered("GetInstalledCertificateIds", asked, _answer(version, word, mine))
    new, known = await bench.certificates()
    assert (known["is_installed"], new["is_installed"]) == (True, False)
    assert new["removed_because"] == "the station does not list it any more"
    await bench.calling.answered("GetInstalledCertificateIds", asked, {"status": "NotFound"})
    assert await bench.certificates(is_installed=True) == []
    await bench.calling.answered("GetInstalledCertificateIds", asked, _answer(version, word, strange))
    (back,) = await bench.certificates(is_installed=True)
    assert back["id"] == new["id"]
    deleted = await bench.api.delete(f"{bench.url}/certificates/{back['id']}")
    assert deleted.json()["status"] == "Accepted"
    assert bench.orders[-1].payload["certificateHashData"]["issuerNameHash"] == "AB"


@pytest.mark.octt("TC_M_18_CSMS")
async def test_refreshing_asks_1_6_for_each_kind(bench: Bench) -> None:
    bench.outcome = Answered({"status": "NotFound"})
    told = (await bench.api.post(f"{bench.url}/certificates/refresh", json={})).json()["items"]
    version = bench.calling.connected.version
    assert [order.action for order in bench.orders] == ["GetInstalledCertificateIds"] * len(told)
    if version is Version.V16:
        kinds = ["CentralSystemRootCertificate", "ManufacturerRootCertificate"]
        assert [order.payload["certificateType"] for order in bench.orders] == kinds
    else:
        assert [order.payload for order in bench.orders] == [{}]
    assert {one["status"] for one in told} == {"NotFound"}


async def test_a_chain_of_2_x_is_shown_with_its_children(
    runtime: Runtime, api: httpx.AsyncClient, store: Store
) -> None:
    """What another station of ours has in full is known here too."""
    root = root_certificate("V2G Root")
    other = await make_bench(runtime, api, Version.V201)
    await other.api.post(f"{other.url}/certificates", json={"kind": "v2g_root", "certificate": pem_of(root)})
    bench = await make_bench(runtime, api, Version.V21)
    child = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "7"}
    chain = {
        "certificateType": "V2GCertificateChain",
        "certificateHashData": {**child, "serialNumber": "6"},
        "childCertificateHashData": [child],
    }
    root_entry = {"certificateType": "V2GRootCertificate", "certificateHashData": hash_data(root, root).payload}
    answer = {"status": "Accepted", "certificateHashDataChain": [root_entry, chain]}
    await bench.calling.answered("GetInstalledCertificateIds", {}, answer)
    below, leaf, known = await bench.certificates()
    assert (known["kind"], known["subject"]) == ("v2g_root", "CN=V2G Root")
    assert (leaf["is_child"], below["is_child"], below["kind"]) == (False, True, "v2g_chain")


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": None},
        {"status": "Accepted", "certificateHashData": "x", "certificateHashDataChain": 7},
        {
            "status": "Accepted",
            "certificateHashData": [None, {}, {"hashAlgorithm": 1}],
            "certificateHashDataChain": [1],
        },
        {
            "status": "Accepted",
            "certificateHashData": [
                {"hashAlgorithm": "MD5", "issuerNameHash": "x" * 900, "issuerKeyHash": "y", "serialNumber": "z" * 900}
            ],
        },
    ],
    ids=["empty", "null", "kinds", "items", "long"],
)
async def test_odd_answers_hurt_nobody(bench: Bench, answer: dict[str, Any]) -> None:
    asked = {"certificateType": "CentralSystemRootCertificate"}
    root = pem_of(root_certificate())
    await bench.calling.answered("GetInstalledCertificateIds", asked, answer)
    await bench.calling.answered("DeleteCertificate", {"certificateHashData": "x"}, answer)
    await bench.calling.answered("InstallCertificate", {"certificateType": 1, "certificate": root}, answer)
    await bench.calling.answered("CertificateSigned", {"certificateChain": "x"}, answer)
    await bench.calling.answered("CertificateSigned", {"certificateChain": root}, answer)
    assert len(await bench.certificates()) <= 2


async def test_a_raw_command_leaves_the_same_traces(bench: Bench) -> None:
    word = "CentralSystemRootCertificate" if bench.calling.connected.version is Version.V16 else "CSMSRootCertificate"
    root = root_certificate("By hand")
    body = {"certificateType": word, "certificate": pem_of(root)}
    await bench.api.post(f"{bench.url}/commands/InstallCertificate", json=body)
    (shown,) = await bench.certificates(is_installed=True)
    assert shown["subject"] == "CN=By hand"


# --- renewal and revocation -----------------------------------------------------------------------------------------


async def test_a_station_is_asked_to_renew(bench: Bench) -> None:
    told = await bench.api.post(f"{bench.url}/certificates/renew")
    assert told.json()["status"] == "Accepted"
    (order,) = bench.orders
    is_16 = bench.calling.connected.version is Version.V16
    assert order.action == ("ExtendedTriggerMessage" if is_16 else "TriggerMessage")
    word = "SignChargePointCertificate" if is_16 else "SignChargingStationCertificate"
    assert order.payload == {"requestedMessage": word}


async def test_a_revoked_certificate_is_refused_at_the_door(bench_21: Bench, store: Store, clock: FixedClock) -> None:
    await bench_21.ask(csr_pem("SN-7", "Fjord"))
    await bench_21.work(clock)
    (shown,) = await bench_21.certificates()
    other = await make_station(store)

    async def refusal(station_id: int, fingerprint: str = shown["fingerprint"]) -> str | None:
        async with store.reading() as work:
            return await refusal_of(work, station_id, fingerprint=fingerprint, issuer=shown["issuer"])

    own = bench_21.calling.connected.id
    assert await refusal(own) is None
    assert await refusal(other.id) == "the certificate was made for another station"
    assert await refusal(own, "00" * 32) == "the certificate is not one that this system made"
    url = f"{bench_21.url}/certificates/{shown['id']}"
    revoked = await bench_21.api.post(f"{url}/revoke", json={"reason": "stolen"})
    assert revoked.json()["revoked_because"] == "stolen"
    assert (await bench_21.api.post(f"{url}/revoke", json={"reason": "stolen"})).status_code == 409
    assert "revoked on 2026-01-01: stolen" in (await refusal(own) or "")
    assert (await bench_21.api.delete(url)).status_code == 409, "M04.FR.06: not over OCPP"


async def test_others_see_and_change_nothing(bench_21: Bench, api_as: ApiAs, store: Store, clock: FixedClock) -> None:
    await bench_21.api.patch(POLICY, json={"signing": "approval"})
    await bench_21.ask(csr_pem("SN-7", "Fjord"))
    (request,) = await bench_21.requests()
    theirs = await api_as("administrator", await make_organisation(store, "Other"))
    assert (await theirs.get("/api/v1/certificate-requests")).json()["items"] == []
    url = f"{bench_21.url}/certificate-requests/{request['id']}"
    for step in ("approve", "reject"):
        assert (await theirs.post(f"{url}/{step}", json={"reason": "x"} if step == "reject" else {})).status_code == 404
    reader = await api_as("user")
    assert (await reader.get(url)).status_code == 200
    assert (await reader.post(f"{url}/approve", json={})).status_code == 403


async def test_rows_belong_to_the_stations_organisation(store: Store, runtime: Runtime, api_as: ApiAs) -> None:
    other = await make_organisation(store, "Other")
    theirs = await api_as("administrator", other)
    await theirs.post(CA, json={})
    station = await make_station(store, other, security_profile=1)
    calling = await connect(store, station, VERSIONS_2[0])
    await calling.call("SignCertificate", csr=csr_pem(station.identity))
    root = {"certificateType": "CSMSRootCertificate", "certificate": pem_of(root_certificate())}
    await calling.answered("InstallCertificate", root, {"status": "Accepted"})
    async with store.reading() as work:
        rows = [
            *(await work.session.exec(select(CertificateRequest))).all(),
            *(await work.session.exec(select(StationCertificate).order_by(col(StationCertificate.id)))).all(),
        ]
    assert [row.organisation_id for row in rows] == [other.id, other.id]


@pytest.mark.feature("S10")
@pytest.mark.parametrize(
    ("action", "request_", "answer", "words", "level"),
    [
        ("SignCertificate", {}, {"status": "Accepted"}, "it will get one", "info"),
        ("SignCertificate", {}, {"status": "Rejected"}, "was refused", "warning"),
        ("SignCertificate", {"certificateType": "V2GCertificate"}, {"status": "Accepted"}, "for cars (V2G)", "info"),
        ("GetCertificateStatus", {}, {"status": "Accepted", "ocspResult": "x"}, "of the certificate's issuer", "info"),
        ("GetCertificateStatus", {}, {"status": "Failed"}, "nobody could tell", "warning"),
        ("GetCertificateChainStatus", {}, {"certificateStatus": [{"status": "Good"}]}, "1 good", "info"),
        ("GetCertificateChainStatus", {}, {"certificateStatus": [{"status": "Revoked"}, 7]}, "1 revoked", "warning"),
        ("Get15118EVCertificate", {"action": "Update"}, {"status": "Accepted"}, "to renew its contract", "info"),
        ("Get15118EVCertificate", {}, {"status": "Failed", "statusInfo": {"reasonCode": "X"}}, "got none", "warning"),
    ],
)
def test_what_stations_ask_is_said_in_words(
    action: str, request_: dict[str, Any], answer: dict[str, Any], words: str, level: str
) -> None:
    told = describe(Exchange(action, from_station=True, outcome="answered", request=request_, answer=answer))
    assert words in told.text
    assert told.level == level
