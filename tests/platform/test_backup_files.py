"""P6: database and files in a backup fit each other; what is damaged, foreign or too large is refused untouched."""

import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from csms.config import Settings
from csms.exceptions import Conflict, CsmsError, Invalid, Unavailable
from csms.files import add_file
from csms.platform.operations.backup import backup, restore, saving
from csms.platform.operations.backup.databases import FileRow, Snapshot, SqliteDatabase
from csms.platform.operations.backup.scratch import free_bytes, scratch, size_text
from csms.runtime import Runtime
from csms.store import open_store
from tests.builders import make_organisation, make_station
from tests.servers import PostgresServer

pytestmark = pytest.mark.feature("P6")


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings whose secret key is a file, as after a first start."""
    return Settings.model_validate({"database_url": database_url, "data_dir": tmp_path / "data"})


async def store_files(runtime: Runtime, *contents: bytes) -> list[str]:
    """Keep them as uploads; their keys."""
    organisation = await make_organisation(runtime.store)
    keys = []
    for content in contents:
        async with runtime.files.receiving(len(content)) as part:
            await part.write(content)
            blob = await part.keep()
        async with runtime.store.writing() as work:
            add_file(work, blob, organisation_id=organisation.id, name="log.zip")
        keys.append(blob.key)
    return keys


@pytest.fixture
async def elsewhere(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """An empty machine with the same kind of database."""
    url = settings.database_url.get_secret_value()
    new = f"sqlite:///{tmp_path}/elsewhere/csms.db"
    if not url.startswith("sqlite"):
        server: PostgresServer = request.getfixturevalue("postgres")
        name = "elsewhere_" + url.rpartition("_")[2]
        await server.drop_database(name)
        await server.create_database(name)
        new = server.url(name)
    return settings.model_copy(update={"database_url": SecretStr(new), "data_dir": tmp_path / "elsewhere"})


def files_in(settings: Settings) -> dict[str, bytes]:
    root = settings.data_dir / "files"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def named(*keys: str) -> set[str]:
    return {f"{key[:2]}/{key}" for key in keys}


async def test_every_file_comes_back_in_its_place(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    await store_files(runtime, b"one", b"two" * 100_000)
    orphan = settings.data_dir / "files" / "ab" / "ab.part"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"half an upload")
    before = files_in(settings)
    saved = backup(settings, tmp_path / "backup.tar.gz")
    assert (saved.manifest.files, saved.manifest.files_bytes, saved.faults) == (2, 300_003, [])
    assert files_in(settings) == before
    done = restore(elsewhere, tmp_path / "backup.tar.gz")
    assert done.missing == 0
    assert files_in(elsewhere) == {name: content for name, content in before.items() if "part" not in name}


class Racing(SqliteDatabase):
    """A database in which something happens between its state and the look at the files."""

    happens: Callable[[], None]

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        with super().snapshot() as state:
            rows = list(state.files())
            self.happens()
            yield Fixed(rows, state)


class Fixed:
    def __init__(self, rows: list[FileRow], state: Snapshot) -> None:
        self.files = lambda: iter(rows)
        self.copy = state.copy


def open_racing(settings: Settings, happens: Callable[[], None]) -> Racing:
    database = Racing(Path(settings.database_url.get_secret_value().removeprefix("sqlite:///")))
    database.happens = happens
    return database


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_files_removed_and_added_meanwhile_are_no_fault(
    runtime: Runtime, settings: Settings, tmp_path: Path
) -> None:
    """A file that goes between the state and its holding goes from the state too: another one is taken."""
    keys = await store_files(runtime, b"stays", b"goes")
    events = iter([keys[1]])

    def happens() -> None:
        key = next(events, None)
        if key is not None:
            with sqlite3_of(settings) as connection:
                connection.execute("DELETE FROM stored_file WHERE key = ?", (key,))
            runtime.files.remove(key)

    with ExitStack() as stack:
        held = saving._Held(settings, stack.enter_context(scratch(tmp_path, "x-")), stack)
        with saving._state(open_racing(settings, happens), held) as snapshot:
            runtime.files.remove(keys[0])  # from here on a removal does no harm
            assert {row.key for row in snapshot.files()} == {keys[0]}
        assert held.missing == set()
        assert [held.path(key).read_bytes() for key, _sha256 in held.files()] == [b"stays"]


@contextmanager
def sqlite3_of(settings: Settings) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(settings.database_url.get_secret_value().removeprefix("sqlite:///"))
    yield connection
    connection.commit()
    connection.close()


async def test_the_copy_is_the_state_that_named_the_files(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """Whatever is committed between listing and copying is not in the copy."""
    database = saving.open_database(settings)
    with database.snapshot() as snapshot:
        assert list(snapshot.files()) == []
        await store_files(runtime, b"too late")
        snapshot.copy(tmp_path / "copy")
    new = saving.open_database(elsewhere)
    (tmp_path / "elsewhere").mkdir()
    new.install(tmp_path / "copy")
    with new.snapshot() as restored:
        assert list(restored.files()) == []


async def test_a_lost_and_a_changed_file_are_told_and_the_rest_is_saved(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    lost, changed, _fine = await store_files(runtime, b"lost", b"changed", b"fine")
    runtime.files.remove(lost)
    runtime.files.path(changed).write_bytes(b"chanGed")
    saved = backup(settings, tmp_path / "backup.tar.gz")
    assert saved.faults == [
        f"files/{lost[:2]}/{lost} is not there",
        f"files/{changed[:2]}/{changed} is damaged: its checksum is not that of the upload",
    ]
    assert restore(elsewhere, tmp_path / "backup.tar.gz").missing == 1


async def test_the_wrong_data_folder_is_noticed(runtime: Runtime, settings: Settings, tmp_path: Path) -> None:
    await store_files(runtime, b"one")
    wrong = settings.model_copy(update={"data_dir": tmp_path / "wrong"})
    with pytest.raises(Conflict, match="check CSMS_DATA_DIR"):
        backup(wrong, tmp_path / "backup.tar.gz")
    backup(wrong, tmp_path / "backup.tar.gz", with_files=False)
    assert not (tmp_path / "wrong").exists()


async def test_a_file_system_without_hard_links_is_copied(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_source: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")  # what vfat and some network file systems say

    (key,) = await store_files(runtime, b"one")
    monkeypatch.setattr(os, "link", link)
    backup(settings, tmp_path / "backup.tar.gz")
    restore(elsewhere, tmp_path / "backup.tar.gz")
    assert files_in(elsewhere) == {f"{key[:2]}/{key}": b"one"}


# --- archives that are not whole ----------------------------------------------------------------------------------


def members_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        found = {}
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
        return found


def pack(path: Path, members: dict[str, bytes], *, is_summed: bool = False) -> Path:
    if is_summed:
        lines = [
            f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items() if name != "SHA256SUMS"
        ]
        members = {name: data for name, data in members.items() if name != "SHA256SUMS"}
        members["SHA256SUMS"] = "".join(lines).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def is_refused(settings: Settings, archive: Path) -> bool:
    try:
        restore(settings, archive)
    except Invalid:
        return True
    return False


def nothing_is_in(settings: Settings) -> bool:
    return not [path for path in settings.data_dir.rglob("*") if path.is_file()]


@pytest.mark.robustness(39)
async def test_a_part_of_a_backup_is_no_backup(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    (key,) = await store_files(runtime, b"one" * 1000)
    archive = tmp_path / "backup.tar.gz"
    backup(settings, archive)
    members, packed = members_of(archive), archive.read_bytes()
    assert next(iter(members)) == "manifest.json"
    assert list(members)[-1] == "SHA256SUMS"
    damaged = members | {f"files/{key}": b"two" * 1000}
    foreign = {name: data for name, data in members.items() if name != "SHA256SUMS"} | {"files/../x": b"x"}
    cases = {
        "cut": packed[: len(packed) // 2],
        "cut at its end": packed[:-1],
        "another checksum of gzip": packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:],
        "no sums": pack(tmp_path / "1", {name: members[name] for name in list(members)[:-1]}).read_bytes(),
        "damaged": pack(tmp_path / "2", damaged).read_bytes(),
        "a file less": pack(tmp_path / "3", {n: d for n, d in members.items() if n != f"files/{key}"}).read_bytes(),
        "foreign": pack(tmp_path / "4", foreign, is_summed=True).read_bytes(),
        "something behind it": pack(tmp_path / "5", members | {"files/" + "0" * 32: b""}).read_bytes(),
    }
    for name, data in members.items():  # one bit in the middle of each
        half = len(data) // 2
        flipped = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        cases[f"flipped in {name}"] = pack(tmp_path / "6", members | {name: flipped}).read_bytes()
    for name, content in cases.items():
        (tmp_path / "case").write_bytes(content)
        assert is_refused(elsewhere, tmp_path / "case"), name
        assert nothing_is_in(elsewhere), name
    restore(elsewhere, pack(tmp_path / "plain.tar", members))  # as a tar it is the same backup
    assert set(files_in(elsewhere)) == named(key)


async def test_too_little_room_is_said_before_anything_is_done(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    await store_files(runtime, b"one")
    backup(settings, tmp_path / "backup.tar.gz")
    members = members_of(tmp_path / "backup.tar.gz")
    manifest = json.loads(members["manifest.json"]) | {"files_bytes": 10**18}
    large = pack(tmp_path / "large", members | {"manifest.json": json.dumps(manifest).encode()}, is_summed=True)
    said: list[str] = []
    with pytest.raises(Conflict, match="too little room"):
        restore(elsewhere, large, tell=said.append)
    assert "needs 909494.7 TiB" in said[0]
    assert nothing_is_in(elsewhere)


async def test_another_file_of_that_name_is_overwritten_only_with_force(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    (key,) = await store_files(runtime, b"one")
    backup(settings, tmp_path / "backup.tar.gz")
    other = elsewhere.data_dir / "files" / key[:2] / key
    other.parent.mkdir(parents=True)
    other.write_bytes(b"two")
    with pytest.raises(Conflict, match="holds something else"):
        restore(elsewhere, tmp_path / "backup.tar.gz")
    assert other.read_bytes() == b"two"
    restore(elsewhere, tmp_path / "backup.tar.gz", force=True)
    assert other.read_bytes() == b"one"


async def test_a_file_that_is_there_already_is_no_hindrance(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """A restore that broke off before the database is repeated."""
    (key,) = await store_files(runtime, b"one")
    backup(settings, tmp_path / "backup.tar.gz")
    same = elsewhere.data_dir / "files" / key[:2] / key
    same.parent.mkdir(parents=True)
    same.write_bytes(b"one")
    restore(elsewhere, tmp_path / "backup.tar.gz")
    assert set(files_in(elsewhere)) == named(key)


async def test_a_restore_that_fails_leaves_the_old_database(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    await make_station(runtime.store, identity="OLD")
    backup(settings, tmp_path / "backup.tar.gz")
    members = members_of(tmp_path / "backup.tar.gz")
    restore(elsewhere, tmp_path / "backup.tar.gz")
    (name,) = {"database.sqlite", "database.dump"} & members.keys()
    half = pack(tmp_path / "half", members | {name: members[name][: -len(members[name]) // 3]}, is_summed=True)
    with pytest.raises(CsmsError, match=r"damaged|pg_restore failed"):
        restore(elsewhere, half, force=True)
    assert await identities(elsewhere) == ["OLD"]
    restore(elsewhere, tmp_path / "backup.tar.gz", force=True)
    assert await identities(elsewhere) == ["OLD"]


async def identities(settings: Settings) -> list[str]:
    store = open_store(settings.database_url.get_secret_value())
    async with store.reading() as work:
        rows = await (await work.session.connection()).execute(text("SELECT identity FROM station"))
        found = [row[0] for row in rows]
    await store.close()
    return found


# --- keys ----------------------------------------------------------------------------------------------------------


async def test_key_files_of_the_authority_are_in_it(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    for name in ("chain.pem", "ca.key"):
        (tmp_path / name).write_text(name)
    own = {"ca_certificate_file": tmp_path / "chain.pem", "ca_key_file": tmp_path / "ca.key"}
    backup(settings.model_copy(update=own), tmp_path / "backup.tar.gz")
    done = restore(elsewhere, tmp_path / "backup.tar.gz")
    key = elsewhere.data_dir / "ca-key.pem"
    assert key.read_text() == "ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"CSMS_CA_KEY_FILE={key}" in done.to_set
    assert len(done.to_set) == 2
    backup(settings.model_copy(update=own), tmp_path / "without.tar.gz", with_keys=False)
    assert not {"secret.key", "ca-key.pem"} & members_of(tmp_path / "without.tar.gz").keys()


async def test_an_authority_key_that_cannot_be_read_is_named(
    runtime: Runtime, settings: Settings, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"ca_key_file": tmp_path / "gone.key"})
    with pytest.raises(Unavailable, match=r"gone\.key"):
        backup(own, tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


async def test_the_secret_key_of_the_settings_must_be_the_same(
    runtime: Runtime, settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    given = settings.model_copy(update={"secret_key": SecretStr("the pepper")})
    backup(given, tmp_path / "backup.tar.gz")
    assert not any(b"the pepper" in data for data in members_of(tmp_path / "backup.tar.gz").values())
    with pytest.raises(Conflict, match="set CSMS_SECRET_KEY"):
        restore(elsewhere, tmp_path / "backup.tar.gz")
    with pytest.raises(Conflict, match="is not the key"):
        restore(elsewhere.model_copy(update={"secret_key": SecretStr("x")}), tmp_path / "backup.tar.gz")
    restore(elsewhere.model_copy(update={"secret_key": SecretStr("the pepper")}), tmp_path / "backup.tar.gz")


# --- folders -------------------------------------------------------------------------------------------------------


def test_a_folder_in_use_is_left_alone_and_an_abandoned_one_removed(tmp_path: Path) -> None:
    abandoned = tmp_path / "x-dead"
    abandoned.mkdir()
    (abandoned / ".csms-lock").touch()
    foreign = tmp_path / "x-of-somebody"
    foreign.mkdir()
    with scratch(tmp_path, "x-") as first, scratch(tmp_path, "x-") as second:
        assert first.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in tmp_path.iterdir()} == {first.name, second.name, "x-of-somebody"}
    assert list(tmp_path.iterdir()) == [foreign]


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (3 * 2**30, "3.0 GiB"), (2**60, "1048576.0 TiB")],
)
def test_sizes_are_readable(size_bytes: int, shown: str) -> None:
    assert size_text(size_bytes) == shown


def test_room_is_known_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") > 0
