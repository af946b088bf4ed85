"""P6: `csms backup` and `csms restore` as operators run them: real processes, an empty machine, the API afterwards."""

import asyncio
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from csms.config import Settings
from csms.files import add_file
from csms.launch.process import prepare
from csms.runtime import open_runtime
from tests.builders import make_organisation
from tests.e2e.conftest import installed
from tests.e2e.system import HEADERS, Installation, until
from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.feature("P6")]

TIMEOUT_S = 120
PASSWORD = "a password of twenty"
SMALL = b"\x1f\x8b small image"
LARGE = random.Random(7).randbytes(3_000_000)


@dataclass(frozen=True)
class Machine:
    """An empty machine: a database with nothing in it, and a folder."""

    folder: Path
    database_url: str

    def environment(self, **settings: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CSMS_")}
        ours = {"database_url": self.database_url, "data_dir": str(self.folder / "data")} | settings
        return inherited | {f"CSMS_{name.upper()}": value for name, value in ours.items()}

    def begin(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "csms", *arguments],
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    async def csms(self, *arguments: str, code: int = 0, **settings: str) -> str:
        """What `csms …` says; it must end with that exit code."""
        process = self.begin(*arguments, **settings)
        output, _ = await asyncio.to_thread(process.communicate, timeout=TIMEOUT_S)
        assert process.returncode == code, output
        return output


class Machines:
    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self._folder = folder
        self._server = server
        self._names: list[str] = []

    async def new(self) -> Machine:
        folder = self._folder / f"machine-{len(self._names)}"
        name = f"backup_{uuid4().hex}"
        self._names.append(name)
        if self._server is None:
            return Machine(folder, f"sqlite:///{folder}/csms.db")
        await self._server.create_database(name)
        return Machine(folder, self._server.url(name))

    async def end(self) -> None:
        for name in self._names if self._server else ():
            assert self._server is not None
            await self._server.drop_database(name)


@pytest.fixture
async def machines(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Machines]:
    """Machines with either kind of database."""
    made = Machines(tmp_path, None if database_kind == "sqlite" else request.getfixturevalue("postgres"))
    yield made
    await made.end()


def client(installation: Installation) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{installation.api_url}/api/v1", headers=HEADERS, timeout=TIMEOUT_S)


async def add_image(api: httpx.AsyncClient, version: str, content: bytes) -> str:
    added = await api.post("/firmware", json={"version": version})
    assert added.status_code == httpx.codes.CREATED, added.text
    image = str(added.json()["id"])
    done = await api.put(f"/firmware/{image}/file", params={"name": f"{version}.bin"}, content=content)
    assert done.is_success, done.text
    return image


async def images(api: httpx.AsyncClient) -> dict[str, str]:
    """What can be downloaded: SHA-256 by version."""
    found = (await api.get("/firmware")).json()["items"]
    return {one["version"]: await downloaded(api, one["id"]) for one in found}


async def downloaded(api: httpx.AsyncClient, image: str) -> str:
    response = await api.get(f"/firmware/{image}/file")
    assert response.status_code == httpx.codes.OK, response.text
    return sha256(response.content)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def may_log_in(installation: Installation, password: str) -> bool:
    basic = {"Authorization": httpx.BasicAuth("LOCKED", password)._auth_header}
    protocols = [Subprotocol("ocpp1.6")]
    try:
        async with connect(f"{installation.url}/LOCKED", subprotocols=protocols, additional_headers=basic):
            return True
    except InvalidStatus as refused:
        return refused.response.status_code != httpx.codes.UNAUTHORIZED


async def test_a_running_system_comes_back_on_an_empty_machine(machines: Machines, tmp_path: Path) -> None:
    old, new = await machines.new(), await machines.new()
    archive = tmp_path / "backups" / "night.tar.gz"
    with installed(old.folder, old.database_url) as installation:
        await installation.start()
        async with client(installation) as api:
            station = {"station_id": "LOCKED", "security_profile": 1, "password": PASSWORD}
            assert (await api.post("/stations", json=station)).status_code == httpx.codes.CREATED
            await add_image(api, "1.0", SMALL)
            await add_image(api, "2.0", LARGE)
            said = await old.csms("backup", str(archive))
            await add_image(api, "later", b"after the backup")
    assert "2 files have 2.9 MiB" in said
    assert "It holds secrets" in said
    assert archive.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in archive.parent.iterdir()) == ["night.tar.gz"]
    assert not list((old.folder / "data" / "files").glob(".*"))

    said = await new.csms("restore", str(archive))
    assert "2 files" in said
    with installed(new.folder, new.database_url) as installation:
        await installation.start()
        async with client(installation) as api:
            assert await images(api) == {"1.0": sha256(SMALL), "2.0": sha256(LARGE)}
            await add_image(api, "3.0", b"and it goes on")
            assert len(await images(api)) == 3
        assert await may_log_in(installation, PASSWORD)
        assert not await may_log_in(installation, "another of twenty ch")
        assert "stop the system first" in await new.csms("restore", str(archive), "--force", code=1)
        async with client(installation) as api:
            assert len(await images(api)) == 3


