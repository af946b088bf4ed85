"""S17, S24: files on disk: whole or not at all, limited, and forgotten in time."""

import hashlib
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import NotFound, TooLarge, Unavailable
from csms.files import ORPHAN_AGE_S, Blobs, StoredFile, add_file, remove_file, sweep
from csms.platform.retention.jobs import sweep_files
from csms.runtime import Runtime
from csms.store import Store
from tests.builders import make_organisation

pytestmark = [pytest.mark.feature("S17", "S24")]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "files", bytes_max=1_000_000, transfers_max=2)


def names(blobs: Blobs) -> list[str]:
    return [path.name for path, _size, _at in blobs._files()]


async def put(blobs: Blobs, *chunks: bytes, bytes_max: int = 1_000_000) -> str:
    async with blobs.receiving(bytes_max) as part:
        for chunk in chunks:
            await part.write(chunk)
        return (await part.keep()).key


@pytest.mark.robustness(37)
async def test_a_file_is_seen_only_when_it_is_whole(blobs: Blobs) -> None:
    chunk = b"x" * 300_000
    async with blobs.receiving(1_000_000) as part:
        await part.write(chunk)
        assert [name[-5:] for name in names(blobs)] == [".part"]
        await part.write(b"end")
        blob = await part.keep()
    assert names(blobs) == [blob.key]
    content = blobs.existing(blob.key).read_bytes()
    assert content == chunk + b"end"
    assert (blob.size_bytes, blob.sha256) == (300_003, hashlib.sha256(content).hexdigest())
    assert blob.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.robustness(37)
async def test_what_breaks_off_leaves_nothing(blobs: Blobs) -> None:
    async def break_off() -> None:
        async with blobs.receiving(1_000_000) as part:
            await part.write(b"x" * 300_000)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await break_off()
    assert names(blobs) == []


async def test_a_file_above_its_limit_is_refused_and_leaves_nothing(blobs: Blobs) -> None:
    with pytest.raises(TooLarge, match="600000"):
        await put(blobs, b"x" * 500_000, b"x" * 100_001, bytes_max=600_000)
    assert names(blobs) == []


@pytest.mark.robustness(32)
async def test_all_files_together_keep_to_the_quota(blobs: Blobs) -> None:
    first = await put(blobs, b"x" * 700_000)
    with pytest.raises(Unavailable, match="CSMS_FILES_BYTES_MAX"):
        await put(blobs, b"x" * 700_000)
    assert names(blobs) == [first]
    blobs.remove(first)
    assert await put(blobs, b"x" * 700_000) in names(blobs)


@pytest.mark.robustness(32)
async def test_a_disk_that_refuses_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("no folder")
    with pytest.raises(Unavailable, match="cannot be written"):
        await put(Blobs(tmp_path / "files", bytes_max=1_000_000), b"x")


def test_only_so_many_files_are_under_way(blobs: Blobs) -> None:
    with blobs.transfer(), blobs.transfer(), pytest.raises(Unavailable), blobs.transfer():
        pytest.fail("a third had a seat")
    with blobs.transfer():
        pass


@pytest.mark.robustness(39)
@pytest.mark.parametrize("key", ["", "../../etc/passwd", "a" * 31, "A" * 32, f"{'a' * 32}/x", f"{'a' * 32}\n"])
def test_a_key_is_never_a_path(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        blobs.path(key)


def test_a_missing_file_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.existing("0" * 32)


async def keep_file(store: Store, blobs: Blobs, **options: object) -> StoredFile:
    owner = await make_organisation(store)
    async with blobs.receiving(100) as part:
        await part.write(b"content")
        blob = await part.keep()
    async with store.writing() as work:
        return add_file(work, blob, organisation_id=owner.id, name="log", **options)  # type: ignore[arg-type]


async def test_a_file_is_removed_with_its_row(store: Store, blobs: Blobs) -> None:
    file = await keep_file(store, blobs)
    async with store.writing() as work:
        await remove_file(work, blobs, file.id)
        assert names(blobs) == [file.key]  # not before the commit
    assert names(blobs) == []


@pytest.mark.robustness(46)
async def test_files_are_removed_when_their_time_is_over(runtime: Runtime, clock: FixedClock) -> None:
    store, blobs = runtime.store, runtime.files
    expires_at = clock() + timedelta(days=90)
    old = await keep_file(store, blobs, expires_at=expires_at)
    kept = await keep_file(store, blobs)
    await sweep_files(runtime)
    assert set(names(blobs)) == {old.key, kept.key}
    clock.advance(days=90)
    await sweep_files(runtime)
    await sweep_files(runtime)
    assert names(blobs) == [kept.key]
    async with store.reading() as work:
        assert [file.id for file in await work.session.exec(select(StoredFile))] == [kept.id]


@pytest.mark.robustness(37)
async def test_what_a_crash_left_behind_is_swept(store: Store, blobs: Blobs) -> None:
    known = await keep_file(store, blobs)
    unknown, fresh = await put(blobs, b"no row"), await put(blobs, b"its row comes")
    part = blobs.part_path("ab" * 16)
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(b"half")
    before = time.time() - ORPHAN_AGE_S - 60
    for path in (blobs.path(known.key), blobs.path(unknown), part):
        os.utime(path, (before, before))
    assert await sweep(store, blobs) == 2
    assert set(names(blobs)) == {known.key, fresh}
