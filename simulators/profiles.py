"""F5: charging profiles: which limit holds at a moment, when it changes, and the schedule that comes out of all.

Pure, and the same for 1.6 (3.13) and 2.x (K): the highest stack level wins within a purpose, a transaction's own
profile wins over the default, and the least of all purposes holds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from csms.ocpp import timestamps
from simulators.battery import PHASE_VOLTAGE_V

RECURRENCE_S: Final = {"Daily": 86_400.0, "Weekly": 7 * 86_400.0}
STATION_WIDE: Final = frozenset(
    {"ChargePointMaxProfile", "ChargingStationMaxProfile", "ChargingStationExternalConstraints"}
)
TX, TX_DEFAULT = "TxProfile", "TxDefaultProfile"
MAX_BOUNDARIES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Period:
    """From so many seconds after the start of the schedule this limit holds."""

    start_s: float
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One charging profile as it was set; `evse_id` 0 is the whole station. `payload` is its text, for reports."""

    profile_id: int
    evse_id: int
    stack_level: int
    purpose: str
    kind: str
    recurrence_s: float | None
    valid_from: datetime | None
    valid_to: datetime | None
    transaction_id: str | int | None
    starts_at: datetime | None
    duration_s: float | None
    unit: str
    periods: tuple[Period, ...]
    source: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Situation:
    """Whose limit is asked: an EVSE, what it is built for, its transaction, and with how many the station is shared."""

    evse_id: int
    phases: int = 3
    transaction_id: str | int | None = None
    started_at: datetime | None = None
    shared_by: int = 1


def read(payload: dict[str, Any], evse_id: int, source: str = "CSO") -> Profile:
    """A profile of either version from its payload, which keeps to its schema."""
    schedules = payload["chargingSchedule"]
    schedule = schedules[0] if isinstance(schedules, list) else schedules
    return Profile(
        payload["id"] if "id" in payload else payload["chargingProfileId"],
        evse_id,
        payload["stackLevel"],
        payload["chargingProfilePurpose"],
        payload["chargingProfileKind"],
        RECURRENCE_S.get(payload.get("recurrencyKind", "")),
        _time(payload.get("validFrom")),
        _time(payload.get("validTo")),
        payload.get("transactionId"),
        _time(schedule.get("startSchedule")),
        schedule.get("duration"),
        schedule["chargingRateUnit"],
        tuple(
            Period(float(one["startPeriod"]), float(one.get("limit", 0.0)), one.get("numberPhases"))
            for one in schedule["chargingSchedulePeriod"]
        ),
        source,
        payload,
    )


def _time(text: object) -> datetime | None:
    told = timestamps.read(text)
    return None if told is None else told.at


def refusal(profile: Profile) -> str | None:
    """Why a profile makes no sense, None for a sound one (2.0.1, K01.FR.19, .31, .35)."""
    starts = [period.start_s for period in profile.periods]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        return "InvalidSchedule"
    if profile.kind == "Recurring" and (profile.recurrence_s is None or profile.starts_at is None):
        return "InvalidProfile"
    if profile.kind == "Absolute" and profile.starts_at is None and profile.purpose in STATION_WIDE:
        return "InvalidSchedule"
    if profile.kind == "Relative" and profile.purpose in STATION_WIDE:
        return "InvalidProfile"
    return None


def _start(profile: Profile, at: datetime, situation: Situation) -> datetime | None:
    """When the occurrence of the schedule that holds at this time began."""
    if profile.kind == "Relative" or profile.starts_at is None:
        return situation.started_at
    if profile.recurrence_s is None:
        return profile.starts_at
    rounds = (at - profile.starts_at).total_seconds() // profile.recurrence_s
    return profile.starts_at + timedelta(seconds=rounds * profile.recurrence_s)


def _period(profile: Profile, at: datetime, situation: Situation) -> Period | None:
    if (profile.valid_from is not None and at < profile.valid_from) or (
        profile.valid_to is not None and at >= profile.valid_to
    ):
        return None
    start = _start(profile, at, situation)
    if start is None:
        return None
    offset_s = (at - start).total_seconds()
    if offset_s < 0 or (profile.duration_s is not None and offset_s >= profile.duration_s):
        return None
    return next((period for period in reversed(profile.periods) if period.start_s <= offset_s), None)


def _concerns(profile: Profile, situation: Situation) -> bool:
    if profile.purpose == TX:
        is_own = profile.transaction_id in (None, situation.transaction_id)
        return situation.started_at is not None and profile.evse_id == situation.evse_id and is_own
    return profile.evse_id in (0, situation.evse_id)


def _watts(profile: Profile, period: Period, situation: Situation) -> float:
    limit_w = period.limit
    if profile.unit == "A":
        limit_w *= PHASE_VOLTAGE_V * min(period.phases or situation.phases, situation.phases)
    is_shared = profile.evse_id == 0 and profile.purpose in STATION_WIDE and situation.evse_id != 0
    return limit_w / max(1, situation.shared_by) if is_shared else limit_w


def limit_w(profiles: Iterable[Profile], situation: Situation, at: datetime) -> float | None:
    """The power that all profiles together allow, None where none of them says anything."""
    best: dict[str, tuple[tuple[int, bool], float]] = {}
    for profile in profiles:
        period = _period(profile, at, situation) if _concerns(profile, situation) else None
        if period is None:
            continue
        rank = (profile.stack_level, profile.evse_id == situation.evse_id)
        if profile.purpose not in best or rank > best[profile.purpose][0]:
            best[profile.purpose] = (rank, _watts(profile, period, situation))
    if TX in best:
        best.pop(TX_DEFAULT, None)
    return min((limit for _, limit in best.values()), default=None)


def boundaries(profiles: Iterable[Profile], situation: Situation, after: datetime, until: datetime) -> list[datetime]:
    """The moments in (after, until) at which some profile's limit may change, in order."""
    found: set[datetime] = set()
    for profile in profiles:
        if not _concerns(profile, situation):
            continue
        edges = [time for time in (profile.valid_from, profile.valid_to) if time is not None]
        for start in _occurrences(profile, situation, after, until):
            edges.extend(start + timedelta(seconds=period.start_s) for period in profile.periods)
            if profile.duration_s is not None:
                edges.append(start + timedelta(seconds=profile.duration_s))
        found.update(edge for edge in edges if after < edge < until)
    return sorted(found)[:MAX_BOUNDARIES]


def _occurrences(profile: Profile, situation: Situation, after: datetime, until: datetime) -> Iterable[datetime]:
    start = _start(profile, after, situation)
    if start is None:
        return
    yield start
    while profile.kind == "Recurring" and profile.recurrence_s is not None and start < until:
        start += timedelta(seconds=profile.recurrence_s)
        yield start


def schedule(
    profiles: Sequence[Profile], situation: Situation, at: datetime, duration_s: int, *, unit: str, most_w: float
) -> list[dict[str, Any]]:
    """`chargingSchedulePeriod` of the composite schedule (1.6, 5.7; 2.0.1, K08), never above what the supply gives."""
    until = at + timedelta(seconds=duration_s)
    periods: list[dict[str, Any]] = []
    for moment in (at, *boundaries(profiles, situation, at, until)):
        allowed_w = limit_w(profiles, situation, moment)
        power_w = most_w if allowed_w is None else min(most_w, allowed_w)
        limit = power_w if unit == "W" else power_w / PHASE_VOLTAGE_V / situation.phases
        period = {"startPeriod": round((moment - at).total_seconds()), "limit": round(limit, 1)}
        if not periods or periods[-1]["limit"] != period["limit"]:
            periods.append({**period, "numberPhases": situation.phases})
    return periods
