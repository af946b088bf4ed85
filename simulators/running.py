"""F5: a simulated station inside a test: run it for the length of a block, and let simulated time pass for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from simulators.clock import ManualClock
from simulators.life import StationLife

QUIET_TURNS = 8  # turns of the event loop without anything under way before a station counts as settled
SETTLE_TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def living(station: StationLife) -> AsyncIterator[None]:
    """Let a station live as long as the block.

    Leaving the block closes the connection with 1000; what the station did wrong meanwhile is raised then.
    """
    life = asyncio.create_task(station.run())
    try:
        yield
    finally:
        station.stop()
        await life


async def pass_time(station: StationLife, clock: ManualClock, seconds: float) -> None:
    """Move the clock on, timer by timer, each time waiting until the station has said and heard all that follows."""
    until_s = clock.monotonic() + seconds
    await settled(station)
    while (due_s := clock.next_due_s) is not None and clock.monotonic() + due_s <= until_s:
        clock.advance(due_s)
        await settled(station)
    clock.advance(until_s - clock.monotonic())


async def settled(station: StationLife) -> None:
    """Wait until nothing is under way between this station and its CSMS. Raises TimeoutError after 20 real seconds."""
    quiet_turns = 0
    async with asyncio.timeout(SETTLE_TIMEOUT_S):
        while quiet_turns < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet_turns = 0 if station.is_busy else quiet_turns + 1
