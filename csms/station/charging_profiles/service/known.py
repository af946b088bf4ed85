"""S25: what is known of a station: its profiles, external limits, running charges, supply and abilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Protocol

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.ocpp.versions import Version
from csms.station.charge_logs import ChargeLog, ChargeState
from csms.station.charge_points import Connector, charge_points_of, connectors_of
from csms.station.charging_profiles.model import (
    INSTALLED,
    ChargingLimit,
    ChargingProfile,
    PriorityCharge,
    ProfileState,
)
from csms.station.charging_profiles.rules.abilities import ABILITY_KEYS_2, ABILITY_KEYS_16, Told, read_abilities
from csms.station.charging_profiles.rules.checks import Abilities, Circumstances
from csms.station.charging_profiles.rules.composite import Charge, Installed, Site
from csms.station.charging_profiles.rules.curve import Supply
from csms.station.charging_profiles.rules.limits import LIMIT_IDS_FROM
from csms.station.charging_profiles.rules.profile import Kind, Profile, Purpose
from csms.station.charging_profiles.rules.wire import read_profile, read_schedule
from csms.station.information import Station
from csms.station.settings import Setting
from csms.store import Work

PROFILES_MAX: Final = 200
"""Installed profiles of one station; what it reports beyond is counted and not kept."""
LIMITS_MAX: Final = 64
"""External limits of one station."""
_DC_PLUGS: Final = frozenset(
    {"chademo", "chaoji", "gbt_dc", "iec_62196_t1_combo", "iec_62196_t2_combo", "pantograph_bottom_up"}
    | {"pantograph_top_down", "tesla_s"}
)
_PHASE_TO_PHASE_V: Final = range(346, 440)
"""What is written for a three-phase connector between phases; charging counts with phase to neutral."""
_ROOT_OF_THREE: Final = Decimal("1.7320508")


class Place(Protocol):
    """A station, as a row or as the broker holds it."""

    @property
    def id(self) -> int: ...


def version_of(station: Station) -> Version:
    """The version it spoke last; 1.6 for one that never connected."""
    return Version(station.protocol) if station.protocol in list(Version) else Version.V16


async def installed_rows(work: Work, station_id: int) -> Sequence[ChargingProfile]:
    """The profiles that the station has, oldest first."""
    query = (
        select(ChargingProfile)
        .where(ChargingProfile.station_id == station_id, col(ChargingProfile.state).in_(INSTALLED))
        .order_by(col(ChargingProfile.id))
        .limit(2 * PROFILES_MAX)
    )
    return (await work.session.exec(query)).all()


def installed_from(rows: Sequence[ChargingProfile]) -> list[Installed]:
    """As values; `source` is the row's id. What cannot be read limits nothing that is known."""
    found = []
    for row in rows:
        profile = read_profile(row.payload)
        if profile is not None:
            profile = replace(profile, transaction_id=row.transaction_id or profile.transaction_id)
            found.append(Installed(row.charge_point_number, profile, row.id))
    return found


@dataclass(frozen=True, slots=True)
class ProfileFilter:
    """Which profiles; what is empty or None is no criterion."""

    states: Sequence[ProfileState] = ()
    purposes: Sequence[Purpose] = ()
    number: int | None = None
    transaction_id: str | None = None


def profiles_query(station: Station, wanted: ProfileFilter = ProfileFilter()) -> SelectOfScalar[ChargingProfile]:
    """The station's profiles, to be paged."""
    query = select(ChargingProfile).where(ChargingProfile.station_id == station.id)
    if wanted.states:
        query = query.where(col(ChargingProfile.state).in_(wanted.states))
    if wanted.purposes:
        query = query.where(col(ChargingProfile.purpose).in_(wanted.purposes))
    if wanted.number is not None:
        query = query.where(ChargingProfile.charge_point_number == wanted.number)
    if wanted.transaction_id is not None:
        query = query.where(ChargingProfile.transaction_id == wanted.transaction_id)
    return query


