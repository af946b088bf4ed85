"""P6: bringing a backup back. Everything is unpacked and checked beside its place before anything is put there."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from csms.config import Settings
from csms.exceptions import Conflict, Invalid, Unavailable
from csms.files import Blobs
from csms.platform.operations.backup.archive import (
    CA_CERTIFICATE,
    CA_KEY,
    CHUNK_BYTES,
    FILE,
    FORMAT_WITHOUT_FILES,
    MANIFEST,
    SECRET_KEY,
    SUMS,
    Manifest,
    Member,
    check_sums,
    reading,
)
from csms.platform.operations.backup.databases import Database, open_database
from csms.platform.operations.backup.scratch import device_of, free_bytes, scratch, size_text

_WHAT_A_KEY_IS_FOR: Final = "without it stations cannot log in and the certificate authority cannot sign"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back."""

    manifest: Manifest
    missing: int
    """How many files the database names that are not there now."""
    to_set: list[str]
    """Settings that the operator still has to make, as `CSMS_…=…`."""

    @property
    def text(self) -> str:
        """What it was, as in `the state of …, 3 files`."""
        files = self.manifest.files
        what = "without files" if files is None else f"{files} file{'' if files == 1 else 's'}"
        return f"the state of {self.manifest.made_at or 'an earlier version'}, {what}"


def restore(
    settings: Settings, source: Path, *, force: bool = False, tell: Callable[[str], None] = lambda _line: None
) -> Restored:
    """Bring back what an archive of `backup` holds; the system must be stopped. The database comes last.

    Raises Invalid for something else than a whole archive, Conflict where something would be overwritten without
    `force`, or where there is too little room for it.
    """
    database = open_database(settings)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            restoring = _Restoring(settings, database, stack, force=force, tell=tell)
            manifest = restoring.unpack(source)
            to_set = restoring.install(manifest)
        return Restored(manifest, _missing(settings, database), to_set)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the backup was not restored: {error}") from error


def _missing(settings: Settings, database: Database) -> int:
    blobs = Blobs(settings.data_dir / "files", bytes_max=settings.files_bytes_max)
    with database.snapshot() as snapshot:
        return sum(not blobs.path(row.key).is_file() for row in snapshot.files())


