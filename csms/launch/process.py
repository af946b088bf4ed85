"""One process of the installation: prepares the database, starts the parts asked for, drains when told to stop."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import structlog

from broker.server import Broker
from csms.clock import Clock, system_clock
from csms.config import Settings, UnknownStations
from csms.features import offered
from csms.jobs import Worker
from csms.platform import audit
from csms.platform.access import ensure_admin_key
from csms.platform.organisations import ensure_default
from csms.platform.retention import prepare_partitions
from csms.runtime import Runtime, open_runtime
from csms.store import Store, open_store
from csms.store.locks import SILENT_S, ProcessLock
from csms.store.migrate import upgrade
from datasheet_api.app import create_app, create_watch
from datasheet_api.server import ApiServer
from file_server.ftp import FtpServer

log = structlog.get_logger(__name__)

ADMIN_KEY_FILE = "admin.key"
PREPARE_POLL_S = 0.2


class Part(StrEnum):
    BROKER = "broker"
    API = "api"
    WORKER = "worker"
    FTP = "ftp"
    """Only where CSMS_FTP_PORT is set."""


ALL_PARTS = frozenset(Part)


@dataclass(slots=True)
class Running:
    """What was started: the ports are those the system gave, also where 0 was asked for."""

    runtime: Runtime
    parts: Collection[Part]
    broker_port: int = 0
    api_port: int = 0
    ftp_port: int = 0
    metrics_port: int = 0
    broker: Broker | None = None
    unknown_stations: UnknownStations = UnknownStations.HOLD
    notes: list[str] = field(default_factory=list)


async def prepare(settings: Settings, clock: Clock = system_clock) -> str | None:
    """Bring the database up to date and make what a first start needs; returns the administrator's key if made now."""
    store = open_store(settings.database_url.get_secret_value(), clock)
    try:
        async with _alone(store):
            await upgrade(store.engine)
            await prepare_partitions(store)
            async with store.writing() as work:
                await ensure_default(work)
                given = settings.admin_key.get_secret_value() if settings.admin_key else None
                made = await ensure_admin_key(work, given)
    finally:
        await store.close()
    if made is not None:
        keep_key(settings.data_dir / ADMIN_KEY_FILE, made)
    return made


@asynccontextmanager
async def _alone(store: Store) -> AsyncIterator[None]:
    """One process at a time: those of an installation are started together, also on an empty database."""
    lock = store.lock("prepare")
    has_told = False
    while not await lock.take():
        if not has_told:
            log.info("another process brings the database up to date; this one waits")
        has_told = True
        await asyncio.sleep(PREPARE_POLL_S)
    keeping = asyncio.create_task(_keep(lock), name="keep the lock of preparing")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await lock.release()


async def _keep(lock: ProcessLock) -> None:
    """A migration may take longer than the lock lives without a sign of its holder."""
    while True:
        await asyncio.sleep(SILENT_S / 3)
        await lock.take()


def keep_key(path: Path, key: str) -> None:
    """Write a key where only this user reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{key}\n")


@asynccontextmanager
async def running(
    settings: Settings,
    parts: Collection[Part] = ALL_PARTS,
    *,
    unknown: UnknownStations | None = None,
    is_demo: bool = False,
    clock: Clock = system_clock,
    first: Callable[[Running], Awaitable[None]] | None = None,
) -> AsyncIterator[Running]:
    """Start the parts; at the end of the block they are drained in the opposite order.

    `first` is awaited once the broker takes stations, before jobs are run and the API answers.
    """
    async with AsyncExitStack() as stack:
        runtime = await open_runtime(settings, clock=clock)
        stack.push_async_callback(runtime.close)
        audit.install(runtime)
        started = Running(runtime, parts, unknown_stations=unknown or settings.unknown_stations)
        server = _api(runtime) if Part.API in parts else None
        worker = Worker(runtime, offered("jobs", "JOBS")) if Part.WORKER in parts else None
        if worker is not None:
            stack.push_async_callback(worker.stop)  # after the broker's: what its end tells is still delivered
        if Part.BROKER in parts:
            started.broker = Broker(runtime, unknown=unknown, is_demo=is_demo)
            started.broker_port = await started.broker.start()
            stack.push_async_callback(started.broker.stop)
        if first is not None:
            await first(started)
        if worker is not None:
            await worker.start()
        if server is not None:
            started.api_port = await server.start()
            stack.push_async_callback(server.stop)
        if Part.FTP in parts and settings.ftp_port is not None:
            ftp = FtpServer(runtime)
            started.ftp_port = await ftp.start()
            stack.push_async_callback(ftp.stop)
            runtime.settings = settings.model_copy(update={"ftp_port": started.ftp_port})
        if settings.metrics_port is not None:
            watch = ApiServer(create_watch(runtime), settings, is_watch=True)
            started.metrics_port = await watch.start()
            stack.push_async_callback(watch.stop)
        tune_collector()
        yield started


def _api(runtime: Runtime) -> ApiServer:
    """The API with its document, which takes a second or two to build: once, before any station or job waits."""
    app = create_app(runtime)
    app.openapi()
    return ApiServer(app, runtime.settings)


def tune_collector() -> None:
    """What lives as long as the process is never looked at again, and new objects less often (PERFORMANCE 4)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def reload_at_sighup(broker: Broker) -> None:
    """Read the certificates anew at every SIGHUP, as a tool that renews them sends it."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(broker.reload_certificates())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)


async def until_stopped(broker: Broker | None = None) -> None:
    """Return at the first SIGINT or SIGTERM; a second one ends the process at once."""
    if broker is not None:
        reload_at_sighup(broker)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await stopped.wait()