async def get_profile(work: Work, station: Station, row_id: int) -> ChargingProfile:
    """Raises NotFound."""
    query = profiles_query(station).where(ChargingProfile.id == row_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such charging profile; GET …/charging-profiles lists them")
    return found


async def external_limits(work: Work, station_id: int) -> Sequence[ChargingLimit]:
    """The limits from outside that are in force."""
    query = select(ChargingLimit).where(ChargingLimit.station_id == station_id, col(ChargingLimit.cleared_at).is_(None))
    return (await work.session.exec(query.order_by(col(ChargingLimit.id)).limit(LIMITS_MAX))).all()


def limits_from(rows: Sequence[ChargingLimit]) -> list[Installed]:
    """External limits as profiles: what has no start of its own holds since it was told."""
    found = []
    for row in rows:
        for index, payload in enumerate(row.schedules):
            schedule = read_schedule(payload)
            if schedule is None:
                continue
            purpose = Purpose.LOCAL_GENERATION if row.is_local_generation else Purpose.EXTERNAL
            starting = replace(schedule, starts_at=schedule.starts_at or row.received_at)
            profile = Profile(-1 - index, purpose, 0, Kind.ABSOLUTE, (starting,))
            found.append(Installed(row.charge_point_number, profile, row.id))
    return found


def transaction_of(log: ChargeLog) -> str:
    """OCPP's id of the transaction, as text."""
    return str(log.transaction_id)


async def running_charges(work: Work, station_id: int) -> list[ChargeLog]:
    """The charges that run, oldest first."""
    query = select(ChargeLog).where(ChargeLog.station_id == station_id, ChargeLog.state == ChargeState.RUNNING)
    return list((await work.session.exec(query.order_by(col(ChargeLog.id)).limit(1000))).all())


async def running_at(work: Work, station_id: int, number: int) -> ChargeLog | None:
    """The charge that runs at that charge point; the newest if trouble left several."""
    found = [log for log in await running_charges(work, station_id) if log.charge_point_number == number]
    return found[-1] if found else None


async def circumstances(work: Work, station: Station) -> Circumstances:
    """What a profile for that station is checked against."""
    running: dict[int, set[str]] = {}
    for log in await running_charges(work, station.id):
        running.setdefault(log.charge_point_number, set()).add(transaction_of(log))
    return Circumstances(
        version=version_of(station),
        installed=installed_from(await installed_rows(work, station.id)),
        running={number: frozenset(ids) for number, ids in running.items()},
        abilities=await abilities_of(work, station),
    )


async def abilities_of(work: Work, station: Station) -> Abilities:
    """What the station's settings say that it can; what they do not say is not known."""
    names = ABILITY_KEYS_16 if version_of(station) is Version.V16 else ABILITY_KEYS_2
    query = select(Setting.key, Setting.value, Setting.max_limit).where(
        Setting.station_id == station.id, col(Setting.key).in_(names.values())
    )
    told = {key: Told(value, max_limit) for key, value, max_limit in await work.session.exec(query)}
    return read_abilities({name: told[key] for name, key in names.items() if key in told})


async def priorities(work: Work, station_id: int) -> dict[int, PriorityCharge]:
    """What is known of priority (2.1), by charge point."""
    query = select(PriorityCharge).where(PriorityCharge.station_id == station_id).limit(1000)
    return {row.charge_point_number: row for row in await work.session.exec(query)}


async def site_of(work: Work, station: Station) -> Site:
    """The station with all that limits it."""
    connectors = await connectors_of(work, station)
    points = await charge_points_of(work, station)
    profiles = installed_from(await installed_rows(work, station.id))
    limits = limits_from(await external_limits(work, station.id))
    return Site(
        profiles=[*profiles, *(one for one in limits if one.profile.purpose is Purpose.LOCAL_GENERATION)],
        limits=[one for one in limits if one.profile.purpose is Purpose.EXTERNAL],
        numbers=[one.number for one in points],
        charges=_charges(await running_charges(work, station.id), await priorities(work, station.id)),
        supplies={one.number: supply_of(connectors.get(one.id, ())) for one in points},
    )


def _charges(logs: Sequence[ChargeLog], known: Mapping[int, PriorityCharge]) -> dict[int, Charge]:
    charges = {}
    for log in logs:
        row, transaction_id = known.get(log.charge_point_number), transaction_of(log)
        has_priority = row is not None and row.is_active and row.transaction_id == transaction_id
        charges[log.charge_point_number] = Charge(transaction_id, log.started_at, has_priority=has_priority)
    return charges


def supply_of(connectors: Sequence[Connector]) -> Supply:
    """Voltage and phases by the description of the connectors; 230 V and three phases where it says nothing."""
    described = next((one for one in connectors if one.voltage_v is not None or one.phases is not None), None)
    is_dc = any(one.plug_type is not None and one.plug_type.value in _DC_PLUGS for one in connectors)
    phases = 1 if is_dc else (described.phases if described is not None else None) or 3
    voltage = Decimal((described.voltage_v if described is not None else None) or (400 if is_dc else 230))
    if phases > 1 and int(voltage) in _PHASE_TO_PHASE_V:
        voltage = (voltage / _ROOT_OF_THREE).quantize(Decimal(1))
    return Supply(voltage, phases)


async def next_profile_id(work: Work, station_id: int) -> int:
    """An OCPP id that no profile of the station has or had lately."""
    query = select(func.max(ChargingProfile.profile_id)).where(
        ChargingProfile.station_id == station_id, ChargingProfile.profile_id < LIMIT_IDS_FROM
    )
    highest = (await work.session.exec(query)).one()
    return max(highest or 0, 0) + 1


def columns_of(profile: Profile, payload: dict[str, Any], version: Version) -> dict[str, Any]:
    """The columns that are read from the profile itself."""
    return {
        "profile_id": profile.id,
        "purpose": profile.purpose,
        "stack_level": profile.stack_level,
        "kind": profile.kind,
        "transaction_id": profile.transaction_id,
        "valid_from": profile.valid_from,
        "valid_to": profile.valid_to,
        "protocol": version.value,
        "payload": payload,
    }
