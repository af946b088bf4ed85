"""The unit of work: what a service reads and writes, all of it committed or none."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from csms.ids import new_id
from csms.rights import SYSTEM, Caller
from csms.store.table import Table

log = structlog.get_logger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened, delivered after the commit: to consumers at least once, to live pages at once.

    `data` is JSON: what a reader of the event needs, without secrets or personal data.
    """

    kind: str
    organisation_id: int
    station_id: int | None = None
    station: str | None = None
    """The station's identity, for live clients."""
    data: Row = field(default_factory=dict)
    id: int = field(default_factory=new_id)


class Owner(NamedTuple):
    """A station's connection, as a unit of work knows it: the newest one has the highest fence."""

    station_id: int
    fence: int


class Work:
    """One unit of work.

    Reads go through `session`. Writes go through `session` too (API, jobs), or through `insert` and
    `change`, which only note the row: on the hot path the rows of many units are then written in bulk.
    Noted rows are not visible to reads of the same unit.
    """

    __slots__ = (
        "_open_session",
        "_session",
        "actor",
        "after",
        "changes",
        "facts",
        "is_prepared",
        "now",
        "owner",
        "rows",
    )

    def __init__(self, now: datetime, open_session: Callable[[], AsyncSession], actor: Caller = SYSTEM) -> None:
        self.now = now
        self.actor = actor
        self.rows: dict[type[Table], list[Row]] = {}
        self.changes: dict[tuple[type[Table], int], Row] = {}
        self.facts: list[Fact] = []
        self.after: list[Callable[[], object]] = []
        self.is_prepared = False
        self.owner: Owner | None = None
        """Whose word this unit is; it is refused once somebody else speaks with that station."""
        self._open_session = open_session
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session, opened at first use and scoped to the actor's organisation."""
        if self._session is None:
            self._session = self._open_session()
            self._session.info["organisation_id"] = self.actor.organisation_id
        return self._session

    @property
    def has_session(self) -> bool:
        return self._session is not None

    def insert(self, table: type[Table], **values: Any) -> int:
        """Note a new row, written in bulk at the commit; columns left out are NULL. Returns its id."""
        row_id: int = values.setdefault("id", new_id())
        rows = self.rows.get(table)
        if rows is None:
            self.rows[table] = [values]
        else:
            rows.append(values)
        return row_id

    def change(self, table: type[Table], row_id: int, **values: Any) -> None:
        """Note new values for the row with that id; a second change of the same row is merged into the first."""
        self.changes.setdefault((table, row_id), {}).update(values)

    def emit(self, fact: Fact) -> None:
        """Note a fact; it is stored with the commit and delivered after it."""
        self.facts.append(fact)

    def after_commit(self, act: Callable[[], object]) -> None:
        """Do something in memory once, and only if, the commit has succeeded."""
        self.after.append(act)

    def discard(self) -> None:
        """Forget everything noted so far."""
        self.rows, self.changes, self.facts, self.after = {}, {}, [], []

    async def close(self) -> None:
        """Give the connection back. To the end even if the caller is cancelled: half done, it would keep its lock.

        Never raises for a database that has gone: what was read has been read, and what was not committed is not kept.
        """
        if self._session is not None:
            session, self._session = self._session, None
            await asyncio.shield(_give_back(session))


async def _give_back(session: AsyncSession) -> None:
    try:
        await session.close()
    except (SQLAlchemyError, OSError) as error:  # even to roll back takes the database's answer
        log.warning("a connection to the database broke at its end", error=str(error))
        await session.invalidate()


BeforeCommit = Callable[[Work], Awaitable[None]]
"""A hook that may add rows to a unit that is about to be committed (audit, outbox)."""
