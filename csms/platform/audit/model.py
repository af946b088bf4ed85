"""P3: the audit log and the end of each organisation's chain; the database itself refuses to change the log."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import DDL, Index, Text, UniqueConstraint, event
from sqlmodel import Field

from csms.platform.audit.rules import GENESIS, hash_of
from csms.store import BigInt, Owned, Table, UtcDateTime, words
from csms.store.table import time_text


class Operation(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class AuditLog(Owned, table=True):
    """One object that a person or key created, changed or deleted. Rows are only ever added."""

    __tablename__ = "audit_log"
    __table_args__ = (
        UniqueConstraint("organisation_id", "number", name="uq_audit_log_organisation_number"),
        Index("ix_audit_log_organisation_at", "organisation_id", "at"),
        Index("ix_audit_log_organisation_object", "organisation_id", "object_table", "object_id"),
    )

    number: int = Field(sa_type=BigInt)
    """1, 2, 3, … within the organisation, without gaps."""
    at: datetime = Field(sa_type=UtcDateTime)
    actor_kind: str
    actor_id: int | None = Field(default=None, sa_type=BigInt)
    actor_name: str
    remote_address: str | None = None
    action: str | None = None
    """The request, as in `POST /api/v1/keys`; None for what was not asked over HTTP."""
    operation: Operation = Field(sa_type=words(Operation))
    object_table: str
    object_id: int | None = Field(default=None, sa_type=BigInt)
    changes: str = Field(sa_type=Text)
    """JSON as text, byte for byte what was hashed: column → [before, after]."""
    previous_hash: str
    hash: str


class AuditHead(Table, table=True):
    """The end of one organisation's chain; `id` is the organisation's. Its row lock puts writers in line."""

    __tablename__ = "audit_head"

    number: int = Field(default=0, sa_type=BigInt)
    hash: str = GENESIS


def content_of(row: dict[str, Any]) -> dict[str, str | int | None]:
    """What is hashed of a row: every column but the hashes; times as text, so that both databases agree."""
    content: dict[str, Any] = {name: row[name] for name in HASHED}
    return {**content, "at": time_text(row["at"]), "operation": str(row["operation"])}


def sealed(row: dict[str, Any], previous_hash: str) -> dict[str, Any]:
    """The row with its place in the chain."""
    return {**row, "previous_hash": previous_hash, "hash": hash_of(previous_hash, content_of(row))}


HASHED: Final = (
    "id",
    "organisation_id",
    "number",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "remote_address",
    "action",
    "operation",
    "object_table",
    "object_id",
    "changes",
)
"""Spelt out: a column added later must not change the hashes of old rows."""

_REFUSAL: Final = "the audit log can only grow"

TRIGGERS: Final[dict[str, tuple[str, ...]]] = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_log_no_{verb.lower()} BEFORE {verb} ON audit_log"
        f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        f"""CREATE OR REPLACE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'restrict_violation'; END $$""",
        """CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()""",
    ),
}
"""What makes the table append-only, for each database; migrations that make the table run these too."""

for _dialect, _statements in TRIGGERS.items():
    for _statement in _statements:
        event.listen(
            AuditLog.__table__,  # type: ignore[attr-defined]  # SQLModel adds it
            "after_create",
            DDL(_statement).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]  # SQLAlchemy's DDL is untyped
        )
