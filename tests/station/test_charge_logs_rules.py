"""S6, B7: what registers, units and times mean, tried with whatever a station may send."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.station.charge_logs.rules import (
    LARGEST_CHARGE_WH,
    LARGEST_POWER_W,
    REGISTER_MAX_WH,
    SLACK_WH,
    Energy,
    Flag,
    Measures,
    Moment,
    OpenCharge,
    Point,
    Register,
    Span,
    bounded_register,
    candidates,
    consumption,
    curve,
    day_of,
    duration_s,
    energy,
    measures,
    moment,
    number,
    parts_between,
    quantity,
    repeat_key,
    thinned,
    usage,
)

pytestmark = pytest.mark.feature("S6", "B7")
AT = datetime(2026, 1, 1, tzinfo=UTC)


def _registers(*values: float, every_min: float = 10, start_wh: float = 1000) -> tuple[Register, list[Register]]:
    readings = [Register(AT + timedelta(minutes=every_min * step), wh, step) for step, wh in enumerate(values, start=1)]
    return Register(AT, start_wh), readings


def _energy(start_wh: float, *values: float) -> Energy:
    """The last value is the stop's."""
    start, readings = _registers(*values, start_wh=start_wh)
    return energy(start, readings[:-1], readings[-1])


@pytest.mark.parametrize(
    ("start", "values", "wh", "flags"),
    [
        (1000, [1500, 2000], 1000, set()),
        (1000, [1000], 0, set()),
        (5000, [8000, 0, 700], 3700, {Flag.METER_RESET}),
        (5000, [8000, 8100, 400], 3500, {Flag.METER_RESET}),
        (0, [5000, 300, 2000, 4000, 6000], 11000, {Flag.METER_RESET}),
        (5000, [6000, 0, 7000, 8000], 3000, {Flag.METER_BACKWARDS}),
        (0, [10_000, 0, 4000, 10_000], 10_000, {Flag.METER_BACKWARDS}),
        (0, [10_000, 0, 5000, 10_000], 20_000, {Flag.METER_RESET}),
        (0, [10_000, 5000, 12_000], 12_000, {Flag.METER_BACKWARDS}),
        (123_456, [123, 124, 123_956], 500, {Flag.METER_BACKWARDS}),
        (99_000, [99_900, 400, 900], 1900, {Flag.METER_ROLLOVER}),
        (999_900, [100], 200, {Flag.METER_ROLLOVER}),
        (5000, [6000, 5500, 7000], 2000, {Flag.METER_BACKWARDS}),
        (5000, [4990], 0, {Flag.METER_BACKWARDS}),
        (5000, [4000], 0, {Flag.METER_BACKWARDS}),
        (5000, [9000, 0], 4000, {Flag.METER_RESET}),
        (5000, [-3], 0, {Flag.METER_RESET}),
        (12_345, [12_300, 12_400, 12_450], 105, set()),
        (1000, [REGISTER_MAX_WH, 2000], 1000, {Flag.METER_IMPLAUSIBLE}),
        (0, [5_000_000, 5_001_000, 5_002_000], 2000, {Flag.METER_IMPLAUSIBLE}),
        (0, [5_000_000], 0, {Flag.METER_IMPLAUSIBLE}),
        (5000, [9_000_000, 3_000_000], 0, {Flag.METER_IMPLAUSIBLE, Flag.METER_RESET}),
    ],
    ids=[
        "rising",
        "nothing charged",
        "reset to zero",
        "reset at the end",
        "reset, then slowly higher than before",
        "could not be read for a while",
        "back at its old height from below half of it",
        "at its old height by two steps of half of it",
        "half of its height is no reset",
        "kWh for a while",
        "rollover",
        "rollover at the end",
        "backwards for a while",
        "stop a little below start",
        "stop below start",
        "stop sent as zero",
        "stop below zero",
        "rounded to 0.1 kWh",
        "spike",
        "start sent as zero",
        "start sent as zero, no samples",
        "nothing that could be",
    ],
)
def test_energy_of_a_register(start: float, values: list[float], wh: int, flags: set[Flag]) -> None:
    assert _energy(start, *values) == Energy(wh, frozenset(flags))


@pytest.mark.parametrize(("too_much_wh", "wh"), [(0, 101_000), (1, 0)])
def test_what_a_register_shows_after_a_reset_counts_if_a_charge_could_reach_it(too_much_wh: int, wh: int) -> None:
    shown_wh = LARGEST_POWER_W / 4 + SLACK_WH + too_much_wh
    start, readings = _registers(shown_wh, every_min=15, start_wh=500_000)
    assert energy(start, [], readings[0]) == Energy(wh, frozenset({Flag.METER_RESET}))


