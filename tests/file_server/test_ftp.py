"""S17, S24: the FTP server as a station's FTP client meets it: Python's own ftplib, in a thread, over real sockets."""

# ruff: noqa: S321  # that FTP is insecure is known; some stations speak nothing else

import asyncio
import ftplib
import io
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aioftp
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.config import Settings
from csms.exceptions import Unavailable
from csms.files import StoredFile, add_file
from csms.launch.process import Part, running
from csms.launch.welcome import welcome
from csms.runtime import Runtime
from csms.station.file_transfers import (
    FileTransfer,
    TransferProtocol,
    TransferState,
    ftp_base,
    offer_download,
    offer_upload,
)
from file_server.ftp import FtpServer
from tests.builders import make_station

pytestmark = [pytest.mark.feature("S17", "S24")]

LOG = b"2026-01-01 something went wrong\r\n" * 10_000
HOST = "127.0.0.1"
DEADLINE_S = 10.0


@pytest.fixture
def idle_s() -> float:
    """After how much silence the server closes; tests that wait for it override it."""
    return 30.0


@pytest.fixture
async def port(runtime: Runtime, idle_s: float) -> AsyncIterator[int]:
    """A running FTP server; the runtime knows how stations reach it."""
    runtime.settings = runtime.settings.model_copy(
        update={
            "ftp_port": 0,
            "diagnosis_bytes_max": 1_000_000,
            "ftp_connections_max": 4,
            "file_idle_timeout_s": idle_s,
        }
    )
    server = FtpServer(runtime)
    port = await server.start()
    runtime.settings = runtime.settings.model_copy(update={"ftp_port": port})
    yield port
    await server.stop()


async def upload_login(runtime: Runtime) -> tuple[str, str]:
    """User name and password of a new transfer."""
    station = await make_station(runtime.store)
    async with runtime.store.writing() as work:
        _, url = offer_upload(
            work,
            runtime,
            station,
            "diagnostics",
            protocol=TransferProtocol.FTP,
            bytes_max=runtime.settings.diagnosis_bytes_max,
            expires_at=work.now + timedelta(hours=1),
        )
    return _login(url)


async def download_login(runtime: Runtime, content: bytes) -> tuple[str, str, str]:
    """User name, password and path of a new transfer of that content."""
    station = await make_station(runtime.store)
    async with runtime.files.receiving(10_000_000) as part:
        await part.write(content)
        blob = await part.keep()
    async with runtime.store.writing() as work:
        file = add_file(work, blob, organisation_id=station.organisation_id, name="image.bin")
        _, url = offer_download(
            work,
            runtime,
            station,
            "firmware",
            protocol=TransferProtocol.FTP,
            file=file,
            expires_at=work.now + timedelta(hours=1),
        )
    return *_login(url), urlsplit(url).path


