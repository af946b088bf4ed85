"""P3: checking the chain, and finding rows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select

from csms.platform.audit.model import HASHED, AuditHead, AuditLog, content_of
from csms.platform.audit.rules import GENESIS, hash_of
from csms.platform.organisations import Organisation
from csms.store import Work

CHECKED_ROWS: Final = 1000
"""How many rows are in memory at once."""


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What a check found: how many rows are sound, and the first fault with the row's number."""

    rows: int
    fault: str | None = None
    number: int | None = None

    @property
    def is_sound(self) -> bool:
        return self.fault is None


async def verify_chain(work: Work, organisation_id: int) -> ChainCheck:
    """Read the organisation's whole audit log and compare every hash. Finds rows changed, removed, added or moved."""
    number, last_hash = 0, GENESIS
    while rows := await _rows_after(work, organisation_id, number):
        for row in rows:
            fault = _fault(row, number + 1, last_hash)
            if fault is not None:
                return ChainCheck(number, fault, number + 1)
            number, last_hash = row.number, row.hash
        work.session.expunge_all()
    head = (await work.session.exec(select(AuditHead).where(AuditHead.id == organisation_id))).first()
    if (number, last_hash) != (0, GENESIS) and head is None:
        return ChainCheck(number, "the end of the chain is not recorded any more", number)
    if head is not None and (head.number, head.hash) != (number, last_hash):
        return ChainCheck(number, f"the chain should end with row {head.number}: rows at the end are missing", number)
    return ChainCheck(number)


async def _rows_after(work: Work, organisation_id: int, number: int) -> Sequence[AuditLog]:
    query = (
        select(AuditLog)
        .where(AuditLog.organisation_id == organisation_id, AuditLog.number > number)
        .order_by(col(AuditLog.number))
        .limit(CHECKED_ROWS)
    )
    return (await work.session.exec(query)).all()


def _fault(row: AuditLog, number: int, previous_hash: str) -> str | None:
    if row.number != number:
        return f"row {number} is missing"
    if row.previous_hash != previous_hash:
        return f"row {number} does not follow the row before it"
    if row.hash != hash_of(previous_hash, content_of({name: getattr(row, name) for name in HASHED})):
        return f"row {number} was changed after it was written"
    return None


async def verify_all(work: Work) -> list[str]:
    """Check every organisation's chain; one sentence for each that is broken. For the command line."""
    broken = []
    for organisation in (await work.session.exec(select(Organisation))).all():
        check = await verify_chain(work, organisation.id)
        if check.fault is not None:
            broken.append(f"{organisation.name}: {check.fault} ({check.rows} rows before it are sound)")
    return broken
