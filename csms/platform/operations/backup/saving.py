"""P6: writing a backup while the system runs.

A file is durable before its row is committed, never changes, and goes only after its row's end is committed. So what
a state of the database names was there when that state was. It is held by a second name (hard link) before anything
is copied; a file that had gone by then must be gone from the next state too, or it is really lost.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from csms import __version__
from csms.config import Settings
from csms.exceptions import Conflict, Unavailable
from csms.files import Blobs
from csms.platform.operations.backup.archive import (
    CA_CERTIFICATE,
    CA_KEY,
    FORMAT,
    MANIFEST,
    SECRET_KEY,
    ArchiveWriter,
    KeyCheck,
    Manifest,
    writing,
)
from csms.platform.operations.backup.databases import Database, FileRow, Snapshot, open_database
from csms.platform.operations.backup.scratch import check_room, free_bytes, keep, scratch, size_text

_TRIES: Final = 20
_FAULTS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in the archive that was written."""

    size_bytes: int
    manifest: Manifest
    faults: list[str]
    """What was not as the database says: files that are lost or changed; the first ones of them."""

    @property
    def size_text(self) -> str:
        return size_text(self.size_bytes)


def backup(
    settings: Settings,
    target: Path,
    *,
    with_files: bool = True,
    with_keys: bool = True,
    tell: Callable[[str], None] = lambda _line: None,
) -> Saved:
    """Write database, files and keys of one moment into an archive that only its owner reads; the system may run.

    The archive appears under its name when it is whole. Where CSMS_SECRET_KEY is set the key is not in it. Raises
    Conflict if the target exists, Unavailable if a program or room on the disk is missing.
    """
    if target.exists():
        raise Conflict(f"{target} exists; choose another name, so that an older backup is never lost")
    try:
        with ExitStack() as stack:
            database = open_database(settings)
            with database.snapshot():
                pass  # it can be reached: only now anything is made
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(scratch(target.parent, "csms-backup-"))
            held = _Held(settings, folder, stack) if with_files else None
            saving = _Saving(settings, folder, held, with_keys=with_keys, tell=tell)
            with _state(database, held) as snapshot:
                saving.copy(database.member, snapshot)
            return saving.write(target)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"no backup was written: {error}") from error


@contextmanager
def _state(database: Database, held: "_Held | None") -> Iterator[Snapshot]:
    """A state of the database all of whose files are held, but those that are lost."""
    gone: set[str] = set()
    for _ in range(_TRIES):
        with database.snapshot() as snapshot:
            missing = held.take(snapshot.files()) if held else set()
            if missing <= gone:
                yield snapshot
                return
        gone = missing
    raise Unavailable("files are removed faster than they can be listed; try again when less is going on")


class _Held:
    """The files that a state of the database names, each by a second name, so that nobody can remove them."""

    def __init__(self, settings: Settings, folder: Path, stack: ExitStack) -> None:
        self._root = settings.data_dir / "files"
        self._blobs = Blobs(self._root, bytes_max=settings.files_bytes_max)
        self._list = folder / "files"
        self._stack = stack
        self._folder: Path | None = None
        self.missing: set[str] = set()
        self.count = 0
        self.size_bytes = 0

    def take(self, rows: Iterable[FileRow]) -> set[str]:
        """Hold them; which ones are not there."""
        self.missing, self.count, self.size_bytes = set(), 0, 0
        with self._list.open("w") as listed:
            for row in rows:
                if self._hold(row.key):
                    listed.write(f"{row.key} {row.sha256}\n")
                    self.count += 1
                    self.size_bytes += self.path(row.key).stat().st_size
                else:
                    self.missing.add(row.key)
        return self.missing

    def _hold(self, key: str) -> bool:
        if not self._root.is_dir():
            return False
        source, held = self._blobs.path(key), self.path(key)
        try:
            os.link(source, held)
        except FileExistsError:  # held for the state before
            return True
        except FileNotFoundError:
            return False
        except OSError:
            return _copied(source, held)
        return True

    def path(self, key: str) -> Path:
        """Where a held file lies: beside the others, as only there it may have a second name."""
        if self._folder is None:
            self._folder = self._stack.enter_context(scratch(self._root, ".backup-"))
        return self._folder / key

    def check(self) -> None:
        """Raises Conflict where it is not the folder of this database."""
        if self.missing and not self.count:
            raise Conflict(
                f"none of the {len(self.missing)} files that the database names is in {self._root}: "
                "check CSMS_DATA_DIR, or use --without-files and copy them where they are"
            )

    def files(self) -> Iterator[tuple[str, str]]:
        """Keys and SHA-256 as the database has it."""
        with self._list.open() as listed:
            for line in listed:
                key, sha256 = line.split()
                yield key, sha256