def _login(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    assert parts.username
    assert parts.password
    return parts.username, parts.password


async def ftp(port: int, login: tuple[str, str], act: Callable[[ftplib.FTP], Any]) -> Any:
    """Run a dialogue of ftplib in a thread; what it raises is raised here."""

    def talk() -> Any:
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(HOST, port)
            client.login(*login)
            return act(client)

    return await asyncio.to_thread(talk)


def store(name: str, content: bytes, client: ftplib.FTP) -> str:
    return client.storbinary(f"STOR {name}", io.BytesIO(content))


def fetch(name: str, client: ftplib.FTP, rest: int | None = None) -> bytes:
    parts: list[bytes] = []
    client.retrbinary(f"RETR {name}", parts.append, rest=rest)
    return b"".join(parts)


async def contents(runtime: Runtime) -> list[bytes]:
    """Of all files of the installation, whole or not."""
    async with runtime.store.reading() as work:
        files = (await work.session.exec(select(StoredFile))).all()
    on_disk = [path for path, _size, _at in runtime.files._files()]
    assert {path.name for path in on_disk} == {file.key for file in files}
    return [path.read_bytes() for path in on_disk]


async def transfers(runtime: Runtime) -> list[FileTransfer]:
    async with runtime.store.reading() as work:
        return list((await work.session.exec(select(FileTransfer))).all())


async def test_a_station_uploads_under_a_name_of_its_own(runtime: Runtime, port: int) -> None:
    def act(client: ftplib.FTP) -> str:
        client.mkd("logs")
        client.cwd("logs")
        assert client.pwd() == "/logs"
        done = store("CP-1 today.log", LOG, client)
        assert client.nlst() == []
        return done

    done = await ftp(port, await upload_login(runtime), act)
    assert done.startswith("226")
    assert await contents(runtime) == [LOG]
    (transfer,) = await transfers(runtime)
    assert (transfer.state, transfer.moved_bytes, transfer.remote_address) == (
        TransferState.COMPLETE,
        len(LOG),
        HOST,
    )


@pytest.mark.robustness(39)
async def test_no_path_reaches_the_disk(runtime: Runtime, port: int) -> None:
    await ftp(port, await upload_login(runtime), partial(store, "../../../../etc/passwd", b"mine"))
    assert await contents(runtime) == [b"mine"]
    secret = runtime.settings.data_dir / "admin.key"
    secret.write_text("the key")
    *login, _path = await download_login(runtime, b"image")
    for name in ("../../admin.key", "/etc/passwd", "admin.key", str(secret)):
        assert await ftp(port, (login[0], login[1]), partial(fetch, name)) == b"image"


async def test_a_station_fetches_its_file_and_goes_on_where_it_stopped(runtime: Runtime, port: int) -> None:
    username, password, path = await download_login(runtime, LOG)
    login = username, password
    assert path == "/image.bin"
    assert await ftp(port, login, lambda client: (client.voidcmd("TYPE I"), client.size(path))[1]) == len(LOG)
    assert await ftp(port, login, partial(fetch, path)) == LOG
    assert await ftp(port, login, partial(fetch, path, rest=len(LOG) - 7)) == LOG[-7:]
    with pytest.raises(ftplib.error_perm, match="554"):
        await ftp(port, login, partial(fetch, path, rest=len(LOG) + 1))
    (transfer,) = await transfers(runtime)
    assert (transfer.state, transfer.moved_bytes) == (TransferState.COMPLETE, len(LOG) + 7)


async def test_another_client_works_too(runtime: Runtime, port: int, tmp_path: Any) -> None:
    path = tmp_path / "station.log"
    path.write_bytes(LOG)
    login = await upload_login(runtime)
    async with aioftp.Client.context(HOST, port, *login) as client:
        await client.upload(path, "station.log", write_into=True)
    assert await contents(runtime) == [LOG]


async def test_a_login_is_good_for_one_file_for_its_time(runtime: Runtime, port: int, clock: FixedClock) -> None:
    login = await upload_login(runtime)

    def twice(client: ftplib.FTP) -> None:
        store("a", b"one", client)
        store("b", b"two", client)

    with pytest.raises(ftplib.error_perm, match=r"553 .*used"):
        await ftp(port, login, twice)
    with pytest.raises(ftplib.error_perm, match="530"):
        await ftp(port, login, partial(store, "c", b"three"))
    assert await contents(runtime) == [b"one"]
    late = await upload_login(runtime)
    clock.advance(hours=2)
    with pytest.raises(ftplib.error_perm, match="530"):
        await ftp(port, late, partial(store, "c", b"three"))


@pytest.mark.robustness(2)
async def test_wrong_passwords_are_refused_and_the_connection_ends(runtime: Runtime, port: int) -> None:
    mine, theirs = await upload_login(runtime), await upload_login(runtime)
    for login in ((mine[0], "0" * 32), (mine[0], theirs[1]), ("anonymous", "a@b"), ("", "")):
        with pytest.raises(ftplib.error_perm, match="530"):
            await ftp(port, login, partial(store, "a", b"one"))

    def guess() -> list[str]:
        said = []
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(HOST, port)
            client.sendcmd(f"USER {mine[0]}")
            for _ in range(4):
                try:
                    client.sendcmd("PASS wrong")
                except ftplib.error_perm as error:
                    said.append(str(error)[:3])
                except EOFError:
                    said.append("closed")
                    break
        return said

    assert await asyncio.to_thread(guess) == ["530", "530", "530", "closed"]
    assert await contents(runtime) == []


@pytest.mark.parametrize(
    "command",
    ["DELE a", "RNFR a", "RMD a", "APPE a", "PORT 127,0,0,1,0,80", "EPRT |1|127.0.0.1|80|", "SITE EXEC ls", "STAT"],
)
async def test_other_commands_do_not_exist(runtime: Runtime, port: int, command: str) -> None:
    with pytest.raises(ftplib.error_perm, match="502"):
        await ftp(port, await upload_login(runtime), lambda client: client.sendcmd(command))


async def test_nothing_works_before_the_login(runtime: Runtime, port: int) -> None:
    def act() -> list[str]:
        said = []
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(HOST, port)
            for command in ("PASV", "STOR a", "RETR a", "CWD /", "SIZE a", "LIST", "PASS x"):
                try:
                    said.append(client.sendcmd(command)[:3])
                except ftplib.Error as error:
                    said.append(str(error)[:3])
        return said

    assert await asyncio.to_thread(act) == ["503"] * 7


async def test_a_login_for_the_one_is_not_for_the_other(runtime: Runtime, port: int) -> None:
    with pytest.raises(ftplib.error_perm, match="550"):
        await ftp(port, await upload_login(runtime), partial(fetch, "a"))
    username, password, path = await download_login(runtime, b"image")
    with pytest.raises(ftplib.error_perm, match="550"):
        await ftp(port, (username, password), partial(store, path, b"mine"))
    assert await contents(runtime) == [b"image"]


async def test_too_large_and_empty_files_are_refused(runtime: Runtime, port: int) -> None:
    login = await upload_login(runtime)
    with pytest.raises((ftplib.error_perm, OSError)):
        await ftp(port, login, partial(store, "a", b"x" * 3_000_000))
    with pytest.raises(ftplib.error_perm, match="551"):
        await ftp(port, login, partial(store, "a", b""))
    assert await contents(runtime) == []
    await ftp(port, login, partial(store, "a", b"x" * 1_000_000))
    assert await contents(runtime) == [b"x" * 1_000_000]


async def until_it_failed(runtime: Runtime) -> str:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            (transfer,) = await transfers(runtime)
            if transfer.failure is not None:
                return transfer.failure
            await asyncio.sleep(0.01)


@pytest.mark.robustness(37)
@pytest.mark.parametrize(("end", "idle_s"), [("both", 30.0), ("reset", 30.0), ("silence", 1.5)])
async def test_an_upload_that_breaks_off_is_never_seen_and_may_be_repeated(
    runtime: Runtime, port: int, end: str, idle_s: float
) -> None:
    login = await upload_login(runtime)
    client = await asyncio.to_thread(partial(ftplib.FTP, timeout=DEADLINE_S))
    await asyncio.to_thread(client.connect, HOST, port)
    await asyncio.to_thread(client.login, *login)
    data = await asyncio.to_thread(client.transfercmd, "STOR half.log")
    await asyncio.to_thread(data.sendall, LOG[:100_000])
    if end == "both":  # the station's process died: both connections end in good order
        data.close()
        client.close()
    elif end == "reset":
        data.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        data.close()
    await until_it_failed(runtime)
    assert await contents(runtime) == []
    data.close()
    client.close()
    await ftp(port, login, partial(store, "whole.log", LOG))
    assert await contents(runtime) == [LOG]


@pytest.mark.parametrize("idle_s", [3.0])
async def test_a_slow_upload_keeps_its_silent_control_connection(runtime: Runtime, port: int, idle_s: float) -> None:
    login = await upload_login(runtime)

    def act() -> str:
        with ftplib.FTP(timeout=DEADLINE_S) as client:
            client.connect(HOST, port)
            client.login(*login)
            with client.transfercmd("STOR slow.log") as data:
                for _ in range(9):  # longer than file_idle_timeout_s altogether, shorter each time
                    data.sendall(b"x" * 1000)
                    data.settimeout(0.4)
                    with pytest.raises(TimeoutError):
                        data.recv(1)
            return client.voidresp()

    assert (await asyncio.to_thread(act)).startswith("226")
    assert await contents(runtime) == [b"x" * 9000]


@pytest.mark.parametrize("idle_s", [1.5])
async def test_connections_are_limited_and_idle_ones_are_closed(runtime: Runtime, port: int, idle_s: float) -> None:
    def act() -> tuple[list[str], bytes]:
        opened = [socket.create_connection((HOST, port), timeout=DEADLINE_S) for _ in range(5)]
        said = [one.recv(100).decode()[:3] for one in opened]
        rest = opened[0].recv(100)  # closed by the server when it has been idle
        for one in opened:
            one.close()
        return sorted(said), rest

    assert await asyncio.to_thread(act) == (["220"] * 4 + ["421"], b"")


async def test_garbage_ends_only_its_own_connection(runtime: Runtime, port: int) -> None:
    def act() -> None:
        for garbage in (b"\xff\xfe\r\n", b"x" * 100_000, b"\0\0\r\n", b"USER \xc3\x28\r\nPASS \xff\r\n"):
            with socket.create_connection((HOST, port), timeout=DEADLINE_S) as one:
                one.sendall(garbage)

    await asyncio.to_thread(act)
    await ftp(port, await upload_login(runtime), partial(store, "a", b"one"))
    assert await contents(runtime) == [b"one"]


async def test_passive_ports_and_address_are_those_of_the_settings(runtime: Runtime) -> None:
    with socket.create_server((HOST, 0)) as free:
        data_port = free.getsockname()[1]
    runtime.settings = Settings.model_validate(
        {
            **runtime.settings.model_dump(),
            "ftp_port": 0,
            "ftp_passive_ports": f"{data_port}-{data_port}",
            "ftp_passive_address": "203.0.113.9",
        }
    )
    server = FtpServer(runtime)
    port = await server.start()
    try:
        answer = await ftp(port, await upload_login(runtime), lambda client: client.sendcmd("PASV"))
    finally:
        await server.stop()
    assert f"(203,0,113,9,{data_port >> 8},{data_port & 255})" in answer
    assert ftp_base(runtime.settings) == "ftp://203.0.113.9:0"
    told = runtime.settings.model_copy(update={"ftp_url": "ftp://files.example.com"})
    assert ftp_base(told) == "ftp://files.example.com"


@pytest.mark.parametrize("ports", ["0-10", "50100-50000", "1-70000"])
def test_passive_ports_are_checked(ports: str) -> None:
    with pytest.raises(ValueError, match="50000-50099"):
        Settings(ftp_passive_ports=ports)


async def test_a_taken_port_is_said_in_words(runtime: Runtime) -> None:
    with socket.create_server((HOST, 0)) as other:
        runtime.settings = runtime.settings.model_copy(update={"ftp_port": other.getsockname()[1]})
        with pytest.raises(Unavailable, match="CSMS_FTP_PORT"):
            await FtpServer(runtime).start()


async def test_it_is_a_part_of_the_system_where_a_port_is_set(settings: Settings) -> None:
    async with running(settings, {Part.FTP}) as started:
        assert started.ftp_port == 0
    with_ftp = settings.model_copy(update={"ftp_port": 0})
    async with running(with_ftp, {Part.FTP}) as started:
        assert ftp_base(started.runtime.settings) == f"ftp://127.0.0.1:{started.ftp_port}"
        assert f"ftp://127.0.0.1:{started.ftp_port}" in welcome(started, is_demo=False)
        await ftp(started.ftp_port, await upload_login(started.runtime), partial(store, "a", b"one"))
        assert await contents(started.runtime) == [b"one"]


@pytest.mark.slow
def test_the_command_says_what_it_needs() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CSMS_")}
    done = subprocess.run(
        [sys.executable, "-m", "csms", "ftp"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "CSMS_FTP_PORT" in done.stderr) == (1, True)
