"""P6: whether this process can do its work: its database and its bus."""

import asyncio
from collections.abc import Awaitable
from typing import Final

import structlog
from sqlmodel import select

from csms.bus import BusUnavailable, NoResponders
from csms.runtime import Runtime
from csms.store import Store

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S: Final = 3.0
_NOBODY: Final = "csms.readiness"
"""A subject that nobody serves: the answer «nobody» proves that the bus works."""


class NotReady(Exception):
    """What is wrong, in words for everybody."""


async def readiness(runtime: Runtime) -> dict[str, str]:
    """Each thing that this process needs, with `ok` or the kind of trouble; details go to the log only."""
    database, bus = await asyncio.gather(_check("database", _database(runtime.store)), _check("bus", _bus(runtime)))
    return {"database": database, "bus": bus}


async def _check(what: str, probe: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await probe
    except TimeoutError:
        log.warning("not ready", what=what, error="timeout")
        return "does not answer in time"
    except NotReady as error:
        log.warning("not ready", what=what, error=str(error))
        return str(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it makes the process unready
        log.warning("not ready", what=what, error=str(error))
        return "cannot be reached"
    return "ok"


async def _database(store: Store) -> None:
    async with store.reading() as work:
        await (await work.session.connection()).execute(select(1))
    if not store.takes_writes:
        raise NotReady("cannot be written")


async def _bus(runtime: Runtime) -> None:
    try:
        await runtime.bus.request(_NOBODY, b"", timeout_s=CHECK_TIMEOUT_S)
    except BusUnavailable:
        raise
    except NoResponders:
        return
