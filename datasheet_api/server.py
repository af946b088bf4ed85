"""Serves the application with uvicorn inside the running event loop."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn
from fastapi import FastAPI

from csms.config import Settings
from csms.exceptions import Unavailable

log = structlog.get_logger(__name__)

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 65
_POLL_S: Final = 0.01


class _Server(uvicorn.Server):
    """Signals belong to the process, not to one of its servers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """One listening address of the API."""

    def __init__(self, app: FastAPI, settings: Settings, *, is_watch: bool = False) -> None:
        self._app = app
        self._settings = settings
        self._is_watch = is_watch
        self._host = settings.metrics_host if is_watch else settings.api_host
        self._port = (settings.metrics_port or 0) if is_watch else settings.api_port
        self._what, self._setting = ("metrics", "CSMS_METRICS_PORT") if is_watch else ("the API", "CSMS_API_PORT")
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises Unavailable where the address is taken or not ours."""
        try:
            listener = _listen(self._host, self._port)
        except OSError as error:
            place = f"{self._host}:{self._port}"
            raise Unavailable(
                f"{self._what} cannot listen on {place} ({error.strerror}); set {self._setting}"
            ) from error
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(self._settings.drain_timeout_s),
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([listener]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(_POLL_S)
        log.info("metrics are served" if self._is_watch else "API listens", host=self._host, port=port)
        return port

    async def stop(self) -> None:
        """End streams, finish requests within `drain_timeout_s`, cut what is left."""
        if self._server is None or self._serving is None:
            return
        self._app.state.stopping.set()
        self._server.should_exit = True
        await self._serving
        self._server = self._serving = None


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with contextlib.ExitStack() as on_failure:
        listener = on_failure.enter_context(socket.socket(family, kind, protocol))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        on_failure.pop_all()
        return listener
