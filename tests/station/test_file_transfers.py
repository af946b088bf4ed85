"""S17, S24: the file server over HTTP as stations meet it: one-time URLs, limits, ranges, uploads that break off."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import Invalid
from csms.files import StoredFile, add_file
from csms.runtime import Runtime
from csms.station.file_transfers import (
    FileTransfer,
    TransferProtocol,
    TransferState,
    close_transfer,
    location_fault,
    offer_download,
    offer_upload,
    safe_name,
    shown_location,
    username_in,
)
from csms.station.file_transfers.service.multipart import FilePart, boundary_of
from csms.station.information import Station
from csms.store import Store
from datasheet_api.server import ApiServer
from tests.builders import make_station

pytestmark = [pytest.mark.feature("S17", "S24")]

LOG = b"2026-01-01 something went wrong\n" * 20_000
"""More than one JSON body may have, and more than one chunk."""


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store)


@pytest.fixture
async def client(app: FastAPI, runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """A station's HTTP client, and the API behind a real socket."""
    server = ApiServer(app, runtime.settings)
    port = await server.start()
    runtime.settings = runtime.settings.model_copy(
        update={"files_url": f"http://127.0.0.1:{port}", "diagnosis_bytes_max": 2_000_000}
    )
    async with httpx.AsyncClient() as one:
        yield one
    await server.stop()


async def upload_url(runtime: Runtime, station: Station) -> str:
    async with runtime.store.writing() as work:
        _, url = offer_upload(
            work,
            runtime,
            station,
            "diagnostics",
            protocol=TransferProtocol.HTTP,
            bytes_max=runtime.settings.diagnosis_bytes_max,
            expires_at=work.now + timedelta(hours=1),
        )
    return url


async def stored(runtime: Runtime, content: bytes, name: str = "image 2.1.bin") -> StoredFile:
    station = await make_station(runtime.store)
    async with runtime.files.receiving(10_000_000) as part:
        await part.write(content)
        blob = await part.keep()
    async with runtime.store.writing() as work:
        return add_file(work, blob, organisation_id=station.organisation_id, name=name)


async def download_url(runtime: Runtime, station: Station, file: StoredFile) -> str:
    async with runtime.store.writing() as work:
        _, url = offer_download(
            work,
            runtime,
            station,
            "firmware",
            protocol=TransferProtocol.HTTP,
            file=file,
            expires_at=work.now + timedelta(hours=1),
        )
    return url


async def transfer(store: Store) -> FileTransfer:
    async with store.reading() as work:
        return (await work.session.exec(select(FileTransfer))).one()


async def contents(runtime: Runtime) -> list[bytes]:
    """Of all files of the installation, whole or not."""
    async with runtime.store.reading() as work:
        files = (await work.session.exec(select(StoredFile))).all()
    on_disk = [path for path, _size, _at in runtime.files._files()]
    assert {path.name for path in on_disk} == {file.key for file in files}
    return [path.read_bytes() for path in on_disk]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "", 201), ("PUT", "logs/today.gz", 201), ("POST", "any name?.txt", 200)],
)
async def test_a_station_uploads_under_a_name_of_its_own(
    client: httpx.AsyncClient, runtime: Runtime, station: Station, *, method: str, path: str, status: int
) -> None:
    url = await upload_url(runtime, station)
    answer = await client.request(method, url + path, content=LOG)
    assert answer.status_code == status, answer.text
    assert hashlib.sha256(LOG).hexdigest() in answer.text
    assert await contents(runtime) == [LOG]
    done = await transfer(runtime.store)
    assert (done.state, done.moved_bytes, done.attempts) == (TransferState.COMPLETE, len(LOG), 1)
    assert done.remote_address == "127.0.0.1"
    async with runtime.store.reading() as work:
        file = (await work.session.exec(select(StoredFile))).one()
    assert file.name == safe_name(path.partition("?")[0], "diagnostics.bin")


async def test_a_form_with_a_file_and_a_body_without_length_are_taken(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    form = {"files": {"file": ("station.log", LOG)}, "data": {"comment": "at night"}}
    answer = await client.post(await upload_url(runtime, station), **form)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(LOG), 100_000):
            yield LOG[start : start + 100_000]

    answer = await client.put(await upload_url(runtime, station), content=chunks())
    assert answer.status_code == 201, answer.text
    assert await contents(runtime) == [LOG, LOG]
    async with runtime.store.reading() as work:
        assert "station.log" in [file.name for file in await work.session.exec(select(StoredFile))]


