"""B10: the certificate authority: real certificates, a key that is never in the clear, one for each organisation."""

import contextlib
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import Invalid, Unavailable
from csms.platform.audit import AuditLog
from csms.platform.certificate_authority import (
    CertificateAuthority,
    Issuer,
    active_authority,
    open_issuer,
    read_chain,
    sign_station,
    take_over_files,
    trusted_roots,
)
from csms.platform.certificate_authority.rules import KeyKind, checked_issuer, key_text, sign_server
from csms.platform.certificate_authority.service import new_root, sent_chain
from csms.runtime import Runtime
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation
from tests.certificate_builders import NOW, certificate_of, ec_key, name, pem_of, root_certificate, root_with_key

pytestmark = pytest.mark.feature("B10")
URL = "/api/v1/certificate-authority"


async def stored(store: Store) -> CertificateAuthority:
    async with store.reading() as work:
        return (await work.session.exec(select(CertificateAuthority))).one()


async def test_an_administrator_makes_it_and_downloads_its_root(api: httpx.AsyncClient, store: Store) -> None:
    assert (await api.get(URL)).status_code == 404
    made = await api.post(URL, json={"operator_name": "Fjord Charging", "days": 365})
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["operator_name"], body["key_kind"]) == ("Fjord Charging", "EC secp256r1")
    assert "private" not in made.text.lower()
    download = await api.get(f"{URL}/root.pem")
    assert download.headers["content-type"].startswith("application/x-pem-file")
    root = x509.load_pem_x509_certificate(download.content)
    root.verify_directly_issued_by(root)
    assert root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "Fjord Charging"
    limits = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert root.not_valid_after_utc - NOW == timedelta(days=365)
    assert (await api.get(URL)).json() == body
    assert (await api.get("/api/v1/certificate-authorities")).json()["items"] == [body]


async def test_its_key_is_encrypted_at_rest_and_not_in_the_audit_log(
    api: httpx.AsyncClient, store: Store, runtime: Runtime
) -> None:
    await api.post(URL, json={})
    row = await stored(store)
    assert row.private_key is not None
    assert "ENCRYPTED PRIVATE KEY" in row.private_key
    issuer = await open_issuer(row, runtime.settings, runtime.secret_key)
    assert issuer.key.public_key() == issuer.certificate.public_key()
    with pytest.raises(Unavailable):
        await open_issuer(row, runtime.settings, b"another secret key")
    async with store.reading() as work:
        logged = [one.changes for one in await work.session.exec(select(AuditLog))]
    assert any("Station CA" in changes for changes in logged)
    assert not any("PRIVATE KEY" in changes for changes in logged)


