"""Bulk writers behind group commit: many units of work, one transaction, one fsync (PERFORMANCE: storage)."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

import asyncpg
import orjson

from csms.store.table import Json, Table, UtcDateTime, aware
from csms.store.work import Owner, Row, Work

Convert = Callable[[Any], Any]
Values = list[Any]


class RowRefused(Exception):
    """The database cannot take a row: it breaks a constraint or a value does not fit; nothing was kept."""


class Outlived(Exception):
    """A newer connection has taken these stations over, in another process; nothing of any unit was kept."""

    def __init__(self, owners: frozenset[Owner]) -> None:
        super().__init__(f"{len(owners)} stations were taken over by newer connections")
        self.owners = owners


UNFIT: Final = (ValueError, TypeError, OverflowError)
"""What converting a value for the driver raises: a time without zone, an integer beyond 64 bits, …"""


class Writer(Protocol):
    """Writes the noted rows and changes of units of work in one transaction, durable when it returns.

    Raises RowRefused when the database cannot take a row, Outlived for units whose owner no longer is the station's,
    anything else when the database fails.
    """

    async def write(self, works: Sequence[Work]) -> None: ...

    async def close(self) -> None: ...


class Form:
    """Rows of one table in which the same columns are set, on their way to the driver; columns left out are NULL."""

    def __init__(self, table: type[Table], columns: tuple[str, ...], converters: dict[type, Convert]) -> None:
        sql_table = table.__table__  # type: ignore[attr-defined]  # SQLModel adds it
        unknown = [name for name in columns if name not in sql_table.columns]
        if unknown:
            raise ValueError(f"{sql_table.name} has no column {', '.join(unknown)}")
        self.table: str = sql_table.name
        self.columns = columns
        kinds = [type(sql_table.columns[name].type) for name in columns]
        self._converted = [(index, converters[kind]) for index, kind in enumerate(kinds) if kind in converters]

    def convert(self, rows: Iterable[Values]) -> None:
        """In place, column by column: rows of one batch share many values, as the time at which they were handled."""
        for index, convert in self._converted:
            last, converted = None, None
            for values in rows:
                value = values[index]
                if value is not last:
                    last, converted = value, None if value is None else convert(value)
                values[index] = converted


Rows = list[tuple[Form, list[Values]]]


class Gatherer:
    """Sorts the rows of many units of work by table and columns, in the order in which those were first met."""

    def __init__(self, converters: dict[type, Convert]) -> None:
        self._converters = converters
        self._forms: dict[tuple[type[Table], tuple[str, ...]], Form] = {}

    def gather(self, works: Iterable[Work]) -> tuple[Rows, Rows]:
        """New rows, and changes, whose last value is the row's id. Raises RowRefused for what cannot be stored."""
        try:
            return self._gather(works)
        except UNFIT as error:
            raise RowRefused(str(error)) from error

    def _gather(self, works: Iterable[Work]) -> tuple[Rows, Rows]:
        inserts: dict[Form, list[Values]] = {}
        updates: dict[Form, list[Values]] = {}
        for work in works:
            for table, noted in work.rows.items():
                for row in noted:
                    inserts.setdefault(self._form(table, row), []).append(list(row.values()))
            for (table, row_id), changed in work.changes.items():
                updates.setdefault(self._form(table, changed), []).append([*changed.values(), row_id])
        for form, rows in (*inserts.items(), *updates.items()):
            form.convert(rows)
        return list(inserts.items()), list(updates.items())

    def _form(self, table: type[Table], row: Row) -> Form:
        key = table, tuple(row)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = Form(*key, self._converters)
        return form


class PostgresWriter:
    """COPY for new rows, pipelined updates; two connections, so that one batch gathers while another commits."""

    def __init__(self, dsn: str, connections: int = 2) -> None:
        self._gatherer = Gatherer({Json: lambda value: orjson.dumps(value).decode(), UtcDateTime: aware})
        self._dsn = dsn
        self._size = connections
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def write(self, works: Sequence[Work]) -> None:
        inserts, updates = self._gatherer.gather(works)
        if not inserts and not updates:
            return
        pool = await self._open()
        try:
            async with pool.acquire(timeout=30) as connection, connection.transaction():
                await _fence(connection, {work.owner for work in works if work.owner is not None})
                for form, rows in inserts:
                    await connection.copy_records_to_table(form.table, records=rows, columns=form.columns)
                for form, rows in updates:
                    marks = ",".join(f'"{name}"=${index}' for index, name in enumerate(form.columns, 1))
                    statement = f'UPDATE "{form.table}" SET {marks} WHERE "id"=${len(form.columns) + 1}'  # noqa: S608  # names come from our tables
                    rows.sort(key=lambda values: values[-1])  # one lock order over all writers: no deadlock
                    await connection.executemany(statement, rows)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise RowRefused(error.constraint_name or str(error)) from error
        except (asyncpg.DataError, *UNFIT) as error:
            raise RowRefused(str(error)) from error

    async def _open(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self._dsn, min_size=1, max_size=self._size, command_timeout=60, timeout=10
                    )
        return self._pool

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()


_OUTLIVED: Final = """
WITH held AS MATERIALIZED (SELECT "id", "fence" FROM "station" WHERE "id" = ANY($1) ORDER BY "id" FOR KEY SHARE)
SELECT mine.id, mine.fence FROM held JOIN unnest($1::bigint[], $2::bigint[]) AS mine(id, fence) ON mine.id = held.id
WHERE mine.fence < held.fence
"""


async def _fence(connection: asyncpg.Connection, owners: AbstractSet[Owner]) -> None:
    """Raises Outlived if a station has a newer owner; until the commit nobody else can become it.

    Who takes a station over locks its row, and thereby waits for this commit before reading what there is of the
    station. Without that, both would take a repeated message for a new one (ROBUSTNESS 36).
    """
    if owners:
        mine = list(owners)
        rows = await connection.fetch(_OUTLIVED, [one.station_id for one in mine], [one.fence for one in mine])
        if rows:
            raise Outlived(frozenset(Owner(*row) for row in rows))
