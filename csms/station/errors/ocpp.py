"""S5: StatusNotification: the state of a charge point and its errors."""

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.charge_points import set_status
from csms.station.errors.rules import believed_time, read_report
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


ROUTES = (Route(Version.V16, "StatusNotification", status_notification),)
load = load_memory
