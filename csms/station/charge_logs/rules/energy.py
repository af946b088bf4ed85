"""S6: what was charged between two readings of a register that may misbehave."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from csms.station.charge_logs.rules.moments import Flag
from csms.station.charge_logs.rules.quantities import LARGEST_CHARGE_WH, SLACK_WH

LARGEST_POWER_W: Final = 400_000
ROLLOVER_DIGITS: Final = range(5, 11)
ROUNDING_STEPS_WH: Final = (10, 100)
"""Meters that send kWh with two decimals or one."""


@dataclass(slots=True)
class Register:
    """A reading of the import register; `order` grows with arrival."""

    at: datetime
    wh: float
    order: int = 0


@dataclass(frozen=True, slots=True)
class Energy:
    """What was charged, and what is unusual about the register."""

    wh: int
    flags: frozenset[Flag] = frozenset()


@dataclass(slots=True)
class Tally:
    """Counts energy reading by reading, in the order of time."""

    last_at: datetime
    high_wh: float
    total_wh: float = 0.0
    flags: frozenset[Flag] = frozenset()
    before_reset: tuple[float, float] | None = None
    """`high_wh` and `total_wh` as they were, until it is sure that the register did begin again."""

    @classmethod
    def of(cls, start: Register) -> "Tally":
        return cls(start.at, start.wh)

    def copy(self) -> "Tally":
        return Tally(self.last_at, self.high_wh, self.total_wh, self.flags, self.before_reset)

    def add(self, register: Register) -> float:
        """Count a reading; returns the energy so far."""
        if self._is_back(register.wh):
            self.high_wh, self.total_wh = self.before_reset or (self.high_wh, self.total_wh)
            self.flags = self.flags - {Flag.METER_RESET} | {Flag.METER_BACKWARDS}
            self.before_reset = None
        if register.wh >= self.high_wh:
            self._gain(register.wh - self.high_wh, register.wh)
        elif not is_rounding(self.high_wh, register.wh):
            self._drop(register)
        self.last_at = register.at
        return self.total_wh

    def _is_back(self, register_wh: float) -> bool:
        """In one step back at its old height: it was no reset but a meter that could not be read for a while."""
        old_high_wh = None if self.before_reset is None else self.before_reset[0]
        return old_high_wh is not None and self.high_wh < old_high_wh / 2 and register_wh >= old_high_wh

    def _gain(self, gained_wh: float, high_wh: float) -> None:
        self.total_wh += gained_wh
        self.high_wh = high_wh

    def _drop(self, register: Register) -> None:
        """It rolled over its last digit, began again from zero, or ran backwards for a while."""
        modulus_wh = _rollover(self.high_wh, register.wh)
        if modulus_wh is not None:
            self.flags |= {Flag.METER_ROLLOVER}
            self._gain(modulus_wh - self.high_wh + register.wh, register.wh)
        elif register.wh < self.high_wh / 2:
            self.flags |= {Flag.METER_RESET}
            if self.before_reset is None or self.before_reset[0] < self.high_wh:
                self.before_reset = self.high_wh, self.total_wh
            elapsed_h = max(0.0, (register.at - self.last_at).total_seconds()) / 3600
            is_counted = 0 <= register.wh <= LARGEST_POWER_W * elapsed_h + SLACK_WH
            self._gain(register.wh if is_counted else 0.0, register.wh)
        else:  # what it counts again on its way back up was counted before
            self.flags |= {Flag.METER_BACKWARDS}


def is_rounding(before_wh: float, after_wh: float) -> bool:
    """Whether a drop comes only from one of the two having fewer decimals."""
    drop_wh = before_wh - after_wh
    return any(
        (after_wh % step == 0 and drop_wh < step) or (before_wh % step == 0 and drop_wh <= step / 2)
        for step in ROUNDING_STEPS_WH
    )


def _rollover(before_wh: float, after_wh: float) -> int | None:
    for digits in ROLLOVER_DIGITS:
        modulus_wh = int(10**digits)
        if modulus_wh * 0.99 <= before_wh < modulus_wh and 0 <= after_wh <= modulus_wh * 0.01:
            return modulus_wh
    return None


def energy(start: Register, samples: Iterable[Register], stop: Register | None) -> Energy:
    """The energy of a charge from its readings; never negative, whatever the order of `samples`.

    A register that never falls, in the order of its times or of its arrival (a clock may be set in between),
    gives last minus first. Otherwise its rising parts are added (see Tally) and the flags say what happened.
    """
    first, readings, flags = _without_rubbish(start, list(samples), stop)
    by_time = sorted(readings, key=lambda one: (one is stop, one.at, one.wh, one.order))
    by_arrival = sorted(readings, key=lambda one: (one is stop, one.order, one.at, one.wh))
    for readings in (by_time, by_arrival):
        last_wh = _last_if_rising(first.wh, readings)
        if last_wh is not None:
            fell = {Flag.METER_BACKWARDS} if last_wh < first.wh else set()
            return Energy(max(0, round(last_wh - first.wh)), flags | fell)
    tally = Tally.of(first)
    for one in by_time:
        tally.add(one)
    return Energy(round(tally.total_wh), flags | tally.flags)


def _last_if_rising(start_wh: float, readings: Iterable[Register]) -> float | None:
    high_wh = last_wh = start_wh
    for one in readings:
        if one.wh < high_wh and not is_rounding(high_wh, one.wh):
            return None
        high_wh, last_wh = max(high_wh, one.wh), one.wh
    return last_wh


def _without_rubbish(
    start: Register, samples: list[Register], stop: Register | None
) -> tuple[Register, list[Register], frozenset[Flag]]:
    """Leave out readings that no charge could reach; if none is left, the start was the wrong one."""
    readings = [*samples, stop] if stop is not None else samples
    near = [one for one in readings if one.wh - start.wh <= LARGEST_CHARGE_WH]
    if len(near) == len(readings):
        return start, readings, frozenset()
    if not near and samples:
        start = min(samples, key=lambda one: (one.at, one.wh, one.order))
        near = [one for one in readings if one.wh - start.wh <= LARGEST_CHARGE_WH]
    return start, near, frozenset({Flag.METER_IMPLAUSIBLE})
