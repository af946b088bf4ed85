"""F5: files that a simulated station really fetches and sends, over HTTP, HTTPS or FTP."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import aioftp
import httpx

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
TIMEOUT_S: Final = 30.0
FTP_PORT: Final = 21
_NOT_ALLOWED: Final = (404, 405, 501)
_DENIED: Final = (401, 403, 407)


class TransferError(Exception):
    """A file did not get through; `is_denied` when the server knows the station not, `is_unknown` for a strange URL."""

    def __init__(self, reason: str, *, is_denied: bool = False, is_unknown: bool = False) -> None:
        super().__init__(reason)
        self.is_denied = is_denied
        self.is_unknown = is_unknown


async def download(location: str, tls: ssl.SSLContext | None = None) -> bytes:
    """Fetch a file. Raises TransferError."""
    parts = _split(location)
    with _translated():
        async with asyncio.timeout(TIMEOUT_S):
            return await (_ftp_get(parts) if parts.scheme == "ftp" else _http_get(location, tls))


async def upload(location: str, name: str, body: bytes, tls: ssl.SSLContext | None = None) -> None:
    """Send a file: under its name where the location is a directory, else exactly there. Raises TransferError."""
    parts = _split(location)
    with _translated():
        async with asyncio.timeout(TIMEOUT_S):
            await (_ftp_put(parts, name, body) if parts.scheme == "ftp" else _http_put(location, name, body, tls))


def is_known(location: str) -> bool:
    """Whether this station can go there at all."""
    try:
        _split(location)
    except TransferError:
        return False
    return True


def _split(location: str) -> SplitResult:
    try:
        parts = urlsplit(location)
        is_known = parts.scheme in ("http", "https", "ftp") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_known = False
    if not is_known:
        raise TransferError("the location is no URL of http, https or ftp", is_unknown=True)
    return parts


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise TransferError(f"HTTP {status}", is_denied=status in _DENIED) from error
    except aioftp.StatusCodeError as error:
        is_denied = any(str(code).startswith("53") for code in error.received_codes)
        raise TransferError(f"FTP {error.received_codes}", is_denied=is_denied) from error
    except (httpx.HTTPError, httpx.InvalidURL, aioftp.AIOFTPException, OSError, TimeoutError) as error:
        raise TransferError(str(error) or type(error).__name__) from error


# --- HTTP


def _client(tls: ssl.SSLContext | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=tls if tls is not None else True, trust_env=False, timeout=TIMEOUT_S)


async def _http_get(location: str, tls: ssl.SSLContext | None) -> bytes:
    body = bytearray()
    async with _client(tls) as client, client.stream("GET", location, follow_redirects=True) as response:
        response.raise_for_status()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_FILE_BYTES:
                raise TransferError(f"the file has more than {MAX_FILE_BYTES} bytes")
    return bytes(body)


async def _http_put(location: str, name: str, body: bytes, tls: ssl.SSLContext | None) -> None:
    """PUT, as most servers take it; those that do not are asked with POST."""
    url = location + quote(name) if location.endswith("/") else location
    headers = {"Content-Type": "application/octet-stream"}
    async with _client(tls) as client:
        response = await client.put(url, content=body, headers=headers)
        if response.status_code in _NOT_ALLOWED:
            response = await client.post(location, files={"file": (name, body, "application/octet-stream")})
        response.raise_for_status()


# --- FTP


def _ftp(parts: SplitResult) -> contextlib.AbstractAsyncContextManager[aioftp.Client]:
    context: contextlib.AbstractAsyncContextManager[aioftp.Client] = aioftp.Client.context(
        parts.hostname or "",
        parts.port or FTP_PORT,
        unquote(parts.username) if parts.username else "anonymous",
        unquote(parts.password) if parts.password else "anon@",
        connection_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
    )
    return context


async def _ftp_get(parts: SplitResult) -> bytes:
    body = bytearray()
    async with _ftp(parts) as client, client.download_stream(PurePosixPath(unquote(parts.path))) as stream:
        async for block in stream.iter_by_block():
            body += block
            if len(body) > MAX_FILE_BYTES:
                raise TransferError(f"the file has more than {MAX_FILE_BYTES} bytes")
    return bytes(body)


async def _ftp_put(parts: SplitResult, name: str, body: bytes) -> None:
    path = unquote(parts.path) or "/"
    is_directory = path.endswith("/") or "." not in PurePosixPath(path).name
    target = PurePosixPath(path) / name if is_directory else PurePosixPath(path)
    async with _ftp(parts) as client, client.upload_stream(target) as stream:
        await stream.write(body)
