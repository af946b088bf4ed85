"""B4, B5, S23: every connection of a station, how it ended, and the availability that follows from it."""

from csms.station.connections.model import Connection, ServerCertificate
from csms.station.connections.rules import Cause, CloseFacts, Closing, closing_of
from csms.station.connections.service import (
    NodeClosing,
    NodeOpening,
    ShownCertificate,
    TlsTry,
    are_brokers_silent,
    close_left_open,
    close_of_dead_nodes,
    keep_server_certificates,
    latest_refusals,
    listening_since,
    opened,
    record_closed,
    record_refused,
    record_tls_failure,
    request_disconnect,
    server_certificates,
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
    "ServerCertificate",
    "ShownCertificate",
    "TlsTry",
    "are_brokers_silent",
    "close_left_open",
    "close_of_dead_nodes",
    "closing_of",
    "keep_server_certificates",
    "latest_refusals",
    "listening_since",
    "opened",
    "record_closed",
    "record_refused",
    "record_tls_failure",
    "request_disconnect",
    "server_certificates",
    "take_ownership",
]