async def test_a_second_one_takes_the_place_of_the_first_only_when_asked(
    api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    first = (await api.post(URL, json={"days": 30})).json()
    assert (await api.post(URL, json={})).status_code == 409
    second = (await api.post(URL, json={"replaces": True, "key_kind": "rsa_3072"})).json()
    assert second["key_kind"] == "RSA 3072"
    assert (await api.get(URL)).json()["id"] == second["id"]
    listed = (await api.get("/api/v1/certificate-authorities")).json()["items"]
    assert [(one["id"], one["retired_at"] is None) for one in listed] == [(second["id"], True), (first["id"], False)]
    async with store.reading() as work:
        assert sorted(await trusted_roots(work)) == sorted([first["chain"], second["chain"]])
    clock.advance(days=31)
    async with store.reading() as work:
        assert await trusted_roots(work) == [second["chain"]], "what has expired is trusted no more"


async def test_each_organisation_has_its_own(api: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    await api.post(URL, json={"operator_name": "Ours"})
    theirs = await api_as("administrator", await make_organisation(store, "Other"))
    assert (await theirs.get(URL)).status_code == 404
    made = (await theirs.post(URL, json={})).json()
    assert made["operator_name"] == "Other"
    assert (await api.get(URL)).json()["operator_name"] == "Ours"
    async with store.reading() as work:
        assert len(await trusted_roots(work)) == 2


async def test_only_administrators_make_one(api_as: ApiAs) -> None:
    for role, status in (("user", 403), ("superuser", 403), ("administrator", 201)):
        assert (await (await api_as(role)).post(URL, json={})).status_code == status


@pytest.mark.parametrize("kind", list(KeyKind))
def test_what_it_signs_verifies_and_has_the_extensions_of_a_client(kind: KeyKind) -> None:
    issuer = new_root("Fjord", kind, 3650, NOW)
    leaf = sign_station(issuer, ec_key().public_key(), "CS-1", "Fjord", days=365, now=NOW)
    leaf.verify_directly_issued_by(issuer.certificate)
    find = leaf.extensions.get_extension_for_class
    assert find(x509.BasicConstraints).value.ca is False
    assert list(find(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = find(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    ours = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert find(x509.AuthorityKeyIdentifier).value.key_identifier == ours
    assert (
        find(x509.SubjectKeyIdentifier).value.digest
        == x509.SubjectKeyIdentifier.from_public_key(
            leaf.public_key()  # type: ignore[arg-type]
        ).digest
    )
    assert leaf.not_valid_before_utc < NOW < leaf.not_valid_after_utc
    assert leaf.serial_number.bit_length() > 64


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """A whole TLS handshake in memory; raises what OpenSSL thinks of it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="csms.example.com")
    waiting = [theirs, ours]
    for _ in range(20):
        for side in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                waiting.remove(side)
        if not waiting:
            return ours
    raise AssertionError("the handshake did not end")


def context_of(kind: int, issuer: Issuer, leaf: x509.Certificate, key: Any, folder: Path) -> ssl.SSLContext:
    path = folder / f"{leaf.serial_number}.pem"
    path.write_text(pem_of(leaf) + key_text(key))
    context = ssl.SSLContext(kind)
    context.load_cert_chain(path)
    context.load_verify_locations(cadata=pem_of(issuer.certificate))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_openssl_accepts_both_sides_of_a_profile_3_handshake(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    issuer = new_root("Fjord", KeyKind.EC_P256, 30, now)
    station_key, server_key = ec_key(), ec_key()
    station = sign_station(issuer, station_key.public_key(), "CS-1", "Fjord", days=10, now=now)
    server = sign_server(issuer, server_key.public_key(), ["csms.example.com"], "Fjord", days=10, now=now)
    ours = context_of(ssl.PROTOCOL_TLS_SERVER, issuer, server, server_key, tmp_path)
    theirs = context_of(ssl.PROTOCOL_TLS_CLIENT, issuer, station, station_key, tmp_path)
    shown = shake_hands(ours, theirs).getpeercert()
    assert shown is not None
    assert (("commonName", "CS-1"),) in shown["subject"]
    stranger = new_root("Fjord", KeyKind.EC_P256, 30, now)
    forged = sign_station(stranger, station_key.public_key(), "CS-1", "Fjord", days=10, now=now)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ours, context_of(ssl.PROTOCOL_TLS_CLIENT, issuer, forged, station_key, tmp_path))


def test_no_certificate_outlives_its_authority() -> None:
    issuer = new_root("Fjord", KeyKind.EC_P256, 30, NOW)
    leaf = sign_station(issuer, ec_key().public_key(), "CS-1", None, days=365, now=NOW)
    assert leaf.not_valid_after_utc == issuer.certificate.not_valid_after_utc


def test_a_servers_certificate_names_its_hosts() -> None:
    issuer = new_root("Fjord", KeyKind.EC_P256, 365, NOW)
    key = rsa.generate_private_key(65537, 2048)
    leaf = sign_server(issuer, key.public_key(), ["csms.example.com", "192.0.2.7"], "Fjord", days=90, now=NOW)
    store = x509.verification.Store([issuer.certificate])
    builder = x509.verification.PolicyBuilder().store(store).time(NOW)
    builder.build_server_verifier(x509.DNSName("csms.example.com")).verify(leaf, [])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]


# --- an authority from outside ---------------------------------------------------------------------------------------


async def test_the_files_of_the_settings_are_followed(runtime: Runtime, store: Store, tmp_path: Path) -> None:
    root, root_key = root_with_key("Corporate Root")
    key = ec_key()
    middle = certificate_of(key, name("Corporate Station CA", "Fjord"), root_key, root.subject, is_ca=True)
    chain_file, key_file = tmp_path / "ca.pem", tmp_path / "ca.key"
    chain_file.write_text(pem_of(middle) + pem_of(root))
    key_file.write_text(key_text(key))
    settings = runtime.settings.model_copy(update={"ca_certificate_file": chain_file, "ca_key_file": key_file})
    organisation = await make_organisation(store)
    for _ in range(2):
        async with store.writing() as work:
            await take_over_files(work, settings)
    async with store.reading() as work:
        row = await active_authority(work, organisation.id)
    assert row is not None
    assert (row.private_key, row.operator_name, row.is_imported) == (None, "Fjord", True)
    issuer = await open_issuer(row, settings, b"whatever")
    leaf = sign_station(issuer, ec_key().public_key(), "CS-1", "Fjord", days=10, now=NOW)
    assert sent_chain(issuer, leaf) == [leaf, middle], "a station has the root, or does not need it"
    with pytest.raises(Unavailable):
        await open_issuer(row, runtime.settings, b"whatever")


def test_what_does_not_belong_together_is_refused() -> None:
    root, key = root_with_key()
    leaf = certificate_of(key, name("leaf"), key, root.subject)
    for chain, words in (
        ([root_certificate("Other")], "does not belong"),
        ([leaf, root], "may not sign"),
        ([root, root_certificate("Other")], "not signed by certificate 2"),
    ):
        with pytest.raises(Invalid, match=words):
            checked_issuer(key, chain, now=NOW, place="body")
    with pytest.raises(Invalid, match="not valid now"):
        checked_issuer(key, [root], now=NOW + timedelta(days=4000), place="body")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no -----BEGIN CERTIFICATE-----"),
        ("hello", "no -----BEGIN CERTIFICATE-----"),
        ("-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----", "line 1 cannot be read"),
        ("\n\n-----BEGIN CERTIFICATE-----\nAAAA\n", "line 3: what begins here has no matching"),
        ("a\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "line 2: a certificate is expected"),
        ("x" * 200_000, "more than"),
    ],
    ids=["empty", "words", "no base64", "no end", "a key", "long"],
)
def test_a_text_that_is_no_certificate_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        read_chain(text)
    assert refused.value.place == "body/certificate"


def test_the_line_of_the_second_certificate_is_told() -> None:
    good = pem_of(root_certificate())
    lines = good.count("\n")
    bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    with pytest.raises(Invalid, match=f"begins in line {lines + 1} "):
        read_chain(good + bad)


def test_a_text_made_to_take_long_is_refused_at_once() -> None:
    """It used to keep everything else in the process waiting for ten seconds."""
    began = time.process_time()
    for line in ("-----BEGIN A-----", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN " + "A" * 100):
        with pytest.raises(Invalid):
            read_chain((line * 100_000)[:100_000])
    assert time.process_time() - began < 1.0


def test_keys_are_written_as_pkcs8() -> None:
    text = key_text(ec_key())
    assert serialization.load_pem_private_key(text.encode(), None)
