"""S25: what is wrong with a profile before it is sent: each fault with its place and what to do.

OCPP 1.6, 3.13, 5.16, 7.8 and 9.4; 2.0.1 K01.FR.01 to FR.55; 2.1 K01 and its table of operation modes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from csms.ocpp.versions import Version
from csms.station.charging_profiles.rules.composite import Installed
from csms.station.charging_profiles.rules.curve import TENTH
from csms.station.charging_profiles.rules.profile import (
    WHOLE_STATION,
    Kind,
    Period,
    Profile,
    Purpose,
    Schedule,
    Unit,
)
from csms.station.charging_profiles.rules.wire import purpose_word

SCHEDULES_MAX: Final = 3
PERIODS_MAX: Final = 1024
"""2.x ChargingScheduleType; taken for 1.6 too, which names no limit."""
PHASES_MAX: Final = 3
_OF_A_CHARGE: Final = (Purpose.TRANSACTION, Purpose.DEFAULT, Purpose.PRIORITY)
_ONLY_IN_21: Final = (Kind.DYNAMIC,)
_SINGLE_PHASES: Final = ("L2", "L3")

_WITHOUT_LIMIT: Final = frozenset(
    {"CentralSetpoint", "CentralFrequency", "ExternalSetpoint", "ExternalLimits", "LocalFrequency", "Idle"}
    | {"LocalLoadBalancing"}
)
"""2.1: operation modes in which a period needs no limit."""
_NEEDS_SETPOINT: Final = frozenset({"CentralSetpoint", "CentralFrequency"})
_MODES: Final[Mapping[Purpose, frozenset[str]]] = {
    Purpose.STATION_MAX: frozenset({"ChargingOnly"}),
    Purpose.PRIORITY: frozenset({"ChargingOnly"}),
    Purpose.LOCAL_GENERATION: frozenset({"ChargingOnly", "ExternalLimits"}),
    Purpose.EXTERNAL: frozenset({"ChargingOnly", "ExternalLimits", "ExternalSetpoint"}),
}
"""2.1: the operation modes that a purpose may have; those that are not named may have any."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where in the body, and what to do."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the station said that it can; None is not known and is not checked."""

    stack_level_max: int | None = None
    periods_max: int | None = None
    installed_max: int | None = None
    units: frozenset[Unit] | None = None
    switches_phases: bool | None = None
    has_dynamic: bool | None = None
    purposes: frozenset[str] | None = None
    """2.1: additional purposes, in OCPP's words."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a profile is checked against."""

    version: Version
    installed: Sequence[Installed] = ()
    running: Mapping[int, frozenset[str]] | None = None
    """The transactions that run at each charge point; None: not known."""
    abilities: Abilities = Abilities()


def faults(profile: Profile, number: int, known: Circumstances) -> list[Fault]:
    """Everything that is wrong; empty if it may be sent."""
    found = [*_purpose_faults(profile, number, known), *_kind_faults(profile, known), *_validity_faults(profile)]
    found += _schedules_faults(profile, known)
    for index, schedule in enumerate(profile.schedules):
        found += _schedule_faults(profile, schedule, f"body/schedules/{index}", known)
    found += _neighbour_faults(profile, number, known)
    return found


def _purpose_faults(profile: Profile, number: int, known: Circumstances) -> Iterator[Fault]:
    purpose, place = profile.purpose, "body/purpose"
    word = purpose_word(purpose, known.version)
    if word is None or purpose is Purpose.EXTERNAL:
        # 2.0.1 K01.FR.22: external constraints come from others than the CSMS
        why = "is set by others than this system" if word else f"does not exist in {known.version}"
        yield Fault(place, f"the purpose {purpose} {why}; choose another")
    elif purpose in (Purpose.PRIORITY, Purpose.LOCAL_GENERATION) and _lacks(known.abilities, word):
        yield Fault(place, f"the station says that it has no profiles of purpose {purpose}; choose another")
    if purpose in (Purpose.STATION_MAX, Purpose.LOCAL_GENERATION) and number != WHOLE_STATION:
        yield Fault("body/charge_point_number", f"{purpose} is for the whole station; set charge_point_number to 0")
    if purpose is Purpose.TRANSACTION:
        yield from _transaction_faults(profile, number, known)
    elif profile.transaction_id is not None:
        yield Fault("body/transaction_id", "only the purpose `transaction` names a transaction; leave it out")


