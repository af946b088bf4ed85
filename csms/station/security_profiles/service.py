"""B10: an upgrade's steps, from the request to the first connection with the new profile."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.certificates import StationCertificate
from csms.station.commands import Command, CommandOutcome, check_may_manage, send, version_of
from csms.station.information import Station, fact_about, get_station
from csms.station.network_profiles import (
    Link,
    priority_in,
    priority_query,
    priority_request,
    profile_request,
    set_status,
    url_fault,
)
from csms.station.passwords import has_password
from csms.station.security_profiles.model import ProfileUpgrade
from csms.station.security_profiles.rules import (
    WITH_CERTIFICATE,
    Readiness,
    UpgradeState,
    is_taken,
    obstacle,
    profile_in,
    profile_request_16,
)
from csms.store import Work
from csms.trust import tls_offer

SLOTS = range(1, 21)
"""Where a new network profile may be put."""


async def readiness(runtime: Runtime) -> Readiness:
    """What this installation offers."""
    async with runtime.store.reading() as work:
        offer = await tls_offer(work, runtime.settings)
    return Readiness(offer.has_tls, offer.has_client_tls, offer.has_authority)


def checked_profile(value: object) -> int:
    """Raises Invalid for what is no security profile."""
    profile = profile_in(value)
    if profile is None:
        raise Invalid("a security profile is 0, 1, 2 or 3", place="body")
    return profile


async def why_not(work: Work, station: Station, wanted: int, ready: Readiness) -> str | None:
    """Why the station cannot be raised to that profile, or None."""
    return obstacle(
        station.security_profile,
        wanted,
        has_password=await has_password(work, station),
        identity=station.identity,
        ready=ready,
    )


async def doubts(work: Work, station: Station, wanted: int) -> list[str]:
    """What is not known and would keep the station out, in words; no reason to refuse."""
    query = select(StationCertificate.kind).where(
        StationCertificate.station_id == station.id,
        col(StationCertificate.installed_at).is_not(None),
        col(StationCertificate.removed_at).is_(None),
        col(StationCertificate.revoked_at).is_(None),
    )
    kinds = {str(kind) for kind in (await work.session.exec(query)).all()}
    found = []
    if wanted > 1 and "csms_root" not in kinds:
        found.append("no root certificate for this system is known to be installed on the station; see …/certificates")
    if wanted == WITH_CERTIFICATE and "charging_station" not in kinds:
        found.append("no certificate of its own is known to be on the station; have it renewed at …/certificates")
    return found


# --- around the request -------------------------------------------------------------------------------------------


async def begin(work: Work, command: Command, station: Station, value: object, ready: Readiness) -> None:
    """Accept both profiles from now on, before the request leaves.

    Raises Conflict for a lower profile, and in 1.6, where the address stays the same, for one that could not get in.
    In 2.x a network profile may be meant for another system: it is only followed if it can be for this one.
    """
    wanted = checked_profile(value)
    is_16 = command.action == "ChangeConfiguration"
    if wanted == station.security_profile and not is_16:
        return
    fault = await why_not(work, station, wanted, ready)
    if fault is not None and (is_16 or wanted < station.security_profile):
        raise Conflict(fault)
    if fault is not None:
        return
    check_may_manage(work.actor, "raising a station's security profile")
    for row in await _open_rows(work, station.id):
        if row.state is UpgradeState.SENDING and row.requested_at >= work.now - (command.deadline_at - command.sent_at):
            raise Conflict("this station's security profile is being raised; wait for the outcome")
        _end(work, row, UpgradeState.CANCELLED, "another upgrade began")
    await work.session.flush()
    station.next_security_profile = wanted
    work.session.add(
        ProfileUpgrade(
            organisation_id=station.organisation_id,
            station_id=station.id,
            command_id=command.id,
            from_profile=station.security_profile,
            to_profile=wanted,
            state=UpgradeState.SENDING,
            requested_at=work.now,
            requested_by=work.actor.name,
        )
    )
    await work.session.flush()


async def answered(work: Work, station: ConnectedStation, answer: Payload) -> None:
    """The station took it or refused, in the unit that stores its answer."""
    row = next((one for one in await _open_rows(work, station.id) if one.state is UpgradeState.SENDING), None)
    if row is None:
        return
    status = str(answer.get("status"))[:50]
    if is_taken(status) is False:
        work.change(ProfileUpgrade, row.id, state=UpgradeState.REFUSED, reason=status, ended_at=work.now)
        work.change(Station, station.id, next_security_profile=None)
    else:
        work.change(ProfileUpgrade, row.id, state=UpgradeState.WAITING, reason=status)


_NOT_TAKEN = {
    CommandOutcome.REFUSED: (UpgradeState.REFUSED, "the station does not know the message or could not handle it"),
    CommandOutcome.OFFLINE: (UpgradeState.NOT_SENT, "the station was not connected"),
    CommandOutcome.EXPIRED: (UpgradeState.NOT_SENT, "other commands kept the station busy"),
}


async def end(work: Work, command: Command) -> None:
    """The command has ended; without an answer the station may have taken it."""
    row = (await work.session.exec(select(ProfileUpgrade).where(ProfileUpgrade.command_id == command.id))).first()
    if row is None or row.state is not UpgradeState.SENDING:
        return
    if command.outcome in _NOT_TAKEN:
        await give_up(work, row, *_NOT_TAKEN[command.outcome])
    else:
        row.state, row.reason = UpgradeState.WAITING, command.reason or "the answer could not be read"


async def give_up(work: Work, row: ProfileUpgrade, state: UpgradeState, reason: str) -> None:
    """End an upgrade: only the old profile is accepted again."""
    _end(work, row, state, reason)
    station = await work.session.get(Station, row.station_id)
    if station is not None:
        station.next_security_profile = None


def _end(work: Work, row: ProfileUpgrade, state: UpgradeState, reason: str) -> None:
    row.state, row.reason, row.ended_at = state, reason, work.now


# --- the connection that proves it --------------------------------------------------------------------------------


async def finish(work: Work, station_id: int, profile: int) -> None:
    """The station has come with the new profile: from now on only that one is accepted."""
    station = await work.session.get(Station, station_id)
    if station is None or station.next_security_profile != profile:
        return
    old, station.security_profile, station.next_security_profile = station.security_profile, profile, None
    for row in await _open_rows(work, station_id):
        is_it = row.to_profile == profile
        _end(
            work,
            row,
            UpgradeState.DONE if is_it else UpgradeState.CANCELLED,
            f"it came with security profile {profile}",
        )
    for kind in ("station_changed", "security_profile_raised"):
        work.emit(fact_about(station, kind, {"changed": ["security_profile"], "from": old, "to": profile}))


# --- the whole upgrade --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asks for; the link and slot are for 2.x only, and may be left to this system."""

    profile: int
    link: Link
    slot: int | None
    restarts: bool


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to one station as one caller."""

    runtime: Runtime
    caller: Caller
    identity: str
    timeout_s: float | None

    async def send(self, action: str, payload: Payload) -> Command:
        return await send(self.runtime, self.caller, self.identity, action, payload, timeout_s=self.timeout_s)


async def upgrade(sender: Sender, wanted: Wanted) -> ProfileUpgrade:
    """Ask the station to use the higher profile. Raises Conflict and Invalid before anything is sent."""
    runtime, caller = sender.runtime, sender.caller
    ready = await readiness(runtime)
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, sender.identity)
        fault = await why_not(work, station, wanted.profile, ready)
    if fault is None and not station.is_online:
        fault = "the station is not connected; it is told over its connection"
    if fault is not None:
        raise Conflict(fault)
    version = version_of(station)
    if version is Version.V16:
        command = await sender.send("ChangeConfiguration", profile_request_16(wanted.profile))
        follow = command.payload is not None and command.payload.get("status") == "RebootRequired"
        if follow and wanted.restarts:
            await sender.send("Reset", {"type": "Soft"})
    else:
        command = await _upgrade_2(sender, version, wanted)
    async with runtime.store.reading(caller) as work:
        query = select(ProfileUpgrade).where(ProfileUpgrade.command_id == command.id)
        return (await work.session.exec(query)).one()


_NO_URL = "say where the station is to connect (CSMS_BROKER_TLS_URL says it for TLS)"


async def _upgrade_2(sender: Sender, version: Version, wanted: Wanted) -> Command:
    """A05 of 2.x: a network profile in a free slot, first in the order, then a restart."""
    fault = url_fault(wanted.link.url, wanted.profile) if wanted.link.url else _NO_URL
    if fault is not None:
        raise Invalid(fault, place="body/network_profile/url")
    told = await sender.send("GetVariables", priority_query())
    if told.outcome is CommandOutcome.OFFLINE:
        raise Conflict("the station is not connected")
    present = priority_in(told.payload or {}) or []
    slot = wanted.slot if wanted.slot is not None else _free_slot(present)
    command = await sender.send("SetNetworkProfile", profile_request(version, slot, wanted.link))
    if command.payload is None or not is_taken(command.payload.get("status")):
        return command
    order = [slot, *(one for one in present if one != slot)]
    ordered = await sender.send("SetVariables", priority_request(order))
    status = set_status(ordered.payload or {})
    if ordered.outcome is not CommandOutcome.ANSWERED or not is_taken(status):
        await _note(sender, command, f"the order of slots was not set: {ordered.reason or status}", ordered)
    elif wanted.restarts:
        reset = await sender.send("Reset", {"type": "OnIdle"})
        word = (reset.payload or {}).get("status")
        if not is_taken(word):
            await _note(sender, command, f"the station must be restarted: {reset.reason or word}", None)
    return command


def _free_slot(present: Sequence[int]) -> int:
    if not present:
        raise Conflict("the station does not tell which slots it uses; name a free one in `network_profile.slot`")
    return next((slot for slot in SLOTS if slot not in present), SLOTS[-1])


async def _note(sender: Sender, command: Command, reason: str, refused: Command | None) -> None:
    """Say at the upgrade what came after it; a refused order ends it, since the station keeps to its old slots."""
    async with sender.runtime.store.writing(sender.caller) as work:
        row = (await work.session.exec(select(ProfileUpgrade).where(ProfileUpgrade.command_id == command.id))).one()
        if row.ended_at is not None:
            return
        row.reason = reason[:300]
        if refused is not None and refused.outcome is CommandOutcome.ANSWERED:
            await give_up(work, row, UpgradeState.REFUSED, reason[:300])


async def cancel(work: Work, station: Station) -> ProfileUpgrade:
    """Accept only the old profile again. Raises Conflict if nothing is under way."""
    rows = await _open_rows(work, station.id)
    if not rows:
        raise Conflict("no upgrade of this station's security profile is under way")
    await give_up(work, rows[0], UpgradeState.CANCELLED, f"cancelled by {work.actor.name}")
    station.next_security_profile = None
    return rows[0]


async def end_overtaken(work: Work, station_id: int) -> None:
    """Somebody set the station's profile by hand: an upgrade to another one is over."""
    station = await work.session.get(Station, station_id)
    for row in await _open_rows(work, station_id):
        if station is None or station.next_security_profile != row.to_profile:
            _end(work, row, UpgradeState.CANCELLED, "the security profile was set by hand")


async def _open_rows(work: Work, station_id: int) -> Sequence[ProfileUpgrade]:
    query = select(ProfileUpgrade).where(
        ProfileUpgrade.station_id == station_id, col(ProfileUpgrade.ended_at).is_(None)
    )
    return (await work.session.exec(query)).all()


def upgrades_query(station: Station) -> SelectOfScalar[ProfileUpgrade]:
    """The station's upgrades, to be paged."""
    return select(ProfileUpgrade).where(ProfileUpgrade.station_id == station.id)
