"""B7: a transaction of 2.x, told by numbered events that come late, twice, in any order, or not at all.

Every event is kept, once. The first that comes makes the charge log, whichever it is; what comes later completes it.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlmodel import select

from csms.ids import new_id
from csms.ocpp import timestamps
from csms.ocpp.errors import OcppError
from csms.routing import ConnectedStation, Payload
from csms.station.charge_logs.model import ChargeEvent, ChargeLog, ChargeState, EventKind
from csms.station.charge_logs.rules import (
    Flag,
    Seen,
    Tally,
    repeat_key,
)
from csms.station.charge_logs.service.ending import (
    UNKNOWN_REASON,
    Columns,
    abandon,
    is_known_elsewhere,
    is_stranger,
    revived,
    stored_transaction,
    tell_foreign,
)
from csms.station.charge_logs.service.measuring import measure, with_meter_start
from csms.station.charge_logs.service.memory import AGAIN, OpenTransactions, Transaction, remember
from csms.station.charge_logs.service.samples import (
    Sample,
    first_register,
    read_samples,
)
from csms.station.charge_logs.service.starting import judged, supersede, tell_started
from csms.station.charge_logs.service.told import TransactionEvent
from csms.station.charge_logs.service.told_ends import end_told, reckon_again, show_charging
from csms.station.charge_points import charge_point_id
from csms.station.tokens import TokenKind, TokenStatus, Verdict, id_token_info, token_key
from csms.store import Work

_TOLD_ONCE: Final = frozenset({"remote_start_id", "reservation_id"})
_UNREGISTERED: Final = frozenset({TokenStatus.INVALID, TokenStatus.UNKNOWN})
CORRECTABLE: Final = frozenset(
    {
        "started_at",
        "meter_start_wh",
        "token",
        "token_kind",
        "token_key",
        "token_group",
        "holder",
        "verdict",
        "stop_token",
    }
)
"""What operators correct, and what goes with it."""
GUESSABLE_CHARS: Final = 16
"""Shorter ids are counters: two stations have the same ones without any of them being hostile."""


@dataclass(slots=True)
class _Step:
    """One event on its way into its charge log."""

    transaction: Transaction
    flags: set[str]
    columns: Columns = field(default_factory=dict)
    """What changes in the charge log's row."""
    after: dict[str, Any] = field(default_factory=dict)
    """What changes in memory at the end."""
    verdict: Verdict | None = None
    is_number_known: bool = False
    is_begun: bool = False
    is_corrected: bool = False
    """An operator has said how it was; what the station still says of that changes nothing."""


async def take(work: Work, station: ConnectedStation, event: TransactionEvent) -> Payload:
    """Store an event; returns what it is answered. A repetition changes nothing and gets the same answer."""
    memory = station.recall(OpenTransactions)
    known = memory.by_transaction_id.get(event.transaction_id)
    if known is None:
        known = await stored_transaction(work, station, event.transaction_id)
    is_again = known is not None and _uses_id_again(known, event)
    is_number_known = False
    if known is not None and not is_again:
        is_number_known, answer = await _repeated(work, known, event)
        if answer is not None:
            return answer
        step = _Step(await _awake(work, memory, known, event), set())
        step.flags = set(step.transaction.flags)
        step.is_number_known = is_number_known
        step.is_corrected = not known.is_open and await _is_corrected(work, known)
    else:
        step = await _begin(work, station, memory, event, is_again=is_again)
    return await _apply(work, station, memory, event, step)


def _uses_id_again(known: Transaction, event: TransactionEvent) -> bool:
    """Some stations count their transactions anew after a reset: a start after the end, or a boot, is another's."""
    is_given_up = known.abandoned_at is not None or not known.is_open
    if event.kind is not EventKind.STARTED or not is_given_up or known.seen is None:
        return False
    return Flag.START_MISSING not in known.flags and event.moment.at > known.seen.newest_at


async def _is_corrected(work: Work, known: Transaction) -> bool:
    return bool((await work.session.exec(select(ChargeLog.is_corrected).where(ChargeLog.id == known.id))).first())


