"""P6: one state of the database, with the files that it names, as a file; and that file's way back."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy.engine import URL, make_url

from csms.config import Settings
from csms.exceptions import Conflict, Invalid, Unavailable
from csms.platform.operations.backup.scratch import check_room, keep

_ERROR_CHARS_MAX: Final = 2000
_FILES: Final = "SELECT key, size_bytes, sha256 FROM stored_file ORDER BY id"
_END: Final = "-- that was all --"
_PATIENCE_S: Final = 5.0
"""A connection that was just closed may be seen a moment longer."""
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_OLD_SCHEMA: Final = "csms_before_restore"


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file that the database names."""

    key: str
    size_bytes: int
    sha256: str


class Snapshot(Protocol):
    """One state of the database, however much is written meanwhile."""

    def files(self) -> Iterator[FileRow]:
        """What it names in the folder of files; read it to its end."""

    def copy(self, target: Path) -> None:
        """Write all of it into a new file."""


class Database(Protocol):
    member: str
    """What its copy is called in an archive."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """The state of this moment. Raises Conflict where there is no database."""

    def folder(self) -> Path | None:
        """Where it lies on this machine's disk."""

    def refuse_if_taken(self) -> None:
        """Raises Conflict where something is there already."""

    def refuse_if_used(self) -> None:
        """Raises Conflict where somebody works with what is there."""

    def check(self, copy: Path) -> None:
        """Raises Invalid for a damaged copy."""

    def install(self, copy: Path) -> None:
        """Put the copy in the place of what is there."""


def open_database(settings: Settings) -> Database:
    """The database that CSMS_DATABASE_URL names."""
    url = make_url(settings.database_url.get_secret_value())
    if url.get_backend_name() == "sqlite":
        return SqliteDatabase(Path(url.database or ""))
    return PostgresDatabase(url)


# --- SQLite -----------------------------------------------------------------------------------------------------


class SqliteDatabase:
    member = "database.sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        if not self._path.exists():
            raise Conflict(f"there is no database at {self._path}; check CSMS_DATABASE_URL")
        address = f"{self._path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as live:
            live.execute("BEGIN")  # a reader of the WAL hinders no writer
            yield _SqliteSnapshot(live, self._path)

    def folder(self) -> Path | None:
        return self._path.parent

    def refuse_if_taken(self) -> None:
        if self._path.exists():
            raise Conflict(f"there is a database at {self._path}; move it away, or use --force to overwrite it")

    def refuse_if_used(self) -> None:
        if not self._path.exists():
            return
        try:
            with closing(sqlite3.connect(self._path, timeout=_PATIENCE_S, isolation_level=None)) as alone:
                alone.execute("PRAGMA locking_mode = EXCLUSIVE")  # nobody else may even have it open
                alone.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise Conflict(f"{self._path} is in use: stop the system first") from error
        except sqlite3.DatabaseError:
            return  # damaged: a reason to restore

    def check(self, copy: Path) -> None:
        try:
            with closing(sqlite3.connect(copy)) as opened:
                state = str(opened.execute("PRAGMA quick_check").fetchone()[0])
        except sqlite3.DatabaseError as error:
            state = str(error)
        if state != "ok":
            raise Invalid(f"the database in this backup is damaged: {state}")

    def install(self, copy: Path) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(f"{self._path.name}.part")
        shutil.move(copy, part)
        keep(part)
        for old in (self._path.with_name(f"{self._path.name}-wal"), self._path.with_name(f"{self._path.name}-shm")):
            old.unlink(missing_ok=True)  # they belong to the database that is replaced
        part.replace(self._path)
        keep(self._path.parent)


class _SqliteSnapshot:
    def __init__(self, live: sqlite3.Connection, path: Path) -> None:
        self._live = live
        self._path = path

    def files(self) -> Iterator[FileRow]:
        found = self._live.execute("SELECT count(*) FROM sqlite_master WHERE name = 'stored_file'").fetchone()
        if found[0]:
            for key, size_bytes, sha256 in self._live.execute(_FILES):
                yield FileRow(key, size_bytes, sha256)

    def copy(self, target: Path) -> None:
        check_room(target.parent, self._path.stat().st_size)
        with closing(sqlite3.connect(target)) as copy:
            self._live.backup(copy)  # within the transaction that has begun: the state that named the files


# --- PostgreSQL -------------------------------------------------------------------------------------------------


