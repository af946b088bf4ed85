"""S10, S25: smart charging in words: limits that are set, cleared, asked for and told of, in every OCPP version."""

from collections.abc import Callable, Mapping
from typing import Final

from csms.station.logs.rules.words import Level, Payload, Words, said, status_of

_PURPOSES: Final[Mapping[str, str]] = {
    "ChargePointMaxProfile": "the whole station",
    "ChargingStationMaxProfile": "the whole station",
    "ChargingStationExternalConstraints": "external constraints",
    "TxDefaultProfile": "every charge",
    "TxProfile": "one charge",
    "PriorityCharging": "charges with priority",
    "LocalGeneration": "local generation",
}
_SOURCES: Final[Mapping[str, str]] = {
    "EMS": "the energy management on site",
    "SO": "the grid operator",
    "CSO": "this system",
    "Other": "somebody else",
}


def _number(request: Payload) -> object:
    return request.get("evseId", request.get("connectorId"))


def _at(request: Payload) -> str:
    number = _number(request)
    return f" at charge point {said(number)}" if number not in (None, 0) else ""


def _schedule(value: object) -> Payload:
    """The first schedule: 1.6 has one, 2.x a list of up to three."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, Mapping) else {}


def _limits(schedule: Payload) -> str:
    """`to 16 A`, `to 16 A (and 2 more limits later)`, or nothing."""
    listed = schedule.get("chargingSchedulePeriod")
    periods = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    limits = [said(one.get("limit", one.get("setpoint", ""))) for one in periods]
    if not limits:
        return ""
    more = f" (and {len(limits) - 1} more limits later)" if len(limits) > 1 else ""
    return f" to {limits[0]} {said(schedule.get('chargingRateUnit', ''))}".rstrip() + more


def _limit(request: Payload) -> str:
    profile = request.get("csChargingProfiles") or request.get("chargingProfile")
    profile = profile if isinstance(profile, Mapping) else {}
    return f"limit charging{_at(request)}{_limits(_schedule(profile.get('chargingSchedule')))}"


def _clear(request: Payload) -> str:
    criteria = request.get("chargingProfileCriteria")
    wanted = {**request, **(criteria if isinstance(criteria, Mapping) else {})}
    profile_id = wanted.get("id", wanted.get("chargingProfileId"))
    if profile_id is not None:
        return f"remove charging profile {said(profile_id)}"
    purpose = _PURPOSES.get(str(wanted.get("chargingProfilePurpose")))
    return f"remove charging limits{_at(wanted)}{f' for {purpose}' if purpose else ''}"


def _dynamic(request: Payload) -> str:
    update = request.get("scheduleUpdate")
    figures = update if isinstance(update, Mapping) else {}
    told = ", ".join(f"{said(name)} {said(value)}" for name, value in list(figures.items())[:4])
    return f"change the figures of charging profile {said(request.get('chargingProfileId', ''))} ({told})"


def _priority(request: Payload) -> str:
    what = "give priority to" if request.get("activate") is True else "end the priority of"
    return f"{what} charge {said(request.get('transactionId', ''))}"


def _transfer(request: Payload) -> str:
    kinds = request.get("allowedEnergyTransfer")
    listed = said(", ".join(map(str, kinds))) if isinstance(kinds, list) else ""
    return f"allow {listed} for charge {said(request.get('transactionId', ''))}"


DOINGS: Final[Mapping[str, Callable[[Payload], str]]] = {
    "ClearChargingProfile": _clear,
    "GetChargingProfiles": lambda request: f"report its charging profiles{_at(request)}",
    "GetCompositeSchedule": lambda request: f"tell its charging limits{_at(request)}",
    "NotifyAllowedEnergyTransfer": _transfer,
    "SetChargingProfile": _limit,
    "UpdateDynamicSchedule": _dynamic,
    "UsePriorityCharging": _priority,
}

VERDICTS: Final[Mapping[tuple[str, str], tuple[Level, str, str | None, str | None]]] = {
    **{(action, "Accepted"): (Level.INFO, "done", None, None) for action in DOINGS if action != "GetChargingProfiles"},
    ("ClearChargingProfile", "Unknown"): (Level.INFO, "there are none", None, None),
    ("GetChargingProfiles", "Accepted"): (Level.INFO, "it will", None, None),
    ("GetChargingProfiles", "NoProfiles"): (Level.INFO, "it has none", None, None),
    ("SetChargingProfile", "Rejected"): (
        Level.WARNING,
        "it will not",
        "The profile does not fit the station, or the charge that it is for does not run there.",
        "Look at the reason in its answer, and at what the station can do in its settings.",
    ),
    ("UsePriorityCharging", "NoProfile"): (
        Level.WARNING,
        "it has no profile for it",
        "Priority needs a charging profile of that purpose on the station.",
        "Set a charging profile of purpose priority_charging first.",
    ),
}


def _source(value: object) -> str:
    return _SOURCES.get(str(value), f"«{said(value)}»")


def _place(request: Payload) -> str:
    number = _number(request)
    return "the station" if number in (None, 0) else f"charge point {said(number)}"


def _reported(request: Payload, _answer: Payload) -> Words:
    listed = request.get("chargingProfile")
    count = len(listed) if isinstance(listed, list) else 0
    more = "; more will follow" if request.get("tbc") is True else ""
    what = "1 charging profile" if count == 1 else f"{count} charging profiles"
    return Words(f"The station reported {what} of {_source(request.get('chargingLimitSource'))}{_at(request)}{more}.")


def _limited(request: Payload, _answer: Payload) -> Words:
    limit = request.get("chargingLimit")
    about = limit if isinstance(limit, Mapping) else {}
    limits = _limits(_schedule(request.get("chargingSchedule")))
    text = f"{_place(request)} is limited by {_source(about.get('chargingLimitSource'))}{limits}."
    if about.get("isGridCritical") is True:
        return Words(text[:1].upper() + text[1:], Level.WARNING, "The grid is in a critical state.")
    return Words(text[:1].upper() + text[1:])


def _released(request: Payload, _answer: Payload) -> Words:
    place, source = _place(request), _source(request.get("chargingLimitSource"))
    return Words(f"{place[:1].upper()}{place[1:]} is no longer limited by {source}.")


def _needs(request: Payload, answer: Payload) -> Words:
    needs = request.get("chargingNeeds")
    about = needs if isinstance(needs, Mapping) else {}
    leaves = f", leaving at {said(about['departureTime'])}" if about.get("departureTime") else ""
    asked = f"The vehicle at {_place(request)} told what it needs{leaves}"
    status = status_of(answer)
    if status in ("Accepted", "Processing"):
        return Words(f"{asked}; limits for it will follow.")
    return Words(f"{asked}; it gets no limits of its own ({status}).")


def _planned(request: Payload, answer: Payload) -> Words:
    told = f"The vehicle at {_place(request)} told how it will charge"
    if status_of(answer) == "Accepted":
        return Words(f"{told}.")
    return Words(f"{told}, but it cannot be read.", Level.WARNING, None, "Look at the raw frame.")


def _priority_told(request: Payload, _answer: Payload) -> Words:
    what = "got priority" if request.get("activated") is True else "has priority no longer"
    return Words(f"Charge {said(request.get('transactionId', ''))} {what} at the station.")


def _pulled(request: Payload, answer: Payload) -> Words:
    asked = f"The station asked for the figures of charging profile {said(request.get('chargingProfileId', ''))}"
    if status_of(answer) == "Accepted":
        return Words(f"{asked} and got them.")
    return Words(
        f"{asked}, which is not known here as a dynamic one.",
        Level.WARNING,
        "The station has a profile that this system does not know.",
        "Refresh the list of its charging profiles.",
    )


MESSAGES: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "ClearedChargingLimit": _released,
    "NotifyChargingLimit": _limited,
    "NotifyEVChargingNeeds": _needs,
    "NotifyEVChargingSchedule": _planned,
    "NotifyPriorityCharging": _priority_told,
    "PullDynamicScheduleUpdate": _pulled,
    "ReportChargingProfiles": _reported,
}