def test_a_clock_set_back_in_mid_charge_is_no_reset() -> None:
    start = Register(AT, 50)
    hour = timedelta(hours=1)
    before = [Register(AT + timedelta(minutes=step), 100.0 * step, step) for step in (1, 2)]
    after = [Register(AT - hour + timedelta(minutes=step), 100.0 * step, step) for step in (3, 4)]
    assert energy(start, [*before, *after], Register(AT - hour + timedelta(minutes=5), 450)) == Energy(400)


wh_values = st.floats(min_value=-REGISTER_MAX_WH, max_value=REGISTER_MAX_WH, allow_nan=False)
near_values = st.floats(min_value=0, max_value=20_000)
any_wh = wh_values | near_values
registers = st.builds(
    Register,
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # bounds are naive by contract
    any_wh,
    st.integers(0, 50),
)


@given(registers, st.lists(registers, max_size=12), st.none() | registers)
def test_energy_is_never_negative(start: Register, samples: list[Register], stop: Register | None) -> None:
    assert energy(start, samples, stop).wh >= 0


@given(registers, st.lists(registers, max_size=8), st.none() | registers, st.randoms(use_true_random=False))
def test_energy_does_not_depend_on_the_order_of_the_samples(
    start: Register, samples: list[Register], stop: Register | None, dice: Any
) -> None:
    shuffled = samples[:]
    dice.shuffle(shuffled)
    assert energy(start, shuffled, stop) == energy(start, samples, stop)


@given(registers, st.lists(registers, max_size=8), st.none() | registers)
def test_a_repeated_sample_changes_no_energy(start: Register, samples: list[Register], stop: Register | None) -> None:
    assert energy(start, samples * 2, stop) == energy(start, samples, stop)


rising = st.lists(st.integers(0, 20_000), min_size=1, max_size=12)


@given(st.integers(0, 10**9), rising)
def test_a_register_that_never_falls_gives_last_minus_first(start: int, steps: list[int]) -> None:
    values = [start + sum(steps[: index + 1]) for index in range(len(steps))]
    assert _energy(start, *values) == Energy(sum(steps))


@given(st.integers(0, 10**6), rising, rising)
def test_the_parts_of_a_charge_add_up(start: int, first: list[int], second: list[int]) -> None:
    middle = start + sum(first)
    whole = _energy(start, *_rising_from(start, first), *_rising_from(middle, second)).wh
    assert whole == _energy(start, *_rising_from(start, first)).wh + _energy(middle, *_rising_from(middle, second)).wh


@given(st.lists(st.lists(st.integers(0, 2000), min_size=1, max_size=12), min_size=2, max_size=4))
def test_the_rising_parts_of_a_register_that_resets_add_up(parts: list[list[int]]) -> None:
    steps_of = [[2000, 2000, 2000, *steps] for steps in parts]
    values = [value for steps in steps_of for value in _rising_from(0, steps)]
    assert _energy(0, *values) == Energy(sum(map(sum, steps_of)), frozenset({Flag.METER_RESET}))


def _rising_from(start: int, steps: list[int]) -> list[int]:
    return [start + sum(steps[: index + 1]) for index in range(len(steps))]


# Values


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("12.5", 12.5),
        ("12,5", 12.5),
        (" 7 ", 7),
        ("-3", -3),
        ("1e3", 1000),
        (5, 5),
        (1.5, 1.5),
        ("", None),
        ("n/a", None),
        ("NaN", None),
        ("1e99", None),
        ("1" * 40, None),
        ("0x10", None),
        (True, None),
        (None, None),
        ([], None),
        (float("inf"), None),
    ],
)
def test_numbers_as_stations_write_them(sent: object, value: float | None) -> None:
    assert number(sent) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["value", "measurand", "unit", "phase", "location", "format", "context"])


@given(st.lists(st.dictionaries(names, json_values, max_size=7) | json_values, max_size=4), st.none() | near_values)
def test_no_values_whatever_can_break_the_reading(samples: list[object], start: float | None) -> None:
    read = measures(samples, start)
    for value in (read.energy_wh, read.power_w, read.soc_percent):
        assert value is None or abs(value) <= 10_000 * REGISTER_MAX_WH


