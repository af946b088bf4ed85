"""F5: a simulated station inside a test: run it for the length of a block, and let simulated time pass for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from simulators.clock import LateClock, ManualClock
from simulators.life import StationLife

QUIET_TURNS = 8  # turns of the event loop without anything under way before a station counts as settled
SETTLE_TIMEOUT_S = 20.0
CATCH_UP_STEP_S = 10.0
ANSWER_POLL_S = 0.001


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


async def settled(*stations: StationLife) -> None:
    """Wait until nothing is under way between these stations and their CSMS. TimeoutError after 20 real seconds."""
    quiet_turns = 0
    async with asyncio.timeout(SETTLE_TIMEOUT_S):
        while quiet_turns < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet_turns = 0 if any(station.is_busy for station in stations) else quiet_turns + 1


async def catch_up(stations: Sequence[StationLife], clock: LateClock) -> None:
    """Live through the clock's past as fast as answers come, then let it go on with real time.

    Nobody has to wait for a station that is stuck: time then passes without it.
    """
    while (left_s := _behind_s(clock)) > CATCH_UP_STEP_S:
        clock.advance(min(left_s, max(clock.next_due_s or 0.0, CATCH_UP_STEP_S)))
        with contextlib.suppress(TimeoutError):
            await _answered(stations)
    clock.advance(left_s)
    clock.run()


def _behind_s(clock: LateClock) -> float:
    return max(0.0, (datetime.now(UTC) - clock.now()).total_seconds())


async def _answered(stations: Sequence[StationLife]) -> None:
    """As `settled`, but for a CSMS beside us: it needs the processor that turning round and round would take."""
    async with asyncio.timeout(SETTLE_TIMEOUT_S):
        await asyncio.sleep(0)
        while any(station.is_busy for station in stations):  # noqa: ASYNC110  # what the CSMS answers sets no event
            await asyncio.sleep(ANSWER_POLL_S)
    await settled(*stations)
