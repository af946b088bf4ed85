"""Rates: token buckets, for one thing or for many keys."""

import time
from collections import OrderedDict
from collections.abc import Callable


class TokenBucket:
    """`rate_per_s` on average, `burst` at once."""

    __slots__ = ("_at", "_burst", "_now", "_rate", "_tokens")

    def __init__(self, rate_per_s: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._now = now
        self._at = now()

    def take(self) -> bool:
        """Whether one more is allowed now; a refused one costs nothing."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def spend(self, count: float) -> bool:
        """Take so many, also more than there are: what was done is paid for later. Whether one more is allowed now."""
        self._refill()
        self._tokens -= count
        return self._tokens >= 1

    def give_back(self) -> None:
        """What was taken turned out not to be needed."""
        self._tokens = min(self._burst, self._tokens + 1)

    def has_one(self) -> bool:
        """Whether `take` would succeed now."""
        return not self.wait_s()

    def wait_s(self) -> float:
        """How long until the next is allowed."""
        self._refill()
        return max(0.0, (1 - self._tokens) / self._rate)

    def _refill(self) -> None:
        now = self._now()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Buckets:
    """A bucket for each key; the least recently used keys are forgotten above `keys_max`."""

    def __init__(
        self, rate_per_s: float, burst: float, keys_max: int = 50_000, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate_per_s
        self._burst = burst
        self._keys_max = keys_max
        self._now = now
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def may(self, key: str) -> bool:
        """Whether `take` would succeed now."""
        bucket = self._buckets.get(key)
        return bucket is None or bucket.has_one()

    def take(self, key: str) -> bool:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, self._now)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take()

    def give_back(self, key: str) -> None:
        """What was taken turned out not to be needed."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back()