@pytest.mark.parametrize(
    ("measurand", "unit", "sent", "expected"),
    [
        ("Energy.Active.Import.Register", "kWh", "1.5", ("Wh", 1500)),
        ("Energy.Reactive.Import.Register", "kvarh", "2", ("varh", 2000)),
        ("Energy.Reactive.Import.Register", None, "2", ("varh", 2)),
        ("Power.Active.Import", "kW", "7.4", ("W", 7400)),
        ("Power.Offered", None, "11000", ("W", 11000)),
        ("Power.Factor", None, "0.9", ("", 0.9)),
        ("Temperature", "Celcius", "31", ("Celsius", 31)),
        ("Temperature", "Fahrenheit", "88", ("Fahrenheit", 88)),
        ("Current.Import", None, "16", ("A", 16)),
        ("Voltage", None, "230", ("V", 230)),
        ("SoC", "%", "55", ("Percent", 55)),
        ("Frequency", "Hz", "50", ("Hertz", 50)),
        ("Vendor.Thing", "furlong", "3", ("furlong", 3)),
        (None, None, "100", ("Wh", 100)),
    ],
)
def test_units_become_base_units(
    measurand: str | None, unit: str | None, sent: str, expected: tuple[str, float]
) -> None:
    sample = {"value": sent, "measurand": measurand, "unit": unit}
    read = quantity({name: value for name, value in sample.items() if value is not None})
    assert read is not None
    assert read.unit == expected[0]
    assert read.value == pytest.approx(expected[1])


def _value(value: str, **fields: str) -> dict[str, str]:
    return {"value": value, **fields}


@pytest.mark.parametrize(
    ("samples", "start", "expected"),
    [
        ([_value("1500")], None, 1500),
        ([_value("100", phase="L1"), _value("200", phase="L2"), _value("300", phase="L3")], None, 600),
        ([_value("100", phase="L1"), _value("650"), _value("300", phase="L3")], None, 650),
        ([_value("1.5", unit="kWh", location="Inlet"), _value("900", unit="Wh")], None, 900),
        ([_value("1.5", unit="kWh", location="Inlet")], None, 1500),
        ([_value("1.5", unit="kWh", location="EV")], None, None),
        ([_value("100", context="Transaction.Begin"), _value("700", context="Transaction.End")], None, 700),
        ([_value("123.5")], 123_456, 123_500),
        ([_value("123.5", unit="Wh")], 123_456, 123.5),
        ([_value("300")], 123_456, 300),
        ([_value("500", measurand="Energy.Active.Import.Interval")], None, None),
        ([_value("OCMF|{}", format="SignedData")], None, None),
        ([_value("5", format="SignedData"), "text", None, 7], None, None),
    ],
    ids=[
        "no unit",
        "phases",
        "phases and the total",
        "outlet first",
        "inlet alone",
        "the car's own meter",
        "begin and end at once",
        "kWh unsaid",
        "Wh said",
        "reset register",
        "interval",
        "signed",
        "rubbish",
    ],
)
def test_the_register_of_a_set_of_values(samples: list[Any], start: float | None, expected: float | None) -> None:
    assert measures(samples, start).energy_wh == expected


def test_power_over_three_phases_in_kilowatts() -> None:
    phases = [_value("2.4", measurand="Power.Active.Import", unit="kW", phase=f"L{one}") for one in (1, 2, 3)]
    assert measures(phases).power_w == pytest.approx(7200)


# Times and keys


@pytest.mark.robustness(34)
@pytest.mark.parametrize(
    ("sent", "at", "flags"),
    [
        (None, AT, {Flag.NO_TIME}),
        (AT, AT, set()),
        (AT - timedelta(minutes=5), AT - timedelta(minutes=5), set()),
        (AT - timedelta(hours=1), AT - timedelta(hours=1), {Flag.OFFLINE}),
        (AT + timedelta(hours=1), AT + timedelta(hours=1), {Flag.CLOCK_SUSPECT}),
        (AT - timedelta(days=500), AT - timedelta(days=500), {Flag.CLOCK_SUSPECT}),
        (datetime(1, 1, 1, tzinfo=UTC), AT, {Flag.CLOCK_SUSPECT}),
        (datetime(9999, 12, 31, tzinfo=UTC), AT, {Flag.CLOCK_SUSPECT}),
    ],
)
def test_what_a_station_s_time_is_taken_for(sent: datetime | None, at: datetime, flags: set[Flag]) -> None:
    assert moment(sent, AT) == Moment(at, frozenset(flags))


def test_a_duration_is_never_negative() -> None:
    assert (duration_s(AT, AT + timedelta(seconds=90.9)), duration_s(AT, AT - timedelta(hours=1))) == (90, 0)