async def _repeated(work: Work, known: Transaction, event: TransactionEvent) -> tuple[bool, Payload | None]:
    """Whether the number has come already, and what the same event was answered if it has come."""
    is_timed = Flag.NO_TIME not in event.moment.flags
    if known.seen is not None and is_timed and known.seen.is_surely_new(event.seq_no, event.moment.at):
        return event.seq_no == known.seen.last, None
    query = select(ChargeEvent.event_key, ChargeEvent.answer).where(
        ChargeEvent.charge_log_id == known.id, ChargeEvent.seq_no == event.seq_no
    )
    rows = (await work.session.exec(query)).all()
    for key, answer in rows:
        if key == event.key:
            return True, dict(answer or {})
    return bool(rows), None


async def _awake(work: Work, memory: OpenTransactions, known: Transaction, event: TransactionEvent) -> Transaction:
    """A charge that was given up goes on, as a live event of it shows."""
    is_given_up = known.abandoned_at is not None or known.state is ChargeState.ESTIMATED_END
    if not is_given_up or event.kind is EventKind.ENDED:
        return known
    given_up_at = known.abandoned_at or known.last_sample_at or known.started_at
    is_taken = any(one.started_at > known.started_at for one in memory.open_at(known.charge_point_number))
    if event.moment.at <= given_up_at or is_taken:
        return known
    return await revived(work, known) or known


# The first event of a transaction


async def _begin(
    work: Work, station: ConnectedStation, memory: OpenTransactions, event: TransactionEvent, *, is_again: bool
) -> _Step:
    number = event.charge_point_number or 0
    flags: set[str] = {*event.moment.flags, Flag.NO_METER_START}
    if event.kind is not EventKind.STARTED:
        flags.add(Flag.START_MISSING)
        await _look_for_foreign(work, station, event)
        _doubt_older(work, station, memory, event)
    elif await _take_place(work, station, memory, event):
        flags.add(Flag.OVERLAPPING)
    if is_again:
        flags.add(Flag.ID_USED_AGAIN)
    key = repeat_key("transaction", event.transaction_id)
    transaction = Transaction(
        id=new_id(),
        transaction_id=event.transaction_id,
        start_key=f"{key}{AGAIN}{new_id()}" if is_again else key,
        charge_point_number=number,
        token_key="",
        token_group=None,
        started_at=event.moment.at,
        received_at=work.now,
        meter_start_wh=0,
        start_answer={},
        state=ChargeState.RUNNING,
        flags=tuple(sorted(flags)),
        tally=Tally(event.moment.at, 0),
        abandoned_at=work.now if Flag.OVERLAPPING in flags else None,
    )
    _insert(work, station, event, transaction, await _charge_point_id(work, station, number))
    return _Step(transaction, flags, is_begun=True)


async def _look_for_foreign(work: Work, station: ConnectedStation, event: TransactionEvent) -> None:
    """It is stored as this station's own; that it names another's is told (CVE-2026-28230)."""
    if len(event.transaction_id) >= GUESSABLE_CHARS and await is_known_elsewhere(work, event.transaction_id):
        tell_foreign(work, station, "TransactionEvent")


async def _take_place(work: Work, station: ConnectedStation, memory: OpenTransactions, event: TransactionEvent) -> bool:
    """End what is open where this one begins; True if it is an old one that was told late."""
    number = event.charge_point_number or 0
    is_overlapping = False
    for older in memory.open_at(number) if number > 0 else ():
        if Flag.OFFLINE in event.moment.flags and event.moment.at < older.started_at:
            is_overlapping = True
        else:
            await supersede(work, station, older, None)
    return is_overlapping


def _doubt_older(work: Work, station: ConnectedStation, memory: OpenTransactions, event: TransactionEvent) -> None:
    """What is open where this one goes on has hardly any future; its end is waited for (see GRACE)."""
    number = event.charge_point_number or 0
    for older in memory.open_at(number) if number > 0 else ():
        if older.seen is not None and older.seen.newest_at < event.moment.at:
            abandon(work, station, older, UNKNOWN_REASON)


async def _charge_point_id(work: Work, station: ConnectedStation, number: int) -> int | None:
    """None for 0 and for numbers that no charge point can have: the transaction is kept all the same."""
    with suppress(OcppError):
        return None if number == 0 else await charge_point_id(work, station, number)
    return None


