"""S25: the composite schedule, compared with a slow second-by-second oracle, and by hand."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csms.station.charging_profiles.rules.composite import Charge, Installed, Site, composite, differences, value_at
from csms.station.charging_profiles.rules.curve import Curve, Supply, Window
from csms.station.charging_profiles.rules.profile import Kind, Period, Profile, Purpose, Recurrency, Schedule, Unit

pytestmark = pytest.mark.feature("S25")

NOON = datetime(2027, 3, 28, 12, tzinfo=UTC)  # the day on which clocks in Europe jump: nothing happens in UTC
DAY_S = 86_400
WINDOW_S = 120


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def profile(
    purpose: Purpose = Purpose.DEFAULT,
    *periods: tuple[int, float | None] | Period,
    kind: Kind = Kind.ABSOLUTE,
    start: int | None = 0,
    stack: int = 0,
    unit: Unit = Unit.AMPERE,
    duration: int | None = None,
    valid: tuple[int | None, int | None] = (None, None),
    recurrency: Recurrency | None = None,
    transaction: str | None = None,
    profile_id: int = 1,
) -> Profile:
    read = [
        one if isinstance(one, Period) else Period(one[0], None if one[1] is None else Decimal(str(one[1])))
        for one in periods
    ]
    return Profile(
        id=profile_id,
        purpose=purpose,
        stack_level=stack,
        kind=kind,
        recurrency=recurrency,
        valid_from=None if valid[0] is None else at(valid[0]),
        valid_to=None if valid[1] is None else at(valid[1]),
        transaction_id=transaction,
        schedules=(
            Schedule(
                unit=unit,
                periods=tuple(read),
                starts_at=None if start is None else at(start),
                duration_s=duration,
            ),
        ),
    )


def points(curve: Curve) -> list[tuple[int, float | None]]:
    """(second, limit) as a reader would draw it."""
    return [
        (
            int((step.at - NOON).total_seconds()),
            None if step.limit is None or step.limit.value is None else float(step.limit.value),
        )
        for step in curve
    ]


def calculate(site: Site, number: int = 1, *, length: int = WINDOW_S, unit: Unit = Unit.AMPERE) -> Curve:
    return composite(site, number, Window(NOON, at(length)), unit)


# The oracle: for one second, look at every profile. It shares no code with what it tests.


def oracle_profile(one: Profile, second: int, charge_start: int | None) -> Period | None:
    moment = at(second)
    if one.valid_from is not None and moment < one.valid_from:
        return None
    if one.valid_to is not None and moment >= one.valid_to:
        return None
    schedule = one.schedules[0]
    if one.kind is Kind.RELATIVE or schedule.starts_at is None:
        start = charge_start or 0
    else:
        start = round((schedule.starts_at - NOON).total_seconds())
    elapsed = second - start
    if one.kind is Kind.RECURRING and elapsed >= 0:
        elapsed %= DAY_S if one.recurrency is Recurrency.DAILY else 7 * DAY_S
    if elapsed < 0 or (schedule.duration_s is not None and elapsed >= schedule.duration_s):
        return None
    begun = [period for period in schedule.periods if period.start_s <= elapsed]
    return begun[-1] if begun else None


def oracle_figure(period: Period, one: Profile, unit: Unit, supply: Supply) -> Decimal:
    assert period.limit is not None
    own = one.schedules[0].unit
    phases = supply.phases if period.phases is None else min(period.phases, supply.phases)
    if own is unit:
        return period.limit
    figure = (
        period.limit * supply.voltage_v * phases
        if unit is Unit.WATT
        else period.limit / (supply.voltage_v * Decimal(phases))
    )
    return (figure * 10).to_integral_value(ROUND_FLOOR) / 10


def oracle_prevailing(site: Site, purpose: Purpose, second: int, number: int, unit: Unit) -> Decimal | None:
    places = (number, 0) if purpose in (Purpose.DEFAULT, Purpose.PRIORITY) else (number,)
    charge = site.charges.get(number)
    start = None if charge is None else round((charge.started_at - NOON).total_seconds())
    best: tuple[tuple[int, int, int], Decimal] | None = None
    for one in site.profiles:
        if one.profile.purpose is not purpose or one.number not in places:
            continue
        if (
            purpose is Purpose.TRANSACTION
            and charge
            and one.profile.transaction_id not in (None, charge.transaction_id)
        ):
            continue
        period = oracle_profile(one.profile, second, start)
        if period is None:
            continue
        rank = (one.profile.stack_level, 1 if one.number == number else 0, one.source)
        if best is None or rank > best[0]:
            best = rank, oracle_figure(period, one.profile, unit, site.supply_of(number))
    return None if best is None else best[1]


def oracle_external(site: Site, second: int, number: int, unit: Unit) -> list[Decimal | None]:
    figures = [oracle_prevailing(site, Purpose.EXTERNAL, second, number, unit)]
    for one in site.limits:
        period = oracle_profile(one.profile, second, None)
        if one.number == number and period is not None:
            figures.append(oracle_figure(period, one.profile, unit, site.supply_of(number)))
    return figures


def oracle_point(site: Site, second: int, number: int, unit: Unit) -> Decimal | None:
    charge = site.charges.get(number)
    figure = None
    if charge is not None and charge.has_priority:
        figure = oracle_prevailing(site, Purpose.PRIORITY, second, number, unit)
    if figure is None and charge is not None:
        figure = oracle_prevailing(site, Purpose.TRANSACTION, second, number, unit)
    if figure is None:
        figure = oracle_prevailing(site, Purpose.DEFAULT, second, number, unit)
    known = [one for one in (figure, *oracle_external(site, second, number, unit)) if one is not None]
    return min(known, default=None)


def oracle(site: Site, second: int, number: int, unit: Unit) -> Decimal | None:
    external = min((one for one in oracle_external(site, second, 0, unit) if one is not None), default=None)
    extra = oracle_prevailing(site, Purpose.LOCAL_GENERATION, second, 0, unit)
    if external is not None and extra is not None:
        external += extra
    caps = [oracle_prevailing(site, Purpose.STATION_MAX, second, 0, unit), external]
    if number:
        caps.append(oracle_point(site, second, number, unit))
    else:
        each = [oracle_point(site, second, one, unit) for one in site.numbers]
        caps.append(sum((one for one in each if one is not None), Decimal(0)) if each and None not in each else None)
    return min((one for one in caps if one is not None), default=None)


amounts = st.integers(0, 400).map(lambda tenths: Decimal(tenths) / 10)
seconds = st.integers(-40, WINDOW_S + 20)


@st.composite
def profiles(draw: st.DrawFn, purposes: list[Purpose]) -> Profile:
    kind = draw(st.sampled_from([Kind.ABSOLUTE, Kind.RELATIVE, Kind.RECURRING]))
    starts = sorted(draw(st.sets(st.integers(1, WINDOW_S), max_size=3)) | {0})
    periods = [Period(start, draw(amounts), draw(st.sampled_from([None, 1, 2, 3]))) for start in starts]
    days = draw(st.sampled_from([0, 0, 1, 6, 7, 8])) if kind is Kind.RECURRING else 0
    start = None if kind is Kind.RELATIVE else draw(seconds) - days * DAY_S
    purpose = draw(st.sampled_from(purposes))
    return profile(
        purpose,
        *periods,
        kind=kind,
        start=start,
        stack=draw(st.integers(0, 2)),
        unit=draw(st.sampled_from(list(Unit))),
        duration=draw(st.none() | st.integers(1, WINDOW_S) | st.just(8 * DAY_S)),
        valid=(draw(st.none() | seconds), draw(st.none() | seconds)),
        recurrency=draw(st.sampled_from(list(Recurrency))) if kind is Kind.RECURRING else None,
        transaction=draw(st.sampled_from(["7", "8"])) if purpose is Purpose.TRANSACTION else None,
    )


PLACES = {Purpose.STATION_MAX: st.just(0), Purpose.LOCAL_GENERATION: st.just(0), Purpose.TRANSACTION: st.just(1)}


@st.composite
def sites(draw: st.DrawFn) -> Site:
    drawn = draw(st.lists(profiles(list(Purpose)), max_size=6))
    installed = [
        Installed(draw(PLACES.get(one.purpose, st.integers(0, 2))), one, source=index + 1)
        for index, one in enumerate(drawn)
    ]
    external = [
        Installed(draw(st.integers(0, 2)), one) for one in draw(st.lists(profiles([Purpose.EXTERNAL]), max_size=2))
    ]
    charges = {
        number: Charge(str(6 + number), at(draw(st.integers(-30, 0))), has_priority=draw(st.booleans()))
        for number in draw(st.sets(st.sampled_from([1, 2])))
    }
    supplies = {1: Supply(Decimal(draw(st.sampled_from(["230", "400", "229.5"]))), draw(st.sampled_from([1, 2, 3])))}
    return Site(installed, external, (1, 2), charges, supplies)


@given(site=sites(), number=st.integers(0, 2), unit=st.sampled_from(list(Unit)))
@settings(max_examples=300)
@example(site=Site(), number=0, unit=Unit.AMPERE)
def test_every_second_is_what_the_oracle_says(site: Site, number: int, unit: Unit) -> None:
    curve = calculate(site, number, unit=unit)
    assert curve[0].at == NOON
    assert all(one.at < other.at and one.limit != other.limit for one, other in pairwise(curve))
    for second in range(WINDOW_S):
        assert value_at(curve, at(second)) == oracle(site, second, number, unit), second


@given(one=sites(), other=sites())
@settings(max_examples=60)
def test_differences_are_where_the_curves_differ(one: Site, other: Site) -> None:
    curves = calculate(one), calculate(other)
    spans = differences(*curves, Window(NOON, at(WINDOW_S)))
    for second in range(WINDOW_S):
        found = [span for span in spans if span.start <= at(second) < span.end]
        mine, others = value_at(curves[0], at(second)), value_at(curves[1], at(second))
        assert [(span.one, span.other) for span in found] == ([] if mine == others else [(mine, others)])


def test_the_higher_stack_level_prevails_and_leaves_its_gap_to_the_lower() -> None:
    low = profile(Purpose.DEFAULT, (0, 32))
    high = profile(Purpose.DEFAULT, (0, 21.4), start=30, duration=30, stack=1)
    assert points(calculate(Site([Installed(0, low), Installed(0, high)]))) == [(0, 32), (30, 21.4), (60, 32)]


def test_a_charges_own_profile_goes_before_the_default_only_for_that_charge() -> None:
    own = profile(Purpose.TRANSACTION, (0, 6), transaction="7")
    site = [Installed(0, profile(Purpose.DEFAULT, (0, 16), stack=9)), Installed(1, own)]
    assert points(calculate(Site(site, charges={1: Charge("7", NOON)}))) == [(0, 6)]
    assert points(calculate(Site(site, charges={1: Charge("8", NOON)}))) == [(0, 16)]
    assert points(calculate(Site(site))) == [(0, 16)]


def test_the_stations_maximum_and_every_external_limit_cap_it() -> None:
    site = Site(
        [Installed(0, profile(Purpose.DEFAULT, (0, 32))), Installed(0, profile(Purpose.STATION_MAX, (0, 25)))],
        [
            Installed(1, profile(Purpose.EXTERNAL, (0, 20), start=40)),
            Installed(0, profile(Purpose.EXTERNAL, (0, 8), start=80)),
        ],
        (1, 2),
    )
    assert points(calculate(site)) == [(0, 25), (40, 20), (80, 8)]
    assert points(calculate(site, 2)) == [(0, 25), (80, 8)]


def test_a_relative_schedule_counts_from_the_start_of_the_charge() -> None:
    relative = profile(Purpose.DEFAULT, (0, 32), (60, 16), (100, 6), kind=Kind.RELATIVE, start=None)
    site = [Installed(0, relative)]
    assert points(calculate(Site(site, charges={1: Charge("7", at(-50))}))) == [(0, 32), (10, 16), (50, 6)]
    assert points(calculate(Site(site))) == [(0, 32), (60, 16), (100, 6)]


@pytest.mark.parametrize(("recurrency", "days"), [(Recurrency.DAILY, 1), (Recurrency.WEEKLY, 7)])
def test_a_recurring_schedule_begins_again_and_ends_with_its_next_beginning(recurrency: Recurrency, days: int) -> None:
    recurring = profile(
        Purpose.DEFAULT,
        (0, 10),
        (3600, 20),
        kind=Kind.RECURRING,
        recurrency=recurrency,
        start=-days * DAY_S + 100,
        duration=30 * DAY_S,
    )
    curve = points(calculate(Site([Installed(0, recurring)]), length=days * DAY_S + 200))
    assert curve == [(0, 20), (100, 10), (3700, 20), (days * DAY_S + 100, 10)]


def test_a_recurring_schedule_with_a_duration_leaves_the_rest_of_the_day_open() -> None:
    night = profile(
        Purpose.DEFAULT, (0, 32), kind=Kind.RECURRING, recurrency=Recurrency.DAILY, start=10 * 3600, duration=8 * 3600
    )
    curve = points(calculate(Site([Installed(0, night)]), length=2 * DAY_S))
    assert curve == [(0, None), (36_000, 32), (64_800, None), (122_400, 32), (151_200, None)]


def test_amperes_and_watts_are_turned_into_each_other_never_upwards() -> None:
    site = Site([Installed(0, profile(Purpose.DEFAULT, (0, 21.4)))])
    assert points(calculate(site, unit=Unit.WATT)) == [(0, 14766)]
    watts = Site([Installed(0, profile(Purpose.DEFAULT, (0, 11000), unit=Unit.WATT))])
    assert points(calculate(watts)) == [(0, 15.9)]
    one_phase = Site([Installed(0, profile(Purpose.DEFAULT, Period(0, Decimal(16), phases=1)))])
    assert points(calculate(one_phase, unit=Unit.WATT)) == [(0, 3680)]
    direct = Site([Installed(1, profile(Purpose.DEFAULT, (0, 100)))], supplies={1: Supply(Decimal(400), 1)})
    assert points(calculate(direct, unit=Unit.WATT)) == [(0, 40_000)]


def test_the_whole_station_is_the_sum_of_its_charge_points_under_its_cap() -> None:
    both = Installed(0, profile(Purpose.DEFAULT, (0, 16), duration=60))
    cap = Installed(0, profile(Purpose.STATION_MAX, (0, 30), start=20))
    assert points(calculate(Site([both, cap], numbers=(1, 2)), 0)) == [(0, 32), (20, 30)]
    assert points(calculate(Site([both], numbers=(1, 2)), 0)) == [(0, 32), (60, None)]
    assert points(calculate(Site([both]), 0)) == [(0, None)]


def test_priority_and_local_generation_of_2_1() -> None:
    default, priority = profile(Purpose.DEFAULT, (0, 6)), profile(Purpose.PRIORITY, (0, 32))
    grid, sun = profile(Purpose.EXTERNAL, (0, 10)), profile(Purpose.LOCAL_GENERATION, (0, 5), start=60)
    site = [Installed(0, default), Installed(0, priority)]
    assert points(calculate(Site(site, charges={1: Charge("7", NOON)}))) == [(0, 6)]
    assert points(calculate(Site(site, charges={1: Charge("7", NOON, has_priority=True)}))) == [(0, 32)]
    capped = Site([*site, Installed(0, grid), Installed(0, sun)], charges={1: Charge("7", NOON, has_priority=True)})
    assert points(calculate(capped)) == [(0, 10), (60, 15)]


def test_a_period_of_2_1_without_a_limit_prevails_without_limiting() -> None:
    free = profile(Purpose.DEFAULT, Period(0, None, more={"operationMode": "ExternalLimits"}), stack=1, duration=50)
    idle = profile(Purpose.DEFAULT, Period(0, None, more={"operationMode": "Idle"}), stack=1, start=80)
    site = Site([Installed(0, profile(Purpose.DEFAULT, (0, 16))), Installed(0, free), Installed(0, idle)])
    assert points(calculate(site)) == [(0, None), (50, 16), (80, 0)]


def test_limits_of_single_phases_of_2_1() -> None:
    more = {"limit_L2": 4000, "limit_L3": 3000.5}
    watts = profile(Purpose.DEFAULT, Period(0, Decimal(5000), more=more), unit=Unit.WATT)
    amperes = profile(Purpose.DEFAULT, Period(0, Decimal(16), more={"limit_L2": 10, "limit_L3": 12}))
    assert points(calculate(Site([Installed(0, watts)]), unit=Unit.WATT)) == [(0, 12000.5)]
    assert points(calculate(Site([Installed(0, amperes)]))) == [(0, 10)]


@pytest.mark.parametrize("duration", [10**18, -5, 0])
@pytest.mark.parametrize("kind", list(Kind))
def test_figures_that_no_calendar_holds_are_borne(kind: Kind, duration: int) -> None:
    odd = profile(
        Purpose.DEFAULT, (10**18, 1), (0, 16), kind=kind, duration=duration, recurrency=Recurrency.DAILY, start=-5
    )
    assert points(calculate(Site([Installed(1, odd)]))) in ([(0, 16)], [(0, None)])


def test_a_thousand_periods_on_a_hundred_levels_take_little_time() -> None:
    many = [
        Installed(0, profile(Purpose.DEFAULT, *[(second * 60, second % 32) for second in range(1000)], stack=level))
        for level in range(100)
    ]
    curve = calculate(Site(many), length=7 * DAY_S)
    assert len(curve) == 1000


def test_of_equal_levels_the_charge_points_own_goes_first_and_then_the_newest() -> None:
    def site(*levels: tuple[int, float]) -> Site:
        return Site(
            [Installed(place, profile(Purpose.DEFAULT, (0, limit)), i) for i, (place, limit) in enumerate(levels)]
        )

    assert points(calculate(site((1, 6), (0, 16), (0, 20)))) == [(0, 6)]
    assert points(calculate(site((0, 16), (0, 20)))) == [(0, 20)]
    assert points(calculate(site((1, 20), (1, 8)))) == [(0, 8)]
