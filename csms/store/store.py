"""Opens the database and runs units of work against it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, insert, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel import Session, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from csms.clock import Clock, system_clock
from csms.exceptions import Conflict
from csms.rights import SYSTEM, Caller
from csms.store.gate import Gate
from csms.store.locks import FileLock, PostgresLock, ProcessLock
from csms.store.scope import enforce
from csms.store.sqlite import SQLITE_PRAGMAS, SqliteWriter
from csms.store.work import BeforeCommit, Fact, Work
from csms.store.writers import Outlived, PostgresWriter, RowRefused, Writer

Announce = Callable[[Sequence[Fact]], None]

WRITES_FAIL_FOR = timedelta(seconds=30)
"""How long a failed commit counts, where no other was tried: a process of which nothing is asked must not stay away."""


class _ScopedSession(Session):
    """The sessions of this store; `enforce` ties them to their organisation."""


enforce(_ScopedSession)


class _ScopedAsyncSession(AsyncSession):
    sync_session_class = _ScopedSession


class Store:
    """The database of one installation, SQLite or PostgreSQL.

    `reading` and `writing` give a unit of work to the API and to jobs; `note` and `commit_all` are the hot path.
    """

    def __init__(self, engine: AsyncEngine, writer: Writer, gate: Gate | None, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self.before_commit: list[BeforeCommit] = []
        self.announce: list[Announce] = []
        self.writer = writer
        self._failed_at: datetime | None = None
        self._gate = gate
        self._sessions = async_sessionmaker(engine, class_=_ScopedAsyncSession, expire_on_commit=False)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def takes_writes(self) -> bool:
        """Whether the last commit did not fail: a full disk or a database made read-only still answers who reads."""
        return self._failed_at is None or self.clock() - self._failed_at > WRITES_FAIL_FOR

    @asynccontextmanager
    async def reading(self, actor: Caller = SYSTEM) -> AsyncIterator[Work]:
        """A unit of work that sees one state of the database and writes nothing."""
        work = Work(self.clock(), self._sessions, actor)
        try:
            yield work
        finally:
            await work.close()

    @asynccontextmanager
    async def writing(self, actor: Caller = SYSTEM) -> AsyncIterator[Work]:
        """A unit of work that commits at the end of the block, or rolls back if the block raises.

        Keep it short: on SQLite nothing else is written meanwhile. Never await the network inside.
        Raises Conflict when a constraint forbids a row.
        """
        async with nullcontext() if self._gate is None else self._gate.alone():
            work = Work(self.clock(), self._sessions, actor)
            try:
                await work.session.connection(execution_options={"csms_write": True})
                yield work
                for hook in self.before_commit:
                    await hook(work)
                await _flush(work)
                await work.session.commit()
                self._failed_at = None
            except IntegrityError as error:
                raise _conflict(error) from error
            except DBAPIError as error:
                if not isinstance(error, DataError | ProgrammingError):
                    self._failed_at = self.clock()
                raise
            finally:
                await work.close()
        self.settle([work])

    def note(self, now: datetime | None = None) -> Work:
        """A unit of work of the hot path: reads see what is committed, writes are noted for `commit_all`."""
        return Work(now or self.clock(), self._sessions)

    async def commit_all(self, works: Sequence[Work]) -> None:
        """Group commit: write what the units noted in one transaction; durable when it returns.

        Raises writers.RowRefused when a row breaks a constraint, and writers.Outlived when a station was taken over
        by another process; then nothing of any unit was kept.
        """
        for work in works:
            if work.has_session:
                await work.close()
            if work.facts and not work.is_prepared:
                work.is_prepared = True  # a commit that is tried again must not note its facts twice
                for hook in self.before_commit:
                    await hook(work)
        try:
            await self.writer.write(works)
        except (RowRefused, Outlived):
            raise
        except Exception:
            self._failed_at = self.clock()
            raise
        self._failed_at = None
        self.settle(works)

    def settle(self, works: Sequence[Work]) -> None:
        """Do what was to be done after the commit of these units."""
        facts: list[Fact] = []
        for work in works:
            for act in work.after:
                act()
            facts += work.facts
        if facts:
            for announce in self.announce:
                announce(facts)

    async def is_kept(self, works: Sequence[Work]) -> bool:
        """Whether a commit whose confirmation was lost has happened: all or nothing, so one row tells."""
        for work in works:
            for table, rows in work.rows.items():
                query = select(col(table.id)).where(col(table.id) == rows[0]["id"])
                async with self._sessions() as session:
                    return (await session.exec(query)).first() is not None
        return False

    def lock(self, name: str) -> ProcessLock:
        """A lock of that name, of which the installation has one."""
        url = self.engine.url
        return FileLock(Path(f"{url.database}.{name}.lock")) if self.is_sqlite else PostgresLock(_dsn(url), name)

    async def close(self) -> None:
        await self.writer.close()
        await self.engine.dispose()


async def _flush(work: Work) -> None:
    """Write noted rows and changes through the session, after what the session itself holds."""
    await work.session.flush()
    connection = await work.session.connection()
    for table, rows in work.rows.items():
        columns = table.__table__.columns.keys()  # type: ignore[attr-defined]  # SQLModel adds it
        full = [{name: row.get(name) for name in columns} for row in rows]
        await connection.execute(insert(table.__table__), full)  # type: ignore[attr-defined]
    for (table, row_id), values in work.changes.items():
        sql_table = table.__table__  # type: ignore[attr-defined]
        await connection.execute(update(sql_table).where(sql_table.c.id == row_id).values(**values))


def _conflict(error: IntegrityError) -> Conflict:
    """Say a broken constraint in words; PostgreSQL names it, SQLite names its columns."""
    original: Any = error.orig
    name = getattr(original, "constraint_name", None) or getattr(original.__cause__, "constraint_name", None)
    what = name or str(original).rpartition(":")[2].strip() or "a constraint"
    return Conflict(f"this would break {what}: there is such a row already, or it is still in use")


def open_store(url: str, clock: Clock = system_clock) -> Store:
    """Open the database of that URL: `sqlite:///path` or `postgresql://user:password@host/name`."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _open_sqlite(parsed, clock)
    if backend == "postgresql":
        return _open_postgres(parsed, clock)
    raise SystemExit(f"CSMS_DATABASE_URL names {backend}; use sqlite:///path or postgresql://user:password@host/name")


# hide_parameters: an error goes into the log, and what a statement is about may be a frame, an id tag or a hash.


def _open_sqlite(url: URL, clock: Clock) -> Store:
    path = url.database
    if not path or path == ":memory:":
        raise SystemExit(
            "CSMS_DATABASE_URL must name a file, as in sqlite:///var/csms.db: data in memory would be lost"
        )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), pool_size=8, max_overflow=8, hide_parameters=True
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    gate = Gate()
    return Store(engine, SqliteWriter(path, gate), gate, clock)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("csms_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _open_postgres(url: URL, clock: Clock) -> Store:
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=10,
        max_overflow=10,
        pool_pre_ping=True,
        pool_timeout=10,
        hide_parameters=True,
    )
    return Store(engine, PostgresWriter(_dsn(url)), None, clock)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
