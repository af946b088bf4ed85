"""P2: how often a key may ask and an address may guess, counted in the memory of this process."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from csms.exceptions import TooMany


class Rate:
    """At most so many of something a minute for each key, address or e-mail; over several processes, each counts."""

    def __init__(self, per_minute: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerMinute(per_minute)

    async def count(self, who: str, message: str) -> None:
        """Count one. Raises TooMany when that is one too many."""
        if not await self._limiter.hit(self._limit, who):
            await self._refuse(who, message)

    async def check(self, who: str, message: str) -> None:
        """Count nothing. Raises TooMany when one more would be too many."""
        if not await self._limiter.test(self._limit, who):
            await self._refuse(who, message)

    async def _refuse(self, who: str, message: str) -> None:
        stats = await self._limiter.get_window_stats(self._limit, who)
        raise TooMany(message, retry_after_s=max(1, math.ceil(stats.reset_time - time.time())))
