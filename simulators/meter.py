"""F5: a station's energy meter and what it writes into OCPP 1.6 meter values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from simulators.battery import PHASE_VOLTAGE_V, Battery

SampledValue = dict[str, str]

_PHASES = ("L1", "L2", "L3")
_LINE_OHM = 0.12  # lets the voltage sag a little under load, as it does on a real site
_DC_BUS_V = 400.0
_FREQUENCY_HZ = 50.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a meter shows at one moment. `soc` is a share, None where the station cannot know it (AC)."""

    energy_wh: int
    power_w: float = 0.0
    offered_w: float = 0.0
    currents_a: tuple[float, ...] = (0.0, 0.0, 0.0)
    voltages_v: tuple[float, ...] = (PHASE_VOLTAGE_V,) * 3
    is_dc: bool = False
    soc: float | None = None
    temperature_c: float | None = None


@dataclass(slots=True)
class Meter:
    """An energy register in Wh that only ever counts up; fractions are kept until they make a whole Wh."""

    register_wh: float = 0.0
    voltage_v: float = PHASE_VOLTAGE_V

    def add(self, energy_wh: float) -> None:
        """Count energy that passed (0 or more)."""
        if energy_wh < 0:
            raise ValueError("An import register does not run backwards.")
        self.register_wh += energy_wh

    @property
    def energy_wh(self) -> int:
        """The register as it is shown and billed."""
        return int(self.register_wh)

    def measure(self, battery: Battery | None, phases: int = 3) -> Measurement:
        """Read the meter; without a battery nothing flows."""
        if battery is None:
            return Measurement(self.energy_wh, currents_a=(0.0,) * phases, voltages_v=(self.voltage_v,) * phases)
        measure = self._measure_dc if battery.supply.is_dc else self._measure_ac
        return measure(battery)

    def _measure_ac(self, battery: Battery) -> Measurement:
        power_w = battery.power_w
        loaded = battery.phases
        volts, amps = _under_load(power_w / loaded, self.voltage_v)
        idle = battery.supply.phases - loaded
        return Measurement(
            energy_wh=self.energy_wh,
            power_w=power_w,
            offered_w=battery.offered_w,
            currents_a=(amps,) * loaded + (0.0,) * idle,
            voltages_v=(volts,) * loaded + (self.voltage_v,) * idle,
        )

    def _measure_dc(self, battery: Battery) -> Measurement:
        power_w = battery.power_w
        bus_v = _DC_BUS_V * (0.88 + 0.16 * battery.soc)
        return Measurement(
            energy_wh=self.energy_wh,
            power_w=power_w,
            offered_w=battery.offered_w,
            currents_a=(power_w / bus_v,),
            voltages_v=(bus_v,),
            is_dc=True,
            soc=battery.soc,
            temperature_c=battery.cell_c,
        )


def _under_load(power_w: float, open_v: float) -> tuple[float, float]:
    """Voltage and current of one phase: open_v = v + r * (p / v), solved for the upper v."""
    volts = (open_v + (open_v**2 - 4.0 * _LINE_OHM * power_w) ** 0.5) / 2.0
    return volts, power_w / volts


Writer = Callable[[Measurement], list[SampledValue]]


def _value(text: str, unit: str, phase: str | None = None, location: str = "Outlet") -> SampledValue:
    # Keys in the order of the schema: some parsers match text (ROBUSTNESS, what real stations do).
    place = {"phase": phase} if phase else {}
    return {"value": text, **place, "location": location, "unit": unit}


def _per_phase(values: Sequence[float], unit: str, *, is_dc: bool, to_neutral: bool = False) -> list[SampledValue]:
    if is_dc:
        return [_value(f"{values[0]:.1f}", unit)]
    suffix = "-N" if to_neutral else ""
    return [_value(f"{value:.1f}", unit, phase + suffix) for phase, value in zip(_PHASES, values, strict=False)]


def _energy(seen: Measurement) -> list[SampledValue]:
    return [_value(str(seen.energy_wh), "Wh")]


def _power(seen: Measurement) -> list[SampledValue]:
    return [_value(f"{seen.power_w:.0f}", "W")]


def _power_offered(seen: Measurement) -> list[SampledValue]:
    return [_value(f"{seen.offered_w:.0f}", "W")]


def _current(seen: Measurement) -> list[SampledValue]:
    return _per_phase(seen.currents_a, "A", is_dc=seen.is_dc)


def _current_offered(seen: Measurement) -> list[SampledValue]:
    volts = seen.voltages_v[0] * len(seen.voltages_v)
    return [_value(f"{seen.offered_w / volts:.1f}", "A")]


def _voltage(seen: Measurement) -> list[SampledValue]:
    return _per_phase(seen.voltages_v, "V", is_dc=seen.is_dc, to_neutral=True)


def _frequency(_seen: Measurement) -> list[SampledValue]:
    # OCPP 1.6 has no Hz among its units; the errata say to leave the unit out.
    return [{"value": f"{_FREQUENCY_HZ:.2f}", "location": "Inlet"}]


def _soc(seen: Measurement) -> list[SampledValue]:
    return [] if seen.soc is None else [_value(f"{seen.soc * 100:.0f}", "Percent", location="EV")]


def _temperature(seen: Measurement) -> list[SampledValue]:
    if seen.temperature_c is None:
        return []
    return [_value(f"{seen.temperature_c:.1f}", "Celsius", location="EV")]


MEASURANDS: dict[str, Writer] = {
    "Energy.Active.Import.Register": _energy,
    "Power.Active.Import": _power,
    "Power.Offered": _power_offered,
    "Current.Import": _current,
    "Current.Offered": _current_offered,
    "Voltage": _voltage,
    "Frequency": _frequency,
    "SoC": _soc,
    "Temperature": _temperature,
}


def sampled_values(seen: Measurement, measurands: Sequence[str], context: str) -> list[SampledValue]:
    """The `sampledValue` list of OCPP 1.6 (7.43) for these measurands.

    Raises KeyError for a measurand that the meter does not know (ChangeConfiguration refuses those before).
    """
    written: list[SampledValue] = []
    for name in measurands:
        for value in MEASURANDS[name](seen):
            number = value.pop("value")
            written.append({"value": number, "context": context, "measurand": name, **value})
    return written


@dataclass(slots=True)
class SampleLog:
    """Meter values kept for StopTransaction's `transactionData`: thinned, so that a week's charge fits one message."""

    limit: int = 100
    _samples: list[dict[str, Any]] = field(default_factory=list)

    def add(self, sample: dict[str, Any]) -> None:
        """Keep one more; when full, every second of those between the first and this one goes."""
        if len(self._samples) >= self.limit:
            self._samples = self._samples[:1] + self._samples[2::2]
        self._samples.append(sample)

    @property
    def samples(self) -> list[dict[str, Any]]:
        """What is kept, oldest first."""
        return list(self._samples)
