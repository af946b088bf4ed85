"""B9: what is kept of stations that nobody has accepted: anybody may connect as one, and must not fill the disk."""

import time
from collections.abc import Callable
from typing import Final

from broker.limits import Buckets, TokenBucket

FRAME_CHARS_MAX: Final = 4096
"""More than any BootNotification has."""
EACH_PER_SECOND: Final = 0.2
EACH_AT_ONCE: Final = 60
ALL_PER_SECOND: Final = 10.0
ALL_AT_ONCE: Final = 3000


class Strangers:
    """How much of them one broker process stores; beyond it they are answered, and nothing is kept."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._each = Buckets(EACH_PER_SECOND, EACH_AT_ONCE, now=now)
        self._all = TokenBucket(ALL_PER_SECOND, ALL_AT_ONCE, now)

    def may_store(self, identity: str, text: str) -> bool:
        """Whether this frame of that station is kept; also over connections that it opens anew."""
        return len(text) <= FRAME_CHARS_MAX and self._each.take(identity) and self._all.take()
