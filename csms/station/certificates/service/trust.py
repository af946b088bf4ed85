"""B10: whether a station may log in with a certificate that one of our authorities vouches for."""

from sqlmodel import col, select

from csms.platform.certificate_authority import CertificateAuthority, shown_text
from csms.station.certificates.model import StationCertificate
from csms.store import Work


async def refusal_of(work: Work, station_id: int, *, fingerprint: str, issuer: str) -> str | None:
    """Why not, or None. A certificate that was made here counts only for the station that it was made for.

    Those of an authority that was made elsewhere may be older than this system: of them only revoked ones are refused.
    """
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


async def _only_we_sign(work: Work, issuer: str) -> bool:
    """Whether the authority's key was made here and has never been anywhere else."""
    query = select(CertificateAuthority.id).where(
        CertificateAuthority.name == shown_text(issuer), col(CertificateAuthority.is_imported).is_(False)
    )
    return (await work.session.exec(query)).first() is not None
