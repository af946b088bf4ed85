"""B10: what a station's certificate signing request says, and whether it may be signed (2.0.1 A02, A03)."""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from csms.ocpp.versions import Version

CSR_CHARS_MAX: Final = 5500
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 8192
EC_BITS_MIN: Final = 224
"""A00.FR.506 and .507: what is at least asked of keys."""
WEAK_HASHES: Final = frozenset({"md5", "sha1"})
CN_CHARS_MAX: Final = 64
SETTLE_S: Final = 2.0
"""How long a request rests before it is signed: stations send two for one trigger, and the last one counts."""
SAME_KEY_S: Final = 600
"""The same key asked for again within that time is the same request."""
ROWS_PER_HOUR_MAX: Final = 12
"""Requests of one station that are kept in an hour."""
ATTEMPTS_MAX: Final = 100
FIRST_PAUSE_S: Final = 30
PAUSE_S_MAX: Final = 3600
_DIRECTIVE: Final = re.compile(r"-----(BEGIN|END) (NEW )?CERTIFICATE REQUEST-----")


class CertificateUse(StrEnum):
    """What a certificate is for."""

    STATION = "charging_station"
    """With it the station logs in here (profile 3)."""
    V2G = "v2g"
    """With it the station shows itself to cars (ISO 15118-2)."""
    V2G20 = "v2g20"
    """The same for ISO 15118-20."""


SIGNING_USES: Final = {
    "ChargingStationCertificate": CertificateUse.STATION,
    "V2GCertificate": CertificateUse.V2G,
    "V2G20Certificate": CertificateUse.V2G20,
}
"""OCPP's CertificateSigningUseEnum."""
USE_WORDS: Final = {use: word for word, use in SIGNING_USES.items()}


class RequestState(StrEnum):
    """How far a request has come."""

    WAITING = "waiting_for_approval"
    """An operator has to decide."""
    APPROVED = "approved"
    """To be signed, which takes seconds."""
    SIGNED = "signed"
    """The certificate is on its way to the station, which may be offline."""
    INSTALLED = "installed"
    """The station took it."""
    REFUSED = "refused_by_station"
    """The station did not take it; `reason` says why, if it does."""
    REJECTED = "rejected"
    """By the rules, at once, or by an operator; `reason` says why."""
    SUPERSEDED = "superseded"
    """The station asked again with another key before this one was done."""
    FAILED = "failed"
    """Given up: it could not be signed, or the station could not be reached for too long."""


OPEN_STATES: Final = (RequestState.WAITING, RequestState.APPROVED, RequestState.SIGNED)


class Signing(StrEnum):
    """Who decides about requests that break no rule."""

    AUTHENTICATED = "authenticated"
    """Signed at once for stations that log in with a password or certificate; for others an operator decides."""
    ALWAYS = "always"
    """Signed at once, whoever asks: whoever reaches the broker without a password gets a certificate."""
    APPROVAL = "approval"
    """An operator decides."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request that can be read and is signed with its own key."""

    csr: x509.CertificateSigningRequest
    common_name: str | None
    organisation: str | None
    key_words: str
    key_sha256: str
    """Of the public key: two requests with the same one are the same wish."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a text is no request that can be signed."""

    reason: str


def read_request(text: object) -> ReadRequest | Unusable:
    """PEM; stations also send it without line breaks, with escaped ones, or as bare base64."""
    if not isinstance(text, str) or not text.strip():
        return Unusable("there is no certificate signing request in the message")
    if len(text) > 2 * CSR_CHARS_MAX:
        return Unusable(f"the request has more than {CSR_CHARS_MAX} characters")
    try:
        csr = x509.load_der_x509_csr(_der(text))
        key = csr.public_key()
        spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        algorithm = csr.signature_hash_algorithm
        is_signed = csr.is_signature_valid
        names = (_first(csr.subject, NameOID.COMMON_NAME), _first(csr.subject, NameOID.ORGANIZATION_NAME))
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error) as error:
        return Unusable(f"the request cannot be read: {_plain(str(error))[:200]}")
    if algorithm is not None and algorithm.name in WEAK_HASHES:
        return Unusable(f"the request is signed with {algorithm.name.upper()}, which is no longer safe")
    if not is_signed:
        return Unusable("the request's signature is wrong: it was not made with the key in it")
    return ReadRequest(csr, *names, _key_words(key), hashlib.sha256(spki).hexdigest())


def _der(text: str) -> bytes:
    body = _DIRECTIVE.sub("", text.replace("\\n", "\n").replace("\\r", ""))
    return base64.b64decode("".join(body.split()), validate=True)


def _first(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    for part in name.get_attributes_for_oid(oid):
        return _plain(part.value if isinstance(part.value, str) else part.value.decode("utf-8", "replace"))[:200]
    return None


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _key_words(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__.strip("_")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and whose names it must not take."""

    identity: str
    serial_number: str | None
    taken_names: Collection[str] = ()
    """Of the request's common name: identities and serial numbers of other stations that are the same."""


def fault_of(request: ReadRequest, use: CertificateUse, asker: Asker, operator_name: str | None) -> str | None:
    """Why it must not be signed, or None."""
    fault = _key_fault(request)
    if fault is not None or use is not CertificateUse.STATION:
        return fault
    return _name_fault(request, asker, operator_name)


def _key_fault(request: ReadRequest) -> str | None:
    key = request.csr.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            return f"its RSA key has {key.key_size} bits; {RSA_BITS_MIN} to {RSA_BITS_MAX} are allowed"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < EC_BITS_MIN:
            return f"its EC key has {key.curve.key_size} bits; at least {EC_BITS_MIN} are needed"
    else:
        return f"its key is {request.key_words}; RSA and EC keys can be signed"
    return None


def _name_fault(request: ReadRequest, asker: Asker, operator_name: str | None) -> str | None:
    name = request.common_name
    if not name:
        return "it has no common name; CN must be the station's serial number or identity (A00.FR.405)"
    if len(name) > CN_CHARS_MAX:
        return f"its common name has more than {CN_CHARS_MAX} characters"
    own = {one.casefold() for one in (asker.identity, asker.serial_number) if one}
    if name.casefold() not in own:
        serial = f" «{asker.serial_number}»" if asker.serial_number else ", which it has not told"
        return f"its CN is «{name}»; it must be the identity «{asker.identity}» or the serial number{serial}"
    if asker.taken_names and name.casefold() != asker.identity.casefold():
        return f"its CN «{name}» is also the identity or serial number of another station"
    if operator_name and request.organisation and request.organisation != operator_name:
        return (
            f"its O is «{request.organisation}», not «{operator_name}»; set CpoName (1.6) or "
            "SecurityCtrlr.OrganizationName (2.x) on the station"
        )
    return None


def needs_approval(signing: Signing, *, is_authenticated: bool) -> bool:
    """Whether an operator decides."""
    return signing is Signing.APPROVAL or (signing is Signing.AUTHENTICATED and not is_authenticated)


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """When to send again after so many attempts that reached nobody; None: give up."""
    if attempts >= ATTEMPTS_MAX:
        return None
    return now + timedelta(seconds=min(PAUSE_S_MAX, FIRST_PAUSE_S << min(attempts, 10)))


def renewal_request(version: Version) -> tuple[str, dict[str, str]]:
    """Action and payload that have a station ask for a new login certificate (1.6 whitepaper A02; 2.0.1 A02, F06)."""
    if version is Version.V16:
        return "ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}
    return "TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}
