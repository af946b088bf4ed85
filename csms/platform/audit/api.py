"""P3: the audit log as administrators read it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.ids import Id
from csms.platform.audit.model import AuditLog, Operation
from csms.platform.audit.service import verify_chain
from csms.rights import Area
from csms.web import CallerDep, Page, PageDep, PeriodDep, Reading, Shown, may_read, page_of, within

router = APIRouter()


class AuditRow(Shown):
    """One object that somebody created, changed or deleted."""

    id: Id
    number: int = Field(description="1, 2, 3, … within your organisation, without gaps")
    at: datetime
    actor_kind: Literal["user", "key"]
    actor_id: Id | None
    actor_name: str = Field(description="as it was then", examples=["kari@example.com"])
    remote_address: str | None = Field(examples=["192.0.2.7"])
    action: str | None = Field(description="the request", examples=["POST /api/v1/keys"])
    operation: Operation
    object_table: str = Field(examples=["station"])
    object_id: Id | None
    changes: dict[str, list[Any]] = Field(
        description="column → [before, after]; of secrets only that they changed", examples=[{"name": ["Old", "New"]}]
    )
    hash: str = Field(description="SHA-256 over this row and the hash of the row before it")


class ChainShown(Shown):
    """Whether the log is as it was written."""

    is_sound: bool
    rows: int = Field(description="how many rows are sound, counted from the first")
    fault: str | None = Field(description="the first thing that is wrong")
    number: int | None = Field(description="the row where it is wrong")


def wanted_rows(
    actor_id: Annotated[Id | None, Query(description="a user's or key's `id`")] = None,
    actor: Annotated[str | None, Query(max_length=254, description="a user's e-mail or a key's name, exactly")] = None,
    object_table: Annotated[str | None, Query(max_length=63, examples=["station"])] = None,
    object_id: Annotated[Id | None, Query(description="the `id` of what was changed")] = None,
    operation: Operation | None = None,
) -> SelectOfScalar[AuditLog]:
    """The rows that match all that is given."""
    query = select(AuditLog)
    for column, value in (
        (AuditLog.actor_id, actor_id),
        (AuditLog.actor_name, actor),
        (AuditLog.object_table, object_table),
        (AuditLog.object_id, object_id),
        (AuditLog.operation, operation),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    return query


WantedDep = Annotated[SelectOfScalar[AuditLog], Depends(wanted_rows)]


def _shown(row: AuditLog) -> AuditRow:
    return AuditRow.model_validate({**row.model_dump(), "changes": orjson.loads(row.changes)})


@router.get("/audit-log", summary="List who changed what", dependencies=[may_read(Area.ACCESS_CONTROL)])
async def list_audit_log(work: Reading, page: PageDep, period: PeriodDep, query: WantedDep) -> Page[AuditRow]:
    """Newest first. Every write over the API is here, with the columns that changed."""
    query = within(query, col(AuditLog.at), period)
    rows, cursor = await page_of(work, query, page, by=AuditLog.at)
    return Page(items=[_shown(row) for row in rows], next_cursor=cursor)


@router.get("/audit-log/check", summary="Check the audit log", dependencies=[may_read(Area.ACCESS_CONTROL)])
async def check_audit_log(work: Reading, caller: CallerDep) -> ChainShown:
    """Compares the hash of every row; finds rows changed, removed or added in the database."""
    if caller.organisation_id is None:
        raise NotFound("you act for no organisation")
    check = await verify_chain(work, caller.organisation_id)
    return ChainShown(is_sound=check.is_sound, rows=check.rows, fault=check.fault, number=check.number)
