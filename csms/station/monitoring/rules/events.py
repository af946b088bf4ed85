"""S15: what a NotifyEvent tells (2.0.1 N07, N08). Never raises, whatever a station wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.confidential import redacted
from csms.ocpp.reading import natural_of
from csms.station.monitoring.rules.words import ORIGINS, TRIGGERS, EventTrigger, Origin

EVENTS_MAX: Final = 500
"""Events of one message that are kept."""
NAME_CHARS_MAX: Final = 255
TEXT_CHARS_MAX: Final = 2_500
_PLACE_MAX: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEvent:
    """An event as a station told it, with the severity of the monitor that made it."""

    event_id: int
    """The station's own number; `cause_event_id` and a later clearing event point to it."""
    at: datetime
    """By the station's clock; when it was received if it told no time."""
    trigger: EventTrigger
    """`alerting`: something is wrong, or no longer (`is_cleared`)."""
    origin: Origin | None
    component: str
    component_instance: str | None
    charge_point_number: int | None
    """None: the station as a whole."""
    connector_number: int | None
    variable: str
    variable_instance: str | None
    actual_value: str
    is_cleared: bool
    """What was wrong is over."""
    severity: int | None
    """0 (danger) to 9 (debug); None where neither the event nor a known monitor says."""
    monitor_id: int | None
    cause_event_id: int | None
    tech_code: str | None
    tech_info: str | None
    transaction_id: str | None

    @property
    def source(self) -> tuple[str, str | None, int | None, int | None, str, str | None, int | None]:
        """What an alarm and its clearing have in common: the variable of the component, and the monitor."""
        return (
            self.component.lower(),
            self.component_instance,
            self.charge_point_number,
            self.connector_number,
            self.variable.lower(),
            self.variable_instance,
            self.monitor_id,
        )


def read_events(payload: dict[str, Any], severities: Mapping[int, int], now: datetime) -> list[ToldEvent]:
    """The events of a NotifyEvent; `severities` are those of the station's monitors by their number."""
    items = redacted("NotifyEvent", payload).get("eventData")
    told = [_read(item, severities, now) for item in items[:EVENTS_MAX]] if isinstance(items, list) else []
    return [one for one in told if one is not None]


def _read(item: object, severities: Mapping[int, int], now: datetime) -> ToldEvent | None:
    if not isinstance(item, dict):
        return None
    component, variable = item.get("component"), item.get("variable")
    if not isinstance(component, dict) or not isinstance(variable, dict):
        return None
    place = component.get("evse")
    place = place if isinstance(place, dict) else {}
    monitor_id = natural_of(item.get("variableMonitoringId"))
    severity = natural_of(item.get("severity"), 9)
    at = timestamps.read(item.get("timestamp"))
    return ToldEvent(
        event_id=natural_of(item.get("eventId")) or 0,
        at=at.at if at else now,
        trigger=TRIGGERS.get(str(item.get("trigger")), EventTrigger.ALERTING),
        origin=ORIGINS.get(str(item.get("eventNotificationType"))),
        component=_text(component.get("name"), NAME_CHARS_MAX) or "?",
        component_instance=_text(component.get("instance"), NAME_CHARS_MAX),
        charge_point_number=natural_of(place.get("id"), _PLACE_MAX),
        connector_number=natural_of(place.get("connectorId"), _PLACE_MAX),
        variable=_text(variable.get("name"), NAME_CHARS_MAX) or "?",
        variable_instance=_text(variable.get("instance"), NAME_CHARS_MAX),
        actual_value=_text(item.get("actualValue"), TEXT_CHARS_MAX) or "",
        is_cleared=item.get("cleared") is True,
        severity=severity if severity is not None or monitor_id is None else severities.get(monitor_id),
        monitor_id=monitor_id,
        cause_event_id=natural_of(item.get("cause")),
        tech_code=_text(item.get("techCode"), NAME_CHARS_MAX),
        tech_info=_text(item.get("techInfo"), TEXT_CHARS_MAX),
        transaction_id=_text(item.get("transactionId"), NAME_CHARS_MAX),
    )


def _text(value: object, most: int) -> str | None:
    return None if value is None else str(value)[:most]
