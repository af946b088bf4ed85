"""B10: hears what other parts of this system notice about stations."""

from csms.outbox import Consumer
from csms.station.security_events.service import FACT, alarm, keep_noticed

CONSUMERS = (
    Consumer("security_events.noticed", frozenset({FACT}), keep_noticed),
    Consumer("security_events.alarm", frozenset({FACT}), alarm),
)
