import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.battery import CARS, Battery, Car, Supply, derating, taper

pytestmark = pytest.mark.feature("F5")

SALOON = next(car for car in CARS if car.name == "saloon")
SUPPLIES = [
    Supply.ac(1, 3_700.0),
    Supply.ac(1, 7_400.0),
    Supply.ac(3, 11_000.0),
    Supply.ac(3, 22_000.0),
    Supply.dc(50_000.0),
    Supply.dc(150_000.0),
    Supply.dc(350_000.0),
]


@st.composite
def batteries(draw: st.DrawFn) -> Battery:
    supply = draw(st.sampled_from(SUPPLIES))
    car = draw(st.sampled_from([car for car in CARS if car.fits(supply)]))
    return Battery(
        car,
        supply,
        soc=draw(st.floats(0.0, 1.0)),
        target_soc=draw(st.floats(0.0, 1.0)),
        ambient_c=draw(st.floats(-25.0, 45.0)),
        cell_c=draw(st.floats(-25.0, 60.0)),
        limit_w=draw(st.none() | st.floats(0.0, 400_000.0)),
    )


@given(batteries(), st.lists(st.floats(0.0, 3_600.0), max_size=8))
def test_energy_never_runs_backwards_and_limits_hold(battery: Battery, spans: list[float]) -> None:
    for span in spans:
        before = battery.soc
        step = battery.advance(span)
        assert 0.0 <= step.energy_wh <= battery.supply.max_power_w * span / 3600.0 + 1e-6
        assert 0.0 <= step.power_w <= battery.offered_w
        assert before <= step.soc <= max(before, battery.target_soc) + 1e-9
        assert math.isclose(
            (step.soc - before) * battery.car.capacity_wh,
            step.energy_wh * battery._efficiency,
            abs_tol=1e-3,
        )


@given(batteries(), st.floats(1.0, 7_200.0), st.floats(0.05, 0.95))
def test_the_result_hardly_depends_on_how_often_it_is_asked(battery: Battery, span: float, share: float) -> None:
    twin = Battery(
        battery.car, battery.supply, battery.soc, battery.target_soc, battery.ambient_c, battery.cell_c, battery.limit_w
    )
    whole = battery.advance(span).energy_wh
    parts = twin.advance(span * share).energy_wh + twin.advance(span * (1 - share)).energy_wh
    assert math.isclose(whole, parts, rel_tol=0.02, abs_tol=battery.supply.max_power_w * 10 / 3600)


@given(batteries())
def test_a_car_ends_full_and_stays_full(battery: Battery) -> None:
    battery.limit_w = None
    for _ in range(5):
        battery.advance(86_400.0)
    assert battery.is_full
    assert battery.advance(3_600.0).energy_wh == 0.0
    assert battery.power_w == 0.0


@pytest.mark.parametrize(
    ("car_name", "supply", "power_w"),
    [
        pytest.param("saloon", Supply.ac(1, 3_700.0), 3_666.0, id="one phase of a three-phase charger in the car"),
        pytest.param("saloon", Supply.ac(3, 22_000.0), 11_000.0, id="the on-board charger limits"),
        pytest.param("touring saloon", Supply.ac(3, 11_000.0), 11_000.0, id="the station limits"),
        pytest.param("city car", Supply.ac(3, 22_000.0), 6_600.0, id="one phase loaded of three"),
        pytest.param("saloon", Supply.dc(50_000.0), 50_000.0, id="DC, the station limits"),
        pytest.param("saloon", Supply.dc(350_000.0), 170_000.0, id="DC, the battery limits"),
    ],
)
def test_power_is_the_least_of_all_limits(car_name: str, supply: Supply, power_w: float) -> None:
    car = next(car for car in CARS if car.name == car_name)
    battery = Battery(car, supply, soc=0.3)
    battery.advance(60.0)
    assert battery.power_w == pytest.approx(power_w, rel=0.001)


def test_power_ramps_up_and_tapers_above_the_knee() -> None:
    battery = Battery(SALOON, Supply.dc(350_000.0), soc=0.3)
    at_start = battery.power_w
    battery.advance(30.0)
    assert at_start < 0.1 * battery.power_w
    curve = [taper(soc / 100) for soc in range(101)]
    assert curve[:81] == [1.0] * 81
    assert all(above > below for above, below in itertools.pairwise(curve[80:]))
    assert curve[-1] == pytest.approx(0.08)


def test_a_cold_or_hot_battery_takes_less() -> None:
    assert derating(-30.0) == 0.2
    assert derating(0.0) == pytest.approx(0.55)
    assert derating(20.0) == 1.0
    assert derating(80.0) == 0.3


def test_fast_charging_warms_the_cells() -> None:
    battery = Battery(SALOON, Supply.dc(350_000.0), soc=0.1)
    battery.advance(600.0)
    assert battery.cell_c > 21.0


def test_a_limit_of_the_station_counts_at_once() -> None:
    battery = Battery(SALOON, Supply.ac(3, 11_000.0))
    battery.advance(60.0)
    battery.limit_w = 4_200.0
    assert battery.power_w == pytest.approx(4_200.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Supply.ac(2, 11_000.0),
        lambda: Supply.ac(1, 11_000.0),
        lambda: Supply.ac(3, 43_000.0),
        lambda: Supply.dc(22_000.0),
        lambda: Battery(CARS[0], Supply.dc(50_000.0)),
        lambda: Battery(SALOON, Supply.ac(), soc=1.2),
        lambda: Battery(SALOON, Supply.ac()).advance(-1.0),
        lambda: Battery(SALOON, Supply.ac()).advance(1e9),
    ],
    ids=["two phases", "too much for a phase", "too much AC", "too little DC", "no inlet", "soc", "backwards", "years"],
)
def test_impossible_values_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        make()  # type: ignore[operator]


def test_a_car_without_dc_charges_on_ac() -> None:
    car = Car("scooter", 4_000.0, 1, 3_700.0, 0.0)
    battery = Battery(car, Supply.ac(1, 3_700.0), soc=0.0)
    assert battery.advance(7_200.0).soc == pytest.approx(1.0)
