import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.latency import Latencies

pytestmark = pytest.mark.feature("F5")


@given(st.lists(st.floats(0.0001, 100.0), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_percentiles_are_right_to_the_width_of_a_bucket(seconds: list[float], share: float) -> None:
    latencies = Latencies()
    for value in seconds:
        latencies.add(value)
    exact = sorted(seconds)[max(0, -(-int(share * 100) * len(seconds) // 100) - 1)]
    assert exact / 1.05 <= latencies.percentile_s(share) <= exact * 1.05


def test_nothing_counted_is_zero_and_extremes_are_kept() -> None:
    latencies = Latencies()
    assert latencies.report_ms() == {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0}
    latencies.add(0.0)
    latencies.add(1e9)
    assert latencies.count == 2
    assert latencies.longest_s == 1e9
