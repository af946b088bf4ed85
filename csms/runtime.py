"""What one process of the installation is made of: settings, store, bus, outbox; hosts and jobs are given it."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import httpx
import orjson
import structlog

from csms.bus import Bus, Message, open_bus
from csms.calls import BusCalls, StationCalls
from csms.clock import Clock, system_clock
from csms.config import Settings
from csms.exceptions import Invalid
from csms.features import offered
from csms.files import Blobs
from csms.mail import Mailer, open_mailer
from csms.outbox import Outbox
from csms.store import Fact, Store, open_store
from csms.webhooks import open_client

log = structlog.get_logger(__name__)

LIVE_SUBJECT = "live"
"""What happened is told on `live.<organisation id>`, right after its commit, in JSON lists of `LiveNews`."""
NEWS_A_MESSAGE = 100
ACCESS_SUBJECT = "access"
"""Told here, without content: keys, users or rights were changed, so what is remembered of them is to be read anew."""
SECRET_KEY_CHARS_MIN = 16


class LiveNews(TypedDict):
    """A fact, as every process hears of it."""

    id: str
    kind: str
    station: str | None
    at: str
    data: dict[str, Any]


@dataclass(slots=True)
class Runtime:
    settings: Settings
    store: Store
    bus: Bus
    outbox: Outbox
    calls: StationCalls
    mailer: Mailer | None
    http: httpx.AsyncClient
    secret_key: bytes
    files: Blobs

    @property
    def clock(self) -> Clock:
        return self.store.clock

    async def close(self) -> None:
        await self.http.aclose()
        await self.bus.close()
        await self.store.close()


async def open_runtime(settings: Settings, *, clock: Clock = system_clock) -> Runtime:
    """Open everything that the settings name; the caller closes it."""
    store = open_store(settings.database_url.get_secret_value(), clock)
    bus = open_bus(settings.bus_url.get_secret_value() if settings.bus_url else None)
    await bus.start()
    _announce_on(bus, store)
    return Runtime(
        settings=settings,
        store=store,
        bus=bus,
        outbox=Outbox(store, offered("jobs", "CONSUMERS")),
        calls=BusCalls(bus),
        mailer=open_mailer(settings),
        http=open_client(),
        secret_key=read_secret_key(settings),
        files=Blobs(
            settings.data_dir / "files", bytes_max=settings.files_bytes_max, transfers_max=settings.file_transfers_max
        ),
    )


def _announce_on(bus: Bus, store: Store) -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def publish(facts: Sequence[Fact]) -> None:
        at, told = store.clock().isoformat(), dict[int, list[LiveNews]]()
        for fact in facts:
            news = LiveNews(id=str(fact.id), kind=fact.kind, station=fact.station, at=at, data=fact.data)
            told.setdefault(fact.organisation_id, []).append(news)
        for organisation_id, all_news in told.items():
            for first in range(0, len(all_news), NEWS_A_MESSAGE):
                part = orjson.dumps(all_news[first : first + NEWS_A_MESSAGE])
                await bus.publish(f"{LIVE_SUBJECT}.{organisation_id}", part)

    def announce(facts: Sequence[Fact]) -> None:
        task = asyncio.get_running_loop().create_task(publish(facts))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    store.announce.append(announce)


def news_in(message: Message) -> list[LiveNews]:
    """What one message on `LIVE_SUBJECT` tells, in the order in which it happened."""
    told: list[LiveNews] = orjson.loads(message.data)
    return told


def read_secret_key(settings: Settings) -> bytes:
    """The pepper of stored hashes: from the settings, else a file of the data folder made at the first start.

    Raises Invalid for one that is too short to be a secret.
    """
    if settings.secret_key is not None:
        return _long_enough(settings.secret_key.get_secret_value(), "CSMS_SECRET_KEY")
    path = settings.data_dir / "secret.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_secret(path)
    return _long_enough(path.read_text().strip(), str(path))


def _long_enough(secret: str, source: str) -> bytes:
    if len(secret) < SECRET_KEY_CHARS_MIN:
        raise Invalid(
            f"{source} needs at least {SECRET_KEY_CHARS_MIN} characters; take the one of your backup, or for a new "
            "installation that of `openssl rand -hex 32`"
        )
    return secret.encode()


def _make_secret(path: Path) -> None:
    """Whole or not at all, and once: processes that start together must not read half of it, or one of their own."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.touch(mode=0o600, exist_ok=False)
    part.write_text(secrets.token_hex(32))
    try:
        os.link(part, path)
    except FileExistsError:
        return
    finally:
        part.unlink()
    log.info("secret key made; back it up with the database", path=str(path))
