"""S6, B7: what registers, times and samples mean: energy, duration, units, keys of repeats, the curve."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, Final


class Flag(StrEnum):
    """What is unusual about a charge."""

    OFFLINE = "offline"
    """It was told more than OFFLINE_AFTER late: the station had no connection."""
    CLOCK_SUSPECT = "clock_suspect"
    NO_TIME = "no_time"
    """The station sent none that can be read; the time of receipt was taken."""
    UNAUTHORISED = "unauthorised"
    """It began although the token was not accepted."""
    OVERLAPPING = "overlapping"
    """Told late, while a younger charge was open at the same charge point."""
    SUPERSEDED = "superseded"
    """Another charge began at the charge point before this one's stop came."""
    METER_RESET = "meter_reset"
    METER_ROLLOVER = "meter_rollover"
    METER_BACKWARDS = "meter_backwards"
    METER_IMPLAUSIBLE = "meter_implausible"
    ESTIMATED_END = "estimated_end"
    LATE_STOP = "late_stop"
    """The stop came after the end had been estimated, and corrected it."""
    OTHER_TOKEN = "other_token"  # noqa: S105  # a word, no secret
    """Stopped with a token neither the same nor of the same group."""
    PAIRED = "paired"
    """An operator gave it a stop that matched nothing."""


OFFLINE_AFTER: Final = timedelta(minutes=5)
AHEAD_MAX: Final = timedelta(minutes=5)
BEHIND_MAX: Final = timedelta(days=400)
"""A charge older than that is not an offline one but a wrong clock."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
CLOCK_SET: Final = datetime(2010, 1, 1, tzinfo=UTC)
"""A clock before that was never set: it shows the same times after each boot."""

REGISTER_MAX_WH: Final = 10**15
LARGEST_CHARGE_WH: Final = 2_000_000
LARGEST_POWER_W: Final = 400_000
SLACK_WH: Final = 1000
ROLLOVER_DIGITS: Final = range(5, 11)
ROUNDING_STEPS_WH: Final = (10, 100)
"""Meters that send kWh with two decimals or one."""


@dataclass(slots=True)
class Moment:
    """A station's time as it is stored, and what is unusual about it."""

    at: datetime
    flags: frozenset[Flag] = frozenset()


def moment(at: datetime | None, received_at: datetime) -> Moment:
    """A station's time that can be stored: the time of receipt where it sent none, or one out of all bounds."""
    if at is None:
        return Moment(received_at, frozenset({Flag.NO_TIME}))
    if not EARLIEST <= at < LATEST:
        return Moment(received_at, frozenset({Flag.CLOCK_SUSPECT}))
    if at - received_at > AHEAD_MAX or received_at - at > BEHIND_MAX:
        return Moment(at, frozenset({Flag.CLOCK_SUSPECT}))
    return Moment(at, frozenset({Flag.OFFLINE}) if received_at - at > OFFLINE_AFTER else frozenset())


def duration_s(started_at: datetime, stopped_at: datetime) -> int:
    """Whole seconds; 0 where the clock ran backwards in between."""
    return max(0, int((stopped_at - started_at).total_seconds()))


def bounded_register(register_wh: int) -> int:
    """A register that can be stored and reckoned with; beyond the bounds lies only rubbish."""
    return max(-REGISTER_MAX_WH, min(REGISTER_MAX_WH, register_wh))


def repeat_key(*parts: object) -> str:
    """What repeats of one message have in common, without showing it."""
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# Quantities: what a SampledValue says, in base units

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:[.,][0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?")
_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "wh": ("Wh", 1),
    "kwh": ("Wh", 1000),
    "varh": ("varh", 1),
    "kvarh": ("varh", 1000),
    "w": ("W", 1),
    "kw": ("W", 1000),
    "va": ("VA", 1),
    "kva": ("VA", 1000),
    "var": ("var", 1),
    "kvar": ("var", 1000),
    "a": ("A", 1),
    "v": ("V", 1),
    "k": ("K", 1),
    "celsius": ("Celsius", 1),
    "celcius": ("Celsius", 1),  # OCPP 1.6 as it was first printed
    "c": ("Celsius", 1),
    "fahrenheit": ("Fahrenheit", 1),
    "percent": ("Percent", 1),
    "%": ("Percent", 1),
    "hertz": ("Hertz", 1),
    "hz": ("Hertz", 1),
}
# What a value without unit is in (OCPP 1.6, 7.40: Wh for energy)
_DEFAULT_UNITS: Final = (
    ("Energy.Reactive", "varh"),
    ("Energy", "Wh"),
    ("Power.Reactive", "var"),
    ("Power.Factor", ""),
    ("Power", "W"),
    ("Current", "A"),
    ("Voltage", "V"),
    ("SoC", "Percent"),
    ("Temperature", "Celsius"),
    ("Frequency", "Hertz"),
)
REGISTER: Final = "Energy.Active.Import.Register"
POWER: Final = "Power.Active.Import"
STATE_OF_CHARGE: Final = "SoC"
_MEASURES: Final = (REGISTER, POWER, STATE_OF_CHARGE, "", None)
OUTLET: Final = "Outlet"
_PHASES: Final = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})


