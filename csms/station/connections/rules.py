"""B4: from what was seen on the wire to the close code, the one who closed, and the cause in a word."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, NO_STATUS = 1000, 1001, 1002, 1003, 1005
INVALID_DATA, POLICY, TOO_BIG, INTERNAL_ERROR = 1007, 1008, 1009, 1011

# Private codes (RFC 6455 7.4.2) that the broker sends; part of our interface, never renumber them.
REPLACED, DISCONNECTED_BY_OPERATOR, REGISTRATION_ENDED, LOGIN_CHANGED = 4001, 4002, 4003, 4004

UNKNOWN_CLOSE, BROKER_REBOOTED, ABNORMAL = "0000", "0001", "1006"
TLS_FAILED = "1015"
"""RFC 6455 7.4.1: it came to no WebSocket, because TLS failed."""


class ClosedBy(StrEnum):
    STATION = "station"
    BROKER = "broker"
    NETWORK = "network"
    """Neither: the line broke, or nobody can know."""


class Cause(StrEnum):
    """Why a connection ended or was refused; finer than the code."""

    STATION_CLOSED = "station_closed"
    STATION_GOING_AWAY = "station_going_away"
    PROTOCOL_ERROR = "protocol_error"
    NO_SUBPROTOCOL = "no_subprotocol"
    CONNECTION_LOST = "connection_lost"
    PING_TIMEOUT = "ping_timeout"
    FRAME_TOO_BIG = "frame_too_big"
    BROKER_ERROR = "broker_error"
    BROKER_REBOOTED = "broker_rebooted"
    BROKER_SHUTDOWN = "broker_shutdown"
    REPLACED = "replaced"
    OPERATOR_DISCONNECT = "operator_disconnect"
    REGISTRATION_ENDED = "registration_ended"
    LOGIN_CHANGED = "login_changed"
    """The station must come back with another security profile or its password."""
    FLOOD = "flood"
    SLOW_READER = "slow_reader"
    UNKNOWN = "unknown"
    REFUSED_UNKNOWN_STATION = "refused_unknown_station"
    REFUSED_CREDENTIALS = "refused_credentials"
    REFUSED_SECURITY_PROFILE = "refused_security_profile"
    REFUSED_CERTIFICATE = "refused_certificate"
    REFUSED_TLS = "refused_tls"
    """The TLS handshake failed, on either side."""
    REFUSED_TRIES = "refused_tries"
    """Too many wrong passwords, from that address or for that station."""
    REFUSED_LIMIT = "refused_limit"
    REFUSED_STILL_CONNECTED = "refused_still_connected"
    REFUSED_REGISTRATION = "refused_registration"


SECURITY_EVENTS: Final[Mapping[Cause, str]] = {
    Cause.REFUSED_SECURITY_PROFILE: "wrong_security_profile",
    Cause.REFUSED_CERTIFICATE: "wrong_certificate",
    Cause.REFUSED_STILL_CONNECTED: "second_connection",
    Cause.REFUSED_TRIES: "password_guessing",
}
"""Refused handshakes that concern the security of a known station, and what the event is called."""


@dataclass(frozen=True, slots=True)
class CloseFacts:
    """What was seen when a connection ended; None where nothing was."""

    code_received: int | None
    reason_received: str | None
    code_sent: int | None
    reason_sent: str | None
    received_first: bool | None
    intent: Cause | None = None
    """Set when the broker itself decided to close."""


@dataclass(frozen=True, slots=True)
class Closing:
    code: str
    closed_by: ClosedBy
    cause: Cause


_INTENTS = {
    Cause.REPLACED: str(REPLACED),
    Cause.OPERATOR_DISCONNECT: str(DISCONNECTED_BY_OPERATOR),
    Cause.REGISTRATION_ENDED: str(REGISTRATION_ENDED),
    Cause.LOGIN_CHANGED: str(LOGIN_CHANGED),
    Cause.BROKER_SHUTDOWN: str(GOING_AWAY),
    Cause.BROKER_ERROR: str(INTERNAL_ERROR),
    Cause.NO_SUBPROTOCOL: str(PROTOCOL_ERROR),
    Cause.PROTOCOL_ERROR: str(PROTOCOL_ERROR),
    Cause.FLOOD: str(POLICY),
    Cause.SLOW_READER: str(POLICY),
}

_SENT = {
    PROTOCOL_ERROR: Cause.PROTOCOL_ERROR,
    INVALID_DATA: Cause.PROTOCOL_ERROR,
    UNSUPPORTED: Cause.PROTOCOL_ERROR,
    TOO_BIG: Cause.FRAME_TOO_BIG,
    INTERNAL_ERROR: Cause.BROKER_ERROR,
}


def closing_of(facts: CloseFacts) -> Closing:
    """The close code of FEATURES B4, who closed, and why (OCPP.md section 8 lists what is seen when)."""
    if facts.code_received is not None and facts.received_first is not False:
        return _by_station(facts.code_received)
    if facts.intent is not None:
        return Closing(_INTENTS.get(facts.intent, UNKNOWN_CLOSE), ClosedBy.BROKER, facts.intent)
    if facts.code_sent is not None:
        return _by_broker(facts.code_sent, facts.reason_sent or "")
    return Closing(ABNORMAL, ClosedBy.NETWORK, Cause.CONNECTION_LOST)


def _by_station(code: int) -> Closing:
    if code in (NORMAL, NO_STATUS):
        return Closing(str(NORMAL), ClosedBy.STATION, Cause.STATION_CLOSED)
    if code == GOING_AWAY:
        return Closing(str(GOING_AWAY), ClosedBy.STATION, Cause.STATION_GOING_AWAY)
    cause = Cause.PROTOCOL_ERROR if code in (PROTOCOL_ERROR, INVALID_DATA) else Cause.STATION_CLOSED
    return Closing(str(code), ClosedBy.STATION, cause)


def _by_broker(code: int, reason: str) -> Closing:
    if code == INTERNAL_ERROR and reason.startswith("keepalive"):
        return Closing(ABNORMAL, ClosedBy.BROKER, Cause.PING_TIMEOUT)
    if code in (NORMAL, GOING_AWAY):
        return Closing(str(code), ClosedBy.BROKER, Cause.BROKER_SHUTDOWN)
    cause = _SENT.get(code, Cause.UNKNOWN)
    shown = PROTOCOL_ERROR if cause is Cause.PROTOCOL_ERROR else code
    return Closing(str(shown) if cause is not Cause.UNKNOWN else UNKNOWN_CLOSE, ClosedBy.BROKER, cause)


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which the station was connected; `end` None: it still is."""

    start: datetime
    end: datetime | None


def availability(spans: list[Span], start: datetime, end: datetime) -> float:
    """The part of [start, end) covered by at least one span, 0 to 1; overlapping spans count once."""
    if end <= start:
        return 0.0
    covered = timedelta()
    reached = start
    for span in sorted(spans, key=lambda one: one.start):
        begin, finish = max(span.start, reached), min(span.end or end, end)
        if finish > begin:
            covered += finish - begin
            reached = finish
    return covered / (end - start)
