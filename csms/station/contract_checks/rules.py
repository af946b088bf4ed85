"""S27: what can be said of a contract's certificates without asking anybody."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

CHAIN_MAX: Final = 6
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound)


class Finding(StrEnum):
    """What was found out; in the words of the tokens' ChainStatus."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNVERIFIABLE = "unverifiable"


_GRAVEST_FIRST: Final = (Finding.REVOKED, Finding.EXPIRED, Finding.UNVERIFIABLE, Finding.VALID)


def gravest(findings: Sequence[Finding]) -> Finding:
    """What several findings come to; nothing found is nothing verified."""
    return min(findings, key=_GRAVEST_FIRST.index, default=Finding.UNVERIFIABLE)


def read_certificates(pem: object) -> list[x509.Certificate]:
    """The chain, the contract's own certificate first; empty for what is none."""
    if not isinstance(pem, str):
        return []
    try:
        return x509.load_pem_x509_certificates(pem.encode())[:CHAIN_MAX]
    except _UNREADABLE:
        return []


def judge_chain(
    chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], uid: str, now: datetime
) -> Finding:
    """Whether the chain is whole, of its time, of that contract, and ends at a root that is trusted."""
    if not chain or not is_of_contract(chain[0], uid):
        return Finding.UNVERIFIABLE
    anchor = next((root for root in roots if chain[-1] == root or _is_issued_by(chain[-1], root)), None)
    if anchor is None:
        return Finding.UNVERIFIABLE
    if not all(_is_authority(issuer) and _is_issued_by(one, issuer) for one, issuer in pairwise(chain)):
        return Finding.UNVERIFIABLE
    everything = [*chain, anchor]
    if any(one.not_valid_before_utc > now for one in everything):
        return Finding.UNVERIFIABLE
    return Finding.EXPIRED if any(one.not_valid_after_utc <= now for one in everything) else Finding.VALID


def is_of_contract(certificate: x509.Certificate, uid: str) -> bool:
    """ISO 15118: the certificate's common name is the contract's id, which people write with hyphens."""
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return any(_plain(one) == _plain(uid) for one in names)


def _plain(emaid: str) -> str:
    return emaid.replace("-", "").casefold()


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _UNREADABLE:
        return False


def ocsp_urls(certificate: x509.Certificate) -> list[str]:
    """Where to ask whether it was revoked; empty for one that does not say."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except _UNREADABLE:
        return []
    locations = [one.access_location for one in access if one.access_method == AuthorityInformationAccessOID.OCSP]
    return [one.value for one in locations if isinstance(one, x509.UniformResourceIdentifier)]
