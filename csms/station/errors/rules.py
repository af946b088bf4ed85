"""S5: what a StatusNotification says about errors, and what that opens, repeats and resolves.

A 1.6 station has one message for "this went wrong" and "all is well again" (OCPP 1.6 4.9), with one code in it.
What stations do with it:

- Several errors are open at once and told one by one; the code of a later message does not end the earlier error.
  Taking it for a replacement would open a new error, and wake somebody, each time a station tells its errors in turn.
  So errors of different codes stay open side by side until `NoError`.
- `NoError` ends all of them, unless the status is still `Faulted`: then the station forgot the code in a repetition.
- `Faulted` with `NoError` and nothing open that explains it (a warning does not) is an error without a code; it gives
  way to the code when that comes, and is over when the charge point is not faulted any more.
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
    SYSTEM = "system"
    """This system noticed it about the station, as that a certificate expires."""


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
    SYSTEM = "system"
    """This system noticed that it is over."""


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
    event_severity: Severity | None = None
    """Where an event told it (2.x)."""
    is_over: bool = False
    """An event says that it has ended (2.x)."""

    @property
    def severity(self) -> Severity:
        if self.event_severity is not None:
            return self.event_severity
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
    hardware began when it was received. Other times are measured by our clock in the first place.
    """
    return received_at if source is Source.HARDWARE else raised_at


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
    vague = tuple(one for one in open_errors if one.code == FAULTED and one not in same)
    others = [one for one in open_errors if one.code != FAULTED]
    excess = [] if same else others[: max(0, len(others) + 1 - OPEN_ERRORS_MAX)]
    return Consequences(
        is_new=not same,
        repeated=tuple(_again(one, report.severity) for one in same),
        ended=() if report.is_faulted else vague,
        displaced=(*vague, *excess) if report.is_faulted else tuple(excess),
    )


def _without_code(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    if not report.is_faulted:
        return Consequences(ended=tuple(open_errors))
    if _severe(open_errors):
        return Consequences(repeated=tuple(_again(one, one.severity) for one in open_errors))
    return Consequences(is_new=True, displaced=tuple(open_errors[: max(0, len(open_errors) + 1 - OPEN_ERRORS_MAX)]))


def _severe(open_errors: Sequence[OpenError]) -> list[OpenError]:
    """Those that explain why a charge point is out of order."""
    return [one for one in open_errors if _ORDER.index(one.severity) >= _ORDER.index(Severity.ERROR)]


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
    severe = _severe(here)
    if severe:
        return Consequences(repeated=tuple(_again(one, one.severity) for one in severe))
    return Consequences(is_new=True, displaced=tuple(open_errors[: max(0, len(open_errors) + 1 - OPEN_ERRORS_MAX)]))


_PROBLEMS = frozenset({"problem", "tripped", "overload"})
"""Variables of 2.x's device model that say by `true` that something is wrong (2.0.1 part 2, appendix 3)."""
_TRUE = frozenset({"true", "1"})
_INFORMATIVE_FROM = 7
"""OCPP's severities 7 to 9 are notices."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What an event of 2.x says of a variable of a component, as far as errors are concerned."""

    component: str
    component_instance: str | None
    variable: str
    variable_instance: str | None
    value: str
    is_alerting: bool
    is_cleared: bool
    severity: int | None
    """OCPP's: 0 (danger) to 9 (debug)."""
    connector: int | None = None
    tech_code: str | None = None
    tech_info: str | None = None


def read_observed(seen: Observed) -> Report | None:
    """The report in an event (2.0.1 N07): an alarm, or a problem that begins or ends; None for news without harm."""
    is_problem = seen.variable.lower() in _PROBLEMS
    if is_problem:
        is_over = seen.is_cleared or seen.value.strip().lower() not in _TRUE
    elif seen.is_alerting or seen.is_cleared:
        is_over = seen.is_cleared
    else:
        return None
    severity = _severity_of_event(seen.severity, is_problem=is_problem)
    if severity is None and not is_over:
        return None
    return Report(
        code=_code_of(seen),
        vendor_code=_text(seen.tech_code, 255),
        info=_text(seen.tech_info or (None if is_problem else seen.value), 255),
        connector=seen.connector,
        event_severity=severity or Severity.WARNING,
        is_over=is_over,
    )


def _severity_of_event(told: int | None, *, is_problem: bool) -> Severity | None:
    if told is None:
        return Severity.ERROR if is_problem else Severity.WARNING
    if told == 0:
        return Severity.CRITICAL
    if told >= _INFORMATIVE_FROM:
        return None
    return Severity.ERROR if told <= 4 else Severity.WARNING  # noqa: PLR2004  # 4 is OCPP's Error, 5 its Alert


def _code_of(seen: Observed) -> str:
    """`Component[instance].Variable[instance]`."""
    parts = ((seen.component, seen.component_instance), (seen.variable, seen.variable_instance))
    return ".".join(f"{name}[{instance}]" if instance else name for name, instance in parts)[:255]


def event_consequences(report: Report, open_errors: Sequence[OpenError]) -> Consequences:
    """What a component tells opens, repeats and ends an error of its own; a fault without a code gives way to it."""
    same = [one for one in open_errors if (one.code, one.connector) == (report.code, report.connector)]
    if report.is_over:
        return Consequences(ended=tuple(same))
    if same:
        return Consequences(repeated=tuple(_again(one, report.severity) for one in same))
    vague = [one for one in open_errors if one.code == FAULTED and one.connector == report.connector]
    if report.severity is Severity.WARNING:
        vague = []
    others = [one for one in open_errors if one not in vague]
    excess = max(0, len(others) + 1 - OPEN_ERRORS_MAX)
    return Consequences(is_new=True, displaced=(*vague, *others[:excess]))