def _lacks(abilities: Abilities, word: str) -> bool:
    return abilities.purposes is not None and word not in abilities.purposes


def _transaction_faults(profile: Profile, number: int, known: Circumstances) -> Iterator[Fault]:
    """1.6, 5.16.2: only while the transaction runs; 2.0.1 K01.FR.03 and FR.16: with its id, not on EVSE 0."""
    place = "body/transaction_id"
    if number == WHOLE_STATION:
        yield Fault("body/charge_point_number", "a profile for one charge needs the charge point where it runs")
        return
    running = None if known.running is None else known.running.get(number, frozenset())
    if profile.transaction_id is None:
        yield Fault(place, f"give the transaction that runs at charge point {number}")
    elif running is not None and profile.transaction_id not in running:
        what = f"those that run: {', '.join(sorted(running))}" if running else "none runs there now"
        yield Fault(place, f"this transaction does not run at charge point {number} ({what})")
    is_number = profile.transaction_id is not None and profile.transaction_id.isascii()
    if known.version is Version.V16 and is_number and not (profile.transaction_id or "").lstrip("-").isdigit():
        yield Fault(place, "a transaction of OCPP 1.6 has a whole number")


def _kind_faults(profile: Profile, known: Circumstances) -> Iterator[Fault]:
    kind, place = profile.kind, "body/kind"
    if kind in _ONLY_IN_21 and known.version is not Version.V21:
        yield Fault(place, f"{kind} exists in OCPP 2.1 only; this station speaks {known.version}")
    if kind is Kind.DYNAMIC and known.abilities.has_dynamic is False:
        yield Fault(place, "the station says that it has no dynamic profiles; use absolute")
    if kind is Kind.RELATIVE and profile.purpose not in _OF_A_CHARGE:
        # 2.0.1 K01.FR.38; 1.6, 7.9: relative counts from the start of a charge
        yield Fault(
            place, f"relative counts from the start of a charge, which {profile.purpose} has none of; use absolute"
        )
    if kind is Kind.RECURRING and profile.recurrency is None:
        yield Fault("body/recurrency", "a recurring profile is daily or weekly")
    if kind is not Kind.RECURRING and profile.recurrency is not None:
        yield Fault("body/recurrency", "only a recurring profile has a recurrency; leave it out")


def _validity_faults(profile: Profile) -> Iterator[Fault]:
    if profile.valid_from is not None and profile.valid_to is not None and profile.valid_to <= profile.valid_from:
        yield Fault("body/valid_to", "must be later than valid_from")
    if profile.stack_level < 0:
        yield Fault("body/stack_level", "must be 0 or more")


def _schedules_faults(profile: Profile, known: Circumstances) -> Iterator[Fault]:
    count, most = len(profile.schedules), 1 if known.version is Version.V16 else SCHEDULES_MAX
    if not 1 <= count <= most:
        yield Fault("body/schedules", f"give {'one schedule' if most == 1 else 'one to three schedules'}, not {count}")
    abilities = known.abilities
    if abilities.stack_level_max is not None and profile.stack_level > abilities.stack_level_max:
        yield Fault("body/stack_level", f"this station's highest stack level is {abilities.stack_level_max}")


def _schedule_faults(profile: Profile, schedule: Schedule, place: str, known: Circumstances) -> Iterator[Fault]:
    units = known.abilities.units
    if units is not None and schedule.unit not in units:
        yield Fault(f"{place}/unit", f"this station takes {' and '.join(sorted(units))} only")
    yield from _start_faults(profile, schedule, place, known.version)
    if schedule.duration_s is not None and schedule.duration_s <= 0:
        yield Fault(f"{place}/duration_s", "must be 1 or more; leave it out to go on without end")
    if schedule.minimum_rate is not None and (schedule.minimum_rate < 0 or not _is_tenths(schedule.minimum_rate)):
        yield Fault(f"{place}/minimum_rate", "must be 0 or more, with one decimal at most")
    yield from _order_faults(profile, schedule, f"{place}/periods", known)
    for index, period in enumerate(schedule.periods):
        yield from _period_faults(profile, schedule, period, f"{place}/periods/{index}", known)


