"""Where everything is kept: one unit of work, committed whole, on SQLite or PostgreSQL.

table.py     column types and the two base tables
work.py      the unit of work that services and handlers are given
scope.py     an organisation sees only its own rows; enforced here and nowhere else
store.py     opens the database; `reading`, `writing` and `commit_all` (group commit)
gate.py      turns of SQLite's writers
locks.py     what one process of the installation has at a time
writers.py   bulk writers: rows sorted by table, asyncpg COPY; sqlite.py the same in a process of its own
retention.py partitions of high-volume tables on PostgreSQL, deletion in slices on SQLite
migrations/  alembic
"""

from csms.store.scope import unscoped
from csms.store.store import Store, open_store
from csms.store.table import BigInt, Json, Owned, Table, UtcDateTime, words
from csms.store.work import Fact, Owner, Work

__all__ = [
    "BigInt",
    "Fact",
    "Json",
    "Owned",
    "Owner",
    "Store",
    "Table",
    "UtcDateTime",
    "Work",
    "open_store",
    "unscoped",
    "words",
]
