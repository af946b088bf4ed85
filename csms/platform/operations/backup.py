"""P6: one archive with everything that cannot be made again: the database and the secret key; and its way back."""

import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy.engine import URL, make_url

from csms.config import Settings
from csms.exceptions import Conflict, Invalid, Unavailable

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SECRET_KEY: Final = "secret.key"  # noqa: S105  # a file's name
SQLITE_MEMBER: Final = "database.sqlite"
POSTGRES_MEMBER: Final = "database.dump"
_MEMBERS: Final = frozenset({MANIFEST, SECRET_KEY, SQLITE_MEMBER, POSTGRES_MEMBER})
_ERROR_CHARS_MAX: Final = 2000


def backup(settings: Settings, target: Path) -> None:
    """Write a consistent archive (tar.gz, readable by its owner only) while the system may run.

    It holds the database and the secret key; where CSMS_SECRET_KEY is set the key is not in it. Raises Conflict if
    the target exists, Unavailable if `pg_dump` is missing or fails.
    """
    if target.exists():
        raise Conflict(f"{target} exists; choose another name, so that an older backup is never lost")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="csms-backup-", dir=target.parent) as folder:
        files = _gather(settings, Path(folder))
        part = Path(folder) / "archive"
        part.touch(mode=0o600)
        with tarfile.open(part, "w:gz") as archive:
            for path in files:
                archive.add(path, path.name, recursive=False)
        _keep(part)
        part.replace(target)  # whole or not at all


def _gather(settings: Settings, folder: Path) -> list[Path]:
    url = make_url(settings.database_url.get_secret_value())
    is_sqlite = url.get_backend_name() == "sqlite"
    database = folder / (SQLITE_MEMBER if is_sqlite else POSTGRES_MEMBER)
    if is_sqlite:
        _copy_sqlite(Path(url.database or ""), database)
    else:
        _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={database}"], url)
    files = [_write_manifest(folder, database.name), database]
    key = settings.data_dir / SECRET_KEY
    if settings.secret_key is None and key.exists():
        files.append(Path(shutil.copy(key, folder / SECRET_KEY)))
    return files


def _write_manifest(folder: Path, database: str) -> Path:
    path = folder / MANIFEST
    path.write_text(json.dumps({"format": FORMAT, "made_at": datetime.now(UTC).isoformat(), "database": database}))
    return path


def _copy_sqlite(source: Path, target: Path) -> None:
    if not source.exists():
        raise Conflict(f"there is no database at {source}; check CSMS_DATABASE_URL")
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)  # one state of the database, while others write


def _keep(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def restore(settings: Settings, source: Path, *, force: bool = False) -> None:
    """Bring database and secret key back from an archive of `backup`; the system must be stopped.

    Raises Invalid for something else than such an archive, Conflict where data would be overwritten without `force`.
    """
    url = make_url(settings.database_url.get_secret_value())
    is_sqlite = url.get_backend_name() == "sqlite"
    member = SQLITE_MEMBER if is_sqlite else POSTGRES_MEMBER
    data_dir = settings.data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="csms-restore-", dir=data_dir) as name:
        folder = Path(name)
        _unpack(source, folder)
        _check_manifest(folder, member)
        new_key = folder / SECRET_KEY
        _refuse_other_key(data_dir / SECRET_KEY, new_key, force=force)
        if is_sqlite:
            _restore_sqlite(folder / member, Path(url.database or ""), force=force)
        else:
            _restore_postgres(folder / member, url, force=force)
        if new_key.exists():
            new_key.chmod(0o600)
            new_key.replace(data_dir / SECRET_KEY)


def _unpack(source: Path, folder: Path) -> None:
    """Take out the members that we know, by name; nothing in an archive can choose where it lands."""
    if not source.exists():
        raise Invalid(f"there is no file {source}")
    try:
        with tarfile.open(source, "r:gz") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name in _MEMBERS and member.isfile() else None
                if content is None:
                    raise Invalid(f"{source} is no backup of this system: it holds {member.name!r}")
                _write(folder / member.name, content)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Invalid(f"{source} cannot be read as a backup: {error}") from error


def _write(path: Path, content: IO[bytes]) -> None:
    path.touch(mode=0o600)
    with path.open("wb") as file:
        shutil.copyfileobj(content, file)


def _check_manifest(folder: Path, member: str) -> None:
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text())
        found, made_by = manifest["database"], manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid("this is no backup of this system: it has no manifest") from error
    if made_by != FORMAT:
        raise Invalid(f"this backup has format {made_by}, this version reads {FORMAT}; restore it with its own version")
    if found != member or not (folder / member).exists():
        raise Invalid(f"this backup holds {found}; CSMS_DATABASE_URL names the other kind of database")


def _refuse_other_key(key: Path, new_key: Path, *, force: bool) -> None:
    if force or not new_key.exists() or not key.exists() or key.read_bytes() == new_key.read_bytes():
        return
    raise Conflict(f"{key} holds another secret key; move it away, or use --force to overwrite it")


def _restore_sqlite(copy: Path, path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise Conflict(f"there is a database at {path}; move it away, or use --force to overwrite it")
    state = _soundness(copy)
    if state != "ok":
        raise Invalid(f"the database in this backup is damaged: {state}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    shutil.copyfile(copy, part)
    _keep(part)
    for old in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        old.unlink(missing_ok=True)  # they belong to the database that is replaced
    part.replace(path)


def _soundness(path: Path) -> str:
    try:
        with closing(sqlite3.connect(path)) as opened:
            return str(opened.execute("PRAGMA quick_check").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)


def _restore_postgres(dump: Path, url: URL, *, force: bool) -> None:
    count = _run("psql", ["-tAc", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"], url)
    if count.strip() != "0":
        if not force:
            raise Conflict(f"the database {url.database} is not empty; use an empty one, or --force to overwrite it")
        _run("psql", ["-qc", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public"], url)
    arguments = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(dump)]
    _run("pg_restore", [f"--dbname={url.database}", *arguments], url)


def _run(program: str, arguments: Sequence[str], url: URL) -> str:
    """Run one of PostgreSQL's programs against that database; the password goes by environment, never by argument."""
    path = shutil.which(program)
    if path is None:
        raise Unavailable(f"{program} is not installed; install PostgreSQL's client programs of the server's version")
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
    done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments, no shell
    if done.returncode:
        raise Unavailable(f"{program} failed: {done.stderr.strip()[:_ERROR_CHARS_MAX]}")
    return done.stdout
