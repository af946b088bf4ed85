"""High-volume tables: monthly partitions on PostgreSQL, deletion in slices on SQLite; both by the time in the id.

A feature's `model.py` says how long its rows are kept: `KEPT = (Kept(Frame, "frames_kept_days"),)`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from csms.ids import id_at
from csms.store.store import Store
from csms.store.table import Table

SLICE_ROWS = 2_000
MONTHS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of that table are kept for the number of days that the setting of that name holds."""

    table: type[Table]
    setting: str

    @property
    def name(self) -> str:
        return str(self.table.__tablename__)

    @property
    def is_partitioned(self) -> bool:
        return bool(self.table.__table__.dialect_options["postgresql"]["partition_by"])  # type: ignore[attr-defined]  # SQLModel adds it


def month_after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def months_from(at: datetime, count: int) -> list[datetime]:
    """The first moments of `count` months, beginning with the one that holds `at`, in UTC."""
    months = [at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(months) < count:
        months.append(month_after(months[-1]))
    return months


async def ensure_partitions(store: Store, kept: Kept) -> list[str]:
    """PostgreSQL: make the partitions of this and the next months; returns the names of new ones.

    A month whose rows went to the default partition already stays there: nothing is lost, only slower to drop.
    """
    if store.is_sqlite or not kept.is_partitioned:
        return []
    made = []
    async with store.engine.begin() as connection:
        existing = await _partitions(connection, kept.name)
        for month in months_from(store.clock(), MONTHS_AHEAD + 1):
            name = f"{kept.name}_{month:%Y%m}"
            start, end = id_at(month), id_at(month_after(month))
            if name not in existing and not await _default_holds(connection, kept.name, start, end):
                statement = f'CREATE TABLE "{name}" PARTITION OF "{kept.name}" FOR VALUES FROM ({start}) TO ({end})'
                await connection.execute(text(statement))
                made.append(name)
    return made


async def _partitions(connection: AsyncConnection, parent: str) -> set[str]:
    query = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:parent AS regclass)")
    rows = await connection.execute(query, {"parent": f'"{parent}"'})
    return {row[0].strip('"') for row in rows}


async def _default_holds(connection: AsyncConnection, parent: str, start: int, end: int) -> bool:
    query = text(f'SELECT 1 FROM "{parent}_default" WHERE id >= :start AND id < :end LIMIT 1')  # noqa: S608  # our own table's name
    return (await connection.execute(query, {"start": start, "end": end})).first() is not None


async def forget(store: Store, kept: Kept, before: datetime) -> int:
    """Remove rows made before that time: whole partitions at once, the rest in slices so that nobody waits long.

    Returns the number of rows deleted and partitions dropped. Run twice, it does nothing the second time.
    """
    removed = 0
    if not store.is_sqlite and kept.is_partitioned:
        removed += await _drop_partitions(store, kept, before)
    while (count := await _delete_slice(store, kept, id_at(before))) > 0:
        removed += count
    return removed


async def _drop_partitions(store: Store, kept: Kept, before: datetime) -> int:
    oldest_kept = f"{kept.name}_{before.astimezone(UTC):%Y%m}"
    async with store.engine.begin() as connection:
        names = await _partitions(connection, kept.name)
        old = [name for name in names if name != f"{kept.name}_default" and name < oldest_kept]
        for name in old:
            await connection.execute(text(f'DROP TABLE "{name}"'))
    return len(old)


async def _delete_slice(store: Store, kept: Kept, before_id: int) -> int:
    table = kept.table.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    ids = select(table.c.id).where(table.c.id < before_id).order_by(table.c.id).limit(SLICE_ROWS)
    async with store.writing() as work:
        connection = await work.session.connection()
        return (await connection.execute(delete(table).where(table.c.id.in_(ids)))).rowcount
