"""B10: what an organisation wants done about certificates."""

from typing import Any

from sqlmodel import select

from csms.station.certificates.model import CertificatePolicy
from csms.store import Work


async def policy_of(work: Work, organisation_id: int) -> CertificatePolicy:
    """The organisation's own, or what holds without one (which is not stored)."""
    query = select(CertificatePolicy).where(CertificatePolicy.organisation_id == organisation_id)
    found = (await work.session.exec(query)).first()
    return found or CertificatePolicy(organisation_id=organisation_id)


async def change_policy(work: Work, organisation_id: int, values: dict[str, Any]) -> CertificatePolicy:
    """Set these columns."""
    policy = await policy_of(work, organisation_id)
    for name, value in values.items():
        setattr(policy, name, value)
    work.session.add(policy)
    await work.session.flush()
    return policy
