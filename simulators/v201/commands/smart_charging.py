"""F5: answers about charging profiles (2.0.1, K)."""

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulators.v201.commands.core import ACCEPTED, REJECTED, refused
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

MAX_COMPOSITE_S = 7 * 86_400
PROFILES_A_MESSAGE = 4


def _set(station: "Station", payload: Payload) -> Reply:
    evse_id, profile = payload["evseId"], payload["chargingProfile"]
    if (reason := station.profiles.refusal(evse_id, profile)) is not None:
        return Reply(refused(reason))
    return Reply(ACCEPTED, lambda: station.profiles.set(evse_id, profile))


def _clear(station: "Station", payload: Payload) -> Reply:
    return Reply(ACCEPTED if station.profiles.clear(payload) else {"status": "Unknown"})


def _get(station: "Station", payload: Payload) -> Reply:
    found = station.profiles.matching(payload.get("evseId"), payload["chargingProfile"])
    if not found:
        return Reply({"status": "NoProfiles"})
    groups: defaultdict[tuple[int, str], list[Any]] = defaultdict(list)
    for profile in found:
        groups[profile.evse_id, profile.source].append(profile.payload)
    reports = [
        {
            "requestId": payload["requestId"],
            "chargingLimitSource": source,
            "evseId": evse_id,
            "chargingProfile": payloads[start : start + PROFILES_A_MESSAGE],
        }
        for (evse_id, source), payloads in groups.items()
        for start in range(0, len(payloads), PROFILES_A_MESSAGE)
    ]
    told = [{**report, "tbc": number + 1 < len(reports)} for number, report in enumerate(reports)]
    return Reply(ACCEPTED, lambda: station.spawn(station.send_each("ReportChargingProfiles", told)))


def _composite(station: "Station", payload: Payload) -> Reply:
    evse_id, unit = payload["evseId"], payload.get("chargingRateUnit", "W")
    if evse_id != 0 and evse_id not in station.charging.evses:
        return Reply(REJECTED)
    if unit not in station.model.names("SmartChargingCtrlr.RateUnit"):
        return Reply(REJECTED)  # K08.FR.07
    duration_s = min(payload["duration"], MAX_COMPOSITE_S)
    return Reply({**ACCEPTED, "schedule": station.profiles.composite(evse_id, duration_s, unit)})


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "ClearChargingProfile": _clear,
    "GetChargingProfiles": _get,
    "GetCompositeSchedule": _composite,
    "SetChargingProfile": _set,
}
