"""P3: sees what a unit of work changes, and writes it down in that unit's own transaction.

Flushes and bulk statements of every session are watched; before the commit of a unit whose actor is a person or a
key, what was seen becomes rows of the audit log, chained behind the organisation's last row.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

import orjson
from sqlalchemy import BindParameter, event, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session, col, select

from csms.ids import new_id
from csms.outbox import Event, OutboxItem
from csms.platform.audit.model import AuditHead, AuditLog, Operation, sealed
from csms.platform.audit.rules import GENESIS
from csms.platform.operations import HIDDEN, is_secret_name, redact
from csms.runtime import Runtime
from csms.store import Table, Work
from csms.store.table import time_text

UNAUDITED: Final[frozenset[type[Table]]] = frozenset({AuditLog, AuditHead, Event, OutboxItem})
"""The log itself, and what is derived from other rows."""
AUDITED_KINDS: Final = frozenset({"user", "key"})
ACTION_CHARS_MAX: Final = 300
TEXT_CHARS_MAX: Final = 1000
JSON_BYTES_MAX: Final = 8000
_EXACT_INT_MAX: Final = 2**53
_SEEN: Final = "audit_changes"

Columns = dict[str, tuple[Any, Any]]

_action: ContextVar[str | None] = ContextVar("audit_action", default=None)


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object; columns with (before, after)."""

    operation: Operation
    table: type[Table]
    object_id: int | None
    columns: Columns


@contextmanager
def acting(action: str) -> Iterator[None]:
    """Say what is being asked, as in `POST /api/v1/keys`, for what is written inside."""
    token = _action.set(action[:ACTION_CHARS_MAX])
    try:
        yield
    finally:
        _action.reset(token)


def install(runtime: Runtime) -> None:
    """Audit everything that is written through this runtime's store; may be called twice."""
    if not event.contains(Session, "before_flush", _see_flush):
        event.listen(Session, "before_flush", _see_flush)
        event.listen(Session, "do_orm_execute", _see_statement)
    if record not in runtime.store.before_commit:
        runtime.store.before_commit.append(record)


# --- Seeing


def _seen(session: Any) -> list[Change] | None:
    """Where the session's changes are noted; None for the system's own sessions.

    The key is missing while `unscoped` looks across organisations: then the session may be anybody's.
    """
    if session.info.get("organisation_id", 0) is None:
        return None
    changes: list[Change] = session.info.setdefault(_SEEN, [])
    return changes


def _see_flush(session: Any, _context: Any, _instances: Any) -> None:
    changes = _seen(session)
    if changes is None:
        return
    changes += [
        Change(operation, type(row), row.id, find(row))
        for rows, operation, find in (
            (session.new, Operation.CREATED, _created_columns),
            (session.dirty, Operation.CHANGED, _changed_columns),
            (session.deleted, Operation.DELETED, _deleted_columns),
        )
        for row in rows
        if _is_audited(type(row)) and (operation is not Operation.CHANGED or session.is_modified(row))
    ]


def _is_audited(table: Any) -> bool:
    return isinstance(table, type) and issubclass(table, Table) and table not in UNAUDITED


def _names(table: type[Table]) -> list[str]:
    return list(table.__table__.columns.keys())  # type: ignore[attr-defined]  # SQLModel adds it


def _created_columns(row: Table) -> Columns:
    return {name: (None, getattr(row, name)) for name in _names(type(row)) if getattr(row, name) is not None}


def _deleted_columns(row: Table) -> Columns:
    return {name: (getattr(row, name), None) for name in _names(type(row)) if getattr(row, name) is not None}


def _changed_columns(row: Table) -> Columns:
    attributes = inspect(row).attrs
    columns: Columns = {}
    for name in _names(type(row)):
        history = attributes[name].history
        if history.has_changes():
            columns[name] = (_only(history.deleted), _only(history.added))
    return columns


def _only(values: Any) -> Any:
    return values[0] if values else None


def _see_statement(state: ORMExecuteState) -> None:
    """Bulk statements: an update or delete is looked up before it happens, so that each row has its before."""
    if not (state.is_insert or state.is_update or state.is_delete) or state.bind_mapper is None:
        return
    table = state.bind_mapper.class_
    changes = _seen(state.session)
    if changes is None or not _is_audited(table):
        return
    if state.is_insert:
        changes += [_inserted(table, row) for row in _given_rows(state)]
    elif state.is_update and _parameters(state):
        changes += [_updated_by_id(table, row) for row in _parameters(state)]
    else:
        changes += _bulk(state, table)


def _parameters(state: ORMExecuteState) -> list[dict[str, Any]]:
    given: Any = state.parameters
    if not given:
        return []
    return [dict(given)] if isinstance(given, Mapping) else [dict(row) for row in given]


def _given_rows(state: ORMExecuteState) -> list[dict[str, Any]]:
    return _parameters(state) or [_statement_values(state.statement)]


def _statement_values(statement: Any) -> dict[str, Any]:
    """The values that an insert or update names; what the database computes is said to be computed."""
    values = getattr(statement, "_values", None) or {}
    return {
        getattr(column, "key", str(column)): value.value if isinstance(value, BindParameter) else "(computed)"
        for column, value in values.items()
    }


