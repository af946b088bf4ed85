"""P6: a backup brings everything back, on either database; nothing is overwritten by accident."""

import io
import sqlite3
import tarfile
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlmodel import col, select

from csms.config import Settings
from csms.exceptions import Conflict, CsmsError, Invalid, Unavailable
from csms.platform.access import ApiKey, create_key
from csms.platform.operations.backup import backup, restore
from csms.rights import Role
from csms.runtime import Runtime, open_runtime
from csms.store import Store
from tests.builders import make_organisation, make_station
from tests.servers import PostgresServer


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings whose secret key is a file, as after a first start."""
    return Settings.model_validate({"database_url": database_url, "data_dir": tmp_path / "data"})


async def stations(store: Store) -> list[str]:
    async with store.reading() as work:
        rows = await (await work.session.connection()).execute(text("SELECT identity FROM station ORDER BY identity"))
        return [row[0] for row in rows]


async def fill(runtime: Runtime) -> None:
    for number in range(3):
        await make_station(runtime.store, identity=f"KEPT-{number}")
    organisation = await make_organisation(runtime.store)
    async with runtime.store.writing() as work:
        await create_key(work, organisation.id, "kept", Role.USER)


async def found_in(settings: Settings) -> tuple[list[str], list[str], bytes]:
    """What an installation holds: stations, keys, secret key."""
    runtime = await open_runtime(settings)
    try:
        async with runtime.store.reading() as work:
            keys = list((await work.session.exec(select(ApiKey.name).order_by(col(ApiKey.id)))).all())
        return await stations(runtime.store), keys, runtime.secret_key
    finally:
        await runtime.close()


@pytest.mark.feature("P6")
async def test_backup_of_a_running_system_is_restored_elsewhere(
    runtime: Runtime, settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await fill(runtime)
    archive = tmp_path / "backup.tar.gz"
    backup(settings, archive)
    await make_station(runtime.store, identity="LATER")
    assert archive.stat().st_mode & 0o777 == 0o600

    url = await _other_database(settings, tmp_path, request)
    elsewhere = settings.model_copy(update={"database_url": SecretStr(url), "data_dir": tmp_path / "elsewhere"})
    restore(elsewhere, archive)
    assert await found_in(elsewhere) == (["KEPT-0", "KEPT-1", "KEPT-2"], ["kept"], runtime.secret_key)
    assert (tmp_path / "elsewhere" / "secret.key").stat().st_mode & 0o777 == 0o600


async def _other_database(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    if settings.database_url.get_secret_value().startswith("sqlite"):
        return f"sqlite:///{tmp_path}/elsewhere/csms.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = "restored_" + settings.database_url.get_secret_value().rpartition("_")[2]
    await server.create_database(name)
    return server.url(name)


@pytest.mark.feature("P6")
async def test_restored_database_still_refuses_to_change_the_audit_log(
    runtime: Runtime, settings: Settings, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar.gz"
    backup(settings, archive)
    await runtime.store.close()
    restore(settings, archive, force=True)
    again = await open_runtime(settings)
    try:
        async with again.store.reading() as work:
            names = (
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                if again.store.is_sqlite
                else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            )
            triggers = [row[0] for row in await (await work.session.connection()).execute(text(names))]
        assert any(name.startswith("audit_log") for name in triggers)
    finally:
        await again.close()


@pytest.mark.feature("P6")
async def test_restore_overwrites_only_with_force(runtime: Runtime, settings: Settings, tmp_path: Path) -> None:
    await fill(runtime)
    archive = tmp_path / "backup.tar.gz"
    backup(settings, archive)
    await make_station(runtime.store, identity="LATER")
    await runtime.store.close()
    with pytest.raises(Conflict, match="--force"):
        restore(settings, archive)
    assert "LATER" in (await found_in(settings))[0]
    restore(settings, archive, force=True)
    assert (await found_in(settings))[0] == ["KEPT-0", "KEPT-1", "KEPT-2"]


async def test_another_secret_key_is_overwritten_only_with_force(
    runtime: Runtime, settings: Settings, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar.gz"
    backup(settings, archive)
    (settings.data_dir / "secret.key").write_text("another")
    with pytest.raises(Conflict, match="another secret key"):
        restore(settings, archive)
    assert (settings.data_dir / "secret.key").read_text() == "another"


async def test_an_older_backup_is_never_overwritten(runtime: Runtime, settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    archive.write_bytes(b"older")
    with pytest.raises(Conflict, match="exists"):
        backup(settings, archive)
    assert archive.read_bytes() == b"older"


def archive_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MANIFEST = b'{"format": 1, "database": "database.sqlite"}'


@pytest.mark.robustness(39)
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"../escaped": b"x"},
        {"/escaped": b"x"},
        {"manifest.json": b"{", "database.sqlite": b""},
        {"manifest.json": b'{"format": 99, "database": "database.sqlite"}', "database.sqlite": b""},
        {"manifest.json": b'{"format": 1, "database": "database.dump"}', "database.dump": b""},
        {"manifest.json": MANIFEST},
        {"manifest.json": MANIFEST, "database.sqlite": b"this is no database, but it is long enough to be one" * 40},
    ],
    ids=["empty", "up", "absolute", "broken manifest", "newer", "other database", "no database", "damaged"],
)
def test_what_is_no_backup_is_refused_and_touches_nothing(tmp_path: Path, members: dict[str, bytes]) -> None:
    archive = archive_of(tmp_path / "backup.tar.gz", members)
    settings = Settings.model_validate({"database_url": f"sqlite:///{tmp_path}/new.db", "data_dir": tmp_path / "data"})
    with pytest.raises(Invalid):
        restore(settings, archive)
    assert not (tmp_path / "new.db").exists()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["backup.tar.gz", "data"]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    settings = Settings.model_validate({"database_url": f"sqlite:///{tmp_path}/x.db", "data_dir": tmp_path})
    for content in (b"", b"text"):
        (tmp_path / "backup.tar.gz").write_bytes(content)
        with pytest.raises(Invalid):
            restore(settings, tmp_path / "backup.tar.gz")
    with pytest.raises(Invalid, match="no file"):
        restore(settings, tmp_path / "missing.tar.gz")


def test_backup_of_nothing_says_so_and_makes_no_file(tmp_path: Path) -> None:
    settings = Settings.model_validate({"database_url": f"sqlite:///{tmp_path}/x.db", "data_dir": tmp_path})
    with pytest.raises(Conflict, match="no database"):
        backup(settings, tmp_path / "backup.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_missing_programs_of_postgresql_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings.model_validate({"database_url": "postgresql://u:hunter2@127.0.0.1:1/x", "data_dir": tmp_path})
    with pytest.raises(Unavailable, match="psql is not installed"):
        backup(settings, tmp_path / "backup.tar.gz")


def test_failure_of_postgresql_does_not_tell_the_password(tmp_path: Path) -> None:
    settings = Settings.model_validate({"database_url": "postgresql://u:hunter2@127.0.0.1:1/x", "data_dir": tmp_path})
    with pytest.raises(CsmsError) as failed:
        backup(settings, tmp_path / "backup.tar.gz")
    assert "hunter2" not in failed.value.detail


def test_live_sqlite_is_copied_in_one_state(tmp_path: Path) -> None:
    """A writer that holds a transaction open does not get into the copy."""
    path = tmp_path / "x.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (n INTEGER)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (2)")
    settings = Settings.model_validate({"database_url": f"sqlite:///{path}", "data_dir": tmp_path / "data"})
    backup(settings, tmp_path / "backup.tar.gz")
    writer.execute("COMMIT")
    writer.close()
    other = settings.model_copy(update={"database_url": SecretStr(f"sqlite:///{tmp_path}/y.db")})
    restore(other, tmp_path / "backup.tar.gz")
    copy = sqlite3.connect(tmp_path / "y.db")
    assert copy.execute("SELECT n FROM t").fetchall() == [(1,)]
    copy.close()
