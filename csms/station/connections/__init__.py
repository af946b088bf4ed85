"""B4, B5, S23: every connection of a station, how it ended, and the availability that follows from it."""

from csms.station.connections.model import Connection
from csms.station.connections.rules import Cause, CloseFacts, Closing, closing_of
from csms.station.connections.service import (
    NodeClosing,
    NodeOpening,
    TlsTry,
    close_left_open,
    close_of_dead_nodes,
    opened,
    record_closed,
    record_refused,
    record_tls_failure,
    request_disconnect,
    take_ownership,
)

NEEDS = ("platform.organisations", "station.information")
__all__ = [
    "Cause",
    "CloseFacts",
    "Closing",
    "Connection",
    "NodeClosing",
    "NodeOpening",
    "TlsTry",
    "close_left_open",
    "close_of_dead_nodes",
    "closing_of",
    "opened",
    "record_closed",
    "record_refused",
    "record_tls_failure",
    "request_disconnect",
    "take_ownership",
]
