"""B2, B10: SecurityEventNotification (OCPP 1.6 security whitepaper, A04; 2.0.1 and 2.1 A04)."""

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Payload, Route
from csms.station.security_events.service import keep_told, load_memory
from csms.store import Work


async def security_event_notification(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """A04.FR.02: the answer is empty, whatever is told."""
    keep_told(work, station, payload)
    return {}


ROUTES = (Route((Version.V16, *VERSIONS_2), "SecurityEventNotification", security_event_notification),)
load = load_memory
