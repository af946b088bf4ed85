"""S3: the memory of connected stations' charge points, and availability as the station agreed to it."""

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload
from csms.station.charge_points.service import ChargePoints, load_memory, set_operative
from csms.store import Work

_AGREED = frozenset({"Accepted", "Scheduled"})  # scheduled: as soon as the transaction ends (OCPP 1.6 5.2)


async def availability_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """ChangeAvailability was answered."""
    number, kind = request.get("connectorId"), request.get("type")
    if answer.get("status") in _AGREED and isinstance(number, int):
        set_operative(work, station, number, is_operative=kind == "Operative")


async def availability_answered_2(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """The same in 2.x (2.0.1 G03, G04): without an EVSE it is the whole station.

    One connector of several is not the charge point; the station tells its state by StatusNotification.
    """
    evse = request.get("evse")
    number = evse.get("id", 0) if isinstance(evse, dict) else 0
    connectors = known.connectors if (known := station.recall(ChargePoints).by_number.get(number)) else ()
    is_whole = not isinstance(evse, dict) or evse.get("connectorId") is None or len(connectors) <= 1
    if answer.get("status") in _AGREED and isinstance(number, int) and is_whole:
        set_operative(work, station, number, is_operative=request.get("operationalStatus") == "Operative")


ANSWERED = (
    Answered(VERSIONS_2, "ChangeAvailability", availability_answered_2),
    Answered(Version.V16, "ChangeAvailability", availability_answered),
)
load = load_memory
RELOADS = frozenset({"charge_point_changed"})
