"""S27: bringing a station's list into step: what it lacks is sent, in as many messages as it needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from csms.exceptions import Conflict, CsmsError
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.runtime import Runtime
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.information import Station, get_station
from csms.station.local_lists.model import LocalList
from csms.station.local_lists.rules import ListResult, Update, UpdateType, fitted, items_a_message, plan
from csms.station.local_lists.service.contents import family_of, payload, rules_for, wanted_contents
from csms.station.local_lists.service.exclusions import excluded_tokens
from csms.station.local_lists.service.keeping import (
    find_list,
    list_of,
    set_in_step,
    snapshot,
    stored_entries,
    tell,
)
from csms.station.local_lists.service.limits import Limits, limits_of
from csms.store import Work

SENDING_MAX: Final = timedelta(minutes=15)
"""Who sends for longer has died."""
AGAIN_AFTER_MAX: Final = timedelta(hours=6)
UNREACHABLE_AGAIN_AFTER_MAX: Final = timedelta(minutes=15)
"""Of stations that are connected: one that comes back is looked at as soon as it has settled."""
_MEANS_NO_SUPPORT: Final = frozenset({"NotSupported", "NotImplemented"})


@dataclass(frozen=True, slots=True)
class Shipment:
    """What is to be sent to a station, and what it then has."""

    version: Version
    updates: Sequence[Update]
    snapshot_id: int
    is_empty: bool = False


async def sync(runtime: Runtime, caller: Caller, identity: str, *, to_empty: bool = False) -> LocalList:
    """Bring the station's list into step now; the row says what came of it.

    `to_empty` takes everything off it and stops keeping it. Raises NotFound, and Conflict while somebody is at it.
    """
    shipment = await _prepare(runtime, caller, identity, to_empty=to_empty)
    if shipment is None:
        return await _read(runtime, caller, identity)
    result, problem = await _send_all(runtime, caller, identity, shipment)
    if result in (ListResult.VERSION_MISMATCH, ListResult.FAILED) and not _is_full(shipment):
        again = await _prepare(runtime, caller, identity, to_empty=to_empty, is_full=True)
        if again is not None:
            shipment = again
            result, problem = await _send_all(runtime, caller, identity, shipment)
    return await _settle(runtime, caller, identity, shipment, result, problem)


def _is_full(shipment: Shipment) -> bool:
    return bool(shipment.updates) and shipment.updates[0].kind is UpdateType.FULL


async def _read(runtime: Runtime, caller: Caller, identity: str) -> LocalList:
    async with runtime.store.writing(caller) as work:
        return await list_of(work, await get_station(work, identity))


async def _prepare(
    runtime: Runtime, caller: Caller, identity: str, *, to_empty: bool, is_full: bool = False
) -> Shipment | None:
    """What to send; None if there is nothing to do. Nobody else begins until it is settled."""
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        row = await list_of(work, station)
        if not is_full and row.sending_until is not None and row.sending_until > work.now:
            raise Conflict("the list is being sent at this moment; look again in a minute")
        shipment = await _shipment(work, station, row, to_empty=to_empty, is_full=is_full)
        if shipment is not None and shipment.updates:
            row.sending_until = work.now + SENDING_MAX
            row.due_at = None  # whoever changes something from now on sets it again
            work.session.add(row)
            return shipment
        _rest(work, station, row, shipment)
        return None


def _rest(work: Work, station: Station, row: LocalList, shipment: Shipment | None) -> None:
    """Nothing is to be sent."""
    row.due_at = None
    row.sending_until = None
    if shipment is not None:
        row.attempts, row.problem, row.last_result = 0, None, ListResult.IN_STEP
        row.snapshot_id = shipment.snapshot_id
        if not row.is_in_step:
            set_in_step(work, row, is_in_step=True)
            tell(work, station, row)
    work.session.add(row)


async def _shipment(work: Work, station: Station, row: LocalList, *, to_empty: bool, is_full: bool) -> Shipment | None:
    """What makes the list true; None for a list that nobody wants and that never was ours."""
    version = version_of(station)
    family = family_of(version)
    rules = [] if to_empty else await rules_for(work, station)
    if not rules and not to_empty and row.synced_at is None:
        return None
    limits = await limits_of(work, station)
    contents = await wanted_contents(work, station, rules, version, await excluded_tokens(work, station))
    entries = fitted(contents.entries, limits.length_max)
    row.left_out_count = contents.left_out_count + len(contents.entries) - len(entries)
    row.entries_count, row.next_change_at = len(entries), contents.next_change_at
    before = None if is_full or to_empty else await stored_entries(work, row.snapshot_id, family)
    updates = plan(before, entries, version=_last_version(row), items_max=_items(limits))
    snapshot_id = await snapshot(work, station.organisation_id, family, entries)
    return Shipment(version, updates, snapshot_id, is_empty=to_empty)


def _last_version(row: LocalList) -> int:
    return max(row.version, row.station_version or 0)


def _items(limits: Limits) -> int:
    return items_a_message(limits.items_max)


async def _send_all(
    runtime: Runtime, caller: Caller, identity: str, shipment: Shipment
) -> tuple[ListResult, str | None]:
    """Send one after the other, and stop at the first that is not taken."""
    for update in shipment.updates:
        try:
            command = await send(runtime, caller, identity, "SendLocalList", payload(update, shipment.version))
        except CsmsError as error:
            return ListResult.UNREACHABLE, error.detail
        result, problem = _result(command)
        if result is not ListResult.IN_STEP:
            return result, problem
    return ListResult.IN_STEP, None


def _result(command: Command) -> tuple[ListResult, str | None]:
    if command.outcome is CommandOutcome.ANSWERED:
        return _read_status(str((command.payload or {}).get("status")))
    if command.outcome is CommandOutcome.REFUSED:
        code = str((command.error or {}).get("code"))
        if code in _MEANS_NO_SUPPORT:
            return ListResult.NOT_SUPPORTED, f"the station answered {code}"
        return ListResult.FAILED, f"the station answered {code}"
    return ListResult.UNREACHABLE, command.reason


def _read_status(status: str) -> tuple[ListResult, str | None]:
    match status:
        case "Accepted":
            return ListResult.IN_STEP, None
        case "VersionMismatch":
            return ListResult.VERSION_MISMATCH, "the station has another version than it told"
        case "NotSupported":
            return ListResult.NOT_SUPPORTED, "the station has no list"
        case _:
            return ListResult.FAILED, f"the station answered «{status[:40]}»: it could not store the list"


async def _settle(  # noqa: PLR0917  # what was sent and what came of it
    runtime: Runtime, caller: Caller, identity: str, shipment: Shipment, result: ListResult, problem: str | None
) -> LocalList:
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        row = await list_of(work, station)
        row.sending_until, row.last_result, row.problem = None, result, problem
        if result is ListResult.IN_STEP:
            _arrived(work, row, shipment)
        else:
            set_in_step(work, row, is_in_step=False)
            _try_again(work, row, result)
        work.session.add(row)
        tell(work, station, row)
        return row


def _arrived(work: Work, row: LocalList, shipment: Shipment) -> None:
    final = shipment.updates[-1].version
    row.version, row.attempts, row.synced_at, row.is_supported = final, 0, work.now, True
    if shipment.is_empty:
        row.is_automatic = False
    is_ours = row.station_version in (None, final)  # another may have sent something in between
    row.snapshot_id = shipment.snapshot_id if is_ours else None
    row.station_version, row.station_version_at = (final, work.now) if is_ours else (row.station_version, work.now)
    set_in_step(work, row, is_in_step=is_ours)
    if not is_ours:
        row.due_at = work.now


def _try_again(work: Work, row: LocalList, result: ListResult) -> None:
    row.snapshot_id = None if result is not ListResult.UNREACHABLE else row.snapshot_id
    if result is ListResult.NOT_SUPPORTED:
        row.is_supported, row.due_at = False, None
        return
    row.attempts += 1
    pause_max = UNREACHABLE_AGAIN_AFTER_MAX if result is ListResult.UNREACHABLE else AGAIN_AFTER_MAX
    row.due_at = work.now + min(timedelta(minutes=2 ** min(row.attempts, 10)), pause_max)


async def compare(runtime: Runtime, caller: Caller, identity: str) -> LocalList:
    """Ask the station for its list's version; what it says is stored by the answer's handler."""
    await send(runtime, caller, identity, "GetLocalListVersion", {})
    return await _read(runtime, caller, identity)


async def read_list(work: Work, station: Station) -> LocalList:
    """What is known of the station's list, also if nothing is."""
    found = await find_list(work, station.id)
    return found or LocalList(organisation_id=station.organisation_id, station_id=station.id)
