"""S5: what a StatusNotification says about errors, and what that opens, repeats and resolves.

A 1.6 station has one message for "this went wrong" and "all is well again" (OCPP 1.6 4.9), with one code in it.
What stations do with it:

- Several errors are open at once and told one by one; the code of a later message does not end the earlier error.
  Taking it for a replacement would open a new error, and wake somebody, each time a station tells its errors in turn.
  So errors of different codes stay open side by side until `NoError`.
- `NoError` ends all of them, unless the status is still `Faulted`: then the station forgot the code in a repetition.
- `Faulted` with `NoError` and nothing open is an error without a code; it gives way to the code when that comes.
- One widespread station software tells a single error's end with another error's code and the info text
  "Error <vendor code> resolved".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

NO_ERROR = "NoError"
FAULTED = "Faulted"
"""The code of an error that the station gave no code for."""
OFFLINE = "Offline"
"""The code of the error that a station is offline for too long."""
OPEN_ERRORS_MAX = 16
"""Open errors of one charge point; a station that counts up vendor codes displaces its own oldest ones."""
PAST_DAYS = 7


class Source(StrEnum):
    """Who noticed."""

    HARDWARE = "hardware"
    """The station told."""
    OFFLINE = "offline"
    """The station did not come back in time."""


class Severity(StrEnum):
    """`warning`: charging goes on; `error`: a charge point is out of order; `critical`: it may be dangerous."""

    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Resolution(StrEnum):
    """How an error ended."""

    STATION = "station"
    """The station told."""
    CONNECTION = "connection"
    """The station is online again, or not expected to be."""
    HAND = "hand"
    """A person said so."""
    DISPLACED = "displaced"
    """Another error said it better, or there were too many open."""


_ORDER = list(Severity)

# OCPP 1.6 7.6. Only a code whose description rules out a harmless cause is more than a warning by itself.
_SEVERITIES: Mapping[str, Severity] = {
    "ConnectorLockFailure": Severity.ERROR,
    "GroundFailure": Severity.CRITICAL,
    "HighTemperature": Severity.CRITICAL,
    "InternalError": Severity.ERROR,
    "OverCurrentFailure": Severity.CRITICAL,
    "OverVoltage": Severity.ERROR,
    "PowerMeterFailure": Severity.ERROR,
    "PowerSwitchFailure": Severity.CRITICAL,
    "ResetFailure": Severity.ERROR,
    "UnderVoltage": Severity.ERROR,
    OFFLINE: Severity.ERROR,
}


def severity_of(code: str, *, is_faulted: bool) -> Severity:
    """How bad an error is: by its code, and at least `error` when the charge point is out of order."""
    by_code = _SEVERITIES.get(code, Severity.WARNING)
    return worse(by_code, Severity.ERROR) if is_faulted else by_code


def worse(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Report:
    """What a StatusNotification says about errors."""

    code: str
    vendor_code: str | None = None
    vendor_id: str | None = None
    info: str | None = None
    is_faulted: bool = False
    connector: int | None = None

    @property
    def severity(self) -> Severity:
        return severity_of(self.code, is_faulted=self.is_faulted)


def read_report(payload: Mapping[str, Any]) -> Report:
    """The report in a StatusNotification.req of 1.6, whose schema was checked or repaired."""
    return Report(
        code=str(payload["errorCode"]),
        vendor_code=_text(payload.get("vendorErrorCode"), 255),
        vendor_id=_text(payload.get("vendorId"), 255),
        info=_text(payload.get("info"), 255),
        is_faulted=payload["status"] == FAULTED,
    )


def _text(value: object, chars_max: int) -> str | None:
    return str(value).strip()[:chars_max] or None if value is not None else None


def believed_time(told: datetime | None, received_at: datetime) -> datetime:
    """When it happened by the station's clock, if that can be: not in the future, not older than a week."""
    if told is None or not received_at - timedelta(days=PAST_DAYS) <= told <= received_at:
        return received_at
    return told


