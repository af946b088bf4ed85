"""S10, S25: smart charging in the words of the log."""

from typing import Any

import pytest

from csms.features import offered
from csms.station.logs import Exchange, describe
from csms.wording import Ask, Tell

pytestmark = pytest.mark.feature("S10", "S25")
ACCEPTED = {"status": "Accepted"}
ABOUT: dict[str, Any] = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"limit": 21.4}, {"limit": 6}]}


def told(action: str, request: dict[str, Any], answer: dict[str, Any] | None = None, *, ours: bool) -> str:
    exchange = Exchange(action, not ours, "answered", request, answer or {})
    return describe(exchange).text


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text"),
    [
        (
            "SetChargingProfile",
            {"connectorId": 1, "csChargingProfiles": {"chargingSchedule": ABOUT}},
            ACCEPTED,
            "Asked to limit charging at charge point 1 to 21.4 A (and 1 more limits later): done.",
        ),
        (
            "SetChargingProfile",
            {"evseId": 2, "chargingProfile": {"chargingSchedule": [ABOUT]}},
            {"status": "Rejected"},
            "Asked to limit charging at charge point 2 to 21.4 A (and 1 more limits later): it will not.",
        ),
        ("ClearChargingProfile", {"id": 7}, ACCEPTED, "Asked to remove charging profile 7: done."),
        (
            "ClearChargingProfile",
            {"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile"}},
            {"status": "Unknown"},
            "Asked to remove charging limits at charge point 1 for every charge: there are none.",
        ),
        (
            "GetChargingProfiles",
            {"evseId": 0},
            {"status": "NoProfiles"},
            "Asked to report its charging profiles: it has none.",
        ),
        ("GetCompositeSchedule", {"evseId": 3}, ACCEPTED, "Asked to tell its charging limits at charge point 3: done."),
        (
            "UpdateDynamicSchedule",
            {"chargingProfileId": 4, "scheduleUpdate": {"limit": 7000}},
            ACCEPTED,
            "Asked to change the figures of charging profile 4 (limit 7000): done.",
        ),
        (
            "UsePriorityCharging",
            {"transactionId": "tx", "activate": True},
            {"status": "NoProfile"},
            "Asked to give priority to charge tx: it has no profile for it.",
        ),
        (
            "NotifyAllowedEnergyTransfer",
            {"transactionId": "tx", "allowedEnergyTransfer": ["DC", "AC_BPT"]},
            ACCEPTED,
            "Asked to allow DC, AC_BPT for charge tx: done.",
        ),
    ],
)
def test_what_the_station_is_asked(action: str, request_: dict[str, Any], answer: dict[str, Any], text: str) -> None:
    assert told(action, request_, answer, ours=True) == text


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text"),
    [
        (
            "ReportChargingProfiles",
            {"evseId": 1, "chargingLimitSource": "CSO", "chargingProfile": [{}], "tbc": True},
            {},
            "The station reported 1 charging profile of this system at charge point 1; more will follow.",
        ),
        (
            "NotifyChargingLimit",
            {"chargingLimit": {"chargingLimitSource": "EMS"}, "chargingSchedule": [ABOUT]},
            {},
            "The station is limited by the energy management on site to 21.4 A (and 1 more limits later).",
        ),
        (
            "ClearedChargingLimit",
            {"chargingLimitSource": "SO", "evseId": 2},
            {},
            "Charge point 2 is no longer limited by the grid operator.",
        ),
        (
            "NotifyEVChargingNeeds",
            {"evseId": 1, "chargingNeeds": {"departureTime": "18:00"}},
            ACCEPTED,
            "The vehicle at charge point 1 told what it needs, leaving at 18:00; limits for it will follow.",
        ),
        ("NotifyEVChargingSchedule", {"evseId": 1}, ACCEPTED, "The vehicle at charge point 1 told how it will charge."),
        (
            "NotifyEVChargingSchedule",
            {"evseId": 1},
            {"status": "Rejected", "statusInfo": {"reasonCode": "ValueTooHigh"}},
            "The vehicle at charge point 1 told how it will charge; that is more than it may, and was rejected.",
        ),
        (
            "NotifyPriorityCharging",
            {"transactionId": "t", "activated": False},
            {},
            "Charge t has priority no longer at the station.",
        ),
        (
            "PullDynamicScheduleUpdate",
            {"chargingProfileId": 4},
            ACCEPTED,
            "The station asked for the figures of charging profile 4 and got them.",
        ),
    ],
)
def test_what_the_station_tells(action: str, request_: dict[str, Any], answer: dict[str, Any], text: str) -> None:
    assert told(action, request_, answer, ours=False) == text


@pytest.mark.parametrize("odd", [{}, {"chargingSchedule": [5]}, {"chargingProfile": 3, "chargingLimit": []}])
@pytest.mark.parametrize("words", tuple(offered("words", "WORDS")), ids=lambda words: words.action)
def test_odd_payloads_are_borne(words: Tell | Ask, odd: dict[str, Any]) -> None:
    assert told(words.action, odd, odd, ours=isinstance(words, Ask))