class PostgresDatabase:
    member = "database.dump"

    def __init__(self, url: URL) -> None:
        self._url = url

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        arguments = ["--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "-vON_ERROR_STOP=1", "-vFETCH_COUNT=1000"]
        session = subprocess.Popen(  # noqa: S603  # our own arguments, no shell
            [_program("psql"), *arguments],
            env=_environment(self._url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with session:
            try:
                opened = _PostgresSnapshot(self._url, session)
                opened.begin()
                yield opened
            finally:
                session.kill()

    def folder(self) -> Path | None:
        return None

    def refuse_if_taken(self) -> None:
        if self._is_taken():
            raise Conflict(
                f"the database {self._url.database} is not empty; use an empty one, or --force to overwrite it"
            )

    def refuse_if_used(self) -> None:
        if not self._is_taken():
            return
        until = time.monotonic() + _PATIENCE_S
        while (others := _run("psql", ["-XtAc", _OTHERS], self._url).strip()) != "0":
            if time.monotonic() > until:
                raise Conflict(
                    f"the database {self._url.database} is in use by {others} connections: stop the system first"
                )
            time.sleep(_PATIENCE_S / 25)

    def _is_taken(self) -> bool:
        count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        return _run("psql", ["-XtAc", count], self._url).strip() != "0"

    def check(self, copy: Path) -> None:
        try:
            _run("pg_restore", ["--list", str(copy)], self._url)
        except Unavailable as error:
            raise Invalid(f"the database in this backup cannot be read: {error.detail}") from error

    def install(self, copy: Path) -> None:
        if not self._is_taken():
            self._fill(copy)
            return
        self._sql(
            f"DROP SCHEMA IF EXISTS {_OLD_SCHEMA} CASCADE",
            f"ALTER SCHEMA public RENAME TO {_OLD_SCHEMA}",
            "CREATE SCHEMA public",
        )
        try:
            self._fill(copy)
        except Unavailable:
            self._sql("DROP SCHEMA public CASCADE", f"ALTER SCHEMA {_OLD_SCHEMA} RENAME TO public")
            raise
        self._sql(f"DROP SCHEMA {_OLD_SCHEMA} CASCADE")

    def _fill(self, copy: Path) -> None:
        arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(copy)]
        _run("pg_restore", [f"--dbname={self._url.database}", *arguments], self._url)

    def _sql(self, *statements: str) -> None:
        commands = [part for statement in statements for part in ("-c", statement)]
        _run("psql", ["-Xq1", "-vON_ERROR_STOP=1", *commands], self._url)


class _PostgresSnapshot:
    """A session that holds a snapshot, which pg_dump is told of."""

    def __init__(self, url: URL, session: "subprocess.Popen[str]") -> None:
        self._url = url
        self._session = session
        self._id = ""

    def begin(self) -> None:
        self._id = self._ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot()")

    def files(self) -> Iterator[FileRow]:
        if self._ask("SELECT to_regclass('public.stored_file') IS NOT NULL") == "t":
            for row in self._rows(_FILES):
                key, size_bytes, sha256 = row.split("|")
                yield FileRow(key, int(size_bytes), sha256)

    def copy(self, target: Path) -> None:
        options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={self._id}", f"--file={target}"]
        _run("pg_dump", options, self._url)

    def _ask(self, sql: str) -> str:
        return "".join(self._rows(sql))

    def _rows(self, sql: str) -> Iterator[str]:
        session = self._session
        assert session.stdin is not None  # noqa: S101  # both are pipes
        assert session.stdout is not None  # noqa: S101
        try:
            os.write(session.stdin.fileno(), f"{sql};\n\\echo '{_END}'\n".encode())
        except BrokenPipeError:
            raise self._failure() from None
        for line in session.stdout:
            if line.rstrip("\n") == _END:
                return
            yield line.rstrip("\n")
        raise self._failure()

    def _failure(self) -> Unavailable:
        errors = self._session.stderr.read() if self._session.stderr else ""
        return Unavailable(f"psql failed: {errors.strip()[:_ERROR_CHARS_MAX]}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed; install PostgreSQL's client programs of the server's version")
    return path


def _environment(url: URL) -> Mapping[str, str]:
    """The password goes by environment, never by argument."""
    environment = os.environ | {"PGCONNECT_TIMEOUT": "10", "PGOPTIONS": "-c client_min_messages=warning"}
    for name, value in (
        ("PGHOST", url.host),
        ("PGPORT", url.port),
        ("PGUSER", url.username),
        ("PGPASSWORD", url.password),
        ("PGDATABASE", url.database),
    ):
        if value is not None:
            environment[name] = str(value)
    return environment


def _run(program: str, arguments: Sequence[str], url: URL) -> str:
    """Run one of PostgreSQL's programs against that database."""
    path = _program(program)
    done = subprocess.run([path, *arguments], env=_environment(url), capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments, no shell
    if done.returncode:
        raise Unavailable(f"{program} failed: {done.stderr.strip()[:_ERROR_CHARS_MAX]}")
    return done.stdout