def _insert(
    work: Work, station: ConnectedStation, event: TransactionEvent, new: Transaction, point_id: int | None
) -> None:
    work.insert(
        ChargeLog,
        id=new.id,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=new.charge_point_number,
        charge_point_id=point_id,
        connector_number=event.connector_number,
        transaction_id=new.transaction_id,
        start_key=new.start_key,
        token="",
        token_key="",
        start_answer={},
        state=new.state,
        started_at=new.started_at,
        received_at=new.received_at,
        meter_start_wh=0,
        flags=list(new.flags),
        abandoned_at=new.abandoned_at,
        abandoned_because=None if new.abandoned_at is None else UNKNOWN_REASON,
        is_corrected=False,
    )


# Any event


async def _apply(
    work: Work, station: ConnectedStation, memory: OpenTransactions, event: TransactionEvent, step: _Step
) -> Payload:
    await _note_place(work, station, event, step)
    answer = await _note_token(work, station, event, step)
    meter_start_wh = step.transaction.meter_start_wh if step.transaction.has_register else None
    samples = read_samples(event.meter_values, work.now, meter_start_wh)
    is_late_start = event.kind is EventKind.STARTED and Flag.START_MISSING in step.flags
    if is_late_start:
        _note_start(event, step, samples)
    _note_told(event, step)
    _note_number(event, step)
    _note_event(work, station, event, step.transaction, answer)
    if event.whole:
        await _note_whole(work, event, step)
    transaction = _noted(work, event, step)
    if not step.is_corrected:
        transaction = with_meter_start(work, transaction, samples)
    remember(work, memory, transaction)
    if step.is_begun:
        tell_started(work, station, transaction, step.verdict)
    if event.kind is EventKind.ENDED:
        await end_told(work, station, event, transaction, samples=samples, verdict=step.verdict)
    else:
        await _go_on(work, station, event, transaction, samples, is_late_start=is_late_start)
    return answer


async def _note_place(work: Work, station: ConnectedStation, event: TransactionEvent, step: _Step) -> None:
    """Where it charges, which some events leave out (2.0.1 E01.FR.16)."""
    number, before = event.charge_point_number or 0, step.transaction.charge_point_number
    if number > 0 and before == 0:
        point_id = await _charge_point_id(work, station, number)
        step.columns |= {"charge_point_number": number, "charge_point_id": point_id}
        step.transaction = replace(step.transaction, charge_point_number=number)


async def _note_token(work: Work, station: ConnectedStation, event: TransactionEvent, step: _Step) -> Payload:
    """Judge the token if one is told; returns the answer. It is that of who charges, or of who stops."""
    if event.token is None:
        return {}
    uid, kind = event.token
    before = step.transaction
    is_first = not before.token_key
    started_at = before.started_at if is_first and not event.shows_stopper else None
    number = before.charge_point_number or None
    step.verdict = verdict = await judged(
        work, station, uid, number=number, started_at=started_at, kind=kind, charge_log_id=before.id
    )
    if verdict.status in _UNREGISTERED and _is_ours(station, event, uid):
        step.verdict = verdict = replace(verdict, status=TokenStatus.ACCEPTED)
    is_better = Flag.UNAUTHORISED in step.flags and verdict.is_accepted and not event.shows_stopper
    if is_first or is_better:
        _note_holder(step, uid, kind, verdict)
    if event.shows_stopper:
        step.columns["stop_token"] = uid
        if is_stranger(step.transaction, uid, verdict):
            step.flags.add(Flag.OTHER_TOKEN)
    return {"idTokenInfo": id_token_info(verdict, timestamps.write, is_21=event.is_21)}


def _is_ours(station: ConnectedStation, event: TransactionEvent, uid: str) -> bool:
    """A Central token that nobody registered, with which we ourselves asked for this start (2.0.1 F01)."""
    asked_with = station.recall(OpenTransactions).remote_starts.get(event.columns.get("remote_start_id", -1))
    return asked_with is not None and asked_with == token_key(uid)


def _note_holder(step: _Step, uid: str, kind: TokenKind | None, verdict: Verdict) -> None:
    step.columns |= {
        "token": uid,
        "token_kind": kind,
        "token_key": token_key(uid),
        "token_group": verdict.parent,
        "holder": verdict.holder,
        "verdict": verdict.status,
    }
    step.transaction = replace(step.transaction, token_key=token_key(uid), token_group=verdict.parent)
    step.flags.discard(Flag.UNAUTHORISED)
    if not verdict.is_accepted:
        step.flags.add(Flag.UNAUTHORISED)


