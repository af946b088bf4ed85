"""S5: StatusNotification: the state of a charge point or connector, and its errors."""

from csms.ocpp import timestamps
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.charge_points import set_connector_status, set_status
from csms.station.errors.rules import believed_time, connector_consequences, read_connector_report, read_report
from csms.station.errors.service import load_memory, report
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


ROUTES = (
    Route(Version.V16, "StatusNotification", status_notification),
    Route(VERSIONS_2, "StatusNotification", status_notification_2),
)
load = load_memory
