"""S25: what vehicles tell over ISO 15118, through stations of OCPP 2.0.1 (K15 to K17) and 2.1."""

from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.vehicle_charging.service.hearing import needs_heard, schedule_heard, transfer_answered
from csms.store import Work


async def notify_ev_charging_needs(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """K15."""
    return await needs_heard(work, station, payload, knows_no_profile=station.version is Version.V21)


ROUTES = (
    Route(VERSIONS_2, "NotifyEVChargingNeeds", notify_ev_charging_needs),
    Route(VERSIONS_2, "NotifyEVChargingSchedule", schedule_heard),
)
ANSWERED = (Answered(Version.V21, "NotifyAllowedEnergyTransfer", transfer_answered),)
