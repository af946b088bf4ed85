"""F5: the people and the bad luck of a simulated station: cars come, charge and leave; things break and are mended."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from simulators.battery import CARS, Battery, Supply
from simulators.clock import Clock
from simulators.fault import Fault
from simulators.v16 import Station as Station16
from simulators.v201 import Station as Station201

Station = Station16 | Station201

FUMBLING_S = (5.0, 40.0)  # between plugging in and holding the tag to the reader, or the other way round
LONGEST_STAY_S = 24 * 3600.0

FAULTS = (
    Fault("GroundFailure", "RCD-31", "residual current above 30 mA"),
    Fault("OverCurrentFailure", "OC-02", "current above 110 % of the offer"),
    Fault("ConnectorLockFailure", "LOCK-1", "the lock does not close"),
    Fault("HighTemperature", "TEMP-85", "power stage at 85 degrees"),
    Fault("EVCommunicationError", "CP-E", "control pilot in state E"),
    Fault("UnderVoltage", "GRID-LOW", "L2 below 195 V"),
    Fault("PowerMeterFailure", "METER-7", "no answer from the meter"),
)


@dataclass(frozen=True, slots=True)
class Habits:
    """How people use a site; times in simulated seconds. Means are those of an exponential distribution."""

    id_tags: Sequence[str] = ("DRIVER-1", "DRIVER-2", "DRIVER-3", "DRIVER-4", "DRIVER-5")
    first_arrival_s: float = 60.0
    mean_gap_s: float = 900.0
    mean_linger_s: float = 600.0
    hurried_share: float = 0.3
    faults_per_hour: float = 0.0


class Driver:
    """Everybody who ever charges at one connector, one after the other. All dice come from `rng`."""

    def __init__(self, station: Station, connector_id: int, habits: Habits, rng: random.Random) -> None:
        self._station = station
        self._connector_id = connector_id
        self._habits = habits
        self._rng = rng

    async def run(self) -> None:
        """Visit after visit, until cancelled."""
        await self._clock.sleep(self._rng.uniform(0.0, self._habits.first_arrival_s))
        while True:
            await self.visit()
            await self._clock.sleep(self._rng.expovariate(1.0 / self._habits.mean_gap_s))

    async def visit(self) -> bool:
        """One car comes, tries to charge, and leaves; whether it charged."""
        battery, id_tag = self._arrive(), self._rng.choice(self._habits.id_tags)
        has_charged = await self._begin(battery, id_tag)
        if has_charged:
            await self._clock.sleep(self._stay_s(battery))
            if self._station.charging.is_charging(self._connector_id):
                await self._station.charging.present_tag(self._connector_id, id_tag)
        await self._fumble()
        self._station.charging.unplug(self._connector_id)
        return has_charged

    async def _begin(self, battery: Battery, id_tag: str) -> bool:
        charging, number = self._station.charging, self._connector_id
        if self._rng.random() < 0.5:  # noqa: PLR2004 half of the people plug in first
            charging.plug_in(number, battery)
            await self._fumble()
            return await charging.present_tag(number, id_tag)
        presenting = asyncio.ensure_future(charging.present_tag(number, id_tag))
        try:
            await self._fumble()
            charging.plug_in(number, battery)
            return await presenting
        finally:
            presenting.cancel()

    def _arrive(self) -> Battery:
        supply = self._station.nameplate.supply
        car = self._rng.choice([car for car in CARS if car.fits(supply)])
        soc = self._rng.triangular(0.05, 0.8, 0.35)
        target = self._rng.choice((0.8, 0.9, 1.0)) if supply.is_dc else 1.0
        return Battery(car, supply, soc=soc, target_soc=max(soc, target), ambient_c=self._rng.gauss(12.0, 6.0))

    def _stay_s(self, battery: Battery) -> float:
        """Until the car is full and somewhat longer; some cannot wait."""
        charge_s = seconds_to_full(battery)
        if self._rng.random() < self._habits.hurried_share:
            charge_s *= self._rng.uniform(0.2, 0.9)
        return min(LONGEST_STAY_S, charge_s + self._rng.expovariate(1.0 / self._habits.mean_linger_s))

    async def _fumble(self) -> None:
        await self._clock.sleep(self._rng.uniform(*FUMBLING_S))

    @property
    def _clock(self) -> Clock:
        return self._station.clock


def seconds_to_full(battery: Battery) -> float:
    """Roughly how long a charge takes: the energy at full power, and a fifth for ramp and taper."""
    car, supply = battery.car, battery.supply
    power_w = min(supply.max_power_w, car.max_dc_power_w if supply.is_dc else _ac_power_w(battery))
    return 1.2 * 3600.0 * (battery.target_soc - battery.soc) * car.capacity_wh / power_w


def _ac_power_w(battery: Battery) -> float:
    return battery.car.max_ac_power_w * battery.phases / battery.car.ac_phases


class Mischief:
    """Bad luck at a mean rate: broken connectors, power cuts, lost links and rubbish on the wire."""

    def __init__(self, station: Station, habits: Habits, rng: random.Random) -> None:
        self._station = station
        self._rate_per_hour = habits.faults_per_hour
        self._rng = rng

    async def run(self) -> None:
        """Strike again and again, until cancelled."""
        while True:
            await self._station.clock.sleep(3600.0 * self._rng.expovariate(self._rate_per_hour))
            await self.strike()

    async def strike(self) -> None:
        """One piece of bad luck."""
        strikes = (self._break_connector, self._drop, self._offline, self._garbage, self._power_cut)
        await self._rng.choices(strikes, weights=(4, 3, 2, 1, 1))[0]()

    async def _break_connector(self) -> None:
        charging = self._station.charging
        number = self._rng.randrange(1, len(charging.numbers) + 1)
        charging.fail(number, self._rng.choice(FAULTS))
        await self._station.clock.sleep(self._rng.uniform(60.0, 1_800.0))
        charging.repair(number)

    async def _drop(self) -> None:
        self._station.drop_connection()

    async def _offline(self) -> None:
        self._station.go_offline(self._rng.uniform(30.0, 1_200.0))

    async def _garbage(self) -> None:
        await self._station.send_garbage()

    async def _power_cut(self) -> None:
        self._station.lose_power(self._rng.uniform(10.0, 600.0))


def supply_for(kind: str, rng: random.Random) -> Supply:
    """A supply by its short name: ac1 (7.4 kW), ac3 (11 or 22 kW), dc (50 to 350 kW), mix. Raises ValueError."""
    if kind == "mix":
        kind = rng.choices(("ac1", "ac3", "dc"), weights=(1, 5, 2))[0]
    match kind:
        case "ac1":
            return Supply.ac(1, 7_400.0)
        case "ac3":
            return Supply.ac(3, rng.choice((11_000.0, 22_000.0)))
        case "dc":
            return Supply.dc(rng.choice((50_000.0, 150_000.0, 300_000.0, 350_000.0)))
    raise ValueError(f"A supply is ac1, ac3, dc or mix, not {kind!r}.")