def _copied(source: Path, held: Path) -> bool:
    """For file systems without hard links."""
    part = held.with_suffix(".part")
    try:
        shutil.copyfile(source, part)
    except FileNotFoundError:
        return False
    part.rename(held)
    return True


class _Saving:
    def __init__(
        self, settings: Settings, folder: Path, held: _Held | None, *, with_keys: bool, tell: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._held = held
        self._with_keys = with_keys
        self._tell = tell
        self._database = folder / "none"

    def copy(self, member: str, snapshot: Snapshot) -> None:
        """Copy that state of the database; its files are held, so the snapshot may end then."""
        if self._held is not None:
            self._held.check()
        self._database = self._folder / member
        snapshot.copy(self._database)

    def write(self, target: Path) -> Saved:
        manifest = self._manifest()
        self._tell(_plan(manifest, target))
        check_room(target.parent)
        part = self._folder / "archive"
        with writing(part, self._folder) as archive:
            self._add_text(archive, MANIFEST, manifest.text())
            for name, path in self._keys():
                archive.add(name, path)
            archive.add(self._database.name, self._database)
            faults = self._add_files(archive)
        if target.exists():
            raise Conflict(f"{target} exists; choose another name, so that an older backup is never lost")
        part.replace(target)  # whole or not at all
        keep(target.parent)
        return Saved(target.stat().st_size, manifest, faults)

    def _add_text(self, archive: ArchiveWriter, name: str, text: str) -> None:
        path = self._folder / name
        path.write_text(text)
        archive.add(name, path)

    def _manifest(self) -> Manifest:
        key, path = self._settings.secret_key, self._settings.data_dir / SECRET_KEY
        in_force = key.get_secret_value().encode() if key else path.read_bytes().strip() if path.exists() else None
        held = self._held
        return Manifest(
            FORMAT,
            self._database.name,
            self._database.stat().st_size,
            files=held.count if held else None,
            files_bytes=held.size_bytes if held else 0,
            files_missing=len(held.missing) if held else 0,
            secret_key=KeyCheck.of(in_force) if in_force else None,
            has_secret_key=any(name == SECRET_KEY for name, _path in self._keys()),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            made_by=__version__,
        )

    def _keys(self) -> Iterator[tuple[str, Path]]:
        settings = self._settings
        if not self._with_keys:
            return
        if settings.secret_key is None and (settings.data_dir / SECRET_KEY).exists():
            yield SECRET_KEY, settings.data_dir / SECRET_KEY
        for name, path in ((CA_CERTIFICATE, settings.ca_certificate_file), (CA_KEY, settings.ca_key_file)):
            if path is not None:
                yield name, path

    def _add_files(self, archive: ArchiveWriter) -> list[str]:
        held, faults = self._held, list[str]()
        if held is None:
            return faults
        faults += [f"files/{key[:2]}/{key} is not there" for key in sorted(held.missing)[:_FAULTS_SHOWN]]
        for key, sha256 in held.files():
            found = archive.add(f"files/{key}", held.path(key))
            if found != sha256 and len(faults) < _FAULTS_SHOWN:
                faults.append(f"files/{key[:2]}/{key} is damaged: its checksum is not that of the upload")
        return faults


def _plan(manifest: Manifest, target: Path) -> str:
    what = f"The database has {size_text(manifest.database_bytes)}"
    if manifest.files is not None:
        files = "1 file has" if manifest.files == 1 else f"{manifest.files} files have"
        what += f", {files} {size_text(manifest.files_bytes)}"
    return f"{what}; {size_text(free_bytes(target.parent))} are free for the archive."
