"""B3: CustomerInformation and NotifyCustomerInformation (2.0.1 N09, N10)."""

from csms.ocpp.versions import VERSIONS_2
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.customer_information.service import note_answer, note_part
from csms.store import Work


async def notify_customer_information(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 N09.FR.05: a part of the text."""
    await note_part(work, station, payload)
    return {}


ROUTES = (Route(VERSIONS_2, "NotifyCustomerInformation", notify_customer_information),)
ANSWERED = (Answered(VERSIONS_2, "CustomerInformation", note_answer),)
