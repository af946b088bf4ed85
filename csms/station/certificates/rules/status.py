"""B10: what OCSP responders and revocation lists say about a certificate (RFC 6960, RFC 5280; 2.0.1 M06; 2.1 M07)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from csms.station.certificates.rules.installed import ALGORITHMS, HashData, hash_data, plain_serial

_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)


class CertificateStatus(StrEnum):
    """What is known of a certificate that a station asked about."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The responder does not know it."""
    FAILED = "failed"
    """Nobody could be asked, or the answer cannot be used; `reason` says why."""


STATUS_WORDS: Final = {status: status.value.capitalize() for status in CertificateStatus}
"""2.1's CertificateStatusEnum."""
_OCSP: Final = {
    ocsp.OCSPCertStatus.GOOD: CertificateStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED: CertificateStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: CertificateStatus.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What came of asking."""

    status: CertificateStatus
    reason: str | None = None
    next_update_at: datetime | None = None
    der: bytes = b""
    """The responder's signed answer, which a station checks by itself."""


def failed(reason: str) -> Found:
    return Found(CertificateStatus.FAILED, reason)


def url_fault(url: object, allowed_hosts: Iterable[str]) -> str | None:
    """Why nobody is asked at that address, or None: only hosts that the operator names."""
    try:
        parsed = httpx.URL(url) if isinstance(url, str) else None
    except httpx.InvalidURL:
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        return "the address is not one that can be asked"
    if parsed.host.lower() not in {host.strip("[]").lower() for host in allowed_hosts}:
        return f"«{parsed.host[:200]}» is not among the hosts of CSMS_OCSP_ALLOWED_HOSTS"
    return None


def ocsp_request(data: HashData) -> bytes | None:
    """The question, as DER; None for hashes that are none."""
    try:
        builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            bytes.fromhex(data.issuer_name_hash),
            bytes.fromhex(data.issuer_key_hash),
            int(plain_serial(data.serial_number), 16),
            ALGORITHMS[data.algorithm],
        )
        return builder.build().public_bytes(serialization.Encoding.DER)
    except (*_UNREADABLE, KeyError, OverflowError):
        return None


def read_ocsp(der: bytes, data: HashData, now: datetime) -> Found:
    """What the responder says of the certificate; not yet whether the responder may say so."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return failed(f"the responder answered {response.response_status.name.lower()}")
        serial = int(plain_serial(data.serial_number), 16)
        single = next((one for one in response.responses if one.serial_number == serial), None)
        if single is None:
            return failed("the responder answered about another certificate")
        until = single.next_update_utc
        if until is not None and until <= now:
            return failed("the responder's answer is out of date")
        return Found(_OCSP[single.certificate_status], next_update_at=until, der=der)
    except _UNREADABLE:
        return failed("the responder's answer cannot be read")


def is_ocsp_signed(der: bytes, issuer: x509.Certificate) -> bool:
    """Whether the answer is signed by the certificate's issuer, or by whom it delegates that to (RFC 6960 4.2.2.2)."""
    try:
        response = ocsp.load_der_ocsp_response(der)
        signers = [issuer, *(one for one in response.certificates if _is_delegate(one, issuer))]
        return any(_verifies(response, signer) for signer in signers)
    except _UNREADABLE:
        return False


def _is_delegate(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, x509.ExtensionNotFound, *_UNREADABLE):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _verifies(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def read_crl(text: bytes, data: HashData, now: datetime) -> tuple[Found, x509.CertificateRevocationList | None]:
    """What a revocation list, DER or PEM, says of the certificate; not yet whether it is signed by the issuer."""
    try:
        is_pem = text.lstrip().startswith(b"-----BEGIN")
        crl = x509.load_pem_x509_crl(text) if is_pem else x509.load_der_x509_crl(text)
        if _digest(crl.issuer.public_bytes(), data.algorithm) != data.issuer_name_hash.lower():
            return failed("the revocation list is of another issuer"), None
        until = crl.next_update_utc
        if until is not None and until <= now:
            return failed("the revocation list is out of date"), None
        entry = crl.get_revoked_certificate_by_serial_number(int(plain_serial(data.serial_number), 16))
    except _UNREADABLE:
        return failed("the revocation list cannot be read"), None
    status = CertificateStatus.GOOD if entry is None else CertificateStatus.REVOKED
    return Found(status, next_update_at=until), crl


def is_crl_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # other keys raise TypeError
    except (InvalidSignature, *_UNREADABLE):
        return False


def _digest(value: bytes, algorithm: str) -> str | None:
    kind = ALGORITHMS.get(algorithm)
    if kind is None:
        return None
    digest = hashes.Hash(kind)
    digest.update(value)
    return digest.finalize().hex()


def is_issuer(candidate: x509.Certificate, data: HashData) -> bool:
    """Whether that certificate issued the one that is asked about, by name and key."""
    if data.algorithm not in ALGORITHMS:
        return False
    name_hash = _digest(candidate.subject.public_bytes(), data.algorithm)  # its own name: it need not be a root
    key_hash = hash_data(candidate, candidate, data.algorithm).issuer_key_hash
    return (name_hash, key_hash) == (data.issuer_name_hash.lower(), data.issuer_key_hash.lower())


# --- contract certificates --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contract:
    """What the provider of contract certificates answered."""

    is_accepted: bool
    exi: str = ""
    """Base64; goes to the car as it is."""
    reason: str | None = None
    remaining_contracts: int | None = None


def read_contract(answer: Any, chars_max: int) -> Contract:
    """The provider's JSON, in OCPP's own words (Get15118EVCertificateResponse)."""
    if not isinstance(answer, dict):
        return Contract(False, reason="the provider's answer is no JSON object")
    exi, status, left = answer.get("exiResponse"), answer.get("status"), answer.get("remainingContracts")
    if status not in ("Accepted", "Failed") or not isinstance(exi, str | None):
        return Contract(False, reason="the provider's answer lacks `status` and `exiResponse`")
    if len(exi or "") > chars_max:
        return Contract(False, reason=f"the provider's answer has more than {chars_max} characters")
    if status == "Accepted" and not exi:
        return Contract(False, reason="the provider accepted without an answer for the car")
    count = left if isinstance(left, int) and not isinstance(left, bool) and left >= 0 else None
    reason = None if status == "Accepted" else "the provider has no certificate for this car"
    return Contract(status == "Accepted", exi or "", reason, count)
