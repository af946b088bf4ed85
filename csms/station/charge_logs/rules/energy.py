"""S6: what was charged between two readings of a register that may misbehave."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from csms.station.charge_logs.rules.moments import Flag
from csms.station.charge_logs.rules.quantities import LARGEST_CHARGE_WH, SLACK_WH

LARGEST_POWER_W: Final = 400_000
LARGEST_STEP_WH: Final = 100_000
"""More than that at once, faster than LARGEST_POWER_W could bring it, is worth a flag."""
SPIKE_READINGS_MAX: Final = 10
"""So soon a register is back at its true height if it only showed rubbish in between."""
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
            self._rise(register)
        elif not is_rounding(self.high_wh, register.wh):
            self._drop(register)
        self.last_at = register.at
        return self.total_wh

    def _is_back(self, register_wh: float) -> bool:
        """In one step back at its old height: it was no reset but a meter that could not be read for a while."""
        old_high_wh = None if self.before_reset is None else self.before_reset[0]
        return old_high_wh is not None and self.high_wh < old_high_wh / 2 and register_wh >= old_high_wh

    def _rise(self, register: Register) -> None:
        gained_wh = register.wh - self.high_wh
        if gained_wh > LARGEST_STEP_WH and _is_jump(Register(self.last_at, self.high_wh), register):
            self.flags |= {Flag.METER_IMPLAUSIBLE}
            if self.high_wh == 0 == self.total_wh:  # as in _true_start
                gained_wh = 0
        self._gain(gained_wh, register.wh)

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
            is_counted = 0 <= register.wh <= _possible_wh(register.at - self.last_at)
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


def _possible_wh(elapsed: timedelta) -> float:
    """What can have been charged in that time."""
    return LARGEST_POWER_W * max(0.0, elapsed.total_seconds()) / 3600 + SLACK_WH


def _is_jump(before: Register, after: Register) -> bool:
    """Whether a rise is large, and faster than any charger."""
    return after.wh - before.wh > max(LARGEST_STEP_WH, _possible_wh(after.at - before.at))


def energy(start: Register, samples: Iterable[Register], stop: Register | None) -> Energy:
    """The energy of a charge from its readings; never negative, whatever the order of `samples`.

    A register that never falls, in the order of its times or of its arrival (a clock may be set in between),
    gives last minus first; readings that stick out are left out first. Otherwise its rising parts are added
    (see Tally), and the flags say what happened.
    """
    start, samples, was_0 = _true_start(start, list(samples), stop)
    first, readings, flags = _without_rubbish(start, samples, stop)
    flags |= {Flag.METER_IMPLAUSIBLE} if was_0 else set()
    by_time = sorted(readings, key=lambda one: (one is stop, one.at, one.wh, one.order))
    last_wh = _last_if_rising_somehow(first.wh, by_time, stop)
    if last_wh is None:
        by_time = without_spikes(first, by_time)
        flags |= {Flag.METER_IMPLAUSIBLE} if len(by_time) < len(readings) else set()
        last_wh = _last_if_rising_somehow(first.wh, by_time, stop)
    if last_wh is None:
        tally = Tally.of(first)
        for one in by_time:
            tally.add(one)
        return Energy(round(tally.total_wh), flags | tally.flags)
    if last_wh < first.wh:
        flags |= {Flag.METER_BACKWARDS}
    if any(_is_jump(*pair) for pair in pairwise([first, *by_time])):
        flags |= {Flag.METER_IMPLAUSIBLE}
    return Energy(max(0, round(last_wh - first.wh)), flags)


def _true_start(
    start: Register, samples: list[Register], stop: Register | None
) -> tuple[Register, list[Register], bool]:
    """Some stations say 0 when a charge starts, whatever the meter shows: then its first reading is its start.

    That is the lowest, whenever the clock says that it was. Returns the start, the readings that count, and whether
    it was so.
    """
    shown = [one for one in samples if one.wh != 0] if start.wh == 0 else []
    if not shown:
        return start, samples, False
    first = min(shown, key=lambda one: (one.wh, one.at, one.order))
    end = stop or max(shown, key=lambda one: (one.at, one.wh))
    if not _is_jump(start, first) or end.wh < first.wh:
        return start, samples, False
    return first, shown, True


def without_spikes(start: Register, by_time: Sequence[Register]) -> list[Register]:
    """Without readings that no charger could have reached so fast, if the register was lower again soon after them."""
    kept, before = list[Register](), start
    for index, one in enumerate(by_time, 1):
        if one.wh - before.wh > _possible_wh(one.at - before.at):
            following = by_time[index : index + SPIKE_READINGS_MAX]
            if any(before.wh <= later.wh < one.wh for later in following):
                continue
        kept.append(one)
        before = one
    return kept


def _last_if_rising_somehow(start_wh: float, by_time: Sequence[Register], stop: Register | None) -> float | None:
    """In the order of time, or in that of arrival."""
    last_wh = _last_if_rising(start_wh, by_time)
    if last_wh is not None:
        return last_wh
    return _last_if_rising(start_wh, sorted(by_time, key=lambda one: (one is stop, one.order, one.at, one.wh)))


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
