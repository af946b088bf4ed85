"""P6: what a broker counts; no station in any label."""

from prometheus_client import Counter, Gauge, Histogram

CONNECTIONS = Gauge("csms_broker_connections", "Stations connected to this broker")
HANDSHAKES = Counter("csms_broker_handshakes", "Handshakes by result", ["result"])
MESSAGES_IN = Counter("csms_broker_messages_in", "Frames received")
MESSAGES_OUT = Counter("csms_broker_messages_out", "Frames sent")
CLOSES = Counter("csms_broker_closes", "Ended connections by derived close code", ["code"])
REFUSED_CALLS = Counter("csms_broker_refused_calls", "Station calls answered with a CALLERROR", ["word"])
UNMATCHED_ANSWERS = Counter("csms_broker_unmatched_answers", "Answers that matched no call of ours")
BATCH_CALLS = Histogram(
    "csms_broker_batch_calls", "Calls in a commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
)
COMMIT_S = Histogram("csms_broker_commit_seconds", "Time of a group commit")
COMMIT_FAILURES = Counter("csms_broker_commit_failures", "Commits that failed and were tried again")
COMMANDS = Counter("csms_broker_commands", "Calls to stations by outcome", ["outcome"])
