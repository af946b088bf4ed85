"""S25: smart charging messages of OCPP 1.6 (5.5, 5.7, 5.16), 2.0.1 (K) and 2.1."""

from csms.ocpp import timestamps
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Payload, Route
from csms.station.charging_profiles.model import ChargingProfile
from csms.station.charging_profiles.service.priority import priority_answered, priority_changed
from csms.station.charging_profiles.service.storing import (
    clear_answered,
    composite_answered,
    integer,
    place_of,
    profile_answered,
    report_answered,
    start_answered,
    tell,
)
from csms.station.charging_profiles.service.telling import (
    dynamic_profile,
    limit_noticed,
    limit_released,
    profiles_reported,
    schedule_pulled,
    with_figures,
)
from csms.store import Work


async def set_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.16; 2.0.1 K01."""
    profile = request.get("csChargingProfiles") or request.get("chargingProfile")
    await profile_answered(work, station, place_of(request, "connectorId", "evseId"), profile, answer)


async def remote_start_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.11; 2.0.1 F01: the profile that came with it is for the charge that begins."""
    place = place_of(request, "connectorId", "evseId")
    await start_answered(work, station, place, request.get("chargingProfile"), answer)


async def dynamic_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """UpdateDynamicSchedule (2.1 K28): the station follows the new figures."""
    row = await dynamic_profile(work, station.id, integer(request, "chargingProfileId"))
    update = request.get("scheduleUpdate")
    if row is None or answer.get("status") != "Accepted" or not isinstance(update, dict):
        return
    work.change(ChargingProfile, row.id, payload=with_figures(row.payload, update, timestamps.write(work.now)))
    tell(work, station, row.charge_point_number)


async def report_charging_profiles(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 K09."""
    await profiles_reported(work, station, payload)
    return {}


async def notify_charging_limit(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 K12."""
    await limit_noticed(work, station, payload)
    return {}


async def cleared_charging_limit(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.0.1 K13."""
    await limit_released(work, station, payload)
    return {}


async def notify_priority_charging(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """2.1 K22: somebody at the station gave a charge priority, or took it back."""
    is_active = payload.get("activated") is True
    await priority_changed(work, station, payload.get("transactionId"), is_active=is_active, is_own_wish=True)
    return {}


ALL = (Version.V16, *VERSIONS_2)
ROUTES = (
    Route(VERSIONS_2, "ReportChargingProfiles", report_charging_profiles),
    Route(VERSIONS_2, "NotifyChargingLimit", notify_charging_limit),
    Route(VERSIONS_2, "ClearedChargingLimit", cleared_charging_limit),
    Route(Version.V21, "PullDynamicScheduleUpdate", schedule_pulled),
    Route(Version.V21, "NotifyPriorityCharging", notify_priority_charging),
)
ANSWERED = (
    Answered(ALL, "SetChargingProfile", set_answered),
    Answered(ALL, "ClearChargingProfile", clear_answered),
    Answered(ALL, "GetCompositeSchedule", composite_answered),
    Answered(VERSIONS_2, "GetChargingProfiles", report_answered),
    Answered(Version.V16, "RemoteStartTransaction", remote_start_answered),
    Answered(VERSIONS_2, "RequestStartTransaction", remote_start_answered),
    Answered(Version.V21, "UpdateDynamicSchedule", dynamic_answered),
    Answered(Version.V21, "UsePriorityCharging", priority_answered),
)
