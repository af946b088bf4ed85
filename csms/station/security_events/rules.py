"""B2, B10: which security events are critical, what they mean, and which of them are only told again.

The list is that of OCPP 2.0.1 (part 2, appendix 1) with the names of 1.6 (security whitepaper) beside those of 2.x.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

REPEAT_S: Final = 3600
"""The same event told again within that time is counted, not stored again."""
ROWS_PER_HOUR_MAX: Final = 60
"""New events of one station that are stored in an hour; what goes beyond is only counted."""
TYPE_CHARS_MAX: Final = 50
TECH_INFO_CHARS_MAX: Final = 255
FLOOD: Final = "TooManySecurityEvents"
"""This system's own event: the station tells more than is stored."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an event of the standard's list means."""

    is_critical: bool
    meaning: str


_CSMS_REFUSED: Final = Kind(False, "the central system refused the station's credentials")
_STATION_REFUSED: Final = Kind(False, "the station refused the central system's credentials")
_CSMS_CERTIFICATE: Final = Kind(True, "the central system's certificate could not be verified")
_STATION_CERTIFICATE: Final = Kind(True, "the certificate that was sent to the station is not valid for it")

KINDS: Final[Mapping[str, Kind]] = {
    "AttemptedReplayAttacks": Kind(False, "the station received a message that had been sent before"),
    "CentralSystemFailedToAuthenticate": _STATION_REFUSED,
    "CsmsFailedToAuthenticate": _STATION_REFUSED,
    "FailedToAuthenticateAtCentralSystem": _CSMS_REFUSED,
    "FailedToAuthenticateAtCsms": _CSMS_REFUSED,
    "FirmwareUpdated": Kind(True, "the firmware was updated"),
    "InvalidCentralSystemCertificate": _CSMS_CERTIFICATE,
    "InvalidChargePointCertificate": _STATION_CERTIFICATE,
    "InvalidChargingStationCertificate": _STATION_CERTIFICATE,
    "InvalidCsmsCertificate": _CSMS_CERTIFICATE,
    "InvalidFirmwareSignature": Kind(True, "the signature of a firmware image is wrong"),
    "InvalidFirmwareSigningCertificate": Kind(True, "the certificate that signed a firmware image is not valid"),
    "InvalidMessages": Kind(False, "the station received messages that are not valid OCPP"),
    "InvalidTLSCipherSuite": Kind(True, "the central system offers no cipher suite that is allowed"),
    "InvalidTLSVersion": Kind(True, "the central system's TLS version is too old"),
    "MaintenanceLoginAccepted": Kind(True, "somebody logged in at the station's maintenance interface"),
    "MaintenanceLoginFailed": Kind(True, "somebody failed to log in at the station's maintenance interface"),
    "MemoryExhaustion": Kind(True, "the station's memory is getting full"),
    "ReconfigurationOfSecurityParameters": Kind(False, "keys or the security profile were changed"),
    "ResetOrReboot": Kind(True, "the station was restarted"),
    "SecurityLogWasCleared": Kind(True, "the station's security log was cleared"),
    "SettingSystemTime": Kind(True, "the station's clock was set"),
    "StartupOfTheDevice": Kind(True, "the station has started"),
    "TamperDetectionActivated": Kind(True, "the tamper sensor was triggered"),
}
ALARMING: Final[Mapping[str, str]] = {
    "InvalidCentralSystemCertificate": "error",
    "InvalidChargePointCertificate": "error",
    "InvalidChargingStationCertificate": "error",
    "InvalidCsmsCertificate": "error",
    "InvalidFirmwareSignature": "error",
    "InvalidFirmwareSigningCertificate": "error",
    "MaintenanceLoginFailed": "warning",
    "MemoryExhaustion": "warning",
    "SecurityLogWasCleared": "error",
    "TamperDetectionActivated": "critical",
}
"""Events of stations that somebody must look at, with their severity: they become errors, which a person resolves.

The other critical ones of the standard's list belong to a station's everyday life (it started, its clock was set)."""
SYSTEM_MEANINGS: Final[Mapping[str, str]] = {
    FLOOD: "the station tells more security events than are stored",
    "password_guessing": "somebody tries one password after another in the station's name",
    "second_connection": "somebody else tried to connect as the station while its own connection was alive",
    "tls_aborted": "a TLS handshake in the station's name was broken off",
    "tls_certificate": "a TLS handshake failed: the certificate that was shown as the station's is not trusted",
    "tls_rejected": "a TLS handshake failed: the station does not trust this system's certificate",
    "wrong_certificate": "the station showed a certificate that is not its own, or none",
    "wrong_security_profile": "the station tried to connect with another security profile than its own",
    "foreign_transaction": "the station spoke of a transaction that belongs to another station",
}


def is_critical(kind: str) -> bool:
    """By the standard's list; makers' own events are not on it."""
    known = KINDS.get(kind)
    return known is not None and known.is_critical


def meaning_of(kind: str) -> str | None:
    """In words, or None for a maker's own event."""
    known = KINDS.get(kind)
    return known.meaning if known else SYSTEM_MEANINGS.get(kind)


def cut(text: object, chars_max: int) -> str | None:
    """A station's text within the standard's limit; None for an empty one or what is none."""
    return text[:chars_max] or None if isinstance(text, str) else None


@dataclass(frozen=True, slots=True)
class Known:
    """An event that is stored and may be told again."""

    row_id: int
    told_at: str
    """The station's time as it wrote it: the same text is the same message, sent twice."""
    seen_at: datetime
    repeat_count: int = 0


What = tuple[str, str | None]
"""Type and technical information: what makes two events the same but for their time."""


@dataclass(slots=True)
class Recent:
    """The events of one connected station within the last hour."""

    known: dict[What, Known] = field(default_factory=dict)
    flood: Known | None = None

    def again(self, what: What, now: datetime) -> Known | None:
        """The stored event that this one repeats, if it is recent."""
        found = self.known.get(what)
        return found if found is not None and _is_recent(found, now) else None

    def is_full(self, now: datetime) -> bool:
        """Whether the station has told as much as is stored in an hour."""
        return sum(_is_recent(one, now) for one in self.known.values()) >= ROWS_PER_HOUR_MAX

    def remember(self, what: What, event: Known, now: datetime) -> None:
        """Keep it, and forget what is over."""
        self.known = {key: one for key, one in self.known.items() if _is_recent(one, now)}
        self.known[what] = event


def _is_recent(event: Known, now: datetime) -> bool:
    return now - event.seen_at < timedelta(seconds=REPEAT_S)
