"""Locks that one process of an installation holds, for as long as it lives; holding one writes nothing."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import asyncpg

ANSWER_S: Final = 8.0
"""How long the database may take to confirm that the lock is still ours; less than SILENT_S."""
SILENT_S: Final = 30.0
"""PostgreSQL: a holder that says nothing for so long has lost the lock, be it dead, cut off or standing still."""


class ProcessLock(Protocol):
    """One holder at a time over all processes. Whoever holds it calls `take` again within SILENT_S."""

    on_lost: Callable[[], None]
    """Called when the lock was lost without being released: somebody else may have it already."""

    @property
    def is_held(self) -> bool: ...

    async def take(self) -> bool:
        """Take the lock if it is free, or make sure that it is still held; never waits for another holder.

        Raises what the database or the file system raises if it cannot be reached; then the lock is not held.
        """
        ...

    async def release(self) -> None:
        """Let the next one have it."""
        ...


def _nobody_minds() -> None:
    pass


class FileLock:
    """A lock on a file beside the SQLite database; the system takes it from a process that ends, however it ends.

    Not on the database's own file: closing that would drop the locks that SQLite has on it.
    """

    def __init__(self, path: Path) -> None:
        self.on_lost: Callable[[], None] = _nobody_minds
        self._path = path
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        return self._file is not None

    async def take(self) -> bool:
        if self._file is not None and not self._is_there(self._file):
            self._close()
            self.on_lost()
        if self._file is None:
            self._file = self._open()
        return self._file is not None

    def _open(self) -> int | None:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except OSError:
            os.close(file)
            raise
        return file

    def _is_there(self, file: int) -> bool:
        """Whether others would find the file that we hold: somebody may have removed it."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    async def release(self) -> None:
        self._close()


class PostgresLock:
    """An advisory lock of a connection of its own: the server takes it back when the connection ends."""

    def __init__(self, dsn: str, name: str, *, silent_s: float = SILENT_S) -> None:
        self.on_lost: Callable[[], None] = _nobody_minds
        self._dsn = dsn
        self._key = int.from_bytes(sha256(f"csms {name}".encode()).digest()[:8], signed=True)
        self._silent_s = silent_s
        self._connection: asyncpg.Connection | None = None
        self._is_held = False
        self._turn = asyncio.Lock()

    @property
    def is_held(self) -> bool:
        return self._is_held

    async def take(self) -> bool:
        async with self._turn:
            may_have_ended = self._connection is not None and not self._is_held
            try:
                await self._take_in_time()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
                if not may_have_ended:
                    raise
                await self._take_in_time()  # unnoticed until it was used; no lock has ended with it
            return self._is_held

    async def _take_in_time(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._take()
        except BaseException:
            self._drop()
            raise

    async def _take(self) -> None:
        if self._connection is None:
            self._connection = await self._connect()
        if self._is_held:
            await self._connection.execute("SELECT 1")  # not the lock again: the server would count it twice
        else:
            self._is_held = await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key)

    async def _connect(self) -> asyncpg.Connection:
        silent_ms = str(int(self._silent_s * 1000))
        settings = {"idle_session_timeout": silent_ms, "application_name": "csms lock"}
        connection = await asyncpg.connect(self._dsn, timeout=ANSWER_S, server_settings=settings)
        connection.add_termination_listener(self._ended)
        return connection

    def _ended(self, connection: asyncpg.Connection) -> None:
        if connection is self._connection:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        was_held, self._is_held = self._is_held, False
        if connection is not None:
            connection.terminate()
        if was_held:
            self.on_lost()

    async def release(self) -> None:
        async with self._turn:
            connection, self._connection = self._connection, None
            self._is_held = False
            if connection is not None:
                await connection.close(timeout=ANSWER_S)