@pytest.fixture
async def filled(machines: Machines) -> Machine:
    """A machine that has run, with two files, one of them large; it is stopped."""
    machine = await machines.new()
    settings = Settings.model_validate({"database_url": machine.database_url, "data_dir": machine.folder / "data"})
    await prepare(settings)
    runtime = await open_runtime(settings)
    organisation = await make_organisation(runtime.store)
    for content in (SMALL, random.Random(8).randbytes(60_000_000)):
        async with runtime.files.receiving(len(content)) as part:
            await part.write(content)
            blob = await part.keep()
        async with runtime.store.writing() as work:
            add_file(work, blob, organisation_id=organisation.id, name="log.gz")
    await runtime.close()
    return machine


@pytest.mark.robustness(30)
async def test_a_backup_that_was_interrupted_is_none(filled: Machine, machines: Machines, tmp_path: Path) -> None:
    target, empty = tmp_path / "backups" / "night.tar.gz", await machines.new()
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        elsewhere = tmp_path / f"{number}.tar.gz"
        process = filled.begin("backup", str(target))
        os.link(await until(lambda: under_way(target)), elsewhere)  # what somebody could take for a backup
        process.send_signal(number)
        await asyncio.to_thread(process.communicate, timeout=TIMEOUT_S)
        assert process.returncode == code
        assert not target.exists()
        assert "not whole" in await empty.csms("restore", str(elsewhere), code=1)
        assert not [path for path in empty.folder.rglob("*") if path.is_file()]

    await filled.csms("backup", str(target))  # the next one removes what a killed one left
    assert [path.name for path in target.parent.iterdir()] == ["night.tar.gz"]
    assert not list((filled.folder / "data" / "files").glob(".*"))
    await empty.csms("restore", str(target))


def under_way(target: Path) -> Path | None:
    """The archive that is being written, once there is much of it."""
    found = list(target.parent.glob("csms-backup-*/archive"))
    return found[0] if found and found[0].stat().st_size > 1_000_000 else None


async def test_files_may_be_copied_by_other_means(filled: Machine, machines: Machines, tmp_path: Path) -> None:
    archive, new = tmp_path / "night.tar.gz", await machines.new()
    assert "copy" in await filled.csms("backup", str(archive), "--without-files")
    assert archive.stat().st_size < 2_000_000
    assert "2 files that the database names are not in" in await new.csms("restore", str(archive))
    shutil.copytree(filled.folder / "data" / "files", new.folder / "data" / "files")
    assert "are not in" not in await new.csms("restore", str(archive), "--force")


async def test_the_secret_key_may_be_kept_elsewhere(filled: Machine, machines: Machines, tmp_path: Path) -> None:
    archive, new = tmp_path / "night.tar.gz", await machines.new()
    said = await filled.csms("backup", str(archive), "--without-files", "--without-keys")
    assert "The secret key is not in it" in said
    with tarfile.open(archive) as opened:
        assert "secret.key" not in opened.getnames()
    assert "set CSMS_SECRET_KEY" in await new.csms("restore", str(archive), code=1)
    assert "is not the key" in await new.csms("restore", str(archive), code=1, secret_key="a wrong one")
    key = (filled.folder / "data" / "secret.key").read_text().strip()
    await new.csms("restore", str(archive), secret_key=key)


async def test_memory_does_not_grow_with_files(filled: Machine, machines: Machines, tmp_path: Path) -> None:
    """60 MB go in and out in less than 20 MB more than nothing needs."""
    archive, new = tmp_path / "night.tar.gz", await machines.new()
    without = await peak_bytes(filled.begin("backup", str(tmp_path / "without.tar.gz"), "--without-files"))
    assert await peak_bytes(filled.begin("backup", str(archive))) - without < 20_000_000
    assert await peak_bytes(new.begin("restore", str(archive))) - without < 20_000_000


async def peak_bytes(process: "subprocess.Popen[str]") -> int:
    """What it needed at most, once it has ended well."""
    _pid, status, usage = await asyncio.to_thread(os.wait4, process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return usage.ru_maxrss * 1024  # Linux has KiB
