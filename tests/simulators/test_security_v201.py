import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp  # the library's own idea of the hashes
from cryptography.x509.oid import NameOID

from csms.ocpp.versions import Version
from simulators.v201 import settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, bench201
from tests.simulators.certification import Authority
from tests.simulators.scripted_csms import scripted_csms

pytestmark = pytest.mark.feature("F5")

PASSWORD = "a password of sixteen or more"


async def set_password(csms: Any, password: str) -> str:
    asked = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
        "attributeValue": password,
    }
    (result,) = (await csms.call("SetVariables", {"setVariableData": [asked]}))["setVariableResult"]
    return str(result["attributeStatus"])


async def test_a_new_password_is_used_at_once_and_kept_secret() -> None:
    async with bench201(password=b"the first password") as b:
        assert await set_password(b.csms, "short") == "Rejected"
        assert await set_password(b.csms, PASSWORD) == "Accepted"
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(30)
        sent = [base64.b64decode((header or "").removeprefix("Basic ")).decode() for header in b.csms.authorizations]
        assert sent == ["CS-1:the first password", f"CS-1:{PASSWORD}"]
        assert len(b.csms.payloads("BootNotification")) == 1
        assert PASSWORD not in str(b.station.log_lines)
        assert PASSWORD not in str([variable.report() for variable in b.station.model])


@pytest.mark.parametrize("version", BOTH)
async def test_a_certificate_is_asked_for_signed_and_used(version: Version) -> None:
    authority = Authority()
    async with bench201(versions=(version,)) as b:
        root = {"certificateType": "CSMSRootCertificate", "certificate": authority.pem}
        assert await b.csms.call("InstallCertificate", root) == ACCEPTED
        trigger = {"requestedMessage": "SignChargingStationCertificate"}
        assert await b.csms.call("TriggerMessage", trigger) == ACCEPTED
        asked = await b.csms.expect("SignCertificate")
        request = x509.load_pem_x509_csr(asked["csr"].encode())
        (named,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert named.value == "CS-1"
        other = Authority("Somebody else")
        wrong = {"certificateChain": other.issue(asked["csr"]), "certificateType": "ChargingStationCertificate"}
        assert (await b.csms.call("CertificateSigned", wrong))["status"] == "Rejected"
        event = b.csms.payloads("SecurityEventNotification")
        await b.csms.until(lambda: len(b.csms.payloads("SecurityEventNotification")) == 2)
        assert b.csms.payloads("SecurityEventNotification")[-1]["type"] == "InvalidChargingStationCertificate", event
        right = {**wrong, "certificateChain": authority.issue(asked["csr"]) + authority.pem}
        assert await b.csms.call("CertificateSigned", right) == ACCEPTED
        assert (await b.csms.call("CertificateSigned", right))["status"] == "Rejected"
        await b.wait(600)
        assert len(b.csms.payloads("SignCertificate")) == 1


async def test_a_certificate_that_does_not_come_is_asked_for_again() -> None:
    async with bench201() as b:
        b.station.spawn(b.station.network.ask_certificate())
        await b.wait(1_000)
        assert len(b.csms.payloads("SignCertificate")) == 4


async def test_certificates_are_listed_with_their_hashes_and_deleted_by_them() -> None:
    first, second = Authority("One"), Authority("Two")
    async with bench201() as b:
        assert await b.csms.call("GetInstalledCertificateIds", {}) == {"status": "NotFound"}
        for kind, authority in (("CSMSRootCertificate", first), ("MORootCertificate", second)):
            install = {"certificateType": kind, "certificate": authority.pem}
            assert await b.csms.call("InstallCertificate", install) == ACCEPTED
        expired = {"certificateType": "MORootCertificate", "certificate": Authority("Old", days=1).pem}
        assert await b.csms.call("InstallCertificate", expired) == {"status": "Rejected"}
        rubbish = {**expired, "certificate": "no certificate"}
        assert await b.csms.call("InstallCertificate", rubbish) == {"status": "Rejected"}
        assert await b.get("SecurityCtrlr", "CertificateEntries") == ("Accepted", "2")
        asked = {"certificateType": ["CSMSRootCertificate"]}
        (found,) = (await b.csms.call("GetInstalledCertificateIds", asked))["certificateHashDataChain"]
        hashed = found["certificateHashData"]
        assert int(hashed["serialNumber"], 16) == first.certificate.serial_number
        builder = ocsp.OCSPRequestBuilder().add_certificate(first.certificate, first.certificate, hashes.SHA256())
        request = builder.build()
        assert hashed["issuerNameHash"] == request.issuer_name_hash.hex()
        assert hashed["issuerKeyHash"] == request.issuer_key_hash.hex()
        doomed = {"certificateHashData": hashed}
        assert await b.csms.call("DeleteCertificate", doomed) == ACCEPTED
        assert await b.csms.call("DeleteCertificate", doomed) == {"status": "NotFound"}


def network(url: str, profile: int = 1) -> dict[str, Any]:
    return {
        "configurationSlot": 1,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": url,
            "messageTimeout": 30,
            "securityProfile": profile,
            "ocppInterface": "Wired0",
        },
    }