def _start_faults(profile: Profile, schedule: Schedule, place: str, version: Version) -> Iterator[Fault]:
    """2.0.1 K01.FR.40 and FR.41; 1.6, 7.13: an absolute one without start counts from the start of the charge."""
    is_needed = profile.kind is Kind.RECURRING or (profile.kind is Kind.ABSOLUTE and version is not Version.V16)
    if is_needed and schedule.starts_at is None:
        yield Fault(
            f"{place}/starts_at",
            f"an {profile.kind} schedule needs its start"
            if profile.kind is Kind.ABSOLUTE
            else "a recurring schedule needs the time from which it recurs",
        )
    if profile.kind is Kind.RELATIVE and schedule.starts_at is not None:
        yield Fault(f"{place}/starts_at", "a relative schedule starts with the charge; leave it out, or use absolute")
    is_of_charge = profile.purpose in _OF_A_CHARGE
    if profile.kind is Kind.ABSOLUTE and schedule.starts_at is None and not is_needed and not is_of_charge:
        yield Fault(f"{place}/starts_at", "a schedule of the whole station has no charge to start with; give its start")


def _order_faults(profile: Profile, schedule: Schedule, place: str, known: Circumstances) -> Iterator[Fault]:
    most = min(PERIODS_MAX, known.abilities.periods_max or PERIODS_MAX)
    if not 1 <= len(schedule.periods) <= most:
        yield Fault(place, f"give 1 to {most} periods, as many as this station takes, not {len(schedule.periods)}")
        return
    if profile.kind is Kind.DYNAMIC and len(schedule.periods) > 1:
        yield Fault(place, "a dynamic profile has one period, whose limit is changed while it is in force")
    if schedule.periods[0].start_s != 0:  # 2.0.1 K01.FR.31
        yield Fault(f"{place}/0/start_s", "the first period starts at 0")
    for index in range(1, len(schedule.periods)):
        if schedule.periods[index].start_s <= schedule.periods[index - 1].start_s:  # 2.0.1 K01.FR.35
            yield Fault(f"{place}/{index}/start_s", "each period starts later than the one before")
    last = schedule.periods[-1].start_s
    if schedule.duration_s is not None and last >= schedule.duration_s > 0:
        where = f"{place}/{len(schedule.periods) - 1}/start_s"
        yield Fault(where, f"starts after the schedule has ended ({schedule.duration_s} s)")


def _period_faults(
    profile: Profile, schedule: Schedule, period: Period, place: str, known: Circumstances
) -> Iterator[Fault]:
    yield from _limit_faults(period, place, known.version)
    if period.phases is not None and not 1 <= period.phases <= PHASES_MAX:
        yield Fault(f"{place}/phases", "1, 2 or 3; leave it out for direct current")
    yield from _phase_faults(period, place, known)
    yield from _mode_faults(profile, period, place, known.version)
    if known.version is not Version.V21 and set(period.more) - {"customData"}:
        names = ", ".join(sorted(set(period.more) - {"customData"}))
        yield Fault(place, f"only OCPP 2.1 has {names}; this station speaks {known.version}")
    single = [name for name in _SINGLE_PHASES if f"limit_{name}" in period.more]
    if single and schedule.unit is Unit.WATT and len(single) != len(_SINGLE_PHASES):
        yield Fault(f"{place}/limit_l2", "give limits for both L2 and L3, or for neither")


def _limit_faults(period: Period, place: str, version: Version) -> Iterator[Fault]:
    if period.limit is None:
        return
    if period.limit < 0:
        yield Fault(f"{place}/limit", "must be 0 or more; to let a car discharge, use OCPP 2.1's discharge_limit")
    if not _is_tenths(period.limit) and version is not Version.V21:  # 1.6, 7.14; 2.0.1 K01.FR.45
        yield Fault(f"{place}/limit", "has one decimal at most, as in 21.4")


def _is_tenths(value: Decimal) -> bool:
    return value % TENTH == 0


def _phase_faults(period: Period, place: str, known: Circumstances) -> Iterator[Fault]:
    """2.0.1 K01.FR.19 and FR.20."""
    if period.phase_to_use is None:
        return
    if known.version is Version.V16:
        yield Fault(f"{place}/phase_to_use", "OCPP 1.6 cannot choose the phase; leave it out")
    elif period.phases != 1:
        yield Fault(f"{place}/phase_to_use", "the phase is chosen for charging with one phase; set phases to 1")
    elif not 1 <= period.phase_to_use <= PHASES_MAX:
        yield Fault(f"{place}/phase_to_use", "give phase 1, 2 or 3")
    elif known.abilities.switches_phases is False:
        yield Fault(f"{place}/phase_to_use", "this station cannot switch phases; leave it out")


