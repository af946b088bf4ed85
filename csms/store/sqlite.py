"""The writer behind group commit on SQLite: a process of its own, to which batches go over a socket.

A thread would share the interpreter's lock with the event loop: each statement gives it away and has to win it back,
which made the broker a third slower. SQLite has one writer at a time anyway.
"""

import asyncio
import marshal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Enum

from csms.store import sqlite_process
from csms.store.gate import Gate
from csms.store.sqlite_process import HEAD_BYTES, framed
from csms.store.table import Json, UtcDateTime, json_text, time_text
from csms.store.work import Work
from csms.store.writers import Gatherer, RowRefused, Rows, Values

SQLITE_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=30000",
    "PRAGMA cache_size=-65536",
    "PRAGMA wal_autocheckpoint=4000",
)


class WriterFailed(Exception):
    """The database could not be written, or the process that writes has died; nothing is known to be kept."""


Answer = tuple[str, str]


class SqliteWriter:
    """Sends batches to its process, which is started with the first one, and again if it died.

    A batch is sent while the one before is being written, so that the process never waits for a busy event loop.
    Values travel as plain `str`, `int`, `bool`, `float` and None.
    """

    def __init__(self, path: str, gate: Gate, busy_timeout_s: float = 30.0) -> None:
        self._gatherer = Gatherer({UtcDateTime: time_text, Json: json_text, Enum: str.__str__})
        self._gate = gate
        self._hello = framed((path, SQLITE_PRAGMAS, busy_timeout_s))
        self._starting = asyncio.Lock()
        self._program: _Program | None = None

    async def write(self, works: Sequence[Work]) -> None:
        inserts, updates = self._gatherer.gather(works)
        if inserts or updates:
            await asyncio.shield(self._write(framed(_statements(inserts, updates))))

    async def _write(self, batch: bytes) -> None:
        async with self._gate.shared():
            outcome, reason = await (await self._running()).ask(batch)
        if outcome == sqlite_process.REFUSED:
            raise RowRefused(reason)
        if outcome != sqlite_process.KEPT:
            raise WriterFailed(reason)

    async def _running(self) -> "_Program":
        async with self._starting:
            if self._program is None or self._program.has_ended:
                self._program = _Program()
                await self._program.start(self._hello)
            return self._program

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The process that runs now."""
        return None if self._program is None else self._program.process

    async def close(self) -> None:
        async with self._starting:
            if self._program is not None:
                await self._program.stop()


class _Program:
    """One life of the process: questions go out in order, and so come the answers."""

    def __init__(self) -> None:
        self.has_ended = False
        self._waiting: deque[asyncio.Future[Answer]] = deque()

    async def start(self, hello: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            path, number = str(Path(sqlite_process.__file__)), theirs.fileno()
            command = [sys.executable, "-I", "-S", path, str(number)]
            self.process = subprocess.Popen(command, pass_fds=[number])  # noqa: S603, ASYNC220  # ours; takes milliseconds
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(hello)
        self._answers = asyncio.create_task(self._read(reader), name="answers of SQLite's writer")

    async def ask(self, batch: bytes) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._writer.write(batch)
        return await answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(HEAD_BYTES), "little")
                said = marshal.loads(await reader.readexactly(size))  # noqa: S302  # our own process's words
                self._waiting.popleft().set_result(said)
        except (OSError, EOFError):
            self.has_ended = True
            for answer in self._waiting:
                answer.set_exception(WriterFailed("the process that writes to the database has died"))
            self._writer.close()
            await asyncio.to_thread(self.process.wait)

    async def stop(self) -> None:
        """Close the socket, on which the process ends once it has answered, and wait for that."""
        self._writer.write_eof()
        await self._answers


def _statements(inserts: Rows, updates: Rows) -> list[tuple[str, list[Values]]]:
    """Each with its rows. The names in them come from our tables."""
    batch = []
    for form, rows in inserts:
        columns, marks = ",".join(f'"{name}"' for name in form.columns), ",".join("?" * len(form.columns))
        batch.append((f'INSERT INTO "{form.table}" ({columns}) VALUES ({marks})', rows))  # noqa: S608
    for form, rows in updates:
        assignments = ",".join(f'"{name}"=?' for name in form.columns)
        batch.append((f'UPDATE "{form.table}" SET {assignments} WHERE "id"=?', rows))  # noqa: S608
    return batch
