"""F5: a histogram of answer times with fixed memory, and its percentiles."""

import math
from dataclasses import dataclass, field

_FLOOR_S = 20e-6
_GROWTH = 1.04
_BUCKETS = 400  # up to 20 us * 1.04 ** 400 = 130 s
_LOG_GROWTH = math.log(_GROWTH)


@dataclass(slots=True)
class Latencies:
    """Answer times in buckets that grow by 4 %, so that a percentile is right to 4 %, however many are counted."""

    count: int = 0
    total_s: float = 0.0
    longest_s: float = 0.0
    _buckets: list[int] = field(default_factory=lambda: [0] * _BUCKETS)

    def add(self, seconds: float) -> None:
        """Count one answer."""
        self.count += 1
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)
        bucket = int(math.log(seconds / _FLOOR_S) / _LOG_GROWTH) if seconds > _FLOOR_S else 0
        self._buckets[min(bucket, _BUCKETS - 1)] += 1

    def percentile_s(self, share: float) -> float:
        """The answer time that this share (0 to 1) of answers did not exceed; 0.0 before the first answer."""
        wanted = math.ceil(share * self.count)
        seen = 0
        for bucket, count in enumerate(self._buckets):
            seen += count
            if seen >= wanted and seen:
                return min(self.longest_s, _FLOOR_S * _GROWTH ** (bucket + 1))
        return self.longest_s

    def report_ms(self) -> dict[str, float]:
        """p50, p95, p99 and the longest, in ms."""
        named = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
        return {name: round(self.percentile_s(share) * 1000.0, 3) for name, share in named.items()}
