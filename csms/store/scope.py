"""P1: an organisation sees only its own rows. The one place where that is enforced.

Every ORM statement of a scoped session (`session.info["organisation_id"]` set) gets the condition
`organisation_id = …` for each table that derives from `Owned`, also behind joins, aliases, counts,
bulk updates and deletes; a new row of another organisation is refused before it is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, func, literal_column
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlmodel.ext.asyncio.session import AsyncSession

from csms.store.table import Owned

MOST: Any = literal_column("0.9375")
"""SQLite, which counts no rows, is told that most are of one organisation. It takes every index for a narrow one and
would look for a station's rows among all of its organisation, in the order of the list, until a page is full."""


def _restrict(state: ORMExecuteState) -> None:
    organisation_id = state.session.info.get("organisation_id")
    if organisation_id is None or state.is_column_load or state.is_relationship_load:
        return
    is_sqlite = state.session.get_bind().dialect.name == "sqlite"
    criteria = (
        (lambda cls: func.likelihood(cls.organisation_id == organisation_id, MOST))
        if is_sqlite
        else (lambda cls: cls.organisation_id == organisation_id)
    )
    state.statement = state.statement.options(with_loader_criteria(Owned, criteria, include_aliases=True))


def _refuse_foreign(session: Session, _context: Any, _instances: Any) -> None:
    organisation_id = session.info.get("organisation_id")
    if organisation_id is None:
        return
    for row in session.new:
        if isinstance(row, Owned) and row.organisation_id != organisation_id:
            raise PermissionError(f"a {type(row).__name__} of another organisation must not be written")


def enforce(session_class: type[Session]) -> None:
    """Make every session of that class keep to its organisation."""
    event.listen(session_class, "do_orm_execute", _restrict)
    event.listen(session_class, "before_flush", _refuse_foreign)


@contextmanager
def unscoped(session: AsyncSession) -> Iterator[None]:
    """Look across organisations for a moment; only for what is unique over all of them, as a station's identity."""
    organisation_id = session.info.pop("organisation_id", None)
    try:
        yield
    finally:
        session.info["organisation_id"] = organisation_id
