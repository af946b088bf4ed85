"""F5: the keys and certificates of a simulated station: its own chain, the roots it trusts (2.0.1, A02, M)."""

import hashlib
import itertools
import ssl
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

MAX_ENTRIES: Final = 20
MAX_DEPTH: Final = 5
CSMS_ROOT: Final = "CSMSRootCertificate"
MANUFACTURER_ROOT: Final = "ManufacturerRootCertificate"
STATION: Final = "ChargingStationCertificate"
V2G: Final = "V2GCertificate"
V2G_CHAIN: Final = "V2GCertificateChain"


@dataclass(frozen=True, slots=True)
class Chain:
    """A leaf with its intermediates, and the key that only this station has."""

    certificates: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey


class CertificateStore:
    """What a station keeps of certificates. Types are those of 2.x; 1.6 calls the CSMS's root by another name."""

    def __init__(self) -> None:
        self.roots: list[tuple[str, x509.Certificate]] = []
        self.chains: dict[str, Chain] = {}
        self._pending: dict[str, ec.EllipticCurvePrivateKey] = {}

    # --- the station's own certificates

    def request(self, identity: str, organization: str, kind: str = STATION) -> str:
        """Make a key and a request for a certificate, as PEM (A02.FR.02); the key waits for the answer."""
        key = self._pending[kind] = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, identity[:64]),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization[:64] or "Simulated Charging"),
            ]
        )
        signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def take(self, pem: str, now: datetime, kind: str = STATION) -> str | None:
        """Use the chain that a CA made of the request; why not, or None when it is used (A02.FR.06 and 07)."""
        key, certificates = self._pending.get(kind), read(pem)
        if key is None:
            return "NoRequest"
        if not certificates or _public_bytes(certificates[0].public_key()) != _public_bytes(key.public_key()):
            return "KeyMismatch"
        anchor = CSMS_ROOT if kind == STATION else "V2GRootCertificate"
        reason = self.doubt(certificates, now, anchor)
        if reason is None:
            self.chains[kind] = Chain(tuple(certificates), key)
            del self._pending[kind]
        return reason

    def doubt(self, certificates: list[x509.Certificate], now: datetime, anchor: str) -> str | None:
        """Why a chain is not trusted, None when it is: in time, each signed by the next, the last by a root.

        Without a root of that kind there is nothing to hold it against.
        """
        if any(not one.not_valid_before_utc <= now <= one.not_valid_after_utc for one in certificates):
            return "CertificateExpired"
        if any(not _is_issued(one, by) for one, by in itertools.pairwise(certificates)):
            return "BrokenChain"
        roots = [root for kind, root in self.roots if kind == anchor]
        last = certificates[-1]
        is_rooted = any(_is_issued(last, root) or last == root for root in roots)
        return None if is_rooted or not roots else "UnknownIssuer"

    # --- the roots

    def install(self, kind: str, pem: str, now: datetime) -> str:
        """InstallCertificate's status (M05)."""
        certificates = read(pem)
        if len(certificates) != 1 or certificates[0].not_valid_after_utc < now:
            return "Rejected"
        if (kind, certificates[0]) in self.roots:
            return "Accepted"
        if len(self.roots) >= MAX_ENTRIES:
            return "Failed"
        self.roots.append((kind, certificates[0]))
        return "Accepted"

    def delete(self, wanted: dict[str, Any]) -> str:
        """DeleteCertificate's status (M04); the station's own certificate stays (M04.FR.06)."""
        for entry in self.roots:
            if _is_meant(self.hash_data(entry[1], wanted["hashAlgorithm"]), wanted):
                self.roots.remove(entry)
                return "Accepted"
        for kind, chain in self.chains.items():
            if _is_meant(self.hash_data(chain.certificates[0], wanted["hashAlgorithm"]), wanted):
                if kind == STATION:
                    return "Failed"
                del self.chains[kind]
                return "Accepted"
        return "NotFound"

    def listed(self, kinds: Iterable[str] | None) -> list[dict[str, Any]]:
        """`certificateHashDataChain` of GetInstalledCertificateIds (M03)."""
        found = [
            {"certificateType": kind, "certificateHashData": self.hash_data(one)}
            for kind, one in self.roots
            if kinds is None or kind in kinds
        ]
        chain = self.chains.get(V2G)
        if chain is not None and (kinds is None or V2G_CHAIN in kinds):
            leaf, *above = chain.certificates
            entry: dict[str, Any] = {"certificateType": V2G_CHAIN, "certificateHashData": self.hash_data(leaf)}
            if above:
                entry["childCertificateHashData"] = [self.hash_data(one) for one in above]
            found.append(entry)
        return found

    def hash_data(self, certificate: x509.Certificate, algorithm: str = "SHA256") -> dict[str, Any]:
        """CertificateHashDataType (RFC 6960, 4.1.1): hashes of the issuer's name and key, and the serial number."""
        issuer = next((one for one in self._all() if _is_issued(certificate, one)), certificate)
        return {
            "hashAlgorithm": algorithm,
            "issuerNameHash": _hash(algorithm, certificate.issuer.public_bytes()),
            "issuerKeyHash": _hash(algorithm, _key_bits(issuer.public_key())),
            "serialNumber": f"{certificate.serial_number:x}",
        }

    def _all(self) -> Iterator[x509.Certificate]:
        yield from (one for _, one in self.roots)
        for chain in self.chains.values():
            yield from chain.certificates

    # --- TLS

    def tls_context(self, *, has_client_certificate: bool) -> ssl.SSLContext:
        """Trust the installed roots of the CSMS (those of the system without any); show our own chain for profile 3."""
        context = ssl.create_default_context()
        roots = [one for kind, one in self.roots if kind == CSMS_ROOT]
        if roots:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata="".join(_pem(one) for one in roots))
        chain = self.chains.get(STATION)
        if has_client_certificate and chain is not None:
            _load(context, chain)
        return context


def _load(context: ssl.SSLContext, chain: Chain) -> None:
    """Python's ssl reads chains from files only: give it one for a moment."""
    private = chain.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chain.pem"
        path.touch(mode=0o600)
        path.write_text(private + "".join(_pem(one) for one in chain.certificates), encoding="ascii")
        context.load_cert_chain(path)


def read(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, none for one that cannot be read."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _key_bits(key: Any) -> bytes:
    """The value of the BIT STRING subjectPublicKey, without tag, length and unused bits."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    raw: bytes = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def _hash(algorithm: str, data: bytes) -> str:
    return hashlib.new(algorithm.lower(), data).hexdigest()


def _is_meant(own: dict[str, Any], wanted: dict[str, Any]) -> bool:
    names = ("issuerNameHash", "issuerKeyHash")
    is_same = all(own[name].lower() == wanted[name].lower() for name in names)
    return is_same and own["serialNumber"].lstrip("0").lower() == wanted["serialNumber"].lstrip("0").lower()
