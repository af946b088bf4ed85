"""P6: the archive: a tar with the manifest first and all checksums last, so that a part of one is never whole.

manifest.json       what is in it, and how much room it needs
secret.key, ca-*.pem
database.sqlite     or database.dump (pg_dump's custom format)
files/<key>         stations' files, as CSMS_DATA_DIR/files names them
SHA256SUMS          of all the others, in their order, as `sha256sum --check` reads it
"""

import gzip
import hashlib
import json
import re
import secrets
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, Final, Self

from csms.exceptions import Invalid
from csms.platform.operations.backup.scratch import check_room, keep

FORMAT: Final = 2
FORMAT_WITHOUT_FILES: Final = 1
"""What was written before there were files and checksums in it; it is still read."""
MANIFEST: Final = "manifest.json"
SECRET_KEY: Final = "secret.key"  # noqa: S105  # a file's name
CA_CERTIFICATE: Final = "ca-certificate.pem"
CA_KEY: Final = "ca-key.pem"
SUMS: Final = "SHA256SUMS"
FILE: Final = re.compile(r"files/([0-9a-f]{32})")
CHUNK_BYTES: Final = 1024 * 1024
_ROOM_EVERY_BYTES: Final = 64 * 1024 * 1024
_LEVEL: Final = 3
"""Of gzip: firmware and logs of stations are mostly packed already."""
_BROKEN: Final = (tarfile.TarError, EOFError, OSError, zlib.error)


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """By it a secret key is known again; guessing one from it is slow."""

    salt: str
    scrypt: str

    @classmethod
    def of(cls, key: bytes, salt: bytes | None = None) -> Self:
        salt = salt or secrets.token_bytes(16)
        return cls(salt.hex(), hashlib.scrypt(key, salt=salt, n=2**14, r=8, p=1, dklen=32).hex())

    def fits(self, key: bytes) -> bool:
        return self == KeyCheck.of(key, bytes.fromhex(self.salt))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in an archive."""

    format: int
    database: str
    database_bytes: int = 0
    files: int | None = None
    """How many; None: made without files."""
    files_bytes: int = 0
    files_missing: int = 0
    """How many the database named that were not there."""
    secret_key: KeyCheck | None = None
    has_secret_key: bool = False
    made_at: str = ""
    made_by: str = ""

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Raises Invalid for what was not written by `text`."""
        try:
            found: Any = json.loads(text)
            form, database = found["format"], found["database"]
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid("this is no backup of this system: it has no manifest") from error
        if form == FORMAT_WITHOUT_FILES:
            return cls(FORMAT_WITHOUT_FILES, str(database))
        if form != FORMAT:
            raise Invalid(
                f"this backup has format {form}, this version reads {FORMAT}; restore it with its own version"
            )
        try:
            key = found.pop("secret_key")
            return cls(**found, secret_key=KeyCheck(**key) if key else None)
        except (TypeError, KeyError, AttributeError) as error:
            raise Invalid("this is no backup of this system: its manifest is damaged") from error


# --- writing ----------------------------------------------------------------------------------------------------


class _Counted:
    """A file that is summed up while it is read; it stops before the target's disk is full."""

    def __init__(self, file: IO[bytes], disk: Path) -> None:
        self._file = file
        self._disk = disk
        self._unchecked = 0
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self._unchecked += len(data)
        if self._unchecked >= _ROOM_EVERY_BYTES:
            self._unchecked = 0
            check_room(self._disk)
        return data


class ArchiveWriter:
    """Members in the order in which they are added; how many there are takes no memory."""

    def __init__(self, archive: tarfile.TarFile, folder: Path) -> None:
        self._archive = archive
        self._folder = folder
        self._sums = folder / SUMS

    def add(self, name: str, path: Path) -> str:
        """Add a file under that name; its SHA-256 as it went in."""
        digest = self._add(name, path)
        with self._sums.open("a") as sums:
            sums.write(f"{digest}  {name}\n")
        return digest

    def _add(self, name: str, path: Path) -> str:
        with path.open("rb") as file:
            member = self._archive.gettarinfo(arcname=name, fileobj=file)
            # a hard link here and there is still a file; who owns it is another matter on another machine
            member.type, member.linkname, member.mode = tarfile.REGTYPE, "", 0o600
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.size = path.stat().st_size
            counted = _Counted(file, self._folder)
            self._archive.addfile(member, counted)
        self._archive.members.clear()  # type: ignore[attr-defined]  # it would remember all of them
        return counted.sha256.hexdigest()

    def end(self) -> None:
        """What makes it a whole one."""
        self._add(SUMS, self._sums)


@contextmanager
def writing(path: Path, folder: Path) -> Iterator[ArchiveWriter]:
    """An archive to fill; it is durable at the end of the block. Its sums gather in `folder`."""
    path.touch(mode=0o600)
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        writer = ArchiveWriter(archive, folder)
        yield writer
        writer.end()
    keep(path)


# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    _content: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """What is in it. Raises Invalid where the archive breaks off."""
        try:
            while chunk := self._content.read(CHUNK_BYTES):
                yield chunk
        except _BROKEN as error:
            raise Invalid(f"this backup is damaged or not whole at {self.name}: {error}") from error

    def write(self, path: Path, *, mode: int = 0o600) -> str:
        """Write it to a new file; its SHA-256. Raises Invalid where there is one of that name already."""
        digest = hashlib.sha256()
        try:
            path.touch(mode=mode, exist_ok=False)
        except FileExistsError:
            raise Invalid(f"this is no backup of this system: it holds {self.name} twice") from None
        with path.open("wb") as file:
            for chunk in self.chunks():
                file.write(chunk)
                digest.update(chunk)
        return digest.hexdigest()


def reading(source: Path) -> Iterator[Member]:
    """Its members, each to be read before the next one. Raises Invalid for what is no archive of regular files."""
    if not source.exists():
        raise Invalid(f"there is no file {source}")
    try:
        archive = tarfile.open(source, "r:*")  # noqa: SIM115  # closed below; here only its opening may fail so
    except _BROKEN as error:
        raise Invalid(f"{source} cannot be read as a backup: {error}") from error
    with archive:
        while (found := _next(archive, source)) is not None:
            content = archive.extractfile(found) if found.isfile() else None
            if content is None:
                raise Invalid(f"{source} is no backup of this system: it holds {found.name!r}")
            yield Member(found.name, content)
        _read_out(archive, source)


def _read_out(archive: tarfile.TarFile, source: Path) -> None:
    """To the very end, where gzip has its own checksum of everything."""
    try:
        while archive.fileobj is not None and archive.fileobj.read(CHUNK_BYTES):
            pass
    except _BROKEN as error:
        raise Invalid(f"{source} is damaged or not whole: {error}") from error


def _next(archive: tarfile.TarFile, source: Path) -> tarfile.TarInfo | None:
    try:
        found = archive.next()
    except _BROKEN as error:
        raise Invalid(f"{source} is damaged or not whole: {error}") from error
    archive.members.clear()  # type: ignore[attr-defined]  # it would remember all of them
    return found


def check_sums(found: Path, stated: Path) -> None:
    """Raises Invalid where what was unpacked is not what went in."""
    with found.open() as ours, stated.open(errors="replace") as theirs:
        for our, their in zip_longest(ours, theirs):
            if our != their:
                name = str(our or their).partition("  ")[2].strip()
                raise Invalid(f"this backup is damaged: {name} is not as it was when it was written")
