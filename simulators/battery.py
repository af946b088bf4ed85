"""F5: a car's battery on a charger: power against state of charge, for AC and DC."""

import math
from dataclasses import dataclass
from typing import Self

KILO = 1000.0
PHASE_VOLTAGE_V = 230.0
MIN_AC_POWER_W = 3_600.0  # 16 A at 225 V, sold as 3.7 kW
MAX_AC_POWER_W = {1: 7_400.0, 3: 22_000.0}
MIN_DC_POWER_W, MAX_DC_POWER_W = 50_000.0, 350_000.0
MAX_STEP_S = 10.0
MAX_ADVANCE_S = 7 * 86_400.0

RAMP_S = 20.0  # IEC 61851 lets a car take its time; most are at full power within half a minute
TAPER_FROM_SOC = 0.8
TAPER_END = 0.08  # share of full acceptance that is left just before the battery is full
CHARGER_EFFICIENCY = 0.9  # on-board charger; DC measures after the rectifier and loses only in the cells
CELL_EFFICIENCY = 0.97

_FULL_POWER_FROM_C = 15.0
_DERATE_FROM_C = 42.0
_COLDEST_SHARE = 0.2
_HOTTEST_SHARE = 0.3
_HEAT_CAPACITY_WH_PER_K_PER_WH = 0.0016  # about 6 kg a kWh at 1 kJ/(kg K)
_COOLING_PER_S = 1 / 3600.0


@dataclass(frozen=True, slots=True)
class Supply:
    """What one connector can give: the limits of the station, not of the car."""

    is_dc: bool
    phases: int
    max_power_w: float

    @classmethod
    def ac(cls, phases: int = 3, max_power_w: float = 11_000.0) -> Self:
        """AC on one phase (up to 7.4 kW) or three (up to 22 kW), from 3.7 kW."""
        most_w = MAX_AC_POWER_W.get(phases)
        if most_w is None:
            raise ValueError(f"AC has 1 or 3 phases, not {phases}.")
        if not MIN_AC_POWER_W <= max_power_w <= most_w:
            raise ValueError(f"AC on {phases} phase(s) gives 3.7 to {most_w / KILO} kW, not {max_power_w} W.")
        return cls(is_dc=False, phases=phases, max_power_w=max_power_w)

    @classmethod
    def dc(cls, max_power_w: float = 150_000.0) -> Self:
        """DC from 50 to 350 kW, fed by three phases."""
        if not MIN_DC_POWER_W <= max_power_w <= MAX_DC_POWER_W:
            raise ValueError(f"DC gives 50 to 350 kW, not {max_power_w} W.")
        return cls(is_dc=True, phases=3, max_power_w=max_power_w)


@dataclass(frozen=True, slots=True)
class Car:
    """A car model: usable capacity, on-board charger, and the most its battery takes from DC (0: no DC inlet)."""

    name: str
    capacity_wh: float
    ac_phases: int
    max_ac_power_w: float
    max_dc_power_w: float

    def fits(self, supply: Supply) -> bool:
        """Whether the car has an inlet for this supply."""
        return not supply.is_dc or self.max_dc_power_w > 0


CARS = (
    Car("city car", 22_000.0, 1, 6_600.0, 0.0),
    Car("small hatchback", 42_000.0, 3, 11_000.0, 85_000.0),
    Car("compact", 58_000.0, 3, 11_000.0, 120_000.0),
    Car("saloon", 75_000.0, 3, 11_000.0, 170_000.0),
    Car("touring saloon", 84_000.0, 3, 22_000.0, 270_000.0),
    Car("van", 76_000.0, 3, 11_000.0, 115_000.0),
    Car("plug-in hybrid", 12_000.0, 1, 3_700.0, 0.0),
)


@dataclass(frozen=True, slots=True)
class Step:
    """What `advance` did: energy that passed the meter, power now, state of charge now (0 to 1)."""

    energy_wh: float
    power_w: float
    soc: float


