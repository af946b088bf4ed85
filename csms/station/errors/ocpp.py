"""S5: StatusNotification and NotifyEvent: the states of charge points and connectors, and their errors."""

from contextlib import suppress
from datetime import datetime

from csms.ocpp import timestamps
from csms.ocpp.errors import OcppError
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Observe, Payload, Route
from csms.station.charge_points import CHARGE_POINTS_MAX, set_connector_status, set_status
from csms.station.errors.rules import (
    Observed,
    Report,
    believed_time,
    connector_consequences,
    event_consequences,
    read_connector_report,
    read_observed,
    read_report,
)
from csms.station.errors.service import load_memory, report, report_all
from csms.station.monitoring import EventTrigger, ToldEvent, told_events
from csms.store import Work


async def status_notification(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6 4.9. Connector 0 is the station itself; a station may leave out the time."""
    number = payload["connectorId"]
    told = timestamps.read(payload.get("timestamp"))
    at = believed_time(told.at if told else None, work.now)
    await set_status(work, station, number, payload["status"], at)
    await report(work, station, number, read_report(payload), at)
    return {}


async def status_notification_2(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 G01: one connector of one EVSE; the EVSE's own state follows from them."""
    number, connector = payload["evseId"], payload.get("connectorId", 1)
    told = timestamps.read(payload.get("timestamp"))
    at = believed_time(told.at if told else None, work.now)
    await set_connector_status(work, station, number, connector, payload["connectorStatus"], at)
    await report(work, station, number, read_connector_report(payload), at, judge=connector_consequences)
    return {}


async def events_told(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """NotifyEvent (2.0.1 N07): alarms and problems of components, and states of connectors told that way (G01)."""
    reports: dict[int, list[tuple[Report, datetime]]] = {}
    for event in told_events(station, payload, work.now):
        at, number = believed_time(event.at, work.now), event.charge_point_number or 0
        if event.variable.lower() == "availabilitystate":
            await _state_told(work, station, event, at)
            continue
        report = read_observed(_observed(event))
        if report is not None and number <= CHARGE_POINTS_MAX:
            reports.setdefault(number, []).append((report, at))
    for number, told in reports.items():
        await report_all(work, station, number, told, judge=event_consequences)


def _observed(event: ToldEvent) -> Observed:
    return Observed(
        component=event.component,
        component_instance=event.component_instance,
        variable=event.variable,
        variable_instance=event.variable_instance,
        value=event.actual_value,
        is_alerting=event.trigger is EventTrigger.ALERTING,
        is_cleared=event.is_cleared,
        severity=event.severity,
        connector=event.connector_number,
        tech_code=event.tech_code,
        tech_info=event.tech_info,
    )


async def _state_told(work: Work, station: ConnectedStation, event: ToldEvent, at: datetime) -> None:
    """Instead of a StatusNotification: of a connector, or of the station; an EVSE's own follows from its connectors."""
    component, number = event.component.lower(), event.charge_point_number or 0
    with suppress(OcppError):  # a number that cannot be: the event itself is kept
        if component == "connector" and number > 0:
            connector = event.connector_number or 1
            await set_connector_status(work, station, number, connector, event.actual_value, at)
            status = {"connectorStatus": event.actual_value, "connectorId": connector}
            await report(work, station, number, read_connector_report(status), at, judge=connector_consequences)
        elif component == "chargingstation":
            await set_status(work, station, 0, event.actual_value, at)


OBSERVES = (Observe(VERSIONS_2, "NotifyEvent", events_told),)
ROUTES = (
    Route(Version.V16, "StatusNotification", status_notification),
    Route(VERSIONS_2, "StatusNotification", status_notification_2),
)
load = load_memory