def began_at(source: Source, raised_at: datetime, received_at: datetime) -> datetime:
    """When an error began by *our* clock, which decides about windows and hold-offs.

    A station's clock may be an hour off, and an hour decides whether somebody is woken; so an error told by
    hardware began when it was received. Offline times are measured by our clock in the first place.
    """
    return raised_at if source is Source.OFFLINE else received_at


@dataclass(frozen=True, slots=True)
class OpenError:
    """An open error of a charge point, as the node that holds the station's socket remembers it."""

    id: int
    code: str
    vendor_code: str | None
    severity: Severity
    repeat_count: int = 0
    connector: int | None = None

    @property
    def is_of_component(self) -> bool:
        """Told by NotifyEvent: its code is `Component.Variable`, and no code of 1.6 has a dot."""
        return "." in self.code


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a report means for the errors of its charge point."""

    is_new: bool = False
    """The report opens an error."""
    repeated: tuple[OpenError, ...] = ()
    """Open before and still open; count and severity are the new ones."""
    ended: tuple[OpenError, ...] = ()
    """Resolved, as the station says."""
    displaced: tuple[OpenError, ...] = ()


def consequences(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    """What the report opens, repeats and resolves, given what is open, oldest first."""
    if report.code == NO_ERROR:
        return _without_code(report, open_errors)
    if report.vendor_code is not None and report.info == f"Error {report.vendor_code} resolved":
        return _told_end(report, open_errors)
    same = [one for one in open_errors if (one.code, one.vendor_code) == (report.code, report.vendor_code)]
    if same:
        return Consequences(repeated=tuple(_again(one, report.severity) for one in same))
    vague = [one for one in open_errors if one.code == FAULTED]
    others = [one for one in open_errors if one.code != FAULTED]
    excess = max(0, len(others) + 1 - OPEN_ERRORS_MAX)
    return Consequences(is_new=True, displaced=(*vague, *others[:excess]))


def _without_code(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    if not report.is_faulted:
        return Consequences(ended=tuple(open_errors))
    if open_errors:
        return Consequences(repeated=tuple(_again(one, one.severity) for one in open_errors))
    return Consequences(is_new=True)


def _told_end(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    """The vendor code names what ended; the error code is that of an error that goes on (EVerest, 1.6)."""
    return Consequences(
        repeated=tuple(_again(one, one.severity) for one in open_errors if one.vendor_code != report.vendor_code),
        ended=tuple(one for one in open_errors if one.vendor_code == report.vendor_code),
    )


def _again(error: OpenError, severity: Severity) -> OpenError:
    return replace(error, repeat_count=error.repeat_count + 1, severity=worse(error.severity, severity))


def code_to_store(report: Report) -> str:
    """The code under which the report's error is kept."""
    return FAULTED if report.code == NO_ERROR else report.code


# --- 2.x: a status has no error code; the errors of components come as events ------------------------------------


def read_connector_report(payload: Mapping[str, Any]) -> Report:
    """The report in a StatusNotification of 2.x (2.0.1 G01): that a connector is faulted, or that it is not."""
    is_faulted = payload["connectorStatus"] == FAULTED
    connector = payload.get("connectorId", 1)
    return Report(
        FAULTED if is_faulted else NO_ERROR, is_faulted=is_faulted, connector=connector if connector > 0 else None
    )


def connector_consequences(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    """A faulted connector is an error without a code, unless a component has told what is wrong.

    A connector that works again ends its fault, but not what a component told: that ends by an event.
    """
    here = [one for one in open_errors if one.connector in (None, report.connector)]
    if not report.is_faulted:
        return Consequences(ended=tuple(one for one in here if not one.is_of_component))
    severe = [one for one in here if _ORDER.index(one.severity) >= _ORDER.index(Severity.ERROR)]
    if severe:
        return Consequences(repeated=tuple(_again(one, one.severity) for one in severe))
    return Consequences(is_new=True, displaced=tuple(open_errors[: max(0, len(open_errors) + 1 - OPEN_ERRORS_MAX)]))
