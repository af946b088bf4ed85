"""S25: charging profiles and limits in words."""

from collections.abc import Mapping
from typing import Final

from csms.wording import (
    DONE,
    Ask,
    Example,
    Level,
    Payload,
    Tell,
    Words,
    at_place,
    count_of,
    items_of,
    place_of,
    said,
    sentence,
    status_of,
    within,
)

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
_FIGURES_SHOWN: Final = 4


def _schedule(value: object) -> Payload:
    """The first schedule: 1.6 has one, 2.x a list of up to three."""
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, Mapping) else {}


def _limits(schedule: Payload) -> str:
    """`to 16 A`, `to 16 A (and 2 more limits later)`, or nothing."""
    periods = items_of(schedule, "chargingSchedulePeriod")
    limits = [said(one.get("limit", one.get("setpoint", ""))) for one in periods]
    if not limits:
        return ""
    more = f" (and {len(limits) - 1} more limits later)" if len(limits) > 1 else ""
    return f" to {limits[0]} {said(schedule.get('chargingRateUnit', ''))}".rstrip() + more


def _limit(request: Payload) -> str:
    profile = within(request, "csChargingProfiles") or within(request, "chargingProfile")
    return f"limit charging{at_place(request)}{_limits(_schedule(profile.get('chargingSchedule')))}"


def _clear(request: Payload) -> str:
    wanted = {**request, **within(request, "chargingProfileCriteria")}
    profile_id = wanted.get("id", wanted.get("chargingProfileId"))
    if profile_id is not None:
        return f"remove charging profile {said(profile_id)}"
    purpose = _PURPOSES.get(str(wanted.get("chargingProfilePurpose")))
    return f"remove charging limits{at_place(wanted)}{f' for {purpose}' if purpose else ''}"


def _dynamic(request: Payload) -> str:
    figures = list(within(request, "scheduleUpdate").items())[:_FIGURES_SHOWN]
    told = ", ".join(f"{said(name)} {said(value)}" for name, value in figures)
    return f"change the figures of charging profile {said(request.get('chargingProfileId', ''))} ({told})"


def _priority(request: Payload) -> str:
    what = "give priority to" if request.get("activate") is True else "end the priority of"
    return f"{what} charge {said(request.get('transactionId', ''))}"


def _report(request: Payload) -> str:
    return f"report its charging profiles{at_place(request)}"


def _composite(request: Payload) -> str:
    return f"tell its charging limits{at_place(request)}"


_NOT_LIMITED: Final = Words(
    "it will not",
    Level.WARNING,
    "The profile does not fit the station, or the charge that it is for does not run there.",
    "Look at the reason in its answer, and at what the station can do in its settings.",
)
_NO_PRIORITY: Final = Words(
    "it has no profile for it",
    Level.WARNING,
    "Priority needs a charging profile of that purpose on the station.",
    "Set a charging profile of purpose priority_charging first.",
)


def _source(value: object) -> str:
    return _SOURCES.get(str(value), f"«{said(value)}»")


def _reported(request: Payload, _answer: Payload) -> Words:
    count = count_of(request, "chargingProfile")
    more = "; more will follow" if request.get("tbc") is True else ""
    what = "1 charging profile" if count == 1 else f"{count} charging profiles"
    return Words(
        f"The station reported {what} of {_source(request.get('chargingLimitSource'))}{at_place(request)}{more}."
    )


def _limited(request: Payload, _answer: Payload) -> Words:
    about = within(request, "chargingLimit")
    limits = _limits(_schedule(request.get("chargingSchedule")))
    text = sentence(f"{place_of(request)} is limited by {_source(about.get('chargingLimitSource'))}{limits}.")
    if about.get("isGridCritical") is True:
        return Words(text, Level.WARNING, "The grid is in a critical state.")
    return Words(text)


def _released(request: Payload, _answer: Payload) -> Words:
    source = _source(request.get("chargingLimitSource"))
    return Words(sentence(f"{place_of(request)} is no longer limited by {source}."))


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


WORDS = (
    Tell("ClearedChargingLimit", _released),
    Tell("NotifyChargingLimit", _limited),
    Tell("NotifyPriorityCharging", _priority_told),
    Tell("PullDynamicScheduleUpdate", _pulled),
    Tell("ReportChargingProfiles", _reported),
    Ask("ClearChargingProfile", _clear, {"Accepted": DONE, "Unknown": Words("there are none")}),
    Ask("GetChargingProfiles", _report, {"NoProfiles": Words("it has none")}),
    Ask("GetCompositeSchedule", _composite, {"Accepted": DONE}),
    Ask("SetChargingProfile", _limit, {"Accepted": DONE, "Rejected": _NOT_LIMITED}),
    Ask("UpdateDynamicSchedule", _dynamic, {"Accepted": DONE}),
    Ask("UsePriorityCharging", _priority, {"Accepted": DONE, "NoProfile": _NO_PRIORITY}),
)

EXAMPLES = (
    Example(
        "ClearChargingProfile",
        "Remove charging profiles",
        v16={"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile"},
        v2={"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile"}},
    ),
    Example(
        "GetChargingProfiles",
        "Have the installed charging profiles reported",
        v2={"requestId": 1, "chargingProfile": {"chargingProfilePurpose": "TxDefaultProfile"}},
    ),
    Example(
        "GetCompositeSchedule",
        "Ask which limits will apply",
        v16={"connectorId": 1, "duration": 3600, "chargingRateUnit": "A"},
        v2={"evseId": 1, "duration": 3600, "chargingRateUnit": "A"},
    ),
    Example(
        "SetChargingProfile",
        "Limit the charging power or current",
        v16={
            "connectorId": 1,
            "csChargingProfiles": {
                "chargingProfileId": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}],
                },
            },
        },
        v2={
            "evseId": 1,
            "chargingProfile": {
                "id": 1,
                "stackLevel": 0,
                "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Absolute",
                "chargingSchedule": [
                    {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}]}
                ],
            },
        },
    ),
    Example(
        "UpdateDynamicSchedule",
        "Change the limit of a dynamic charging profile",
        v2={"chargingProfileId": 1, "scheduleUpdate": {"limit": 11000}},
    ),
    Example(
        "UsePriorityCharging",
        "Let a charge go before others, or not any more",
        v2={"transactionId": "7f4a2c9e-3b1d", "activate": True},
    ),
)