def test_a_register_beyond_reason_can_still_be_stored() -> None:
    assert (bounded_register(2**62), bounded_register(-(2**62)), bounded_register(5)) == (10**15, -(10**15), 5)


key_parts = st.tuples(*[st.text(st.characters(exclude_characters="\x1f"), max_size=3)] * 2)


@given(key_parts, key_parts)
def test_keys_are_equal_only_for_equal_parts(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    assert (repeat_key(*first) == repeat_key(*second)) is (first == second)


# Curves


def test_the_curve_counts_from_the_start_and_finds_power_that_was_not_sent() -> None:
    start = Register(AT, 1000)
    samples = [
        (AT + timedelta(minutes=20), Measures(2000, 9000, 50)),
        (AT + timedelta(minutes=10), Measures(1500)),
        (AT + timedelta(minutes=30), Measures(power_w=100)),
    ]
    assert curve(start, samples) == [
        Point(AT + timedelta(minutes=10), 500, 3000, None),
        Point(AT + timedelta(minutes=20), 1000, 9000, 50),
        Point(AT + timedelta(minutes=30), None, 100, None),
    ]


points = st.lists(st.none() | st.floats(0, 400_000), max_size=300).map(
    lambda powers: [Point(AT + timedelta(seconds=step), None, power, None) for step, power in enumerate(powers)]
)


@given(points, st.integers(4, 50))
def test_a_thinned_curve_is_short_in_order_and_keeps_its_ends_and_its_peak(whole: list[Point], points_max: int) -> None:
    kept = thinned(whole, points_max)
    assert len(kept) <= points_max
    assert kept == sorted(kept, key=lambda point: point.at)
    assert set(kept) <= set(whole)
    if whole:
        assert (kept[0], kept[-1]) == (whole[0], whole[-1])
        assert max(point.power_w or 0 for point in kept) == max(point.power_w or 0 for point in whole)


# Stops that match nothing


def test_candidates_fit_by_register_and_time_and_the_same_token_comes_first() -> None:
    def charge(number: int, token: str, meter_wh: int, at: datetime = AT, last: float | None = None) -> OpenCharge:
        return OpenCharge(number, token, at, meter_wh, last)

    charges = [
        charge(1, "b", 4900),
        charge(2, "a", 1000),
        charge(3, "a", 4000),
        charge(4, "a", 6000),
        charge(5, "a", 4000, at=AT + timedelta(hours=2)),
        charge(6, "a", 4000, last=5500),
        charge(7, "a", 5000 - LARGEST_CHARGE_WH - 1),
    ]
    assert candidates(AT + timedelta(hours=1), 5000, "a", charges) == [3, 2, 1]


# Use

OSLO = ZoneInfo("Europe/Oslo")
spans = st.lists(
    st.builds(
        Span,
        st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # as above
        st.integers(0, 3 * 86400),
        st.integers(0, 100_000),
    ),
    max_size=5,
)


@pytest.mark.feature("S1")
@given(spans, st.sampled_from(["UTC", "Europe/Oslo", "Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_usage_loses_and_invents_nothing(charges: list[Span], zone: str) -> None:
    uses = [use for day in usage(charges, ZoneInfo(zone)) for use in day]
    assert sum(use.charges for use in uses) == len(charges)
    assert sum(use.charging_s for use in uses) == pytest.approx(sum(one.duration_s for one in charges))
    assert sum(use.energy_wh for use in uses) == pytest.approx(sum(one.energy_wh for one in charges))


@pytest.mark.feature("S1")
def test_usage_across_the_end_of_summer_time_counts_the_double_hour() -> None:
    charge = Span(datetime(2026, 10, 25, 0, 0, tzinfo=UTC), 3 * 3600, 3000)  # 02:00, 02:00 again, 03:00
    sunday = usage([charge], OSLO)[6]
    assert {hour: use.energy_wh for hour, use in enumerate(sunday) if use.energy_wh} == {2: 2000, 3: 1000}


@pytest.mark.feature("S1")
def test_consumption_has_every_day_of_the_period_also_where_clocks_change() -> None:
    start, end = datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC)
    days = parts_between(start, end, day_of, OSLO)
    assert days == ["2026-03-28", "2026-03-29", "2026-03-30"]
    found = consumption([Span(datetime(2026, 3, 28, 23, tzinfo=UTC), 60, 500)], days, day_of, OSLO)
    assert {day: use.energy_wh for day, use in found.items()} == {"2026-03-28": 0, "2026-03-29": 500, "2026-03-30": 0}
