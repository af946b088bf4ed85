"""S25: what operators do with charging profiles: every one is checked, kept, and then sent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlmodel import col, select

from csms.exceptions import Conflict, CsmsError, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import Payload
from csms.runtime import Runtime
from csms.station.charge_points import charge_points_of
from csms.station.charging_profiles.model import (
    CSMS_SOURCE,
    INSTALLED,
    ChargingProfile,
    ProfileReport,
    ProfileState,
    ReportState,
)
from csms.station.charging_profiles.rules.checks import Circumstances, Fault, faults
from csms.station.charging_profiles.rules.curve import Limit, Supply, converted
from csms.station.charging_profiles.rules.limits import limit_id, limit_profile, limit_purpose
from csms.station.charging_profiles.rules.profile import WHOLE_STATION, Profile, Purpose, Unit
from csms.station.charging_profiles.rules.wire import purpose_word, write_profile
from csms.station.charging_profiles.service.ending import new_request_id
from csms.station.charging_profiles.service.known import (
    PROFILES_MAX,
    circumstances,
    columns_of,
    get_profile,
    installed_rows,
    next_profile_id,
    running_at,
    site_of,
    transaction_of,
    version_of,
)
from csms.station.commands import Command, CommandOutcome, send
from csms.station.information import Station, get_station
from csms.store import Work

FAULTS_MAX: Final = 50
_UNSENT: Final = (CommandOutcome.OFFLINE, CommandOutcome.EXPIRED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A limit that an operator asks for."""

    value: Decimal
    unit: Unit
    is_charge: bool = False
    """Only for the charge that runs now."""
    until: datetime | None = None
    phases: int | None = None


Make = Callable[[Work, Station, Circumstances], Awaitable[Profile]]


async def set_profile(runtime: Runtime, caller: Caller, identity: str, number: int, profile: Profile) -> int:
    """Check a profile, keep it and send it; returns its row's id. An id of 0 is replaced by the next free one.

    Raises NotFound (station), Invalid (with the place of each fault), Conflict (the station may not be sent it).
    """

    async def given(work: Work, station: Station, _known: Circumstances) -> Profile:
        return profile if profile.id else replace(profile, id=await next_profile_id(work, station.id))

    return await send_made(runtime, caller, identity, number, given)


async def set_limit(runtime: Runtime, caller: Caller, identity: str, number: int, wanted: Wanted) -> int:
    """Limit a charge point, its charge, or the station (0); returns the row's id of the profile behind it.

    Raises Conflict for a charge where none runs, and what `set_profile` raises.
    """

    async def simple(work: Work, station: Station, known: Circumstances) -> Profile:
        purpose = limit_purpose(number, is_charge=wanted.is_charge)
        value, unit = await _in_known_unit(work, station, number, wanted, known)
        return limit_profile(
            number,
            purpose,
            value,
            unit,
            stack_level=level_above(known, purpose, limit_id(number, purpose)),
            now=work.now,
            until=wanted.until,
            phases=wanted.phases,
            transaction_id=await _running(work, station, number) if purpose is Purpose.TRANSACTION else None,
        )

    if wanted.is_charge and number == WHOLE_STATION:
        raise Invalid("a charge runs at a charge point, not at the whole station", place="path/number")
    return await send_made(runtime, caller, identity, number, simple)


async def _running(work: Work, station: Station, number: int) -> str:
    log = await running_at(work, station.id, number)
    if log is None:
        raise Conflict(f"nothing charges at charge point {number} now; limit the charge point instead")
    return transaction_of(log)


async def _in_known_unit(
    work: Work, station: Station, number: int, wanted: Wanted, known: Circumstances
) -> tuple[Decimal, Unit]:
    """In the other unit, rounded down, where the station takes only that."""
    units = known.abilities.units
    if not units or wanted.unit in units:
        return wanted.value, wanted.unit
    other = Unit.WATT if wanted.unit is Unit.AMPERE else Unit.AMPERE
    supply = (await site_of(work, station)).supplies.get(number) or Supply()
    limit = converted(Limit(wanted.value, wanted.unit, wanted.phases), other, supply)
    return (limit.value if limit is not None else None) or Decimal(0), other


def level_above(known: Circumstances, purpose: Purpose, profile_id: int) -> int:
    """The lowest stack level on which a limit prevails over the other profiles of its purpose."""
    levels = [
        one.profile.stack_level
        for one in known.installed
        if one.profile.purpose is purpose and one.profile.id != profile_id
    ]
    level = max(levels, default=-1) + 1
    highest = known.abilities.stack_level_max
    return level if highest is None else min(level, highest)


async def send_made(runtime: Runtime, caller: Caller, identity: str, number: int, make: Make) -> int:
    """Check the profile that `make` returns, keep it and send it; returns its row's id. Raises as `set_profile`."""
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        await _check_place(work, station, number)
        known = await circumstances(work, station)
        profile = await make(work, station, known)
        _raise(_all_faults(profile, number, known))
        version = version_of(station)
        payload = write_profile(profile, version)
        row = _sent_row(work, station, number, profile, payload)
        work.session.add(row)
        await work.session.flush()
        row_id = row.id
    await _deliver(runtime, caller, identity, row_id, _set_request(version, number, payload))
    return row_id


