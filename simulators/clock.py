"""F5: the time a simulated station lives in: real, faster than real, or moved by hand in a test."""

import asyncio
import heapq
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

MAX_SPEED = 3600.0


class Timer(Protocol):
    """A pending callback."""

    def cancel(self) -> None: ...


class Clock(ABC):
    """Simulated seconds: everything a station waits for goes through one of these.

    Only the network lives in real time (handshakes, pings, the wait for an answer), because the other side does.
    """

    @abstractmethod
    def monotonic(self) -> float:
        """Simulated seconds since the clock was made; never runs backwards."""

    @abstractmethod
    def now(self) -> datetime:
        """The simulated time of day, in UTC."""

    @abstractmethod
    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `delay_s` simulated seconds."""

    async def wait(self, event: asyncio.Event, timeout_s: float) -> bool:
        """Wait for the event; False when `timeout_s` simulated seconds passed without it."""
        limit = asyncio.timeout(None)
        timer = self.call_later(timeout_s, lambda: limit.reschedule(0))
        try:
            async with limit:
                await event.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            return False
        finally:
            timer.cancel()
        return True

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` simulated seconds."""
        await self.wait(asyncio.Event(), delay_s)


class RunningClock(Clock):
    """Real time multiplied by `speed`.

    With `behind_s` the clock starts that far in the past, and drops to the speed of real time when it has caught up:
    a demo gets a believable yesterday within a minute, and no time stamp lies in the future.
    """

    def __init__(self, speed: float = 1.0, behind_s: float = 0.0) -> None:
        if not 0 < speed <= MAX_SPEED:
            raise ValueError(f"The speed must be over 0 and at most {MAX_SPEED:.0f}, not {speed}.")
        if behind_s < 0 or (behind_s and speed <= 1):
            raise ValueError("A clock that starts in the past needs a speed over 1 to catch up.")
        self.speed = speed
        self._started_at = datetime.now(UTC) - timedelta(seconds=behind_s)
        self._real_start_s = time.monotonic()
        # Real seconds until the catch-up; never without a past to catch up with.
        self._catch_up_s = behind_s / (speed - 1) if behind_s else float("inf")

    def monotonic(self) -> float:
        real_s = time.monotonic() - self._real_start_s
        return min(real_s, self._catch_up_s) * self.speed + max(0.0, real_s - self._catch_up_s)

    def now(self) -> datetime:
        return self._started_at + timedelta(seconds=self.monotonic())

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(self._real_delay_s(delay_s), callback)

    def _real_delay_s(self, delay_s: float) -> float:
        fast_s = max(0.0, self._catch_up_s * self.speed - self.monotonic())
        return min(delay_s, fast_s) / self.speed + max(0.0, delay_s - fast_s)


class ManualClock(Clock):
    """Time that moves only when a test says so."""

    def __init__(self, started_at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self._started_at = started_at
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, _ManualTimer]] = []

    def monotonic(self) -> float:
        return self._elapsed_s

    def now(self) -> datetime:
        return self._started_at + timedelta(seconds=self.monotonic())

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed_s + max(0.0, delay_s), next(self._order), timer))
        return timer

    @property
    def next_due_s(self) -> float | None:
        """Seconds until the next callback, None when nobody waits."""
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] - self._elapsed_s if self._timers else None

    def advance(self, delay_s: float) -> None:
        """Move time and run what became due, in order. Tasks that were woken run when the caller next awaits."""
        target_s = self._elapsed_s + delay_s
        while (due_s := self.next_due_s) is not None and self._elapsed_s + due_s <= target_s:
            moment_s, _, timer = heapq.heappop(self._timers)
            self._elapsed_s = max(self._elapsed_s, moment_s)
            timer.fire()
        self._elapsed_s = target_s


class LateClock(ManualClock):
    """Starts in the past and is moved by hand, until `run()` lets it go on with real time.

    For a past that is lived as fast as everybody's answers come, however slow the machine: `catch_up` moves it.
    """

    def __init__(self, started_at: datetime) -> None:
        super().__init__(started_at)
        self._real_start_s: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether it goes by itself."""
        return self._real_start_s is not None

    def monotonic(self) -> float:
        return super().monotonic() + (0.0 if self._real_start_s is None else time.monotonic() - self._real_start_s)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        if self._real_start_s is None:
            return super().call_later(delay_s, callback)
        return asyncio.get_running_loop().call_later(max(0.0, delay_s), callback)

    def run(self) -> None:
        """From now on with real time."""
        self._real_start_s = time.monotonic()
        loop = asyncio.get_running_loop()
        for moment_s, _, timer in self._timers:
            loop.call_later(max(0.0, moment_s - self._elapsed_s), timer.fire)
        self._timers.clear()


class _ManualTimer:
    __slots__ = ("callback", "is_cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.is_cancelled = False

    def fire(self) -> None:
        if not self.is_cancelled:
            self.callback()

    def cancel(self) -> None:
        self.is_cancelled = True
