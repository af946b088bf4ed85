"""S25: the profile behind what an operator asks for: "limit this charge to 11 kW until six"."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from csms.station.charging_profiles.rules.profile import (
    WHOLE_STATION,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
)

LIMIT_IDS_FROM: Final = 1_000_000_000
"""Simple limits have ids from here on, one for each place and purpose, so that a new one replaces the old."""
_PURPOSES: Final = (Purpose.STATION_MAX, Purpose.DEFAULT, Purpose.TRANSACTION)


def limit_purpose(number: int, *, is_charge: bool) -> Purpose:
    """What a simple limit of that charge point (0: the station) is for."""
    if number == WHOLE_STATION:
        return Purpose.STATION_MAX
    return Purpose.TRANSACTION if is_charge else Purpose.DEFAULT


def limit_id(number: int, purpose: Purpose) -> int:
    """The profile id of the simple limit of that charge point and purpose."""
    return LIMIT_IDS_FROM + number * len(_PURPOSES) + _PURPOSES.index(purpose)


def limit_profile(
    number: int,
    purpose: Purpose,
    value: Decimal,
    unit: Unit,
    *,
    stack_level: int,
    now: datetime,
    until: datetime | None = None,
    phases: int | None = None,
    transaction_id: str | None = None,
) -> Profile:
    """One limit from now on; `until` ends it by itself."""
    return Profile(
        id=limit_id(number, purpose),
        purpose=purpose,
        stack_level=stack_level,
        kind=Kind.ABSOLUTE,
        schedules=(Schedule(unit=unit, starts_at=now, periods=(Period(0, value, phases),)),),
        valid_from=None,
        valid_to=until,
        transaction_id=transaction_id,
    )