class _Restoring:
    def __init__(
        self, settings: Settings, database: Database, stack: ExitStack, *, force: bool, tell: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._database = database
        self._stack = stack
        self._force = force
        self._tell = tell
        self._root = settings.data_dir / "files"
        self._blobs = Blobs(self._root, bytes_max=settings.files_bytes_max)
        self._folder = stack.enter_context(scratch(settings.data_dir, ".restore-"))
        self._files: Path | None = None

    # --- unpacking ----------------------------------------------------------------------------------------------

    def unpack(self, source: Path) -> Manifest:
        """Lay everything beside its place, and check it."""
        members = reading(source)
        first = next(members, None)
        if first is None or first.name != MANIFEST:
            raise Invalid(f"{source} is no backup of this system: it has no manifest")
        with (self._folder / "found").open("w") as sums:
            self._take(first, sums)
            manifest = Manifest.parse((self._folder / MANIFEST).read_bytes())
            self._refuse(manifest)
            is_whole = self._take_all(members, sums)
        if not is_whole and manifest.format != FORMAT_WITHOUT_FILES:
            raise Invalid(f"{source} is not whole: its writing was interrupted; use another one")
        if not (self._folder / self._database.member).exists():
            raise Invalid(f"{source} holds no database")
        self._database.check(self._folder / self._database.member)
        self._refuse_other_keys()
        return manifest

    def _take_all(self, members: Iterator[Member], sums: IO[str]) -> bool:
        """True if the checksums were there, and right, and last."""
        for member in members:
            if member.name == SUMS:
                sums.flush()
                member.write(self._folder / SUMS)
                check_sums(self._folder / "found", self._folder / SUMS)
                return next(members, None) is None
            self._take(member, sums)
        return False

    def _take(self, member: Member, sums: IO[str]) -> None:
        file = FILE.fullmatch(member.name)
        if file is not None:
            digest = self._take_file(member, file[1])
        elif member.name in {MANIFEST, SECRET_KEY, CA_CERTIFICATE, CA_KEY, self._database.member}:
            digest = member.write(self._folder / member.name)
        else:
            raise Invalid(f"this is no backup of this system: it holds {member.name!r}")
        sums.write(f"{digest}  {member.name}\n")

    def _take_file(self, member: Member, key: str) -> str:
        if self._files is None:
            self._root.mkdir(parents=True, exist_ok=True)
            self._files = self._stack.enter_context(scratch(self._root, ".restore-"))
            (self._files / "new").mkdir()
        new, present = self._files / "new" / key, self._blobs.path(key)
        digest = member.write(new, mode=0o666)  # less the umask, as files are made that stations upload
        if present.exists() and not self._force and not _is_same(new, present):
            raise Conflict(f"{present} holds something else; move it away, or use --force to overwrite it")
        return digest

    # --- refusing, before much is done --------------------------------------------------------------------------

    def _refuse(self, manifest: Manifest) -> None:
        if manifest.database != self._database.member:
            raise Invalid(f"this backup holds {manifest.database}; CSMS_DATABASE_URL names the other kind of database")
        if not self._force:
            self._refuse_key(manifest)
            self._database.refuse_if_taken()
        self._database.refuse_if_used()
        self._check_room(manifest)

    def _refuse_key(self, manifest: Manifest) -> None:
        """Which key will be in force, and whether it is the one that the backup was made with."""
        check, given = manifest.secret_key, self._settings.secret_key
        path = self._settings.data_dir / SECRET_KEY
        if check is None:
            return
        if given is not None and not check.fits(given.get_secret_value().encode()):
            raise Conflict(f"CSMS_SECRET_KEY is not the key of this backup; set that one: {_WHAT_A_KEY_IS_FOR}")
        if given is None and path.exists() and not check.fits(path.read_bytes().strip()):
            raise Conflict(f"{path} holds another secret key; move it away, or use --force to overwrite it")
        if given is None and not path.exists() and not manifest.has_secret_key:
            raise Conflict(
                "this backup holds no secret key; set CSMS_SECRET_KEY to the old machine's, or put its secret.key into "
                f"{self._settings.data_dir}: {_WHAT_A_KEY_IS_FOR} (--force goes on)"
            )

    def _check_room(self, manifest: Manifest) -> None:
        """What is needed where; a folder may lie on a disk of its own."""
        places = {self._root: manifest.files_bytes, self._settings.data_dir: manifest.database_bytes}
        folder = self._database.folder()
        if folder is not None and device_of(folder) != device_of(self._settings.data_dir):
            places[folder] = manifest.database_bytes
        needed: dict[int, int] = {}
        for place, size_bytes in places.items():
            disk = device_of(place)
            needed[disk] = needed.get(disk, 0) + size_bytes
        for disk, size_bytes in needed.items():
            place = next(one for one in reversed(places) if device_of(one) == disk)
            free = free_bytes(place)
            self._tell(f"The backup needs {size_text(size_bytes)} on the disk of {place}; {size_text(free)} are free.")
            if size_bytes > free:
                raise Conflict(f"there is too little room on the disk of {place}; nothing was changed")

    def _refuse_other_keys(self) -> None:
        for name, place in self._places().items():
            new = self._folder / name
            if not self._force and new.exists() and place.exists() and not _is_same(new, place):
                what = "another secret key" if name == SECRET_KEY else "something else"
                raise Conflict(f"{place} holds {what}; move it away, or use --force to overwrite it")

    def _places(self) -> dict[str, Path]:
        settings = self._settings
        return {
            SECRET_KEY: settings.data_dir / SECRET_KEY,
            CA_CERTIFICATE: settings.ca_certificate_file or settings.data_dir / CA_CERTIFICATE,
            CA_KEY: settings.ca_key_file or settings.data_dir / CA_KEY,
        }

    # --- putting it in its place --------------------------------------------------------------------------------

    def install(self, manifest: Manifest) -> list[str]:
        """Files, keys, and then the database that needs them; the settings that are left to make."""
        for new in (self._files / "new").iterdir() if self._files else ():
            place = self._blobs.path(new.name)
            place.parent.mkdir(exist_ok=True)
            new.replace(place)
        for name, place in self._places().items():
            new = self._folder / name
            if new.exists():
                _put(new, place)
        os.sync()  # before a database names it
        self._database.install(self._folder / manifest.database)
        return self._to_set()

    def _to_set(self) -> list[str]:
        settings = self._settings
        set_already = {
            CA_CERTIFICATE: ("CSMS_CA_CERTIFICATE_FILE", settings.ca_certificate_file),
            CA_KEY: ("CSMS_CA_KEY_FILE", settings.ca_key_file),
        }
        return [
            f"{variable}={settings.data_dir.absolute() / name}"
            for name, (variable, value) in set_already.items()
            if value is None and (self._folder / name).exists()
        ]


def _put(new: Path, place: Path) -> None:
    """Whole or not at all, also on another disk."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_bytes(new.read_bytes())
    part.replace(place)


def _is_same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while chunk := first.read(CHUNK_BYTES):
            if chunk != second.read(CHUNK_BYTES):
                return False
    return True
