"""F5: a simulated station inside a test: run it for the length of a block, and let simulated time pass for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from simulators.clock import ManualClock
from simulators.v16.station import Station
from simulators.wire import Endpoint

QUIET_TURNS = 8  # turns of the event loop without anything under way before a station counts as settled
SETTLE_TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def running_station(
    url: str, identity: str = "CP-1", *, password: bytes | None = None, **options: Any
) -> AsyncIterator[Station]:
    """A station that lives as long as the block; `options` are those of `Station` (clock, nameplate, observer, …).

    Leaving the block closes the connection with 1000; what the station did wrong meanwhile is raised then.
    """
    station = Station(Endpoint(url, identity, password), **options)
    life = asyncio.create_task(station.run())
    try:
        yield station
    finally:
        station.stop()
        await life


async def pass_time(station: Station, clock: ManualClock, seconds: float) -> None:
    """Move the clock on, timer by timer, each time waiting until the station has said and heard all that follows."""
    until_s = clock.monotonic() + seconds
    await settled(station)
    while (due_s := clock.next_due_s) is not None and clock.monotonic() + due_s <= until_s:
        clock.advance(due_s)
        await settled(station)
    clock.advance(until_s - clock.monotonic())


async def settled(station: Station) -> None:
    """Wait until nothing is under way between this station and its CSMS. Raises TimeoutError after 20 real seconds."""
    quiet_turns = 0
    async with asyncio.timeout(SETTLE_TIMEOUT_S):
        while quiet_turns < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet_turns = 0 if station.is_busy else quiet_turns + 1
