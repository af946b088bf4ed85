"""S25: profiles on the wire, what is wrong with them, and what replaces what."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp import schema
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.charging_profiles.rules.checks import Abilities, Circumstances, faults, replaced_by
from csms.station.charging_profiles.rules.composite import Installed
from csms.station.charging_profiles.rules.limits import limit_profile
from csms.station.charging_profiles.rules.profile import Kind, Period, Profile, Purpose, Recurrency, Schedule, Unit
from csms.station.charging_profiles.rules.wire import read_profile, write_profile
from csms.station.charging_profiles.rules.words import PERIOD_WORDS, PROFILE_WORDS, SCHEDULE_WORDS, from_wire, to_wire

pytestmark = pytest.mark.feature("S25")

ALL = (Version.V16, *VERSIONS_2)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
figures = st.integers(0, 10**7).map(lambda tenths: Decimal(tenths) / 10)
PURPOSES_OF = {
    Version.V16: [Purpose.STATION_MAX, Purpose.DEFAULT, Purpose.TRANSACTION],
    Version.V201: [Purpose.STATION_MAX, Purpose.DEFAULT, Purpose.TRANSACTION, Purpose.EXTERNAL],
    Version.V21: list(Purpose),
}


@st.composite
def profiles(draw: st.DrawFn, version: Version) -> Profile:
    kinds = list(Kind) if version is Version.V21 else [Kind.ABSOLUTE, Kind.RECURRING, Kind.RELATIVE]
    is_new = version is not Version.V16
    period = st.builds(
        Period,
        start_s=st.integers(0, 10**6),
        limit=figures,
        phases=st.none() | st.integers(1, 3),
        phase_to_use=st.none() | st.integers(1, 3) if is_new else st.none(),
        more=st.just({}) if version is not Version.V21 else st.dictionaries(st.just("limit_L2"), st.just(7.25)),
    )
    schedule = st.builds(
        Schedule,
        unit=st.sampled_from(list(Unit)),
        periods=st.lists(period, min_size=1, max_size=4).map(tuple),
        starts_at=st.none() | moments,
        duration_s=st.none() | st.integers(1, 10**6),
        minimum_rate=st.none() | figures,
        id=st.integers(1, 10**6) if is_new else st.none(),
    )
    return Profile(
        id=draw(st.integers(1, 10**9)),
        purpose=draw(st.sampled_from(PURPOSES_OF[version])),
        stack_level=draw(st.integers(0, 100)),
        kind=draw(st.sampled_from(kinds)),
        recurrency=draw(st.none() | st.sampled_from(list(Recurrency))),
        valid_from=draw(st.none() | moments),
        valid_to=draw(st.none() | moments),
        transaction_id=draw(st.none() | st.integers(1, 10**9).map(str)),
        schedules=tuple(draw(st.lists(schedule, min_size=1, max_size=3 if is_new else 1))),
        more=draw(st.just({}) if version is not Version.V21 else st.just({"maxOfflineDuration": 60})),
    )


def request(profile: Profile, version: Version) -> dict[str, Any]:
    written = write_profile(profile, version)
    if version is Version.V16:
        return {"connectorId": 1, "csChargingProfiles": written}
    return {"evseId": 1, "chargingProfile": written}


@pytest.mark.robustness(25)
@pytest.mark.parametrize("version", ALL)
@given(data=st.data())
def test_what_is_written_fits_the_schema_and_reads_back_the_same(version: Version, data: st.DataObject) -> None:
    profile = data.draw(profiles(version))
    wire = json.loads(json.dumps(request(profile, version)))
    assert schema.check(version, "SetChargingProfile", "request", wire) is None
    assert read_profile(wire["csChargingProfiles" if version is Version.V16 else "chargingProfile"]) == profile


@pytest.mark.robustness(25)
@pytest.mark.parametrize("text", ["21.4", "6.1", "0.3", "16", "0", "11000.5"])
def test_a_limit_stays_as_it_was_written(text: str) -> None:
    profile = limit_profile(1, Purpose.DEFAULT, Decimal(text), Unit.AMPERE, stack_level=0, now=NOON)
    (period,) = write_profile(profile, Version.V16)["chargingSchedule"]["chargingSchedulePeriod"]
    assert json.dumps(period["limit"]) == text


@given(
    payload=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["id", "stackLevel", "chargingProfilePurpose", "chargingProfileKind", "chargingSchedule"]
                )
                | st.sampled_from(["chargingRateUnit", "chargingSchedulePeriod", "startPeriod", "limit", "validFrom"]),
                inner | st.sampled_from(["TxProfile", "Absolute", "A"]),
                max_size=6,
            )
        ),
        max_leaves=25,
    )
)
def test_reading_bears_everything(payload: object) -> None:
    found = read_profile(payload)
    assert found is None or isinstance(found, Profile)


def test_the_words_of_2_1_are_each_others_inverse() -> None:
    for words in (PERIOD_WORDS, SCHEDULE_WORDS, PROFILE_WORDS):
        values = dict.fromkeys(words, 1)
        assert from_wire(words, to_wire(words, values)) == values


SOUND = Profile(
    id=1,
    purpose=Purpose.DEFAULT,
    stack_level=0,
    kind=Kind.ABSOLUTE,
    schedules=(Schedule(Unit.AMPERE, (Period(0, Decimal("21.4")), Period(60, Decimal(6))), NOON, 3600),),
)
CHARGE = replace(SOUND, purpose=Purpose.TRANSACTION, transaction_id="7")
RUNNING = {1: frozenset({"7"})}


def with_periods(*periods: Period, **changed: Any) -> Profile:
    return replace(SOUND, schedules=(replace(SOUND.schedules[0], periods=periods, **changed),))


def places(profile: Profile, number: int = 1, version: Version = Version.V201, **known: Any) -> list[str]:
    return [one.place for one in faults(profile, number, Circumstances(version, **known))]


@pytest.mark.parametrize("version", ALL)
def test_sound_profiles_have_no_faults(version: Version) -> None:
    recurring = replace(SOUND, kind=Kind.RECURRING, recurrency=Recurrency.DAILY)
    relative = replace(CHARGE, kind=Kind.RELATIVE, schedules=(replace(SOUND.schedules[0], starts_at=None),))
    for profile, number in ((SOUND, 1), (SOUND, 0), (recurring, 0), (CHARGE, 1), (relative, 1)):
        assert places(profile, number, version, running=RUNNING) == []
    assert places(replace(SOUND, purpose=Purpose.STATION_MAX), 0, version) == []


PERIOD = "body/schedules/0/periods"
ONE = Period(0, Decimal(6))


@pytest.mark.parametrize(
    ("profile", "number", "place"),
    [
        (with_periods(Period(5, Decimal(6))), 1, f"{PERIOD}/0/start_s"),
        (with_periods(ONE, Period(9, Decimal(6)), Period(9, Decimal(7))), 1, f"{PERIOD}/2/start_s"),
        (with_periods(ONE, Period(3600, Decimal(6))), 1, f"{PERIOD}/1/start_s"),
        (with_periods(Period(0, Decimal(-1))), 1, f"{PERIOD}/0/limit"),
        (with_periods(Period(0, Decimal("6.25"))), 1, f"{PERIOD}/0/limit"),
        (with_periods(Period(0, None)), 1, f"{PERIOD}/0/limit"),
        (with_periods(replace(ONE, phases=4)), 1, f"{PERIOD}/0/phases"),
        (with_periods(replace(ONE, phases=3, phase_to_use=1)), 1, f"{PERIOD}/0/phase_to_use"),
        (with_periods(replace(ONE, phases=1, phase_to_use=5)), 1, f"{PERIOD}/0/phase_to_use"),
        (with_periods(replace(ONE, more={"setpoint": 1})), 1, f"{PERIOD}/0"),
        (with_periods(), 1, PERIOD),
        (with_periods(*[Period(second, Decimal(6)) for second in range(1025)]), 1, PERIOD),
        (with_periods(ONE, duration_s=0), 1, "body/schedules/0/duration_s"),
        (with_periods(ONE, minimum_rate=Decimal("0.05")), 1, "body/schedules/0/minimum_rate"),
        (with_periods(ONE, starts_at=None), 1, "body/schedules/0/starts_at"),
        (replace(SOUND, kind=Kind.RELATIVE), 1, "body/schedules/0/starts_at"),
        (replace(SOUND, schedules=()), 1, "body/schedules"),
        (replace(SOUND, schedules=SOUND.schedules * 4), 1, "body/schedules"),
        (replace(SOUND, valid_from=NOON, valid_to=NOON), 1, "body/valid_to"),
        (replace(SOUND, stack_level=-1), 1, "body/stack_level"),
        (replace(SOUND, kind=Kind.RECURRING), 1, "body/recurrency"),
        (replace(SOUND, recurrency=Recurrency.DAILY), 1, "body/recurrency"),
        (replace(SOUND, kind=Kind.DYNAMIC), 1, "body/kind"),
        (replace(SOUND, purpose=Purpose.STATION_MAX), 1, "body/charge_point_number"),
        (replace(SOUND, purpose=Purpose.STATION_MAX, kind=Kind.RELATIVE), 0, "body/kind"),
        (replace(SOUND, purpose=Purpose.EXTERNAL), 1, "body/purpose"),
        (replace(SOUND, purpose=Purpose.PRIORITY), 1, "body/purpose"),
        (replace(SOUND, transaction_id="7"), 1, "body/transaction_id"),
        (replace(CHARGE, transaction_id=None), 1, "body/transaction_id"),
        (replace(CHARGE, transaction_id="8"), 1, "body/transaction_id"),
        (CHARGE, 2, "body/transaction_id"),
        (CHARGE, 0, "body/charge_point_number"),
    ],
)
def test_each_fault_has_its_place(profile: Profile, number: int, place: str) -> None:
    assert place in places(profile, number, running=RUNNING)
    found = faults(profile, number, Circumstances(Version.V201, running=RUNNING))
    assert all(len(one.text) >= 9 for one in found)


def test_what_1_6_cannot() -> None:
    assert places(replace(SOUND, schedules=SOUND.schedules * 2), version=Version.V16) == ["body/schedules"]
    phase = with_periods(replace(ONE, phases=1, phase_to_use=1))
    assert places(phase, version=Version.V16) == [f"{PERIOD}/0/phase_to_use"]
    word = replace(CHARGE, transaction_id="abc")
    assert places(word, version=Version.V16) == ["body/transaction_id"]
    charge_relative = replace(SOUND, schedules=(replace(SOUND.schedules[0], starts_at=None),))
    assert places(charge_relative, version=Version.V16) == []
    station = replace(charge_relative, purpose=Purpose.STATION_MAX)
    assert places(station, 0, Version.V16) == ["body/schedules/0/starts_at"]


def mode(word: str, **more: Any) -> Profile:
    return with_periods(Period(0, None, more={"operationMode": word, **more}))


def test_operation_modes_of_2_1() -> None:
    known = {"version": Version.V21}
    assert places(mode("ExternalLimits"), **known) == []
    assert places(mode("CentralSetpoint", setpoint=-5.5), **known) == []
    assert places(mode("CentralSetpoint"), **known) == [f"{PERIOD}/0/setpoint"]
    assert places(mode("ChargingOnly"), **known) == [f"{PERIOD}/0/limit"]
    station = replace(mode("LocalFrequency"), purpose=Purpose.STATION_MAX)
    assert places(station, 0, **known) == [f"{PERIOD}/0/operation_mode"]
    watts = with_periods(Period(0, Decimal(9), more={"limit_L2": 9}), unit=Unit.WATT)
    assert places(watts, **known) == [f"{PERIOD}/0/limit_l2"]
    two = replace(SOUND, kind=Kind.DYNAMIC)
    assert places(two, **known) == [PERIOD]


@pytest.mark.parametrize(
    ("abilities", "place"),
    [
        (Abilities(stack_level_max=1), "body/stack_level"),
        (Abilities(periods_max=1), PERIOD),
        (Abilities(units=frozenset({Unit.WATT})), "body/schedules/0/unit"),
        (Abilities(installed_max=2), "body"),
    ],
)
@pytest.mark.parametrize("version", ALL)
def test_what_the_station_says_that_it_cannot(version: Version, abilities: Abilities, place: str) -> None:
    high = replace(SOUND, stack_level=2)
    others = [Installed(2, replace(SOUND, id=8)), Installed(2, replace(SOUND, id=9, stack_level=1))]
    assert places(high, version=version, abilities=abilities, installed=others) == [place]
    assert places(high, version=version, abilities=Abilities(2, 2, 3, frozenset(Unit)), installed=others) == []


def test_abilities_of_2_x_for_phases_dynamics_and_purposes() -> None:
    phase = with_periods(replace(ONE, phases=1, phase_to_use=1))
    assert places(phase, abilities=Abilities(switches_phases=False)) == [f"{PERIOD}/0/phase_to_use"]
    assert places(phase, abilities=Abilities(switches_phases=True)) == []
    dynamic = replace(with_periods(ONE), kind=Kind.DYNAMIC)
    assert places(dynamic, version=Version.V21, abilities=Abilities(has_dynamic=False)) == ["body/kind"]
    priority = replace(SOUND, purpose=Purpose.PRIORITY)
    only = Abilities(purposes=frozenset({"LocalGeneration"}))
    assert places(priority, version=Version.V21, abilities=only) == ["body/purpose"]
    assert places(priority, version=Version.V21, abilities=Abilities(purposes=frozenset({"PriorityCharging"}))) == []


LATER = replace(SOUND, id=2, valid_from=NOON + HOUR)


@pytest.mark.parametrize(
    ("installed", "place", "collides"),
    [
        (replace(SOUND, id=2), 1, True),
        (replace(SOUND, id=2), 0, True),
        (replace(SOUND, id=2), 2, False),
        (replace(SOUND, id=2, stack_level=1), 1, False),
        (SOUND, 1, False),
        (LATER, 1, True),
        (replace(LATER, valid_from=NOON + 2 * HOUR), 1, False),
    ],
)
def test_2_x_has_no_two_of_one_purpose_and_level_at_the_same_time(
    installed: Profile, place: int, collides: bool
) -> None:
    profile = replace(SOUND, valid_to=NOON + 2 * HOUR)
    expected = ["body/stack_level"] if collides else []
    assert places(profile, installed=[Installed(place, installed)]) == expected
    assert places(profile, version=Version.V16, installed=[Installed(place, installed)]) == []


def test_profiles_of_two_charges_do_not_collide() -> None:
    other = Installed(1, replace(CHARGE, id=2, transaction_id="6"))
    assert places(CHARGE, running=RUNNING, installed=[other]) == []
    assert places(CHARGE, running=RUNNING, installed=[Installed(1, replace(CHARGE, id=2))]) == ["body/stack_level"]


def test_what_replaces_what() -> None:
    same_id = Installed(2, replace(SOUND, stack_level=5))
    same_place = Installed(1, replace(SOUND, id=2))
    elsewhere = Installed(0, replace(SOUND, id=3))
    external = Installed(1, replace(SOUND, id=1, purpose=Purpose.EXTERNAL))
    installed = [same_id, same_place, elsewhere, external]
    assert replaced_by(SOUND, 1, installed, Version.V16) == [same_id, same_place]
    assert replaced_by(SOUND, 1, installed, Version.V201) == [same_id]
    other_charge = Installed(1, replace(CHARGE, id=9, transaction_id="6"))
    assert replaced_by(CHARGE, 1, [other_charge], Version.V16) == []
