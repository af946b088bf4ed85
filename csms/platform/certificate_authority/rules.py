"""B10: keys and certificates, made and read with `cryptography`; nothing here is stored or awaited."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from csms.exceptions import Invalid

PEM_CHARS_MAX: Final = 100_000
CERTIFICATES_MAX: Final = 10
"""In one PEM text."""
NAME_CHARS_MAX: Final = 300
CLOCK_SKEW: Final = timedelta(hours=1)
"""How far back certificates are valid: stations' clocks may be behind."""
RSA_BITS: Final = 3072

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)
_BEGIN: Final = "-----BEGIN"
_CERTIFICATE: Final = " CERTIFICATE"
_LABEL_CHARS_MAX: Final = 40
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_HOST: Final = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")


class KeyKind(StrEnum):
    """Which key an authority or a server has."""

    EC_P256 = "ec_p256"
    RSA_3072 = "rsa_3072"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: its key, its certificate, and what stands between that and the root (the root last)."""

    key: PrivateKey
    chain: tuple[x509.Certificate, ...]
    """The issuing certificate first."""

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]


def new_key(kind: KeyKind) -> PrivateKey:
    """A new private key of the system's own randomness."""
    if kind is KeyKind.RSA_3072:
        return rsa.generate_private_key(65537, RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str, organisation: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def make_root(key: PrivateKey, common_name: str, organisation: str, *, days: int, now: datetime) -> x509.Certificate:
    """A self-signed root that may sign stations' certificates and nothing below them."""
    name = _name(common_name, organisation)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _certificate(name, name, key.public_key(), now, now + timedelta(days=days))
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _certificate(
    issuer: x509.Name, subject: x509.Name, key: PublicKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool = False, encrypts_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=encrypts_keys,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def sign_station(
    issuer: Issuer, key: PublicKey, common_name: str, organisation: str | None, *, days: int, now: datetime
) -> x509.Certificate:
    """The certificate with which a station logs in (profile 3); never longer valid than its issuer."""
    return _sign_leaf(
        issuer, key, _name(common_name, organisation), ExtendedKeyUsageOID.CLIENT_AUTH, days=days, now=now
    )


def sign_server(
    issuer: Issuer, key: PublicKey, hosts: Sequence[str], organisation: str | None, *, days: int, now: datetime
) -> x509.Certificate:
    """A certificate for this system's own TLS port; the first host is its common name too."""
    names = tuple(_general_name(host) for host in hosts)
    subject = _name(hosts[0][:64], organisation)
    return _sign_leaf(issuer, key, subject, ExtendedKeyUsageOID.SERVER_AUTH, names, days=days, now=now)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host):
            raise Invalid(f"«{host}» is no name or address of a host; write it as in csms.example.com") from None
        return x509.DNSName(host)


def _sign_leaf(
    issuer: Issuer,
    key: PublicKey,
    subject: x509.Name,
    usage: x509.ObjectIdentifier,
    names: Sequence[x509.GeneralName] = (),
    *,
    days: int,
    now: datetime,
) -> x509.Certificate:
    end = min(now + timedelta(days=days), issuer.certificate.not_valid_after_utc)
    builder = (
        _certificate(issuer.certificate.subject, subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(encrypts_keys=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key(issuer.certificate), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer.key, hashes.SHA256())


def _authority_key(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(_public_key(issuer))


def _public_key(certificate: x509.Certificate) -> PublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise Invalid("only EC and RSA keys can sign here")
    return key


# --- texts ----------------------------------------------------------------------------------------------------------


def read_chain(text: str, *, place: str = "body/certificate") -> list[x509.Certificate]:
    """The certificates of a PEM text, in its order. Raises Invalid that says in which line what is wrong."""
    if len(text) > PEM_CHARS_MAX:
        raise Invalid(f"the text has more than {PEM_CHARS_MAX} characters", place=place)
    found = [_read(block, line, place) for line, block in _blocks(text, place)]
    if not found:
        raise Invalid("there is no -----BEGIN CERTIFICATE----- in the text; give it as PEM", place=place)
    if len(found) > CERTIFICATES_MAX:
        raise Invalid(f"there are more than {CERTIFICATES_MAX} certificates in the text", place=place)
    return found


def _blocks(text: str, place: str) -> Iterator[tuple[int, str]]:
    """Line and text of each, in one pass: a pattern with both ends takes seconds for a text made for it."""
    end = 0
    while (start := text.find(_BEGIN, end)) >= 0:
        line = text.count("\n", 0, start) + 1
        after = start + len(_BEGIN)
        label = text[after : after + _LABEL_CHARS_MAX].partition("-----")[0]
        mark = f"-----END{label}-----"
        at = text.find(mark, start)
        if at < 0:
            raise Invalid(f"line {line}: what begins here has no matching -----END line", place=place)
        if label != _CERTIFICATE:
            raise Invalid(
                f"line {line}: a certificate is expected here, not «{shown_text(label).strip()}»", place=place
            )
        end = at + len(mark)
        yield line, text[start:end]


def _read(block: str, line: int, place: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
        _ = certificate.subject, certificate.issuer, certificate.extensions, certificate.public_key()
    except (*_UNREADABLE, x509.DuplicateExtension) as error:
        raise Invalid(
            f"the certificate that begins in line {line} cannot be read: {_short(error)}", place=place
        ) from error
    return certificate


def _short(error: Exception) -> str:
    return shown_text(str(error).split("\n", 1)[0]) or type(error).__name__


def chain_text(certificates: Sequence[x509.Certificate]) -> str:
    """PEM, in that order."""
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the whole certificate, hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def shown_text(text: str) -> str:
    """A text out of a certificate that a database and a page can bear."""
    return _CONTROL.sub(" ", text)[:NAME_CHARS_MAX]


def shown_name(name: x509.Name) -> str:
    """RFC 4514, as in `CN=Station CA,O=Example`."""
    return shown_text(name.rfc4514_string())


def first_text(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    """The first value of that part of a name."""
    for part in name.get_attributes_for_oid(oid):
        return shown_text(part.value if isinstance(part.value, str) else part.value.decode("utf-8", "replace"))
    return None


def key_words(key: object) -> str:
    """A public key in words, as in `EC secp256r1` or `RSA 2048`."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    names = {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    return next((name for kind, name in names.items() if isinstance(key, kind)), "another kind of key")


# --- an authority from outside ----------------------------------------------------------------------------------------


def read_private_key(text: bytes, password: bytes | None, *, place: str) -> PrivateKey:
    """Raises Invalid for what cannot sign here."""
    try:
        key = serialization.load_pem_private_key(text, password)
    except _UNREADABLE as error:
        raise Invalid(f"the private key cannot be read: {_short(error)}", place=place) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Invalid("the private key must be EC or RSA", place=place)
    return key


def checked_issuer(key: PrivateKey, chain: Sequence[x509.Certificate], *, now: datetime, place: str) -> Issuer:
    """Raises Invalid unless the key is that of the first, which may sign, and each is signed by the next."""
    first = chain[0]
    encoding = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if first.public_key().public_bytes(*encoding) != key.public_key().public_bytes(*encoding):
        raise Invalid("the private key does not belong to the first certificate", place=place)
    if not may_sign(first):
        raise Invalid("the first certificate may not sign others (basicConstraints CA, keyCertSign)", place=place)
    if not first.not_valid_before_utc <= now < first.not_valid_after_utc:
        raise Invalid(f"the first certificate is not valid now: {validity_words(first)}", place=place)
    for number, (one, issuer) in enumerate(pairwise(chain), 1):
        if not is_signed_by(one, issuer):
            raise Invalid(f"certificate {number} is not signed by certificate {number + 1}", place=place)
    return Issuer(key, tuple(chain))


def may_sign(certificate: x509.Certificate) -> bool:
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as missing:
        return missing.oid == x509.KeyUsage.oid  # a CA without key usage may do everything (RFC 5280 4.2.1.3)


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.subject == certificate.issuer and is_signed_by(certificate, certificate)


def validity_words(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"


# --- keys at rest -----------------------------------------------------------------------------------------------------


def locked(key: PrivateKey, secret: bytes, salt: bytes) -> str:
    """The key as PKCS #8, encrypted with what is derived from the installation's secret key."""
    encryption = serialization.BestAvailableEncryption(_passphrase(secret, salt))
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def unlocked(text: str, secret: bytes, salt: bytes) -> PrivateKey:
    """Raises Invalid with another secret key than the one that it was locked with."""
    return read_private_key(text.encode(), _passphrase(secret, salt), place="key")


def _passphrase(secret: bytes, salt: bytes) -> bytes:
    derived = HKDF(hashes.SHA256(), 32, salt, b"certificate authority key").derive(secret)
    return derived.hex().encode()


def key_text(key: PrivateKey) -> str:
    """PKCS #8 in the clear: for the file of a server's key, which only its owner may read."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