@dataclass(slots=True, eq=False)
class Quantity:
    """One SampledValue with the standard's defaults filled in, and its value in base units."""

    measurand: str
    phase: str | None
    location: str
    unit: str
    value: float
    is_fraction: bool = False
    """Written with decimals and without a unit."""


@dataclass(slots=True)
class Measures:
    """What the charge log needs of a set of values."""

    energy_wh: float | None = None
    power_w: float | None = None
    soc_percent: float | None = None


def number(sent: object) -> float | None:
    """A value as stations write it, with point or comma; None for what is none or out of all bounds."""
    if isinstance(sent, str):
        sent = sent.strip()
        if _NUMBER.fullmatch(sent) is None:
            return None
        value = float(sent.replace(",", ".") if "," in sent else sent)
    elif isinstance(sent, int | float) and not isinstance(sent, bool):
        value = float(sent)
    else:
        return None
    return value if -REGISTER_MAX_WH <= value <= REGISTER_MAX_WH else None


def quantity(sample: Mapping[str, Any]) -> Quantity | None:
    """Read an OCPP 1.6 SampledValue; None for signed data and for what is no number."""
    value = number(sample.get("value"))
    if value is None or sample.get("format") == "SignedData":
        return None
    measurand = str(sample.get("measurand") or REGISTER)
    sent, phase, location = sample.get("unit"), sample.get("phase"), sample.get("location")
    if sent:
        word = str(sent)
        unit, factor = _UNITS.get(word) or _UNITS.get(word.lower(), (word, 1))
    else:
        unit, factor = _default_unit(measurand), 1
    return Quantity(
        measurand,
        str(phase) if phase else None,
        str(location or OUTLET),
        unit,
        value * factor,
        is_fraction=not sent and not str(sample["value"]).strip().lstrip("+-").isdigit(),
    )


def _default_unit(measurand: str) -> str:
    return next((unit for prefix, unit in _DEFAULT_UNITS if measurand.startswith(prefix)), "")


def measures(samples: Iterable[object], meter_start_wh: float | None = None) -> Measures:
    """Register, power and state of charge out of a set of SampledValue objects, whatever their phases and units.

    `meter_start_wh` helps to see registers that were sent in kWh without saying so.
    """
    registers, powers, soc = list[Quantity](), list[Quantity](), None
    for one in samples:
        if not isinstance(one, dict) or one.get("measurand", REGISTER) not in _MEASURES:
            continue
        read = quantity(one)
        if read is None:
            continue
        if read.measurand == REGISTER:
            registers.append(read)
        elif read.measurand == POWER:
            powers.append(read)
        else:
            soc = read.value
    return Measures(_register(registers, meter_start_wh), _total(powers, "W"), soc)


def _register(read: Sequence[Quantity], meter_start_wh: float | None) -> float | None:
    value = _total(read, "Wh")
    if value is None or meter_start_wh is None or not all(one.is_fraction for one in read):
        return value
    return value * 1000 if _is_kwh_unsaid(value, meter_start_wh) else value


def _is_kwh_unsaid(value: float, meter_start_wh: float) -> bool:
    """Written with decimals, far below the register's start as Wh, and right behind it as kWh."""
    is_far_below = value < meter_start_wh / 10
    return is_far_below and -SLACK_WH <= value * 1000 - meter_start_wh <= LARGEST_CHARGE_WH


def _total(read: Sequence[Quantity], unit: str) -> float | None:
    """The value over all phases: as sent without phase, else the sum of the phases; of the outlet if there is one."""
    if len(read) == 1 and read[0].phase is None:
        return read[0].value if read[0].unit == unit and read[0].location != "EV" else None
    found = [one for one in read if one.unit == unit and one.location != "EV"]
    outlet = [one for one in found if one.location == OUTLET] or found
    totals = [one.value for one in outlet if one.phase is None]
    if totals:
        return max(totals)  # one set may hold the register at the begin and at the end
    phases = {one.phase: one.value for one in outlet if one.phase in _PHASES}
    return sum(phases.values()) if phases else None


# Energy: what was charged between two readings of a register that may misbehave


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


# The curve: what a chart shows


@dataclass(frozen=True, slots=True)
class Point:
    """The state of a charge at one moment: energy since the start, power, state of charge."""

    at: datetime
    energy_wh: float | None
    power_w: float | None
    soc_percent: float | None


