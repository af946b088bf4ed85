"""S25: profiles as OCPP 1.6 (7.8), 2.0.1 and 2.1 (ChargingProfileType) write them, and back; no figure is changed.

Reading bears what lenient stations send: what makes no sense is None.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.reading import integer_of
from csms.ocpp.versions import Version
from csms.station.charging_profiles.rules.profile import Kind, Period, Profile, Purpose, Recurrency, Schedule, Unit

Payload = dict[str, Any]

PURPOSES: Final[Mapping[Purpose, str]] = {
    Purpose.STATION_MAX: "ChargingStationMaxProfile",
    Purpose.EXTERNAL: "ChargingStationExternalConstraints",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.TRANSACTION: "TxProfile",
    Purpose.PRIORITY: "PriorityCharging",
    Purpose.LOCAL_GENERATION: "LocalGeneration",
}
PURPOSES_16: Final[Mapping[Purpose, str]] = {
    Purpose.STATION_MAX: "ChargePointMaxProfile",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.TRANSACTION: "TxProfile",
}
_PURPOSE_OF: Final = {word: purpose for words in (PURPOSES, PURPOSES_16) for purpose, word in words.items()}
_KIND_OF: Final = {kind.value.capitalize(): kind for kind in Kind}
_RECURRENCY_OF: Final = {one.value.capitalize(): one for one in Recurrency}

_PROFILE_FIELDS: Final = frozenset(
    {
        "id",
        "chargingProfileId",
        "transactionId",
        "stackLevel",
        "chargingProfilePurpose",
        "chargingProfileKind",
        "recurrencyKind",
        "validFrom",
        "validTo",
        "chargingSchedule",
    }
)
_SCHEDULE_FIELDS: Final = frozenset(
    {"id", "startSchedule", "duration", "chargingRateUnit", "chargingSchedulePeriod", "minChargingRate"}
)
_PERIOD_FIELDS: Final = frozenset({"startPeriod", "limit", "numberPhases", "phaseToUse"})


def purpose_word(purpose: Purpose, version: Version) -> str | None:
    """OCPP's word; None for a purpose that the version does not have."""
    if version is Version.V16:
        return PURPOSES_16.get(purpose)
    if version is Version.V201 and purpose in (Purpose.PRIORITY, Purpose.LOCAL_GENERATION):
        return None
    return PURPOSES[purpose]


def read_purpose(word: object) -> Purpose | None:
    return _PURPOSE_OF.get(word) if isinstance(word, str) else None


def number(value: Decimal) -> int | float:
    """JSON's number for it: 21.4 stays 21.4, and 16 is not 16.0."""
    return int(value) if value == value.to_integral_value() else float(value)


def decimal(value: object) -> Decimal | None:
    """The figure that was written, not its binary neighbour."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return Decimal(str(value))


def write_profile(profile: Profile, version: Version) -> Payload:
    """The ChargingProfile object in the words and the order of the version's schema."""
    is_16 = version is Version.V16
    payload: Payload = {
        "chargingProfileId" if is_16 else "id": profile.id,
        "transactionId": _transaction(profile.transaction_id, version) if is_16 else None,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": purpose_word(profile.purpose, version) or PURPOSES[profile.purpose],
        "chargingProfileKind": profile.kind.value.capitalize(),
        "recurrencyKind": profile.recurrency.value.capitalize() if profile.recurrency else None,
        "validFrom": _time(profile.valid_from),
        "validTo": _time(profile.valid_to),
        "chargingSchedule": _write_schedules(profile, is_16=is_16),
    }
    if not is_16:
        payload["transactionId"] = profile.transaction_id
    return _without_none(payload | dict(profile.more))


def _transaction(transaction_id: str | None, version: Version) -> int | str | None:
    is_integer = version is Version.V16 and transaction_id is not None and transaction_id.lstrip("-").isdigit()
    return int(transaction_id) if is_integer and transaction_id else transaction_id


def _write_schedules(profile: Profile, *, is_16: bool) -> Any:
    schedules = [
        write_schedule(one, None if is_16 else profile.id * 10 + index if one.id is None else one.id)
        for index, one in enumerate(profile.schedules)
    ]
    return schedules[0] if is_16 and schedules else schedules


