"""S3: the memory of connected stations' charge points, and availability as the station agreed to it."""

from csms.ocpp.versions import Version
from csms.routing import Answered, ConnectedStation, Payload
from csms.station.charge_points.service import load_memory, set_operative
from csms.store import Work

_AGREED = frozenset({"Accepted", "Scheduled"})  # scheduled: as soon as the transaction ends (OCPP 1.6 5.2)


async def availability_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """ChangeAvailability was answered."""
    number, kind = request.get("connectorId"), request.get("type")
    if answer.get("status") in _AGREED and isinstance(number, int):
        set_operative(work, station, number, is_operative=kind == "Operative")


ANSWERED = (Answered(Version.V16, "ChangeAvailability", availability_answered),)
load = load_memory
