"""Bulk writers behind group commit: many units of work, one transaction, one fsync (PERFORMANCE: storage)."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

import asyncpg
import orjson
from sqlalchemy import Column

from csms.store.table import Json, Table, UtcDateTime, aware
from csms.store.work import Work

Convert = Callable[[Any], Any]
Values = tuple[Any, ...]


class RowRefused(Exception):
    """The database cannot take a row: it breaks a constraint or a value does not fit; nothing was kept."""


UNFIT: Final = (ValueError, TypeError, OverflowError)
"""What converting a value for the driver raises: a time without zone, an integer beyond 64 bits, …"""


class Writer(Protocol):
    """Writes the noted rows and changes of units of work in one transaction, durable when it returns.

    Raises RowRefused when the database cannot take a row, anything else when the database fails.
    """

    async def write(self, works: Sequence[Work]) -> None: ...

    async def close(self) -> None: ...


class Plan:
    """How rows of one table become tuples for the driver."""

    def __init__(self, table: type[Table], converters: dict[type, Convert]) -> None:
        sql_table = table.__table__  # type: ignore[attr-defined]  # SQLModel adds it
        self.name: str = sql_table.name
        columns: list[Column[Any]] = list(sql_table.columns)
        self.columns = [column.name for column in columns]
        self.converters = {
            column.name: converters[type(column.type)] for column in columns if type(column.type) in converters
        }
        self._converted = [(self.columns.index(name), convert) for name, convert in self.converters.items()]

    def record(self, row: dict[str, Any]) -> Values:
        values = list(map(row.get, self.columns))
        for index, convert in self._converted:
            value = values[index]
            if value is not None:
                values[index] = convert(value)
        return tuple(values)

    def changed(self, names: Sequence[str], row: dict[str, Any], row_id: int) -> Values:
        values = [self._convert(name, row[name]) for name in names]
        return (*values, row_id)

    def _convert(self, name: str, value: Any) -> Any:
        convert = self.converters.get(name)
        return value if convert is None or value is None else convert(value)


Inserts = list[tuple[Plan, list[Values]]]
Updates = list[tuple[Plan, tuple[str, ...], list[Values]]]


class Gatherer:
    """Sorts the rows of many units of work by table, in the order in which the tables were first met."""

    def __init__(self, converters: dict[type, Convert]) -> None:
        self._converters = converters
        self._plans: dict[type[Table], Plan] = {}

    def gather(self, works: Iterable[Work]) -> tuple[Inserts, Updates]:
        """Raises RowRefused for a value that cannot be stored."""
        try:
            return self._gather(works)
        except UNFIT as error:
            raise RowRefused(str(error)) from error

    def _gather(self, works: Iterable[Work]) -> tuple[Inserts, Updates]:
        rows: defaultdict[type[Table], list[Values]] = defaultdict(list)
        changes: defaultdict[tuple[type[Table], tuple[str, ...]], list[Values]] = defaultdict(list)
        for work in works:
            for table, noted in work.rows.items():
                record = self._plan(table).record
                rows[table].extend(record(row) for row in noted)
            for (table, row_id), values in work.changes.items():
                names = tuple(values)
                changes[table, names].append(self._plan(table).changed(names, values, row_id))
        inserts = [(self._plan(table), values) for table, values in rows.items()]
        updates = [(self._plan(table), names, values) for (table, names), values in changes.items()]
        return inserts, updates

    def _plan(self, table: type[Table]) -> Plan:
        plan = self._plans.get(table)
        if plan is None:
            plan = self._plans[table] = Plan(table, self._converters)
        return plan


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
                for plan, rows in inserts:
                    await connection.copy_records_to_table(plan.name, records=rows, columns=plan.columns)
                for plan, names, rows in updates:
                    marks = ",".join(f'"{name}"=${index}' for index, name in enumerate(names, 1))
                    statement = f'UPDATE "{plan.name}" SET {marks} WHERE "id"=${len(names) + 1}'  # noqa: S608  # names come from our tables
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
