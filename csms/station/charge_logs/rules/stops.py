"""S6: which charge a stop that matches nothing could belong to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from csms.station.charge_logs.rules.moments import AHEAD_MAX
from csms.station.charge_logs.rules.quantities import LARGEST_CHARGE_WH


@dataclass(frozen=True, slots=True)
class OpenCharge:
    """A charge that lacks its stop."""

    id: int
    token_key: str
    started_at: datetime
    meter_start_wh: int
    last_register_wh: float | None


def candidates(
    stopped_at: datetime, meter_stop_wh: int, token_key: str | None, charges: Iterable[OpenCharge]
) -> list[int]:
    """The charges that a stop could belong to by time and register, the likeliest first."""
    fitting = [
        charge
        for charge in charges
        if charge.started_at <= stopped_at + AHEAD_MAX
        and max(charge.meter_start_wh, charge.last_register_wh or 0) <= meter_stop_wh
        and meter_stop_wh - charge.meter_start_wh <= LARGEST_CHARGE_WH
    ]
    fitting.sort(key=lambda charge: (charge.token_key != token_key, meter_stop_wh - charge.meter_start_wh, charge.id))
    return [charge.id for charge in fitting]