async def test_a_network_profile_is_used_after_the_reset_and_left_when_it_does_not_work() -> None:
    async with scripted_csms() as other, bench201() as b:
        assert await b.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "1,0") == "Rejected"
        assert (await b.csms.call("SetNetworkProfile", network("http://x")))["status"] == "Rejected"
        assert (await b.csms.call("SetNetworkProfile", network(other.url, 2)))["status"] == "Rejected"
        assert await b.csms.call("SetNetworkProfile", network(other.url)) == ACCEPTED
        assert await b.set("OCPPCommCtrlr", "NetworkConfigurationPriority", "1,0") == "RebootRequired"
        assert await b.csms.call("Reset", {"type": "Immediate"}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(40)
        assert len(other.payloads("BootNotification")) == 1
        assert b.station.model.text("OCPPCommCtrlr.ActiveNetworkProfile") == "1"
        other.refuse_with = 503  # type: ignore[assignment]
        b.station.drop_connection()
        await other.until(lambda: other.closes)
        await b.wait(400)
        assert b.station.model.text("OCPPCommCtrlr.ActiveNetworkProfile") == "0"
        assert len(b.csms.sockets) == 1
        assert b.station.is_online


@contextlib.asynccontextmanager
async def tls_csms(authority: trustme.CA, *, wants_certificate: Authority | None) -> AsyncIterator[Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if wants_certificate is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=wants_certificate.pem)
    async with scripted_csms(tls=context) as csms:
        yield csms


async def test_tls_with_a_password_and_then_with_the_stations_own_certificate() -> None:
    site, own = trustme.CA(), Authority()
    async with (
        tls_csms(site, wants_certificate=own) as strict,
        tls_csms(site, wants_certificate=None) as csms,
        bench201(password=PASSWORD.encode()) as b,
    ):
        pem = site.cert_pem.bytes().decode()
        b.station.certificates.install("CSMSRootCertificate", pem, b.clock.now())
        b.station.certificates.install("CSMSRootCertificate", own.pem, b.clock.now())
        for slot, (other, profile) in enumerate(((csms, 2), (strict, 3)), 1):
            now = b.csms if slot == 1 else csms
            wanted = {**network(other.url, profile), "configurationSlot": slot}
            assert await now.call("SetNetworkProfile", wanted) == ACCEPTED
            asked = {
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "NetworkConfigurationPriority"},
                "attributeValue": str(slot),
            }
            await now.call("SetVariables", {"setVariableData": [asked]})
            assert await now.call("Reset", {"type": "Immediate"}) == ACCEPTED
            await now.until(lambda now=now: now.closes)
            await b.wait(60)
            await other.expect("BootNotification")
            await settled(b.station)
            if slot == 1:
                assert other.authorizations[-1] is not None
                assert (await other.call("SetNetworkProfile", network(csms.url, 1)))["status"] == "Rejected"
                trigger = {"requestedMessage": "SignChargingStationCertificate"}
                assert await other.call("TriggerMessage", trigger) == ACCEPTED
                request = await other.expect("SignCertificate")
                chain = {"certificateChain": own.issue(request["csr"])}
                assert await other.call("CertificateSigned", chain) == ACCEPTED
        assert strict.authorizations == [None]
        assert b.station.model.integer("SecurityCtrlr.SecurityProfile") == 3
