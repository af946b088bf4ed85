"""S17, S24: files on disk: streamed in and out, limited, whole or not at all; the table that knows them.

A blob's name is made here and is never a path from outside. While it is written it is a `.part`; `keep` makes it
durable and gives it its name in one step, so that nobody ever sees half a file.
"""

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import structlog
from sqlmodel import Field, col, select

from csms.exceptions import NotFound, TooLarge, Unavailable
from csms.store import BigInt, Owned, Store, UtcDateTime, Work

log = structlog.get_logger(__name__)

T = TypeVar("T")

FREE_BYTES_MIN: Final = 64 * 1024 * 1024
"""What is left to the rest of the machine: the database may lie on the same disk."""
ORPHAN_AGE_S: Final = 24 * 3600
"""A file without a row, or a part that nobody finished, is removed when it is so old."""
_WRITE_BYTES: Final = 256 * 1024
_MEASURE_EVERY_S: Final = 60.0
_SWEEP_ROWS: Final = 200
_KEY: Final = re.compile(r"[0-9a-f]{32}")


async def _on_disk(act: Callable[..., T], *args: Any) -> T:
    """Do it in a thread. Raises Unavailable for what the disk refuses: full, read-only, gone."""
    try:
        return await asyncio.to_thread(act, *args)
    except OSError as error:
        log.exception("files cannot be written")
        raise Unavailable(f"files cannot be written now ({error.strerror or type(error).__name__})") from error


@dataclass(frozen=True, slots=True)
class Blob:
    """A whole file: its key, size and checksums (MD5 only because OCPP's PublishFirmware wants it)."""

    key: str
    size_bytes: int
    sha256: str
    md5: str


