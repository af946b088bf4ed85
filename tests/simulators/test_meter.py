import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.battery import CARS, Battery, Supply
from simulators.meter import MEASURANDS, Meter, SampleLog, sampled_values

pytestmark = pytest.mark.feature("F5")

CITY_CAR, SALOON = CARS[0], CARS[3]


@given(st.lists(st.floats(0.0, 5_000.0), max_size=30))
def test_the_register_only_counts_up_and_loses_nothing(energies: list[float]) -> None:
    meter = Meter()
    shown = [meter.energy_wh]
    for energy_wh in energies:
        meter.add(energy_wh)
        shown.append(meter.energy_wh)
    assert all(earlier <= later for earlier, later in itertools.pairwise(shown))
    assert abs(meter.energy_wh - sum(energies)) < 1.001


def test_the_register_refuses_to_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        Meter().add(-0.1)


@given(
    st.sampled_from(CARS),
    st.sampled_from([Supply.ac(1, 7_400.0), Supply.ac(3, 22_000.0), Supply.dc()]),
    st.floats(0, 1),
)
def test_voltage_times_current_is_power(car: object, supply: Supply, soc: float) -> None:
    if not car.fits(supply):  # type: ignore[attr-defined]
        return
    battery = Battery(car, supply, soc=soc)  # type: ignore[arg-type]
    battery.advance(60.0)
    seen = Meter().measure(battery)
    power_w = sum(volts * amps for volts, amps in zip(seen.voltages_v, seen.currents_a, strict=True))
    assert power_w == pytest.approx(seen.power_w, rel=1e-6)


def test_a_one_phase_car_leaves_two_phases_idle() -> None:
    battery = Battery(CITY_CAR, Supply.ac(3, 22_000.0))
    battery.advance(60.0)
    values = sampled_values(Meter().measure(battery), ["Current.Import", "Voltage"], "Sample.Periodic")
    assert [(value["phase"], value["value"]) for value in values] == [
        ("L1", "29.1"),
        ("L2", "0.0"),
        ("L3", "0.0"),
        ("L1-N", "226.5"),
        ("L2-N", "230.0"),
        ("L3-N", "230.0"),
    ]


def test_dc_tells_the_state_of_charge_and_ac_cannot() -> None:
    fast = Battery(SALOON, Supply.dc(), soc=0.42)
    slow = Battery(SALOON, Supply.ac(), soc=0.42)
    (soc,) = sampled_values(Meter().measure(fast), ["SoC"], "Sample.Periodic")
    assert soc == {
        "value": "42",
        "context": "Sample.Periodic",
        "measurand": "SoC",
        "location": "EV",
        "unit": "Percent",
    }
    assert sampled_values(Meter().measure(slow), ["SoC", "Temperature"], "Sample.Periodic") == []


def test_a_sample_reads_in_the_order_of_the_schema() -> None:
    meter = Meter(register_wh=1_234.9)
    (energy,) = sampled_values(meter.measure(None), ["Energy.Active.Import.Register"], "Transaction.Begin")
    assert list(energy.items()) == [
        ("value", "1234"),
        ("context", "Transaction.Begin"),
        ("measurand", "Energy.Active.Import.Register"),
        ("location", "Outlet"),
        ("unit", "Wh"),
    ]


@pytest.mark.parametrize("measurand", MEASURANDS)
def test_every_measurand_is_written_for_idle_ac_and_dc(measurand: str) -> None:
    batteries = [None, Battery(SALOON, Supply.ac()), Battery(SALOON, Supply.dc())]
    for battery in batteries:
        for value in sampled_values(Meter().measure(battery), [measurand], "Trigger"):
            assert value["measurand"] == measurand
            float(value["value"])


def test_the_log_of_samples_stays_bounded_and_keeps_first_and_last() -> None:
    log = SampleLog(limit=10)
    for number in range(1_000):
        log.add({"number": number})
    kept = [sample["number"] for sample in log.samples]
    assert len(kept) <= 10
    assert kept[0] == 0
    assert kept[-1] == 999
    assert kept == sorted(kept)
