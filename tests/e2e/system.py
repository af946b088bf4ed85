"""The whole system under test: inside this process, or as the real program in a process of its own."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from csms.config import Settings, UnknownStations
from csms.launch.process import Running, prepare, running
from csms.store import Store
from tests.servers import ServerProcess

DEADLINE_S = 30.0
START_TIMEOUT_S = 60.0
ADMIN_KEY = "key-of-the-end-to-end-tests"
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
QUIET_PORTS = range(15_000, 30_000)
"""Below the ports that the kernel hands out: while nobody listens, a client that tries again cannot meet itself."""


async def eventually(condition: Callable[[], Awaitable[Any]], *, timeout_s: float = DEADLINE_S) -> Any:
    """The condition's value once it is true; TimeoutError when that does not happen."""
    async with asyncio.timeout(timeout_s):
        while not (value := await condition()):  # noqa: ASYNC110  # polls what other processes do
            await asyncio.sleep(0.02)
        return value


async def until(condition: Callable[[], Any], *, timeout_s: float = DEADLINE_S) -> Any:
    """The same for a condition that needs no await."""

    async def ask() -> Any:
        return condition()

    return await eventually(ask, timeout_s=timeout_s)


def quiet_port() -> int:
    """A port to which a server can come back after it was killed."""
    while True:
        port = random.choice(QUIET_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


# --- inside this process ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class System:
    """Broker, API and worker on free ports, and a client of the API with an administrator's key."""

    started: Running
    api: httpx.AsyncClient

    @property
    def url(self) -> str:
        """Where stations connect, without the identity."""
        return f"ws://127.0.0.1:{self.started.broker_port}/ocpp"

    @property
    def store(self) -> Store:
        return self.started.runtime.store

    async def get(self, path: str, **parameters: Any) -> Any:
        """The JSON under /api/v1; anything but 200 fails the test with the answer's text."""
        response = await self.api.get(f"/api/v1/{path}", params=parameters)
        assert response.status_code == httpx.codes.OK, f"{path}: {response.status_code} {response.text}"
        return response.json()

    async def post(self, path: str, body: Any = None) -> Any:
        """The same for a POST; 200 and 201 are fine."""
        response = await self.api.post(f"/api/v1/{path}", json=body)
        assert response.is_success, f"{path}: {response.status_code} {response.text}"
        return response.json()

    async def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await self.get(path, **parameters, **cursor)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    async def command(self, station_id: str, action: str, payload: dict[str, Any], **parameters: Any) -> Any:
        """Send a command over HTTP; the command log's entry."""
        response = await self.api.post(
            f"/api/v1/stations/{station_id}/commands/{action}", json=payload, params=parameters
        )
        assert response.status_code == httpx.codes.OK, f"{action}: {response.status_code} {response.text}"
        return response.json()


@asynccontextmanager
async def whole_system(
    settings: Settings, *, unknown: UnknownStations = UnknownStations.ACCEPT, is_demo: bool = False
) -> AsyncIterator[System]:
    """The system on a prepared database; it is drained at the end of the block."""
    own = settings.model_copy(update={"admin_key": SecretStr(ADMIN_KEY)})
    await prepare(own)
    async with running(own, unknown=unknown, is_demo=is_demo) as started:
        address = f"http://127.0.0.1:{started.api_port}"
        async with httpx.AsyncClient(base_url=address, headers=HEADERS, timeout=DEADLINE_S) as api:
            yield System(started, api)


# --- as a process ---------------------------------------------------------------------------------------------------


class CsmsProcess(ServerProcess):
    """`python -m csms …`; its output is in `log()`."""

    def __init__(self, folder: Path, *arguments: str, **settings: str | int) -> None:
        ours = [f"CSMS_{name.upper()}={value}" for name, value in settings.items()]
        inherited = [part for name in os.environ if name.startswith("CSMS_") for part in ("-u", name)]
        super().__init__(["env", *inherited, *ours, sys.executable, "-m", "csms", *arguments], folder)

    async def end(self, number: signal.Signals) -> int | None:
        """Ask it to end with a signal and wait; the exit code, -9 if it had to be killed."""
        await asyncio.to_thread(self.stop, number)
        return self._process.returncode

    def output(self) -> str:
        """Everything that it wrote so far, over all lives in the same folder."""
        return self.log_path.read_text(errors="replace")


@dataclass
class Installation:
    """`csms run` on one database and two ports that stay the same when it is started again."""

    folder: Path
    database_url: str
    broker_port: int
    api_port: int
    process: CsmsProcess | None = None

    @classmethod
    def at(cls, folder: Path, database_url: str) -> "Installation":
        return cls(folder, database_url, quiet_port(), quiet_port())

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.broker_port}/ocpp"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    async def start(self) -> None:
        """Start and wait until it says that it is ready."""
        self.process = CsmsProcess(
            self.folder,
            "run",
            database_url=self.database_url,
            data_dir=str(self.folder / "data"),
            broker_port=self.broker_port,
            api_port=self.api_port,
            admin_key=ADMIN_KEY,
            unknown_stations="accept",
        )
        try:
            await eventually(self._is_up, timeout_s=START_TIMEOUT_S)
        except TimeoutError:
            raise AssertionError(f"csms run was not ready in time:\n{self.process.log()}") from None

    async def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.is_running(), f"csms run ended:\n{self.process.log()}"
        return await self.readiness() == httpx.codes.OK

    async def readiness(self) -> int | None:
        """The status of /ready; None while nobody answers."""
        async with httpx.AsyncClient(timeout=DEADLINE_S) as client:
            try:
                return (await client.get(f"{self.api_url}/ready")).status_code
            except httpx.TransportError:
                return None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process = None

    async def terminate(self) -> int | None:
        """SIGTERM; the exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        return await process.end(signal.SIGTERM)
