from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulators.profiles import Situation, boundaries, limit_w, read, refusal, schedule

pytestmark = pytest.mark.feature("F5")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # a Sunday
HERE = Situation(1, 3, "TX", NOON)


def profile(
    purpose: str = "TxDefaultProfile",
    *periods: tuple[float, float],
    level: int = 0,
    evse_id: int = 1,
    unit: str = "W",
    kind: str = "Absolute",
    start: str | None = "2026-03-01T12:00:00Z",
    duration: int | None = None,
    **more: Any,
) -> Any:
    written = {
        "id": 1,
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": at, "limit": limit} for at, limit in periods],
        **({} if start is None else {"startSchedule": start}),
        **({} if duration is None else {"duration": duration}),
    }
    payload = {
        "id": 7,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": kind,
        "chargingSchedule": [written],
        **more,
    }
    return read(payload, evse_id)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_without_profiles_nothing_limits() -> None:
    assert limit_w([], HERE, NOON) is None


def test_periods_follow_each_other_until_the_duration_ends() -> None:
    one = profile("TxDefaultProfile", (0, 5_000), (600, 2_000), duration=900)
    assert [limit_w([one], HERE, after(s)) for s in (-1, 0, 599, 600, 899, 900)] == [
        None, 5_000, 5_000, 2_000, 2_000, None,
    ]  # fmt: skip


def test_amperes_count_by_phase() -> None:
    assert limit_w([profile("TxDefaultProfile", (0, 16), unit="A")], HERE, NOON) == 3 * 16 * 230
    assert limit_w([profile("TxDefaultProfile", (0, 16), unit="A")], Situation(1, 1, "TX", NOON), NOON) == 16 * 230


def test_the_highest_level_wins_and_falls_back_when_it_is_over() -> None:
    low, high = profile("TxDefaultProfile", (0, 5_000)), profile("TxDefaultProfile", (0, 9_000), level=3, duration=60)
    assert limit_w([low, high], HERE, NOON) == 9_000
    assert limit_w([low, high], HERE, after(60)) == 5_000


def test_a_transactions_own_profile_replaces_the_default_and_the_station_bounds_both() -> None:
    default = profile("TxDefaultProfile", (0, 5_000))
    own = profile("TxProfile", (0, 8_000), kind="Relative", start=None, transactionId="TX")
    most = profile("ChargingStationMaxProfile", (0, 14_000), evse_id=0)
    assert limit_w([default, own], HERE, NOON) == 8_000
    assert limit_w([default, own, most], HERE, NOON) == 8_000
    assert limit_w([default, own, most], Situation(1, 3, "TX", NOON, shared_by=2), NOON) == 7_000
    assert limit_w([default, own], Situation(1, 3, "OTHER", NOON), NOON) == 5_000
    assert limit_w([default, own], Situation(1), NOON) == 5_000


def test_an_evses_own_default_goes_before_that_of_the_station() -> None:
    assert limit_w([profile("TxDefaultProfile", (0, 5_000), evse_id=0), profile("TxDefaultProfile", (0, 6_000))],
                   HERE, NOON) == 6_000  # fmt: skip


@pytest.mark.parametrize(("recurrency", "days"), [("Daily", 1), ("Weekly", 7)])
def test_recurring_schedules_come_again(recurrency: str, days: int) -> None:
    night = profile("TxDefaultProfile", (0, 3_000), (3_600, 9_000), kind="Recurring", recurrencyKind=recurrency,
                    duration=7_200)  # fmt: skip
    later = days * 86_400
    assert limit_w([night], HERE, after(later + 10)) == 3_000
    assert limit_w([night], HERE, after(later + 3_700)) == 9_000
    assert limit_w([night], HERE, after(later + 7_200)) is None
    assert boundaries([night], HERE, after(later - 5), after(later + 8_000)) == [
        after(later), after(later + 3_600), after(later + 7_200),
    ]  # fmt: skip


def test_a_profile_holds_within_its_validity() -> None:
    one = profile("TxDefaultProfile", (0, 5_000), validFrom="2026-03-01T12:10:00Z", validTo="2026-03-01T12:20:00Z")
    assert [limit_w([one], HERE, after(60 * m)) for m in (9, 10, 19, 20)] == [None, 5_000, 5_000, None]


def test_the_composite_schedule_is_what_the_car_gets() -> None:
    all_of_them = [
        profile("TxDefaultProfile", (0, 5_000), (600, 20_000)),
        profile("ChargingStationMaxProfile", (0, 9_000), (1_200, 4_000), evse_id=0),
    ]
    composed = schedule(all_of_them, HERE, NOON, 1_800, unit="W", most_w=11_000)
    assert [(one["startPeriod"], one["limit"]) for one in composed] == [(0, 5_000), (600, 9_000), (1_200, 4_000)]
    (free,) = schedule([], HERE, NOON, 60, unit="A", most_w=11_040)
    assert (free["limit"], free["numberPhases"]) == (16.0, 3)


@pytest.mark.parametrize(
    "one",
    [
        profile("TxDefaultProfile", (5, 5_000)),
        profile("TxDefaultProfile", (0, 1), (60, 2), (30, 3)),
        profile("TxDefaultProfile", (0, 1), kind="Recurring"),
        profile("ChargingStationMaxProfile", (0, 1), kind="Relative", start=None),
        profile("ChargingStationMaxProfile", (0, 1), start=None),
    ],
)
def test_profiles_without_sense_are_refused(one: Any) -> None:
    assert refusal(one) is not None
