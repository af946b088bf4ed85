"""Brings a database to the newest schema; alembic does the work.

`python -m csms.store.migrate "message"` writes a new migration: the difference between tables and migrations.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from csms.features import features
from csms.store.store import open_store

MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Apply what is missing; does nothing on a database that is up to date.

    Raises SystemExit for a database of a version of the program that this one does not know.
    """
    features()  # registers all tables

    def apply(sync: Connection) -> None:
        config = alembic_config(sync)
        _refuse_unknown(sync, config)
        command.upgrade(config, revision)

    async with engine.connect() as opened:
        connection = await opened.execution_options(csms_write=True)
        await connection.run_sync(apply)
        await connection.commit()


def _refuse_unknown(connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise SystemExit(
            f"The database has the schema {', '.join(sorted(unknown))}, which this version of csms does not know: "
            "another version has upgraded it. Start that one, or restore a backup that was made before the upgrade."
        )


async def is_empty(engine: AsyncEngine) -> bool:
    """Whether the database has never been brought to any schema."""
    async with engine.connect() as connection:
        heads = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    return not heads


async def differences(engine: AsyncEngine) -> list[str]:
    """What the tables of the code have that the database has not, and the other way round; empty when they agree."""

    def compare(connection: Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_ours})
        return [str(one) for one in compare_metadata(context, SQLModel.metadata)]

    async with engine.connect() as connection:
        return await connection.run_sync(compare)


def is_ours(_thing: object, name: str | None, kind: str, _is_reflected: bool, _other: object) -> bool:
    """Partitions are made by retention.py, not by migrations."""
    known = SQLModel.metadata.tables
    if kind == "table":
        return name in known or not any((name or "").startswith(f"{parent}_") for parent in _partitioned())
    return True


def _partitioned() -> list[str]:
    tables = SQLModel.metadata.tables.values()
    return [table.name for table in tables if table.dialect_options["postgresql"]["partition_by"]]


async def write_migration(message: str) -> None:
    """Compare the tables with a fresh, upgraded SQLite database and write what differs."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/scratch.db")
        await upgrade(store.engine)
        async with store.engine.connect() as connection:
            await connection.run_sync(
                lambda sync: command.revision(alembic_config(sync), message=message, autogenerate=True)
            )
        await store.close()


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004  # the program and its one argument
        raise SystemExit('say what the migration does: python -m csms.store.migrate "add things"')
    asyncio.run(write_migration(sys.argv[1]))