def write_schedule(schedule: Schedule, schedule_id: int | None) -> Payload:
    """A ChargingSchedule object; without an id as 1.6 has it."""
    payload: Payload = {
        "id": schedule_id,
        "duration": schedule.duration_s,
        "startSchedule": _time(schedule.starts_at),
        "chargingRateUnit": schedule.unit.value,
        "chargingSchedulePeriod": [_write_period(one) for one in schedule.periods],
        "minChargingRate": None if schedule.minimum_rate is None else number(schedule.minimum_rate),
    }
    return _without_none(payload | dict(schedule.more))


def _write_period(period: Period) -> Payload:
    payload: Payload = {
        "startPeriod": period.start_s,
        "limit": None if period.limit is None else number(period.limit),
        "numberPhases": period.phases,
        "phaseToUse": period.phase_to_use,
    }
    return _without_none(payload | dict(period.more))


def _without_none(payload: Payload) -> Payload:
    return {name: value for name, value in payload.items() if value is not None}


def _time(at: datetime | None) -> str | None:
    return None if at is None else timestamps.write(at)


def read_profile(payload: object) -> Profile | None:
    """The profile in any version's words; None if it is none."""
    if not isinstance(payload, Mapping):
        return None
    profile_id = integer_of(payload.get("chargingProfileId", payload.get("id")))
    purpose, kind = read_purpose(payload.get("chargingProfilePurpose")), _word(_KIND_OF, payload, "chargingProfileKind")
    stack_level, schedules = integer_of(payload.get("stackLevel")), _read_schedules(payload.get("chargingSchedule"))
    if profile_id is None or purpose is None or kind is None or stack_level is None or schedules is None:
        return None
    transaction_id = payload.get("transactionId")
    return Profile(
        id=profile_id,
        purpose=purpose,
        stack_level=stack_level,
        kind=kind,
        schedules=schedules,
        recurrency=_word(_RECURRENCY_OF, payload, "recurrencyKind"),
        valid_from=read_time(payload.get("validFrom")),
        valid_to=read_time(payload.get("validTo")),
        transaction_id=None if transaction_id is None else str(transaction_id),
        more=_others(payload, _PROFILE_FIELDS),
    )


def _read_schedules(value: object) -> tuple[Schedule, ...] | None:
    items = value if isinstance(value, list) else [value]
    schedules = [read_schedule(item) for item in items]
    return None if not schedules or None in schedules else tuple(one for one in schedules if one is not None)


def read_schedule(payload: object) -> Schedule | None:
    """A ChargingSchedule or CompositeSchedule object; None if it is none."""
    if not isinstance(payload, Mapping):
        return None
    unit, listed = payload.get("chargingRateUnit"), payload.get("chargingSchedulePeriod")
    if unit not in (Unit.AMPERE.value, Unit.WATT.value) or not isinstance(listed, list) or not listed:
        return None
    periods = [_read_period(item) for item in listed]
    if None in periods:
        return None
    return Schedule(
        unit=Unit(unit),
        periods=tuple(one for one in periods if one is not None),
        starts_at=read_time(payload.get("startSchedule")),
        duration_s=integer_of(payload.get("duration")),
        minimum_rate=decimal(payload.get("minChargingRate")),
        id=integer_of(payload.get("id")),
        more=_others(payload, _SCHEDULE_FIELDS),
    )


def _read_period(payload: object) -> Period | None:
    start_s = integer_of(payload.get("startPeriod")) if isinstance(payload, Mapping) else None
    if not isinstance(payload, Mapping) or start_s is None:
        return None
    return Period(
        start_s=start_s,
        limit=decimal(payload.get("limit")),
        phases=integer_of(payload.get("numberPhases")),
        phase_to_use=integer_of(payload.get("phaseToUse")),
        more=_others(payload, _PERIOD_FIELDS),
    )


def _word(words: Mapping[str, Any], payload: Mapping[str, Any], name: str) -> Any:
    value = payload.get(name)
    return words.get(value) if isinstance(value, str) else None


def _others(payload: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in known}


def read_time(value: object) -> datetime | None:
    reading = timestamps.read(value)
    return None if reading is None else reading.at