def _all_faults(profile: Profile, number: int, known: Circumstances) -> Sequence[Fault]:
    found = faults(profile, number, known)
    if len(known.installed) >= PROFILES_MAX:
        found.append(Fault("body", f"a station has {PROFILES_MAX} profiles at most here; remove some first"))
    return found


def _raise(found: Sequence[Fault]) -> None:
    if found:
        errors = [{"place": one.place, "message": one.text} for one in found[:FAULTS_MAX]]
        first = found[0]
        text = first.text if len(found) == 1 else f"the profile is wrong in {len(found)} places; see `errors`"
        raise Invalid(text, place=first.place, errors=errors)


async def _check_place(work: Work, station: Station, number: int) -> None:
    """A number that the station has not; one of which nothing is known yet is left to its judgement."""
    numbers = [one.number for one in await charge_points_of(work, station)]
    if number != WHOLE_STATION and numbers and number not in numbers:
        listed = ", ".join(map(str, numbers))
        raise NotFound(f"«{station.identity}» has no charge point {number}; it has {listed}, and 0 is the station")


def _sent_row(work: Work, station: Station, number: int, profile: Profile, payload: Payload) -> ChargingProfile:
    return ChargingProfile(
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=number,
        source=CSMS_SOURCE,
        state=ProfileState.SENT,
        state_at=work.now,
        sent_at=work.now,
        sent_by=work.actor.name,
        **columns_of(profile, payload, version_of(station)),
    )


def _set_request(version: Version, number: int, payload: Payload) -> Payload:
    if version is Version.V16:
        return {"connectorId": number, "csChargingProfiles": payload}
    return {"evseId": number, "chargingProfile": payload}


async def _deliver(runtime: Runtime, caller: Caller, identity: str, row_id: int, request: Payload) -> None:
    """The answer itself is stored by the broker; what is known here is why there is none."""
    try:
        command = await send(runtime, caller, identity, "SetChargingProfile", request)
    except CsmsError as error:
        await _settle(runtime, caller, row_id, ProfileState.UNDELIVERED, error.detail)
        raise
    if command.outcome is CommandOutcome.ANSWERED:
        return
    if command.outcome is CommandOutcome.REFUSED:
        error_words = command.error or {}
        reason = ": ".join(str(error_words[name]) for name in ("code", "description") if error_words.get(name))
        await _settle(runtime, caller, row_id, ProfileState.REJECTED, reason)
    else:
        state = ProfileState.UNDELIVERED if command.outcome in _UNSENT else ProfileState.UNCERTAIN
        await _settle(runtime, caller, row_id, state, command.reason)


async def _settle(runtime: Runtime, caller: Caller, row_id: int, state: ProfileState, reason: str | None) -> None:
    async with runtime.store.writing(caller) as work:
        row = await work.session.get_one(ChargingProfile, row_id)
        if row.state is ProfileState.SENT:
            row.state, row.state_at, row.reason = state, work.now, reason


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which profiles to clear; what is None is no criterion."""

    number: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None


async def clear_profile(runtime: Runtime, caller: Caller, identity: str, row_id: int) -> Command:
    """Ask the station to remove one profile. Raises NotFound, Conflict for one that it does not have."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        row = await get_profile(work, station, row_id)
        if row.state not in (*INSTALLED, ProfileState.UNCERTAIN):
            raise Conflict(f"this profile is {row.state}; there is nothing to remove")
        name = "id" if version_of(station) is Version.V16 else "chargingProfileId"
        request = {name: row.profile_id}
    return await send(runtime, caller, identity, "ClearChargingProfile", request)


async def clear_profiles(runtime: Runtime, caller: Caller, identity: str, criteria: Criteria) -> Command:
    """Ask the station to remove all profiles that match. Raises NotFound, Invalid."""
    async with runtime.store.reading(caller) as work:
        version = version_of(await get_station(work, identity))
    word = None if criteria.purpose is None else purpose_word(criteria.purpose, version)
    if criteria.purpose is not None and (word is None or criteria.purpose is Purpose.EXTERNAL):
        raise Invalid(f"profiles of purpose {criteria.purpose} cannot be cleared from here", place="body/purpose")
    is_16 = version is Version.V16
    given = {
        "connectorId" if is_16 else "evseId": criteria.number,
        "chargingProfilePurpose": word,
        "stackLevel": criteria.stack_level,
    }
    request: Payload = {name: value for name, value in given.items() if value is not None}
    if not is_16 and not request:  # 2.0.1 K10.FR.02: an id or criteria; all of them is what every purpose matches
        raise Invalid("give at least one of charge_point_number, purpose and stack_level", place="body")
    return await send(
        runtime, caller, identity, "ClearChargingProfile", request if is_16 else {"chargingProfileCriteria": request}
    )


