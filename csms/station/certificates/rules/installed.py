"""B10: the certificates on a station: their kinds in each version of OCPP, and the hashes by which they are named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from csms.ocpp.versions import Version

Payload = Mapping[str, Any]

LISTED_MAX: Final = 200
"""Certificates of one answer that are kept."""
HASH_CHARS_MAX: Final = 128
SERIAL_CHARS_MAX: Final = 40


class CertificateKind(StrEnum):
    """What an installed certificate is for."""

    STATION = "charging_station"
    V2G = "v2g"
    V2G20 = "v2g20"
    CSMS_ROOT = "csms_root"
    MANUFACTURER_ROOT = "manufacturer_root"
    V2G_ROOT = "v2g_root"
    MO_ROOT = "mo_root"
    OEM_ROOT = "oem_root"
    V2G_CHAIN = "v2g_chain"
    """The station's V2G certificate and its sub-authorities, as the station lists them."""


ROOT_KINDS: Final = (
    CertificateKind.CSMS_ROOT,
    CertificateKind.MANUFACTURER_ROOT,
    CertificateKind.V2G_ROOT,
    CertificateKind.MO_ROOT,
    CertificateKind.OEM_ROOT,
)
_WORDS_16: Final = {
    CertificateKind.CSMS_ROOT: "CentralSystemRootCertificate",
    CertificateKind.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
}
_WORDS_201: Final = {
    CertificateKind.V2G_ROOT: "V2GRootCertificate",
    CertificateKind.MO_ROOT: "MORootCertificate",
    CertificateKind.CSMS_ROOT: "CSMSRootCertificate",
    CertificateKind.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
    CertificateKind.V2G_CHAIN: "V2GCertificateChain",
}
_WORDS: Final[Mapping[Version, Mapping[CertificateKind, str]]] = {
    Version.V16: _WORDS_16,
    Version.V201: _WORDS_201,
    Version.V21: {**_WORDS_201, CertificateKind.OEM_ROOT: "OEMRootCertificate"},
}
_KINDS: Final = {word: kind for words in _WORDS.values() for kind, word in words.items()}

ALGORITHMS: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}


def word_of(kind: CertificateKind, version: Version) -> str | None:
    """OCPP's word for the kind, or None where the version has none."""
    return _WORDS[version].get(kind)


def kind_of(word: object) -> CertificateKind | None:
    """The reverse, whatever the version."""
    return _KINDS.get(word) if isinstance(word, str) else None


def kinds_of(version: Version) -> tuple[CertificateKind, ...]:
    """What a station of that version can be asked to list."""
    return tuple(_WORDS[version])


@dataclass(frozen=True, slots=True)
class HashData:
    """OCPP's CertificateHashData: how a station names a certificate."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    @property
    def payload(self) -> dict[str, str]:
        return {
            "hashAlgorithm": self.algorithm,
            "issuerNameHash": self.issuer_name_hash,
            "issuerKeyHash": self.issuer_key_hash,
            "serialNumber": self.serial_number,
        }

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What two are compared by: hexadecimal text has no case, a serial number no leading zeros."""
        parts = self.issuer_name_hash, self.issuer_key_hash
        return (self.algorithm, *(part.lower() for part in parts), plain_serial(self.serial_number))  # type: ignore[return-value]


def plain_serial(text: str) -> str:
    """A serial number in lower case without `0x` and leading zeros, which stations add."""
    return text.strip().lower().removeprefix("0x").replace(":", "").lstrip("0") or "0"


def read_hash_data(value: object) -> HashData | None:
    """None for what is none."""
    if not isinstance(value, Mapping):
        return None
    names = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber")
    parts = [value.get(name) for name in names]
    if not all(isinstance(part, str) and part for part in parts):
        return None
    algorithm, name_hash, key_hash, serial = (str(part)[:HASH_CHARS_MAX] for part in parts)
    return HashData(algorithm[:20], name_hash, key_hash, plain_serial(serial)[:SERIAL_CHARS_MAX])


def hash_data(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str = "SHA256") -> HashData:
    """How OCPP names the certificate (RFC 6960 4.1.1): hashes of its issuer's name and key, and its serial number."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, ALGORITHMS[algorithm])
    request = builder.build()
    serial = f"{certificate.serial_number:x}"
    return HashData(algorithm, request.issuer_name_hash.hex(), request.issuer_key_hash.hex(), serial)


@dataclass(frozen=True, slots=True)
class Listed:
    """A certificate that a station lists, with what stands below it in its chain."""

    kind: CertificateKind
    data: HashData
    is_child: bool = False


def read_listed(request: Payload, answer: Payload) -> list[Listed]:
    """What GetInstalledCertificateIds brought; 1.6 lists only what was asked for, 2.x says the kind of each."""
    found = list(_listed(request, answer))
    return found[:LISTED_MAX]


def _listed(request: Payload, answer: Payload) -> Iterator[Listed]:
    asked = kind_of(request.get("certificateType"))
    for value in _list(answer.get("certificateHashData")):
        data = read_hash_data(value)
        if data is not None and asked is not None:
            yield Listed(asked, data)
    for chain in _list(answer.get("certificateHashDataChain")):
        kind = kind_of(chain.get("certificateType")) if isinstance(chain, Mapping) else None
        if kind is None:
            continue
        data = read_hash_data(chain.get("certificateHashData"))
        if data is not None:
            yield Listed(kind, data)
        for child in map(read_hash_data, _list(chain.get("childCertificateHashData"))):
            if child is not None:
                yield Listed(kind, child, is_child=True)


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def kinds_asked(request: Payload, version: Version) -> frozenset[CertificateKind]:
    """Which kinds an answer is complete for: those that were asked for, or all of the version."""
    word = request.get("certificateType")
    words = [word] if isinstance(word, str) else _list(word)
    found = frozenset(kind for kind in map(kind_of, words) if kind is not None)
    return found or frozenset(kinds_of(version))


def status_info(answer: Payload) -> str | None:
    """The reason that an answer of 2.x gives, in one line."""
    info = answer.get("statusInfo")
    if not isinstance(info, Mapping):
        return None
    parts = [info.get("reasonCode"), info.get("additionalInfo")]
    return ": ".join(str(part)[:500] for part in parts if part) or None