class Part:
    """A blob that is being written."""

    def __init__(self, blobs: "Blobs", key: str, bytes_max: int) -> None:
        self.size_bytes = 0
        self._blobs = blobs
        self._key = key
        self._bytes_max = bytes_max
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)

    async def write(self, chunk: bytes) -> None:
        """Raises TooLarge above the limit, Unavailable when the disk quota is used up."""
        self.size_bytes += len(chunk)
        if self.size_bytes > self._bytes_max:
            raise TooLarge(f"a file may have at most {self._bytes_max} bytes here")
        self._buffer += chunk
        if len(self._buffer) >= _WRITE_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        await self._blobs.reserve(len(data))
        await _on_disk(self._append, data)

    def _append(self, data: bytes) -> None:
        if self._file is None:
            path = self._blobs.part_path(self._key)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        self._file.write(data)
        self._sha256.update(data)
        self._md5.update(data)

    async def keep(self) -> Blob:
        """Make the file durable and visible; call it once, when everything has been written."""
        await self._flush()
        await _on_disk(self._finish)
        return Blob(self._key, self.size_bytes, self._sha256.hexdigest(), self._md5.hexdigest())

    def _finish(self) -> None:
        if self._file is None:
            raise ValueError("nothing was written")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        part, whole = self._blobs.part_path(self._key), self._blobs.path(self._key)
        part.rename(whole)
        folder = os.open(whole.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        """Remove what was written, unless it was kept."""
        if self._file is not None:
            self._file.close()
            self._blobs.part_path(self._key).unlink(missing_ok=True)


class Blobs:
    """The files of one installation below one folder, which all its processes share."""

    def __init__(self, root: Path, *, bytes_max: int, transfers_max: int = 100) -> None:
        self._root = root
        self._bytes_max = bytes_max
        self._transfers_max = transfers_max
        self._transfers = 0
        self._used_bytes = 0
        self._measured_at: float | None = None

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """A seat for one file under way. Raises Unavailable when all are taken."""
        if self._transfers >= self._transfers_max:
            raise Unavailable("too many files are under way; try again in a minute", retry_after_s=60)
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1

    @asynccontextmanager
    async def receiving(self, bytes_max: int) -> AsyncIterator[Part]:
        """A file to write; unless it is kept within the block, nothing stays of it."""
        part = Part(self, secrets.token_hex(16), bytes_max)
        try:
            yield part
        finally:
            part.drop()

    async def reserve(self, size_bytes: int) -> None:
        """Raises Unavailable where so many bytes more would pass the quota or fill the disk."""
        now = time.monotonic()
        if self._measured_at is None or now - self._measured_at > _MEASURE_EVERY_S:
            self._used_bytes = await _on_disk(self._measure)
            self._measured_at = now
        self._used_bytes += size_bytes
        if self._used_bytes > self._bytes_max:
            self._measured_at = None
            raise Unavailable("the space for files is used up; delete some, or raise CSMS_FILES_BYTES_MAX")

    def _measure(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._root).free < FREE_BYTES_MIN:
            raise Unavailable("the disk for files is nearly full; make room on it")
        return sum(size for _path, size, _at in self._files())

    def _files(self) -> Iterator[tuple[Path, int, float]]:
        for path in self._root.glob("??/*"):
            try:
                found = path.stat()
            except FileNotFoundError:  # removed meanwhile
                continue
            yield path, found.st_size, found.st_mtime

    def path(self, key: str) -> Path:
        """Where the blob lies. Raises ValueError for what is no key."""
        if _KEY.fullmatch(key) is None:
            raise ValueError("this is no key of a blob")
        return self._root / key[:2] / key

    def part_path(self, key: str) -> Path:
        return self.path(key).with_suffix(".part")

    def existing(self, key: str) -> Path:
        """The path of a blob that is there. Raises NotFound."""
        path = self.path(key)
        if not path.is_file():
            raise NotFound("the file is no longer here; ask for it again")
        return path

    def remove(self, key: str) -> None:
        """Remove the blob; nothing happens if it is gone already."""
        self.path(key).unlink(missing_ok=True)
        self._measured_at = None

    def old(self, age_s: float) -> list[Path]:
        """Files and parts that nobody has written to for so long."""
        before = time.time() - age_s
        return [path for path, _size, at in self._files() if at < before]


class StoredFile(Owned, table=True):
    """A file of an organisation. Where it lies follows from `key`, never from `name`."""

    __tablename__ = "stored_file"

    key: str = Field(unique=True, max_length=32)
    name: str
    """As its sender called it; for people."""
    size_bytes: int = Field(sa_type=BigInt)
    sha256: str
    md5: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    """When it is removed; None: when its owner is."""


def add_file(
    work: Work, blob: Blob, *, organisation_id: int, name: str, expires_at: datetime | None = None
) -> StoredFile:
    """Note a kept blob as a file of that organisation."""
    file = StoredFile(
        organisation_id=organisation_id,
        key=blob.key,
        name=name,
        size_bytes=blob.size_bytes,
        sha256=blob.sha256,
        md5=blob.md5,
        created_at=work.now,
        expires_at=expires_at,
    )
    work.session.add(file)
    return file


async def remove_file(work: Work, blobs: Blobs, file_id: int) -> None:
    """Remove the row, and the blob once that is committed."""
    file = await work.session.get(StoredFile, file_id)
    if file is not None:
        key = file.key
        await work.session.delete(file)
        work.after_commit(lambda: blobs.remove(key))


async def sweep(store: Store, blobs: Blobs) -> int:
    """Remove files whose time is over, and what a crash left without a row; returns how many."""
    return await _remove_expired(store, blobs) + await _remove_orphans(store, blobs)


async def _remove_expired(store: Store, blobs: Blobs) -> int:
    removed, count = 0, _SWEEP_ROWS
    while count == _SWEEP_ROWS:
        async with store.writing() as work:
            query = select(StoredFile).where(col(StoredFile.expires_at) <= work.now).limit(_SWEEP_ROWS)
            files = (await work.session.exec(query)).all()
            count = len(files)
            for file in files:
                await remove_file(work, blobs, file.id)
        removed += count
    return removed


async def _remove_orphans(store: Store, blobs: Blobs) -> int:
    paths = await asyncio.to_thread(blobs.old, ORPHAN_AGE_S)
    removed = 0
    for start in range(0, len(paths), _SWEEP_ROWS):
        some = {path.name: path for path in paths[start : start + _SWEEP_ROWS]}
        async with store.reading() as work:
            query = select(StoredFile.key).where(col(StoredFile.key).in_(some))
            known = set((await work.session.exec(query)).all())
        for name in some.keys() - known:
            some[name].unlink(missing_ok=True)
            removed += 1
    return removed
