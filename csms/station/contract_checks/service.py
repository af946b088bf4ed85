"""S27: verifies the certificates in an Authorize, before it is handled: the chain here, revocation by asking."""

from collections.abc import Sequence
from typing import Any, Final

from cryptography import x509

from csms.routing import ConnectedStation, Outside, Payload
from csms.station.certificates import (
    CertificateKind,
    CertificateStatus,
    HashData,
    ask_about,
    hash_data,
    known_issuers,
    read_hash_data,
)
from csms.station.contract_checks.rules import Finding, gravest, judge_chain, ocsp_urls, read_certificates
from csms.station.tokens import ChainStatus, ContractCheck, read_id_token

ROOTS: Final = (CertificateKind.MO_ROOT, CertificateKind.V2G_ROOT)
"""Who may vouch for contracts: roots of this kind that were installed on the organisation's stations."""
HASHES_MAX: Final = 4
_FOUND: Final = {CertificateStatus.GOOD: Finding.VALID, CertificateStatus.REVOKED: Finding.REVOKED}

Asked = list[tuple[HashData, Sequence[str]]]


async def check_contract(outside: Outside, station: ConnectedStation, payload: Payload) -> None:
    """OCPP 2.0.1, C07.FR.04 to FR.06: what could not be verified in time counts as not verified."""
    hashes, pem = payload.get("iso15118CertificateHashData"), payload.get("certificate")
    if not hashes and not pem:
        return
    check = station.recall(ContractCheck)
    check.status = ChainStatus.UNVERIFIABLE
    uid, _ = read_id_token(payload.get("idToken"))
    roots = await known_issuers(outside, station, ROOTS)
    findings = []
    if pem:
        findings.append(await _check_chain(outside, station, read_certificates(pem), roots, uid))
    if hashes:
        findings.append(await _check_hashes(outside, station, hashes, roots))
    check.status = ChainStatus(gravest(findings).value)


async def _check_chain(
    outside: Outside,
    station: ConnectedStation,
    chain: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    uid: str,
) -> Finding:
    finding = judge_chain(chain, roots, uid, outside.store.clock())
    if finding is not Finding.VALID:
        return finding
    issuers = [*chain[1:], *roots]
    asked: Asked = []
    for certificate in chain:
        issuer = next((one for one in issuers if one.subject == certificate.issuer), None)
        urls = ocsp_urls(certificate)
        if issuer is not None and urls:
            asked.append((hash_data(certificate, issuer), urls))
    if not asked:  # none of them says where to ask; many contracts are like that
        return Finding.VALID
    return await _ask(outside, station, asked, issuers)


async def _check_hashes(
    outside: Outside, station: ConnectedStation, hashes: Any, roots: Sequence[x509.Certificate]
) -> Finding:
    """The station verified the chain itself and asks whether any of it was revoked."""
    asked: Asked = []
    for item in hashes[:HASHES_MAX] if isinstance(hashes, list) else ():
        data = read_hash_data(item)
        if data is None:
            return Finding.UNVERIFIABLE
        asked.append((data, [str(item.get("responderURL", ""))]))
    return await _ask(outside, station, asked, roots)


async def _ask(
    outside: Outside, station: ConnectedStation, asked: Asked, issuers: Sequence[x509.Certificate]
) -> Finding:
    found = await ask_about(outside, station, asked, issuers)
    return gravest([_FOUND.get(one.status, Finding.UNVERIFIABLE) for one in found])
