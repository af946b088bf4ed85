import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from simulators.clock import LateClock, ManualClock, RunningClock

pytestmark = pytest.mark.feature("F5")


async def test_a_manual_clock_wakes_sleepers_in_order() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, delay_s: float) -> None:
        await clock.sleep(delay_s)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 20.0))
        group.create_task(sleeper("early", 5.0))
        await asyncio.sleep(0)
        assert clock.next_due_s == 5.0
        clock.advance(4.9)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(30.0)
    assert [name for name, _ in woken] == ["early", "late"]
    assert clock.next_due_s is None
    assert clock.now() == datetime(2026, 3, 1, 12, 0, 34, 900_000, tzinfo=UTC)


async def test_waiting_ends_with_the_event_or_the_time() -> None:
    clock, event = ManualClock(), asyncio.Event()
    task = asyncio.create_task(clock.wait(event, 10.0))
    await asyncio.sleep(0)
    clock.advance(10.0)
    assert await task is False
    task = asyncio.create_task(clock.wait(event, 10.0))
    await asyncio.sleep(0)
    event.set()
    assert await task is True
    assert clock.next_due_s is None


async def test_a_fast_clock_runs_fast() -> None:
    clock = RunningClock(speed=3_600.0)
    await clock.sleep(3.6)
    assert clock.monotonic() >= 3.6
    assert clock.now() > datetime.now(UTC)


def test_a_clock_that_starts_in_the_past_never_shows_the_future() -> None:
    clock = RunningClock(speed=60.0, behind_s=3_600.0)
    assert timedelta(minutes=59) < datetime.now(UTC) - clock.now() <= timedelta(hours=1)
    # 3,540 s of the lag are gone after 60 real seconds: from then on a second is a second.
    catch_up_s = 3_600.0 / 59.0
    assert clock._real_delay_s(catch_up_s * 60.0 + 5.0) == pytest.approx(catch_up_s + 5.0, abs=0.1)
    assert clock._real_delay_s(60.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("speed", "behind_s"), [(0.0, 0.0), (-1.0, 0.0), (1e9, 0.0), (1.0, 60.0), (2.0, -1.0)])
def test_impossible_clocks_are_refused(speed: float, behind_s: float) -> None:
    with pytest.raises(ValueError, match=r"speed|past"):
        RunningClock(speed, behind_s)


async def test_a_late_clock_is_moved_by_hand_and_then_goes_on_by_itself_with_everybody_who_waits() -> None:
    clock = LateClock(datetime.now(UTC) - timedelta(hours=1))
    soon, cancelled = asyncio.create_task(clock.sleep(3_600.0)), asyncio.create_task(clock.sleep(3_600.0))
    await asyncio.sleep(0)
    clock.advance(3_599.95)
    before = clock.now()
    await asyncio.sleep(0)
    assert clock.now() == before
    assert not soon.done()

    cancelled.cancel()
    clock.run()
    await soon
    later = asyncio.create_task(clock.sleep(0.01))
    await later
    assert clock.is_running
    assert timedelta(0) < clock.now() - before < timedelta(seconds=30)
    assert cancelled.cancelled() or cancelled.done()
