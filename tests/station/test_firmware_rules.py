"""S24: requests in every version's own form, signatures, and what a station's words and boots mean."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.reading import int32_of, status_info_of, text_of
from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.firmware import rules
from csms.station.firmware.rules import PublicationState, SignatureFault, UpdateState, UpdateWish
from tests.signing import certificate_of, signature_of

pytestmark = [pytest.mark.feature("S24")]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = b"firmware" * 1000
SHA256 = hashlib.sha256(IMAGE).hexdigest()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("key", [EC, RSA], ids=["ECDSA", "RSA-PSS"])
def test_a_right_signature_is_found_right(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    certificate = rules.check_certificate(certificate_of(key), NOW)
    rules.check_signature(certificate, rules.signature_bytes(signature_of(key, IMAGE)), SHA256)
    for other in (hashlib.sha256(b"other").hexdigest(), "0" * 64):
        with pytest.raises(SignatureFault, match="does not fit"):
            rules.check_signature(certificate, rules.signature_bytes(signature_of(key, IMAGE)), other)


def test_the_old_way_of_rsa_is_named() -> None:
    certificate = rules.check_certificate(certificate_of(RSA), NOW)
    with pytest.raises(SignatureFault, match=r"PKCS#1 v1\.5, but OCPP demands RSA-PSS"):
        rules.check_signature(certificate, rules.signature_bytes(signature_of(RSA, IMAGE, is_old_style=True)), SHA256)


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        ("", "no X.509"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "no X.509"),
        (certificate_of(EC, begin=datetime(2020, 1, 1, tzinfo=UTC), days=1), "ended at 2020-01-02"),
        (certificate_of(EC, begin=datetime(2030, 1, 1, tzinfo=UTC)), "begins at 2030-01-01"),
        (certificate_of(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505  # to be refused
        (certificate_of(ed25519.Ed25519PrivateKey.generate()), "neither an RSA"),
    ],
    ids=["empty", "garbage", "ended", "not begun", "short key", "other key"],
)
def test_a_certificate_of_no_use_is_refused_in_words(pem: str, words: str) -> None:
    with pytest.raises(SignatureFault, match=words):
        rules.check_certificate(pem, NOW)


@pytest.mark.parametrize("text", ["", "  ", "not base64!", "abc"])
def test_a_signature_that_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(SignatureFault):
        rules.signature_bytes(text)


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("is_signed", [True, False])
def test_requests_keep_to_the_schema_of_their_version(version: Version, *, is_signed: bool) -> None:
    certificate = certificate_of(EC) if is_signed else None
    signature = signature_of(EC, IMAGE) if is_signed else None
    url = f"https://csms.example.com/files/csmsf_{'a' * 44}/image.bin"
    for wish in (UpdateWish(NOW), UpdateWish(NOW, NOW + timedelta(hours=1), 3, 60)):
        action = rules.action_for(version, is_signed=is_signed)
        payload = rules.update_request(
            action, version, wish, location=url, request_id=7, certificate=certificate, signature=signature
        )
        assert check(version, action, "request", payload) is None
        assert rules.location_of(payload)[0] == url
    assert action == ("SignedUpdateFirmware" if version is Version.V16 and is_signed else "UpdateFirmware")


@pytest.mark.parametrize("version", VERSIONS_2)
def test_publications_keep_to_the_schema(version: Version) -> None:
    for retries in (None, 3):
        payload = rules.publish_request("https://h/x", "0" * 32, 7, retries=retries, retry_interval_s=retries)
        assert check(version, "PublishFirmware", "request", payload) is None


@pytest.mark.parametrize(
    ("image", "station", "fault"),
    [
        (("Acme", "One"), ("Acme", "One"), None),
        (("Acme", "One"), ("ACME ", "one"), None),
        ((None, None), ("Acme", "One"), None),
        (("Acme", None), ("Acme", "Two"), None),
        (("Acme", "One"), (None, None), None),
        (("Acme", "One"), ("Other", "One"), "vendor «Acme», the station is «Other»"),
        (("Acme", "One"), ("Acme", "Two"), "model «One», the station is «Two»"),
    ],
)
def test_an_image_is_for_its_vendor_and_model(
    image: tuple[str | None, str | None], station: tuple[str | None, str | None], fault: str | None
) -> None:
    found = rules.mismatch(image, station, "2.0", "1.0")
    assert found is None if fault is None else fault in (found or "")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [("2.1", "2.1", True), ("v2.1", "2.1 ", True), ("V2.1", "v2.1", True), ("2.1", "2.10", False), (None, None, False)],
)
def test_versions_are_compared_as_people_write_them(one: str | None, other: str | None, *, is_same: bool) -> None:
    assert rules.same_version(one, other) is is_same


@pytest.mark.parametrize(
    ("state", "wanted", "before", "booted", "expected"),
    [
        ("installed", "2.0", "1.0", "2.0", "verified"),
        ("accepted", "2.0", "1.0", "2.0", "verified"),
        ("requested", "2.0", "1.0", "2.0", "verified"),
        ("accepted", "2.0", "2.0", "2.0", None),
        ("installing", "2.0", "2.0", "2.0", "verified"),
        ("downloading", "2.0", "1.0", "1.0", None),
        ("installing", "2.0", "1.0", "1.0", None),
        ("installed", "2.0", "1.0", "1.0", "failed"),
        ("installed", "2.0", "1.0", "2.0-rc1", "installed"),
        ("installed", None, None, "2.0", "installed"),
        ("installed", "2.0", "1.0", None, None),
        ("cancelled", "2.0", "1.0", "2.0", None),
    ],
)
def test_a_boot_proves_what_it_proves(
    state: str, wanted: str | None, before: str | None, *, booted: str | None, expected: str | None
) -> None:
    found = rules.after_boot(UpdateState(state), wanted, before, booted)
    assert (found[0] if found else None) == expected
    assert found is None or found[2]


@given(st.sampled_from(sorted(rules.FINAL)), st.text(max_size=20))
def test_what_has_ended_stays_so(state: UpdateState, status: str) -> None:
    assert rules.after_status(state, status) is None
    assert rules.after_status(state, "Downloading") is None


def test_all_words_of_the_standard_are_known() -> None:
    for version in Version:
        for action, follow in (
            ("FirmwareStatusNotification", lambda word: rules.after_status(UpdateState.ACCEPTED, word)),
            ("SignedFirmwareStatusNotification", lambda word: rules.after_status(UpdateState.ACCEPTED, word)),
            (
                "PublishFirmwareStatusNotification",
                lambda word: rules.after_publication_status(PublicationState.ACCEPTED, word),
            ),
        ):
            for word in WORDS:
                fits = action in _actions(version) and check(version, action, "request", _payload(action, word)) is None
                if fits and word != "Idle":
                    assert follow(word) is not None, (version, action, word)


WORDS = [
    *("Idle", "DownloadScheduled", "Downloading", "DownloadPaused", "Downloaded", "DownloadFailed", "Installing"),
    *("Installed", "InstallationFailed", "InstallRebooting", "InstallScheduled", "InstallVerificationFailed"),
    *("InvalidSignature", "SignatureVerified", "Published", "InvalidChecksum", "ChecksumVerified", "PublishFailed"),
]


def _payload(action: str, word: str) -> dict[str, object]:
    return {"status": word, "requestId": 1} if action != "FirmwareStatusNotification" else {"status": word}


def _actions(version: Version) -> set[str]:
    signed = {"FirmwareStatusNotification", "SignedFirmwareStatusNotification"}
    return signed if version is Version.V16 else {"FirmwareStatusNotification", "PublishFirmwareStatusNotification"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_odd_values_are_read_without_harm(value: object) -> None:
    text, number = text_of(value, 3), int32_of(value)
    assert text is None or 0 < len(text) <= 3
    assert number is None or abs(number) <= 2**31
    assert status_info_of({"statusInfo": value}) is None
    assert (status_info_of({"statusInfo": {"reasonCode": value}}) is None) is (text_of(value) is None)
