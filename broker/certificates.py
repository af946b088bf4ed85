"""B10: reads certificates, and judges whether a station's belongs to the station that shows it. Pure."""

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from csms.station.connections import ShownCertificate
from csms.trust import PresentedCertificate

_MESSAGE_HEADER_BYTES = 4
_LENGTH_BYTES = 3


def read_certificate(der: bytes, issuers: Iterable[bytes] = ()) -> PresentedCertificate | None:
    """What the certificate says, with the verified ones above it; None for one that cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return PresentedCertificate(
            common_name=_first(certificate.subject, NameOID.COMMON_NAME),
            organisation=_first(certificate.subject, NameOID.ORGANIZATION_NAME),
            issuer=certificate.issuer.rfc4514_string(),
            serial_number=f"{certificate.serial_number:x}",
            sha256=certificate.fingerprint(hashes.SHA256()).hex(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            issuers=tuple(hashlib.sha256(one).hexdigest() for one in issuers),
        )
    except ValueError:
        return None


def served_certificate(certificate: x509.Certificate, file: str) -> ShownCertificate:
    """What this system's own certificate says."""
    return ShownCertificate(
        file=file,
        subject=certificate.subject.rfc4514_string(),
        hosts=_hosts(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    values = name.get_attributes_for_oid(oid)
    if not values:
        return None
    value = values[0].value
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def certificate_fault(
    certificate: PresentedCertificate,
    *,
    identity: str,
    serial_number: str | None,
    operator_names: Collection[str],
    now: datetime,
) -> str | None:
    """Why that certificate, whose chain is verified, is not the station's own; None if it is."""
    if not certificate.not_before <= now <= certificate.not_after:
        return f"the certificate is valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    if not operator_names:
        return "this system has no operator name to compare the certificate with; set CSMS_OPERATOR_NAME"
    if certificate.organisation not in operator_names:  # A00.FR.404
        return f"the certificate's O is «{certificate.organisation or ''}», not «{min(operator_names)}»"
    own = {name.casefold() for name in (identity, serial_number) if name}
    if (certificate.common_name or "").casefold() not in own:  # A00.FR.405
        return (
            f"the certificate's CN «{certificate.common_name or ''}» is neither the station's serial number nor its id"
        )
    return None


def first_certificate(message: bytes) -> bytes | None:
    """The first certificate of a TLS Certificate message (RFC 5246 7.4.2, RFC 8446 4.4.2), or None."""
    for start in (_MESSAGE_HEADER_BYTES, _MESSAGE_HEADER_BYTES + 1):  # TLS 1.3 has an empty context before the list
        length, at = _length(message, start)
        if length and at + length == len(message):
            size, at = _length(message, at)
            return message[at : at + size] if size and at + size <= len(message) else None
    return None


def _length(message: bytes, at: int) -> tuple[int, int]:
    end = at + _LENGTH_BYTES
    return int.from_bytes(message[at:end]), end