def _note_start(event: TransactionEvent, step: _Step, samples: Sequence[Sample]) -> None:
    """The start comes after later events: now it is known when it was, and perhaps at which register."""
    step.flags -= {Flag.START_MISSING}
    step.flags |= event.moment.flags
    step.columns["started_at"] = event.moment.at
    step.transaction = replace(step.transaction, started_at=event.moment.at, is_whole=False)
    first = first_register(samples)
    if first is not None and step.transaction.has_register:
        _, start_wh = first
        step.columns["meter_start_wh"] = start_wh
        step.transaction = replace(step.transaction, meter_start_wh=start_wh)


def _note_told(event: TransactionEvent, step: _Step) -> None:
    """What goes to the charge log as it is, where it differs from what was told before."""
    before = step.transaction.told
    told = {name: value for name, value in event.columns.items() if before.get(name) != value}
    if event.connector_number is not None and before.get("connector_number") != event.connector_number:
        told["connector_number"] = event.connector_number
    seen = step.transaction.seen
    if seen is not None and event.moment.at < seen.newest_at:  # something newer may have been told
        told = {name: value for name, value in told.items() if name in _TOLD_ONCE}
    if told:
        step.columns |= told
        step.after["told"] = before | told


def _note_number(event: TransactionEvent, step: _Step) -> None:
    """Keep count of the events: gaps are flagged until they are filled."""
    before, at = step.transaction.seen, event.moment.at
    if before is None:
        seen = Seen.only(event.seq_no, at)
    else:
        seen = before.with_event(event.seq_no, at, is_number_known=step.is_number_known)
        if event.seq_no < before.last:
            step.flags.add(Flag.OUT_OF_ORDER)
    if (0 if before is None else before.missing) != seen.missing:
        step.columns["missing_events"] = seen.missing
    step.flags.discard(Flag.SEQUENCE_GAP)
    if seen.missing:
        step.flags.add(Flag.SEQUENCE_GAP)
    step.after["seen"] = seen


def _note_event(
    work: Work, station: ConnectedStation, event: TransactionEvent, transaction: Transaction, answer: Payload
) -> None:
    work.insert(
        ChargeEvent,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_log_id=transaction.id,
        kind=event.kind,
        seq_no=event.seq_no,
        at=event.moment.at,
        received_at=work.now,
        trigger_reason=event.trigger,
        charging_state=event.charging_state,
        is_offline=event.is_offline,
        event_key=event.key,
        answer=answer or None,
        details=event.details,
    )


def _noted(work: Work, event: TransactionEvent, step: _Step) -> Transaction:
    """Write what changed in the charge log; returns the charge as it is now."""
    before = step.transaction
    flags = tuple(sorted(step.flags))
    if flags != before.flags:
        step.columns["flags"] = list(flags)
    is_newest = event.moment.at >= step.after["seen"].newest_at
    state = event.charging_state if is_newest and event.charging_state else before.charging_state
    if step.is_corrected:
        step.columns = {name: value for name, value in step.columns.items() if name not in CORRECTABLE}
    if step.columns:
        work.change(ChargeLog, before.id, **step.columns)
    return replace(before, flags=flags, charging_state=state, **step.after)


async def _note_whole(work: Work, event: TransactionEvent, step: _Step) -> None:
    """Merge into what was told before, which is read once if it is not in memory."""
    told = step.after.get("told", step.transaction.told)
    before: dict[str, Any] | None = told.get("details")
    if before is None:
        query = select(ChargeLog.details).where(ChargeLog.id == step.transaction.id)
        before = {} if step.is_begun else dict((await work.session.exec(query)).first() or {})
    after = before | event.whole
    if after != before:
        step.columns["details"] = after
    step.after["told"] = told | {"details": after}


# Started and Updated


async def _go_on(
    work: Work,
    station: ConnectedStation,
    event: TransactionEvent,
    transaction: Transaction,
    samples: Sequence[Sample],
    *,
    is_late_start: bool,
) -> None:
    number = transaction.charge_point_number
    is_ended = not transaction.is_open
    await measure(work, station, number, transaction, samples)
    if is_ended and (samples or is_late_start):
        await reckon_again(work, transaction, samples)
    elif event.is_live and event.charging_state is not None:
        await show_charging(work, station, number, event, event.charging_state)
