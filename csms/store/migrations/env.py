"""Run by alembic: migrates the connection that csms.store.migrate opened."""

from typing import Any, Literal

from alembic import context
from sqlalchemy import Enum
from sqlmodel import AutoString, SQLModel

from csms.store.migrate import is_ours
from csms.store.table import BigInt, Json, UtcDateTime


def render(kind: str, thing: Any, _autogen: Any) -> str | Literal[False]:
    """Our column types by their names; an enum is its text, so that a new word needs no migration."""
    if kind == "type" and isinstance(thing, BigInt | Json | UtcDateTime):
        return f"{type(thing).__name__}()"
    if kind == "type" and isinstance(thing, Enum):
        return f"sa.String(length={thing.length})"
    if kind == "type" and isinstance(thing, AutoString):
        return f"sa.String(length={thing.length})" if thing.length else "sa.String()"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render,
    include_object=is_ours,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