def curve(start: Register, samples: Iterable[tuple[datetime, Measures]]) -> list[Point]:
    """Points in the order of time; power that was not sent is taken from the energy between two readings."""
    tally = Tally.of(start)
    points = []
    for at, read in sorted(samples, key=lambda sample: sample[0]):
        energy_wh, power_w = None, read.power_w
        if read.energy_wh is not None:
            before_wh, elapsed_s = tally.total_wh, (at - tally.last_at).total_seconds()
            energy_wh = tally.add(Register(at, read.energy_wh))
            if power_w is None and elapsed_s > 0:
                power_w = (energy_wh - before_wh) * 3600 / elapsed_s
        points.append(Point(at, energy_wh, power_w, read.soc_percent))
    return points


def thinned(points: Sequence[Point], points_max: int) -> list[Point]:
    """At most `points_max` (4 or more) of the points: both ends, and the highest and lowest power in between."""
    if len(points) <= points_max:
        return list(points)
    inner = points[1:-1]
    buckets = (points_max - 2) // 2
    kept = [points[0]]
    for index in range(buckets):
        bucket = inner[index * len(inner) // buckets : (index + 1) * len(inner) // buckets]
        ends = {min(bucket, key=_power), max(bucket, key=_power)}
        kept.extend(sorted(ends, key=lambda point: point.at))
    return [*kept, points[-1]]


def _power(point: Point) -> float:
    return -1.0 if point.power_w is None else point.power_w


# Stops that match nothing


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


# Use: when a station charges, and how much

HOURS: Final = 24
WEEKDAYS: Final = 7
SPAN_MAX: Final = timedelta(days=31)
"""A longer charge is cut: it is a wrong clock or a forgotten car, and would outweigh all others."""


PartOf = Callable[[datetime, tzinfo], str]
"""`day_of` or `month_of`."""


@dataclass(frozen=True, slots=True)
class Span:
    """One charge as statistics see it."""

    started_at: datetime
    duration_s: int
    energy_wh: int


@dataclass(slots=True)
class Use:
    """What happened in a stretch of time; charges count where they began."""

    charges: int = 0
    charging_s: float = 0.0
    energy_wh: float = 0.0

    def add(self, charges: int, charging_s: float, energy_wh: float) -> None:
        self.charges += charges
        self.charging_s += charging_s
        self.energy_wh += energy_wh


def usage(spans: Iterable[Span], zone: tzinfo) -> list[list[Use]]:
    """Use by weekday (0 is Monday) and hour of the day in that zone; energy is spread evenly over a charge's time."""
    week = [[Use() for _ in range(HOURS)] for _ in range(WEEKDAYS)]
    for span in spans:
        local = span.started_at.astimezone(zone)
        whole_s = min(span.duration_s, SPAN_MAX.total_seconds())
        first = week[local.weekday()][local.hour]
        first.add(1, 0, span.energy_wh if whole_s == 0 else 0)
        for weekday, hour, part_s in _by_hour(span.started_at, whole_s, zone):
            week[weekday][hour].add(0, part_s, span.energy_wh * part_s / whole_s)
    return week


def _by_hour(started_at: datetime, duration_s: float, zone: tzinfo) -> Iterable[tuple[int, int, float]]:
    """A stretch of time cut at the full hours of the zone's clocks: weekday, hour, seconds."""
    at, left_s = started_at.astimezone(UTC), duration_s
    while left_s > 0:
        local = at.astimezone(zone)
        part_s = min(left_s, 3600 - local.minute * 60 - local.second - local.microsecond / 1e6)
        yield local.weekday(), local.hour, part_s
        at += timedelta(seconds=max(part_s, 1e-3))  # a microsecond lost in rounding must not stand still
        left_s -= part_s


def day_of(at: datetime, zone: tzinfo) -> str:
    """The day in that zone, as 2026-01-31."""
    return at.astimezone(zone).date().isoformat()


def month_of(at: datetime, zone: tzinfo) -> str:
    """The month in that zone, as 2026-01."""
    return day_of(at, zone)[:7]


def consumption(spans: Iterable[Span], parts: Sequence[str], part_of: PartOf, zone: tzinfo) -> dict[str, Use]:
    """Use by part (day or month), parts without any included; a charge counts where it began."""
    found = {part: Use() for part in parts}
    for span in spans:
        part = part_of(span.started_at, zone)
        if part in found:
            found[part].add(1, span.duration_s, span.energy_wh)
    return found


def parts_between(start: datetime, end: datetime, part_of: PartOf, zone: tzinfo) -> list[str]:
    """The days or months of that zone that a period touches, in order; `end` is not in it."""
    parts: dict[str, None] = {}
    day, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    while day <= last:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        parts[part_of(noon, zone)] = None
        day += timedelta(days=1)
    return list(parts)