async def test_credentials_may_come_as_basic_authentication(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    token = (await upload_url(runtime, station)).rstrip("/").rpartition("csmsf_")[2]
    target = f"{runtime.settings.files_url}/files/log.txt"
    refused = await client.put(target, content=b"x")
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    assert (await client.put(target, content=b"x", auth=(token[:12], "0" * 32))).status_code == 404
    assert (await client.put(target, content=b"x", auth=(token[:12], token[12:]))).status_code == 201


@pytest.mark.robustness(37)
async def test_an_upload_that_breaks_off_is_never_seen_and_may_be_repeated(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    url = httpx.URL(await upload_url(runtime, station))
    _reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"PUT {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(LOG)}\r\n\r\n"
    writer.write(head.encode() + LOG[:-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(10):
        while (await transfer(runtime.store)).failure is None:  # noqa: ASYNC110  # what the server writes
            await asyncio.sleep(0.01)
    assert await contents(runtime) == []
    assert (await transfer(runtime.store)).state is TransferState.OPEN
    assert (await client.put(url, content=LOG)).status_code == 201
    again = await transfer(runtime.store)
    assert (again.state, again.attempts, again.failure) == (TransferState.COMPLETE, 2, None)


async def test_an_upload_that_stands_still_is_cut(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    runtime.settings = runtime.settings.model_copy(update={"file_idle_timeout_s": 0.2})
    url = httpx.URL(await upload_url(runtime, station))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"PUT {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf".encode())
    async with asyncio.timeout(10):
        assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert await contents(runtime) == []
    assert "nothing more came for 0.2 s" in ((await transfer(runtime.store)).failure or "")


async def test_a_form_without_its_end_is_refused(client: httpx.AsyncClient, runtime: Runtime, station: Station) -> None:
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.log"\r\n\r\nhalf\r\n'
    url = await upload_url(runtime, station)
    assert (await client.post(url, content=body, headers=head)).status_code == 422
    assert await contents(runtime) == []
    assert (await client.post(url, content=body + b"--b--", headers=head)).status_code == 200
    assert await contents(runtime) == [b"half"]


async def test_too_large_empty_and_partial_bodies_are_refused(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    url = await upload_url(runtime, station)
    large = b"x" * 2_000_001

    async def untold() -> AsyncIterator[bytes]:
        yield large

    assert (await client.put(url, content=large)).status_code == 413
    assert (await client.put(url, content=untold())).status_code == 413
    assert (await client.put(url, content=b"")).status_code == 422
    ranged = {"Content-Range": "bytes 0-3/8"}
    assert (await client.put(url, content=b"half", headers=ranged)).status_code == 400
    assert await contents(runtime) == []
    assert (await client.put(url, content=large[:-1])).status_code == 201


@pytest.mark.robustness(32)
async def test_the_quota_holds_for_uploads(client: httpx.AsyncClient, runtime: Runtime, station: Station) -> None:
    runtime.files._bytes_max = 100_000
    answer = await client.put(await upload_url(runtime, station), content=LOG)
    assert answer.status_code == 503
    assert await contents(runtime) == []


async def test_a_url_is_good_for_one_file_for_its_time(
    client: httpx.AsyncClient, runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    used = await upload_url(runtime, station)
    assert (await client.put(used, content=b"one")).status_code == 201
    again = await client.put(used, content=b"two")
    assert (again.status_code, "was used" in again.json()["detail"]) == (409, True)
    assert await contents(runtime) == [b"one"]
    late = await upload_url(runtime, station)
    clock.advance(hours=1)
    expired = await client.put(late, content=b"three")
    assert (expired.status_code, "expired" in expired.json()["detail"]) == (409, True)
    assert await contents(runtime) == [b"one"]


async def test_a_withdrawn_url_and_wrong_secrets_are_refused(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    url = await upload_url(runtime, station)
    wrong = url[:-2] + ("0" if url[-2] != "0" else "1") + "/"
    assert (await client.put(wrong, content=b"x")).status_code == 404
    assert (await client.put(f"{runtime.settings.files_url}/files/csmsf_{'0' * 44}/", content=b"x")).status_code == 404
    assert (await client.get(url)).status_code == 405
    async with runtime.store.writing() as work:
        await close_transfer(work, (await transfer(runtime.store)).id)
    gone = await client.put(url, content=b"x")
    assert (gone.status_code, "withdrawn" in gone.json()["detail"]) == (409, True)


async def test_two_uploads_at_once_leave_one_file(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    url = await upload_url(runtime, station)
    begun = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield LOG
        await begun.wait()
        yield b"end"

    first = asyncio.create_task(client.put(url, content=slowly()))
    async with asyncio.timeout(10):
        while (await transfer(runtime.store)).attempts == 0:  # noqa: ASYNC110  # what the server writes
            await asyncio.sleep(0.01)
    second = await client.put(url, content=b"other")
    begun.set()
    assert second.status_code == 409
    assert (await first).status_code == 201
    assert await contents(runtime) == [LOG + b"end"]


async def test_a_station_fetches_its_file_whole_and_in_ranges(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    file = await stored(runtime, LOG)
    url = await download_url(runtime, station, file)
    assert url.endswith("/image_2.1.bin")
    head = await client.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(LOG)), b"")
    assert head.headers["accept-ranges"] == "bytes"
    assert (await transfer(runtime.store)).state is TransferState.OPEN
    part = await client.get(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, LOG[:10])
    rest = await client.get(url, headers={"Range": "bytes=10-", "If-Range": part.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, LOG[10:])
    beyond = await client.get(url, headers={"Range": f"bytes={len(LOG)}-"})
    assert beyond.status_code == 416
    whole = await client.get(url)
    assert whole.content == LOG
    assert whole.headers["content-disposition"] == 'attachment; filename="image_2.1.bin"'
    async with asyncio.timeout(10):
        while (await transfer(runtime.store)).moved_bytes < 2 * len(LOG):  # noqa: ASYNC110  # what the server writes
            await asyncio.sleep(0.01)
    assert (await transfer(runtime.store)).state is TransferState.COMPLETE
    assert (await client.put(url, content=b"x")).status_code == 405


async def test_another_stations_url_gives_only_its_own_file(
    client: httpx.AsyncClient, runtime: Runtime, station: Station
) -> None:
    mine = await download_url(runtime, station, await stored(runtime, b"mine", "a.bin"))
    await download_url(runtime, await make_station(runtime.store), await stored(runtime, b"theirs", "b.bin"))
    for name in ("b.bin", "../b.bin", "..%2F..%2Fsecret.key", ""):
        answer = await client.get(mine.rpartition("/")[0] + "/" + name)
        assert (answer.status_code, answer.content) == (200, b"mine") or answer.status_code in (401, 404)


@pytest.mark.robustness(48)
async def test_tokens_are_not_in_the_logs_of_requests(
    client: httpx.AsyncClient, runtime: Runtime, station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    from csms.platform.operations.logs import redact_event  # noqa: PLC0415  # only this test looks at lines

    url = await upload_url(runtime, station)
    line: dict[str, Any] = {"event": "request", "path": httpx.URL(url).path}
    assert redact_event(None, "info", line)["path"] == "/files/(hidden)/"


async def test_an_operator_says_how_a_station_moves_files_and_sees_it(
    api: httpx.AsyncClient, runtime: Runtime, station: Station, clock: FixedClock
) -> None:
    url = f"/api/v1/stations/{station.identity}"
    assert (await api.get(f"{url}/file-transfer-settings")).json() == {"protocol": None}
    changed = await api.put(f"{url}/file-transfer-settings", json={"protocol": "ftp"})
    assert changed.json() == {"protocol": "ftp"}
    assert (await api.get(f"{url}/file-transfer-settings")).json() == {"protocol": "ftp"}
    await upload_url(runtime, station)
    clock.advance(hours=2)
    listed = (await api.get(f"{url}/file-transfers")).json()["items"]
    assert [(one["direction"], one["purpose"], one["is_expired"]) for one in listed] == [
        ("upload", "diagnostics", True)
    ]
    one = (await api.get(f"{url}/file-transfers/{listed[0]['id']}")).json()
    assert one == listed[0]
    assert "secret" not in str(one)


# --- rules


OWN = ["https://csms.example.com", "ftp://203.0.113.9:2121"]


@pytest.mark.robustness(40)
@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/",
        "ftp://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://10.0.0.5/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://intranet/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "//example.com/",
        "not a url",
        "",
        "http://example.com:99999/",
        "http://files.example.com@169.254.169.254/",
        "http://a@b@example.com/",
        "http://exa\nmple.com/",
        "http://169.254.169.254\\@example.com/",
    ],
)
def test_private_and_unreadable_locations_are_refused_even_where_all_public_hosts_are_allowed(location: str) -> None:
    assert location_fault(location, OWN, ["*"]) is not None


@pytest.mark.robustness(40)
@pytest.mark.parametrize(
    ("location", "allowed", "is_fine"),
    [
        ("https://csms.example.com/files/x/", [], True),
        ("https://csms.example.com:443/files/x/", [], True),
        ("http://csms.example.com/files/x/", [], False),
        ("ftp://u:p@203.0.113.9:2121/x", [], True),
        ("ftp://u:p@203.0.113.9/x", [], False),
        ("https://vendor.example/fw.bin", [], False),
        ("https://vendor.example/fw.bin", ["vendor.example"], True),
        ("https://VENDOR.example./fw.bin", ["vendor.example"], True),
        ("https://cdn.vendor.example/fw.bin", ["vendor.example"], False),
        ("sftp://cdn.vendor.example/fw.bin", ["*.vendor.example"], True),
        ("https://evilvendor.example/fw.bin", ["*.vendor.example"], False),
        ("https://vendor.example/fw.bin", ["*"], True),
        ("http://10.0.0.5/logs", ["10.0.0.5"], True),
        ("http://[fd00::5]/logs", ["fd00::5"], True),
        ("http://8.8.8.8/logs", ["*"], True),
    ],
)
def test_locations_are_our_own_server_or_an_allowed_host(location: str, allowed: list[str], is_fine: bool) -> None:
    assert (location_fault(location, OWN, allowed) is None) is is_fine


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.log", "a.log"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\log 1.txt", "log_1.txt"),
        ('x"; filename="y.exe', "x_filename_y.exe"),
        (".ssh", "ssh"),
        ("лог", "_"),
        ("...", "file.bin"),
        ("", "file.bin"),
        ("a" * 500, "a" * 120),
    ],
)
@pytest.mark.robustness(39)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_what_is_shown_of_a_location_has_no_secret() -> None:
    assert shown_location("ftp://user:pass@files.example.com:2121/dir?x=1") == "ftp://files.example.com:2121"
    assert shown_location("https://csms.example.com/files/csmsf_abc/") == "https://csms.example.com"
    assert shown_location("http://[fd00::5]:80/") == "http://[fd00::5]:80"
    assert shown_location("\0") == "(unreadable)"


def test_our_own_urls_are_known_again() -> None:
    token = "sabcdef01234" + "0" * 32
    assert username_in(f"https://h/files/csmsf_{token}/") == "sabcdef01234"
    assert username_in(f"ftp://sabcdef01234:{'0' * 32}@h:21/x") == "sabcdef01234"
    assert username_in("ftp://files:secret@h/") is None


async def _read(body: bytes, sizes: list[int]) -> tuple[str, bytes]:
    async def chunks() -> AsyncIterator[bytes]:
        rest = body
        for size in [*sizes, len(body)]:
            if rest:
                yield rest[:size]
            rest = rest[size:]

    part = FilePart(chunks(), b"XX")
    content = b"".join([chunk async for chunk in part.content()])
    return part.name, content


@given(
    content=st.binary(max_size=60).filter(lambda value: b"\r\n--XX" not in value),
    sizes=st.lists(st.integers(1, 20), max_size=20),
)
def test_a_forms_file_is_read_whatever_its_bytes_and_however_it_is_cut(content: bytes, sizes: list[int]) -> None:
    head = b'preamble\r\n--XX\r\nContent-Disposition: form-data; name="c"\r\n\r\nno file\r\n'
    file = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a.log"\r\n\r\n' + content
    body = head + file + b"\r\n--XX--\r\nepilogue"
    assert asyncio.run(_read(body, sizes)) == ("a.log", content)


@pytest.mark.parametrize(
    "body", [b"", b"--XX--", b"--XX\r\n\r\nno name\r\n--XX--", b"--XX\r\n" + b"x" * 20_000, b"y" * 1_100_000]
)
async def test_a_form_without_a_file_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        await _read(body, [])


def test_boundaries() -> None:
    assert boundary_of("application/octet-stream") is None
    assert boundary_of("") is None
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
    for odd in ("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 80}"):
        with pytest.raises(Invalid):
            boundary_of(odd)