def _inserted(table: type[Table], row: dict[str, Any]) -> Change:
    columns = {name: (None, value) for name, value in row.items() if value is not None}
    return Change(Operation.CREATED, table, row.get("id"), columns)


def _updated_by_id(table: type[Table], row: dict[str, Any]) -> Change:
    columns = {name: (None, value) for name, value in row.items() if name != "id"}
    return Change(Operation.CHANGED, table, row.get("id"), columns)


def _bulk(state: ORMExecuteState, table: type[Table]) -> Iterable[Change]:
    after = _statement_values(state.statement) if state.is_update else dict.fromkeys(_names(table))
    names = [name for name in _names(table) if name in after or name == "id"]
    query: Any = select(*(getattr(table, name) for name in names))
    condition = getattr(state.statement, "whereclause", None)
    if condition is not None:
        query = query.where(condition)
    operation = Operation.CHANGED if state.is_update else Operation.DELETED
    for row in state.session.execute(query).mappings().all():
        columns = {name: (row[name], after[name]) for name in names if name in after and row[name] != after[name]}
        yield Change(operation, table, row["id"], columns)


# --- Writing down


async def record(work: Work) -> None:
    """Before the commit: turn what the unit changed into rows of the audit log."""
    actor = work.actor
    if actor.kind not in AUDITED_KINDS or actor.organisation_id is None:
        return
    await work.session.flush()
    changes = [*work.session.sync_session.info.pop(_SEEN, []), *await _noted(work)]
    if not changes:
        return
    head = await _lock_head(work, actor.organisation_id)
    number, last_hash = head.number, head.hash
    for number, change in enumerate(changes, start=head.number + 1):  # the last one is the new head
        row = sealed(_row(work, actor.organisation_id, number, change), last_hash)
        last_hash = row["hash"]
        work.insert(AuditLog, **row)
    work.change(AuditHead, head.id, number=number, hash=last_hash)


async def _noted(work: Work) -> list[Change]:
    """What the unit noted by `insert` and `change`, not through the session."""
    changes = [_inserted(table, row) for table, rows in work.rows.items() if _is_audited(table) for row in rows]
    for (table, row_id), after in work.changes.items():
        if _is_audited(table):
            before = await _before(work, table, row_id, list(after))
            columns = {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}
            changes.append(Change(Operation.CHANGED, table, row_id, columns))
    return changes


async def _before(work: Work, table: type[Table], row_id: int, names: list[str]) -> dict[str, Any]:
    query: Any = select(*(getattr(table, name) for name in ["id", *names])).where(col(table.id) == row_id)
    row = (await work.session.exec(query)).first()
    return {} if row is None else dict(zip(names, row[1:], strict=True))


async def _lock_head(work: Work, organisation_id: int) -> AuditHead:
    """The end of the chain, locked until the commit, so that two units never follow the same row."""
    insert = sqlite.insert if work.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    first = insert(AuditHead).values(id=organisation_id, number=0, hash=GENESIS).on_conflict_do_nothing()
    await work.session.exec(first)
    query = select(AuditHead).where(AuditHead.id == organisation_id).with_for_update()
    return (await work.session.exec(query, execution_options={"populate_existing": True})).one()


def _row(work: Work, organisation_id: int, number: int, change: Change) -> dict[str, Any]:
    actor = work.actor
    name: str = change.table.__tablename__  # type: ignore[assignment]  # SQLModel declares more than a text
    return {
        "id": new_id(),
        "organisation_id": organisation_id,
        "number": number,
        "at": work.now,
        "actor_kind": actor.kind,
        "actor_id": actor.id,
        "actor_name": actor.name,
        "remote_address": actor.remote_address,
        "action": _action.get(),
        "operation": change.operation,
        "object_table": name,
        "object_id": change.object_id,
        "changes": orjson.dumps(_told(change.columns), option=orjson.OPT_SORT_KEYS).decode(),
    }


def _told(columns: Columns) -> dict[str, list[Any]]:
    """The columns in words for an auditor; of a secret only that it changed."""
    return {
        name: [HIDDEN if is_secret_name(name) else _plain(name, value) for value in pair]
        for name, pair in columns.items()
        if name not in {"id", "organisation_id"}
    }


def _plain(name: str, value: Any) -> Any:
    value = _as_json(value)
    if isinstance(value, dict | list):
        value = redact(value, name, keeps_id_tags=True)
        return value if len(orjson.dumps(value)) <= JSON_BYTES_MAX else "(large)"
    if isinstance(value, str):
        return redact(value[:TEXT_CHARS_MAX], keeps_id_tags=True)
    return value


def _as_json(value: Any) -> Any:
    """What JSON knows: times as text, words of enums, ids as digits in a string (JavaScript's numbers end at 2^53)."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(item) for item in value]
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, datetime):
        return time_text(value)
    is_plain = value is None or isinstance(value, bool | float | str)
    return value if is_plain or (isinstance(value, int) and abs(value) < _EXACT_INT_MAX) else str(value)
