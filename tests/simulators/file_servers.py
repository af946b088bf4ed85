"""Real file servers on this machine for what stations fetch and send: HTTP and FTP."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aioftp


@dataclass
class HttpFiles:
    """`files` can be fetched; what came is in `uploads`. The next `failures` requests are answered with 503."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    denies: bool = False
    takes_put: bool = True


class _Server(ThreadingHTTPServer):
    state: HttpFiles


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing is printed."""

    def _reply(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _take(self) -> bytes | None:
        """The body, None when the request was refused."""
        body, state = self.rfile.read(int(self.headers.get("Content-Length") or 0)), self.server.state
        if state.denies:
            self._reply(403)
            return None
        if state.failures > 0:
            state.failures -= 1
            self._reply(503)
            return None
        return body

    def do_GET(self) -> None:
        if self._take() is not None:
            body = self.server.state.files.get(self.path)
            self._reply(404 if body is None else 200, body or b"")

    def do_PUT(self) -> None:
        self._keep(201 if self.server.state.takes_put else 405)

    def do_POST(self) -> None:
        self._keep(200)

    def _keep(self, status: int) -> None:
        body = self._take()
        if body is not None:
            if status != 405:
                self.server.state.uploads[self.path] = body
            self._reply(status)


@contextlib.contextmanager
def http_files() -> Iterator[HttpFiles]:
    state = HttpFiles()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = state
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.asynccontextmanager
async def ftp_files(folder: Path) -> AsyncIterator[str]:
    """An FTP server over a folder; gives its URL with user and password."""
    user = aioftp.User("station", "se cret", base_path=folder)
    server = aioftp.Server(users=[user], wait_future_timeout=5.0)
    await server.start("127.0.0.1", 0)
    try:
        yield f"ftp://station:se%20cret@127.0.0.1:{server.server_port}"
    finally:
        await server.close()
        await asyncio.sleep(0)
