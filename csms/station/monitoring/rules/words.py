"""S15: the words of monitors and events, in place of OCPP's (2.0.1 and 2.1, part 2, block N)."""

from enum import StrEnum
from typing import Final

SEVERITY_MAX: Final = 9
"""0 is a danger, 9 is for debugging (2.0.1 part 2, N02)."""


class MonitorKind(StrEnum):
    """When a monitor makes an event."""

    UPPER_THRESHOLD = "upper_threshold"
    LOWER_THRESHOLD = "lower_threshold"
    DELTA = "delta"
    """The value has changed by so much; of what is no number: at all."""
    PERIODIC = "periodic"
    """Every so many seconds."""
    PERIODIC_CLOCK_ALIGNED = "periodic_clock_aligned"
    TARGET_DELTA = "target_delta"
    """2.1: the actual value is so far from the target."""
    TARGET_DELTA_RELATIVE = "target_delta_relative"


class Origin(StrEnum):
    """Who made the monitor behind an event (EventNotificationEnumType)."""

    HARD_WIRED_NOTIFICATION = "hard_wired_notification"
    HARD_WIRED_MONITOR = "hard_wired_monitor"
    PRECONFIGURED_MONITOR = "preconfigured_monitor"
    CUSTOM_MONITOR = "custom_monitor"


class EventTrigger(StrEnum):
    """Why an event came (EventTriggerEnumType)."""

    ALERTING = "alerting"
    DELTA = "delta"
    PERIODIC = "periodic"


class MonitoringBase(StrEnum):
    """Which monitors a station has at all (2.0.1 N05)."""

    ALL = "all"
    FACTORY_DEFAULT = "factory_default"
    HARD_WIRED_ONLY = "hard_wired_only"


class MonitorOutcome(StrEnum):
    """What came of setting or clearing a monitor, the base or the level."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """The station has no such variable, or no such monitor."""
    UNSUPPORTED = "unsupported"
    """The station cannot do this."""
    DUPLICATE = "duplicate"
    """There is such a monitor with that severity already."""
    NOT_ANSWERED = "not_answered"
    NOT_SENT = "not_sent"


KINDS: Final = {
    "UpperThreshold": MonitorKind.UPPER_THRESHOLD,
    "LowerThreshold": MonitorKind.LOWER_THRESHOLD,
    "Delta": MonitorKind.DELTA,
    "Periodic": MonitorKind.PERIODIC,
    "PeriodicClockAligned": MonitorKind.PERIODIC_CLOCK_ALIGNED,
    "TargetDelta": MonitorKind.TARGET_DELTA,
    "TargetDeltaRelative": MonitorKind.TARGET_DELTA_RELATIVE,
}
OCPP_KINDS: Final = {kind: word for word, kind in KINDS.items()}
ONLY_IN_21: Final = frozenset({MonitorKind.TARGET_DELTA, MonitorKind.TARGET_DELTA_RELATIVE})
ORIGINS: Final = {
    "HardWiredNotification": Origin.HARD_WIRED_NOTIFICATION,
    "HardWiredMonitor": Origin.HARD_WIRED_MONITOR,
    "PreconfiguredMonitor": Origin.PRECONFIGURED_MONITOR,
    "CustomMonitor": Origin.CUSTOM_MONITOR,
}
TRIGGERS: Final = {
    "Alerting": EventTrigger.ALERTING,
    "Delta": EventTrigger.DELTA,
    "Periodic": EventTrigger.PERIODIC,
}
BASES: Final = {
    "All": MonitoringBase.ALL,
    "FactoryDefault": MonitoringBase.FACTORY_DEFAULT,
    "HardWiredOnly": MonitoringBase.HARD_WIRED_ONLY,
}
OCPP_BASES: Final = {base: word for word, base in BASES.items()}
CRITERIA: Final = {
    "threshold": "ThresholdMonitoring",
    "delta": "DeltaMonitoring",
    "periodic": "PeriodicMonitoring",
}
_OUTCOMES: Final = {
    "accepted": MonitorOutcome.ACCEPTED,
    "rejected": MonitorOutcome.REJECTED,
    "unknowncomponent": MonitorOutcome.UNKNOWN,
    "unknownvariable": MonitorOutcome.UNKNOWN,
    "notfound": MonitorOutcome.UNKNOWN,
    "unsupportedmonitortype": MonitorOutcome.UNSUPPORTED,
    "notsupported": MonitorOutcome.UNSUPPORTED,
    "emptyresultset": MonitorOutcome.UNSUPPORTED,
    "duplicate": MonitorOutcome.DUPLICATE,
}
DETAILS: Final = {
    MonitorOutcome.ACCEPTED: "the station does it from now on",
    MonitorOutcome.REJECTED: "the station will not; it may be hard-wired, or out of the variable's range",
    MonitorOutcome.UNKNOWN: "the station does not know it",
    MonitorOutcome.UNSUPPORTED: "the station cannot do this",
    MonitorOutcome.DUPLICATE: "the station has such a monitor with this severity already",
}


def outcome_of(status: object) -> MonitorOutcome:
    """What a status word means; one that no standard has counts as refused."""
    return _OUTCOMES.get(str(status).strip().lower(), MonitorOutcome.REJECTED)