def _mode_faults(profile: Profile, period: Period, place: str, version: Version) -> Iterator[Fault]:
    """2.1, table of limits and set points per operation mode."""
    mode = str(period.more.get("operationMode", "ChargingOnly"))
    if period.limit is None and (version is not Version.V21 or mode not in _WITHOUT_LIMIT):
        yield Fault(
            f"{place}/limit", "a period needs its limit" + (f" in mode {mode}" if mode != "ChargingOnly" else "")
        )
    if version is not Version.V21:
        return
    modes = _MODES.get(profile.purpose)
    if modes is not None and mode not in modes:
        yield Fault(f"{place}/operation_mode", f"{profile.purpose} may have {' and '.join(sorted(modes))} only")
    if mode in _NEEDS_SETPOINT and "setpoint" not in period.more:
        yield Fault(f"{place}/setpoint", f"mode {mode} needs a setpoint")


def _neighbour_faults(profile: Profile, number: int, known: Circumstances) -> Iterator[Fault]:
    """What the profiles that are installed leave no room for; those that this one replaces are no matter."""
    replaced = replaced_by(profile, number, known.installed, known.version)
    others = [one for one in known.installed if one not in replaced and one.profile.purpose is not Purpose.EXTERNAL]
    most = known.abilities.installed_max
    if most is not None and len(others) >= most:
        yield Fault("body", f"the station holds {most} profiles and has {len(others)}; remove one first")
    if known.version is Version.V16:  # 1.6, 5.16.1: it replaces them
        return
    for other in others:
        if _collide(profile, number, other):
            where = "the whole station" if other.number == WHOLE_STATION else f"charge point {other.number}"
            yield Fault(
                "body/stack_level",
                f"profile {other.profile.id} of {where} has the same purpose and stack level and is valid at the same "
                "time; use its profile_id to replace it, another stack level, or a validity that does not overlap",
            )


def _collide(profile: Profile, number: int, other: Installed) -> bool:
    """2.0.1 K01.FR.06, FR.39, FR.52 and FR.53."""
    theirs = other.profile
    if (theirs.purpose, theirs.stack_level) != (profile.purpose, profile.stack_level) or theirs.id == profile.id:
        return False
    if profile.purpose is Purpose.TRANSACTION:
        return theirs.transaction_id == profile.transaction_id and profile.overlaps(theirs)
    is_same_place = other.number == number or (
        profile.purpose is Purpose.DEFAULT and WHOLE_STATION in (other.number, number)
    )
    return is_same_place and profile.overlaps(theirs)


def replaced_by(profile: Profile, number: int, installed: Sequence[Installed], version: Version) -> list[Installed]:
    """The installed profiles that go when the station accepts this one.

    1.6, 5.16.1: that of the same id, and that of the same connector, purpose and stack level. 2.0.1 K01.FR.05: that
    of the same id; another of the same purpose and level only where it would be valid at the same time.
    """
    return [one for one in installed if _replaces(profile, number, one, version)]


def _replaces(profile: Profile, number: int, other: Installed, version: Version) -> bool:
    theirs = other.profile
    if theirs.purpose is Purpose.EXTERNAL and profile.purpose is not Purpose.EXTERNAL:
        return False
    if theirs.id == profile.id:
        return True
    if version is not Version.V16:
        return False
    is_same = (theirs.purpose, theirs.stack_level, other.number) == (profile.purpose, profile.stack_level, number)
    return is_same and (profile.purpose is not Purpose.TRANSACTION or theirs.transaction_id == profile.transaction_id)


def is_over(profile: Profile, now: datetime) -> bool:
    """Whether the profile can never again say anything."""
    if profile.valid_to is not None and profile.valid_to <= now:
        return True
    if profile.kind is not Kind.ABSOLUTE or not profile.schedules:
        return False
    return all(
        one.starts_at is not None and one.duration_s is not None and _ended(one.starts_at, one.duration_s, now)
        for one in profile.schedules
    )


def _ended(starts_at: datetime, duration_s: int, now: datetime) -> bool:
    return now - starts_at >= timedelta(seconds=min(duration_s, 10**9))
