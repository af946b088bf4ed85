"""S25: what a vehicle needs, as OCPP 2.0.1 (K15, ChargingNeedsType) and 2.1 write it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from csms.ocpp import timestamps

_PHASES: Final[Mapping[str, int]] = {"AC_single_phase": 1, "AC_two_phase": 2, "AC_three_phase": 3}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a vehicle said; a figure that it did not give is None."""

    transfer: str | None
    """How it wants to charge, in OCPP's word."""
    energy_wh: float | None
    departs_at: datetime | None
    state_of_charge_percent: float | None
    max_current_a: Decimal | None
    max_voltage_v: Decimal | None
    max_power_w: Decimal | None
    phases: int | None
    """None: direct current, or it did not say."""
    is_dc: bool

    @property
    def most_w(self) -> Decimal | None:
        """Direct current, or power as such: the most that it takes."""
        if self.max_power_w is not None or self.max_current_a is None or self.max_voltage_v is None:
            return self.max_power_w
        return self.max_current_a * self.max_voltage_v

    @property
    def is_known(self) -> bool:
        """Whether it said how much it can take at most."""
        return (self.max_current_a is not None and not self.is_dc) or self.most_w is not None


def read_needs(payload: object) -> Needs:
    """Read a ChargingNeeds object; never raises, whatever it holds."""
    needs = payload if isinstance(payload, Mapping) else {}
    ac, dc, v2x = (_part(needs, f"{kind}ChargingParameters") for kind in ("ac", "dc", "v2x"))
    transfer = needs.get("requestedEnergyTransfer")
    word = transfer if isinstance(transfer, str) else None
    reading = timestamps.read(needs.get("departureTime"))
    return Needs(
        transfer=word,
        energy_wh=_float(_first(_figure(ac, "energyAmount"), _figure(dc, "energyAmount"), _target(v2x))),
        departs_at=None if reading is None else reading.at,
        state_of_charge_percent=_float(_figure(dc, "stateOfCharge")),
        max_current_a=_first(*(_figure(one, "evMaxCurrent") for one in (ac, dc)), _figure(v2x, "maxChargeCurrent")),
        max_voltage_v=_first(*(_figure(one, "evMaxVoltage") for one in (ac, dc)), _figure(v2x, "maxVoltage")),
        max_power_w=_first(_figure(dc, "evMaxPower"), _sum_of_phases(v2x)),
        phases=_PHASES.get(word or ""),
        is_dc=(word or "").startswith("DC") or (bool(dc) and not ac),
    )


def _part(needs: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = needs.get(name)
    return part if isinstance(part, Mapping) else {}


def _figure(part: Mapping[str, Any], name: str) -> Decimal | None:
    value = part.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return Decimal(str(value))


def _target(v2x: Mapping[str, Any]) -> Decimal | None:
    return _figure(v2x, "evTargetEnergyRequest")


def _sum_of_phases(v2x: Mapping[str, Any]) -> Decimal | None:
    """2.1: the power of all phases, or of L1 where L2 and L3 have figures of their own."""
    figures = [_figure(v2x, name) for name in ("maxChargePower", "maxChargePower_L2", "maxChargePower_L3")]
    known = [figure for figure in figures if figure is not None]
    return sum(known, Decimal(0)) if known else None


def _first(*figures: Decimal | None) -> Decimal | None:
    return next((figure for figure in figures if figure is not None), None)


def _float(figure: Decimal | None) -> float | None:
    return None if figure is None else float(figure)


def fewer(steps: list[tuple[int, Decimal]], most: int) -> list[tuple[int, Decimal]]:
    """The same limits with `most` steps at most: neighbours that differ least become one, with the lower limit."""
    steps = _without_repeats(steps)
    while len(steps) > max(1, most):
        gaps = [abs(steps[index + 1][1] - steps[index][1]) for index in range(len(steps) - 1)]
        index = gaps.index(min(gaps))
        merged = (steps[index][0], min(steps[index][1], steps[index + 1][1]))
        steps = _without_repeats([*steps[:index], merged, *steps[index + 2 :]])
    return steps


def _without_repeats(steps: list[tuple[int, Decimal]]) -> list[tuple[int, Decimal]]:
    return [step for index, step in enumerate(steps) if index == 0 or step[1] != steps[index - 1][1]]
