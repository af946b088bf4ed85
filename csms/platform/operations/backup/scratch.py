"""P6: private folders that nobody has to clean up, and room on the disk."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

from csms.exceptions import Unavailable
from csms.files import FREE_BYTES_MIN

_LOCK: Final = ".csms-lock"
_UNITS: Final = ("KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024


@contextmanager
def scratch(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that only this user may enter, removed at the end.

    Those of processes that were killed meanwhile are removed first: nobody holds the lock in them any more.
    """
    _remove_abandoned(parent, prefix)
    with TemporaryDirectory(prefix=prefix, dir=parent) as name:
        folder = Path(name)
        with _locked(folder):
            yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[IO[str]]:
    new = folder / f"{_LOCK}.new"
    with new.open("w") as file:
        with suppress(OSError):  # a file system without locks: then nobody takes the folder for abandoned either
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(folder / _LOCK)
        yield file


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        try:
            with (folder / _LOCK).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, or not one of ours
            continue


def free_bytes(folder: Path) -> int:
    """What may still be written there, some room for the rest of the machine left out; the folder need not exist."""
    return max(shutil.disk_usage(_existing(folder)).free - FREE_BYTES_MIN, 0)


def device_of(folder: Path) -> int:
    """Which disk the folder is on, or will be."""
    return _existing(folder).stat().st_dev


def _existing(folder: Path) -> Path:
    path = folder.absolute()
    while not path.exists():
        path = path.parent
    return path


def check_room(folder: Path, size_bytes: int = 0) -> None:
    """Raises Unavailable where so much does not fit."""
    free = free_bytes(folder)
    if free <= size_bytes:
        raise Unavailable(f"the disk of {folder} has only {size_text(free)} free; make room on it")


def keep(path: Path) -> None:
    """Make a file, or a folder's list of names, durable."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def size_text(size_bytes: int) -> str:
    """As in `3.2 GiB`."""
    if size_bytes < _STEP:
        return f"{size_bytes} bytes"
    power = min((size_bytes.bit_length() - 1) // 10, len(_UNITS))
    return f"{size_bytes / _STEP**power:.1f} {_UNITS[power - 1]}"