async def remove_limit(
    runtime: Runtime, caller: Caller, identity: str, number: int, *, is_charge: bool | None = None
) -> list[Command]:
    """Remove the simple limits of that charge point; of both kinds if it is not said which. Raises NotFound."""
    kinds = (False, True) if is_charge is None else (is_charge,)
    ids = {limit_id(number, limit_purpose(number, is_charge=kind)) for kind in kinds}
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        rows = [row for row in await installed_rows(work, station.id) if row.profile_id in ids]
        name = "id" if version_of(station) is Version.V16 else "chargingProfileId"
    if not rows:
        where = "the station" if number == WHOLE_STATION else f"charge point {number}"
        raise NotFound(f"no such limit is set at {where}; GET …/charging-limits shows what limits it")
    return [await send(runtime, caller, identity, "ClearChargingProfile", {name: row.profile_id}) for row in rows]


@dataclass(frozen=True, slots=True)
class ReportWanted:
    """Which profiles the station should tell of; what is None is no criterion."""

    number: int | None = None
    purpose: Purpose | None = None
    stack_level: int | None = None
    profile_ids: Sequence[int] | None = None
    sources: Sequence[str] | None = None

    def request(self, version: Version) -> Payload:
        """GetChargingProfilesRequest (2.0.1 K09.FR.03: ids go without other criteria). Raises Invalid."""
        criteria = {
            "chargingProfilePurpose": self._purpose_word(version),
            "stackLevel": self.stack_level,
            "chargingProfileId": list(self.profile_ids) if self.profile_ids else None,
            "chargingLimitSource": list(self.sources) if self.sources else None,
        }
        given = {name: value for name, value in criteria.items() if value is not None}
        if self.profile_ids and len(given) > 1:
            raise Invalid("ids go without purpose, stack_level and sources", place="body/profile_ids")
        request: Payload = {"requestId": new_request_id(), "chargingProfile": given}
        return request if self.number is None else request | {"evseId": self.number}

    def _purpose_word(self, version: Version) -> str | None:
        word = None if self.purpose is None else purpose_word(self.purpose, version)
        if self.purpose is not None and word is None:
            raise Invalid(f"the purpose {self.purpose} does not exist in {version}", place="body/purpose")
        return word


async def refresh(runtime: Runtime, caller: Caller, identity: str, wanted: ReportWanted) -> int:
    """Ask the station which profiles it has (2.x); returns the row's id of the report.

    Raises Conflict for a station of OCPP 1.6, which cannot be asked.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        version = version_of(station)
        if version is Version.V16:
            raise Conflict("a station of OCPP 1.6 cannot list its profiles; what is known comes from its answers")
        request = wanted.request(version)
        report = ProfileReport(
            organisation_id=station.organisation_id,
            station_id=station.id,
            request_id=request["requestId"],
            request=request,
            state=ReportState.ASKED,
            state_at=work.now,
            asked_at=work.now,
        )
        work.session.add(report)
        await work.session.flush()
        report_id = report.id
    await _ask(runtime, caller, identity, report_id, request)
    return report_id


async def _ask(runtime: Runtime, caller: Caller, identity: str, report_id: int, request: Payload) -> None:
    reason = None
    try:
        command = await send(runtime, caller, identity, "GetChargingProfiles", request)
        if command.outcome is not CommandOutcome.ANSWERED:
            reason = command.reason or f"the station refused: {(command.error or {}).get('code')}"
    except CsmsError as error:
        reason = error.detail
        raise
    finally:
        if reason is not None:
            await _fail(runtime, caller, report_id, reason)


async def _fail(runtime: Runtime, caller: Caller, report_id: int, reason: str) -> None:
    async with runtime.store.writing(caller) as work:
        report = await work.session.get_one(ProfileReport, report_id)
        if report.state is ReportState.ASKED:
            report.state, report.state_at, report.reason = ReportState.FAILED, work.now, reason


async def get_report(work: Work, station: Station, report_id: int) -> ProfileReport:
    """Raises NotFound."""
    query = select(ProfileReport).where(col(ProfileReport.station_id) == station.id, col(ProfileReport.id) == report_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such report; GET …/charging-profile-reports lists them")
    return found


@dataclass(frozen=True, slots=True)
class Question:
    """What may that charge point (0: the station) draw from now on."""

    number: int
    duration_s: int
    unit: Unit


async def ask_composite(runtime: Runtime, caller: Caller, identity: str, asked: Question) -> Command:
    """Ask the station for its composite schedule; the answer is stored by the broker. Raises NotFound."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        await _check_place(work, station, asked.number)
        is_16 = version_of(station) is Version.V16
    question: Payload = {"duration": asked.duration_s, "chargingRateUnit": asked.unit.value}
    request = {"connectorId": asked.number} | question if is_16 else question | {"evseId": asked.number}
    return await send(runtime, caller, identity, "GetCompositeSchedule", request)