@dataclass(slots=True)
class Battery:
    """The battery of one car on one supply.

    Power is the least of: the station's limit, the car's on-board charger (AC), and what the cells accept at this
    state of charge and temperature; it ramps up after the start. `limit_w` is a further limit of the station (a
    charging profile), None for no limit.
    """

    car: Car
    supply: Supply
    soc: float = 0.3
    target_soc: float = 1.0
    ambient_c: float = 20.0
    cell_c: float = 20.0
    limit_w: float | None = None
    _plugged_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.soc <= 1.0 or not 0.0 <= self.target_soc <= 1.0:
            raise ValueError("States of charge are shares from 0 to 1.")
        if not self.car.fits(self.supply):
            raise ValueError(f"The {self.car.name} has no DC inlet.")

    @property
    def is_full(self) -> bool:
        """Whether the car takes no more, being at its own target."""
        return self.soc >= self.target_soc - 1e-9

    @property
    def phases(self) -> int:
        """Phases that carry current: a one-phase car loads one phase of three."""
        return self.supply.phases if self.supply.is_dc else min(self.supply.phases, self.car.ac_phases)

    @property
    def offered_w(self) -> float:
        """The most that the station offers at this moment."""
        return self.supply.max_power_w if self.limit_w is None else min(self.supply.max_power_w, self.limit_w)

    @property
    def power_w(self) -> float:
        """Power through the meter at this moment, in W."""
        if self.is_full:
            return 0.0
        ramp = min(1.0, (self._plugged_s + 1.0) / RAMP_S)
        return ramp * min(self.offered_w, self._car_limit_w())

    def advance(self, seconds: float) -> Step:
        """Charge for so many seconds (0 to a week).

        Long spans are cut into short steps, so that the result hardly depends on how often this is called.
        """
        if not 0.0 <= seconds <= MAX_ADVANCE_S:
            raise ValueError(f"Advance by 0 to {MAX_ADVANCE_S:.0f} seconds, not {seconds}.")
        count = math.ceil(seconds / MAX_STEP_S)
        energy_wh = 0.0
        for _ in range(count):
            if self.is_full:
                break
            energy_wh += self._step(seconds / count)
        return Step(energy_wh, self.power_w, self.soc)

    def _step(self, seconds: float) -> float:
        power_w = self.power_w
        room_wh = max(0.0, self.target_soc - self.soc) * self.car.capacity_wh
        energy_wh = min(power_w * seconds / 3600.0, room_wh / self._efficiency)
        self.soc = min(1.0, self.soc + energy_wh * self._efficiency / self.car.capacity_wh)
        self._warm(energy_wh, seconds)
        self._plugged_s += seconds
        return energy_wh

    @property
    def _efficiency(self) -> float:
        return CELL_EFFICIENCY if self.supply.is_dc else CHARGER_EFFICIENCY

    def _car_limit_w(self) -> float:
        # A car without DC has cells that take a little more than its charger gives, so AC hardly tapers.
        cells_w = (self.car.max_dc_power_w or 1.5 * self.car.max_ac_power_w) * taper(self.soc) * derating(self.cell_c)
        if self.supply.is_dc:
            return cells_w
        charger_w = self.car.max_ac_power_w * self.phases / self.car.ac_phases
        station_w = self.supply.max_power_w * self.phases / self.supply.phases
        return min(cells_w, charger_w, station_w)

    def _warm(self, energy_wh: float, seconds: float) -> None:
        heat_wh = energy_wh * (1.0 - CELL_EFFICIENCY)
        self.cell_c += heat_wh / (self.car.capacity_wh * _HEAT_CAPACITY_WH_PER_K_PER_WH)
        self.cell_c += (self.ambient_c - self.cell_c) * min(1.0, seconds * _COOLING_PER_S)


def taper(soc: float) -> float:
    """Share of full acceptance at this state of charge: 1 up to the knee, then falling until the battery is full."""
    if soc <= TAPER_FROM_SOC:
        return 1.0
    return 1.0 - (1.0 - TAPER_END) * (soc - TAPER_FROM_SOC) / (1.0 - TAPER_FROM_SOC)


def derating(cell_c: float) -> float:
    """Share of full acceptance at this cell temperature: cold cells must not plate, hot ones must not age."""
    cold = 1.0 - (_FULL_POWER_FROM_C - cell_c) * 0.03
    hot = 1.0 - (cell_c - _DERATE_FROM_C) * 0.05
    return min(1.0, max(_COLDEST_SHARE, cold), max(_HOTTEST_SHARE, hot))
