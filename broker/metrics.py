"""P6: what a broker counts; no station in any label."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily

CONNECTIONS = Gauge("csms_broker_connections", "Stations connected to this broker")
HANDSHAKES = Counter("csms_broker_handshakes", "Handshakes by result", ["result"])
TLS_FAILURES = Counter("csms_broker_tls_failures", "TLS handshakes that failed, by kind", ["kind"])
TLS_RELOADS = Counter(
    "csms_broker_tls_reloads", "Certificates taken into use, or refused, without a restart", ["result"]
)
SERVER_CERTIFICATE_ENDS = Gauge(
    "csms_broker_tls_certificate_not_after_seconds", "When the TLS port's certificate expires (Unix time)", ["file"]
)
CLOSES = Counter("csms_broker_closes", "Ended connections by derived close code", ["code"])
REFUSED_CALLS = Counter("csms_broker_refused_calls", "Station calls answered with a CALLERROR", ["word"])
REFUSED_ANSWERS = Counter("csms_broker_refused_answers", "Answers of ours that stations could not use (2.1)")
UNMATCHED_ANSWERS = Counter("csms_broker_unmatched_answers", "Answers that matched no call of ours")
BATCH_CALLS = Histogram(
    "csms_broker_batch_calls", "Calls in a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
COMMIT_S = Histogram("csms_broker_commit_seconds", "Time of a group commit")
COMMIT_FAILURES = Counter("csms_broker_commit_failures", "Commits that failed and were tried again")
OUTLIVED_CALLS = Counter(
    "csms_broker_outlived_calls", "Calls not kept because another process had taken their station over meanwhile"
)
COMMANDS = Counter("csms_broker_commands", "Calls to stations by outcome", ["outcome"])


class _Traffic:
    """Frames of all connections: plain numbers, since a lock for each frame would cost more than parsing it."""

    def __init__(self) -> None:
        self.messages_in = 0
        self.messages_out = 0

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("csms_broker_messages_in", "Frames received", value=self.messages_in)
        yield CounterMetricFamily("csms_broker_messages_out", "Frames sent", value=self.messages_out)


TRAFFIC = _Traffic()
REGISTRY.register(TRAFFIC)
