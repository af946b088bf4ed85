"""B10: whether a station may log in with a certificate that one of our authorities vouches for."""

from collections.abc import Collection
from functools import lru_cache

from sqlmodel import col, select

from csms.platform.certificate_authority import CertificateAuthority, fingerprint_of, read_chain, shown_text
from csms.station.certificates.model import StationCertificate
from csms.station.information import Station
from csms.store import Work


async def refusal_of(
    work: Work, station_id: int, *, fingerprint: str, issuer: str, issuers: Collection[str] = ()
) -> str | None:
    """Why not, or None. A certificate that was made here counts only for the station that it was made for.

    Those of an authority that was made elsewhere may be older than this system: of them only revoked ones are refused,
    and those of another organisation's authority, which says nothing of this one's stations.
    """
    if await _is_of_another_organisation(work, station_id, set(issuers)):
        return "the certificate comes from another organisation's authority"
    query = select(StationCertificate).where(StationCertificate.fingerprint == fingerprint)
    rows = (await work.session.exec(query)).all()
    revoked = next((row for row in rows if row.revoked_at is not None), None)
    if revoked is not None and revoked.revoked_at is not None:
        return f"the certificate was revoked on {revoked.revoked_at:%Y-%m-%d}: {revoked.revoked_because}"
    if any(row.station_id == station_id for row in rows):
        return None
    if any(row.is_issued_here for row in rows):
        return "the certificate was made for another station"
    if await _only_we_sign(work, issuer):
        return "the certificate is not one that this system made"
    return None


async def _is_of_another_organisation(work: Work, station_id: int, issuers: set[str]) -> bool:
    station = await work.session.get(Station, station_id)
    if station is None or not issuers:
        return False
    rows = (await work.session.exec(select(CertificateAuthority.organisation_id, CertificateAuthority.chain))).all()
    owners = {owner for owner, chain in rows if not issuers.isdisjoint(_fingerprints(chain))}
    return bool(owners) and station.organisation_id not in owners


@lru_cache(maxsize=1000)
def _fingerprints(chain: str) -> frozenset[str]:
    return frozenset(fingerprint_of(one) for one in read_chain(chain))


async def _only_we_sign(work: Work, issuer: str) -> bool:
    """Whether the authority's key was made here and has never been anywhere else."""
    query = select(CertificateAuthority.id).where(
        CertificateAuthority.name == shown_text(issuer), col(CertificateAuthority.is_imported).is_(False)
    )
    return (await work.session.exec(query)).first() is not None
