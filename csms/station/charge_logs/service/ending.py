"""B7: a charge ends: by its stop, which is never refused, or by an estimate until the stop comes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import col, select

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import ChargeLog, ChargeState, UnmatchedReason, UnmatchedStop
from csms.station.charge_logs.rules import (
    LARGEST_CHARGE_WH,
    SPAN_MAX,
    Energy,
    Flag,
    Moment,
    Register,
    duration_s,
    energy,
    is_rounding,
    latest_of_clock,
)
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction, newest_samples, remember, seen_events
from csms.station.charge_logs.service.samples import Sample, new_of_charge, registers, registers_of, store_samples
from csms.station.information import Station, fact_about
from csms.station.tokens import Verdict, authorise, id_tag_info, token_key
from csms.store import Fact, Work

UNKNOWN_REASON: Final = "Unknown"
POWER_LOSS: Final = "PowerLoss"
GRACE: Final = timedelta(minutes=15)
"""How long a stop is waited for after the station said something that leaves no room for the charge."""
_OF_THE_END: Final = frozenset(
    {Flag.ESTIMATED_END, Flag.METER_RESET, Flag.METER_ROLLOVER, Flag.METER_BACKWARDS, Flag.METER_IMPLAUSIBLE}
)

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """What a station says when a charge ends; `payload` is kept if it matches no charge."""

    transaction_id: str
    token: str | None
    moment: Moment
    meter_stop_wh: int | None
    """None: the station told none with its end (2.x)."""
    reason: str
    key: str
    samples: Sequence[Sample]
    payload: dict[str, Any]


async def end(work: Work, station: ConnectedStation, stop: Stop) -> dict[str, Any] | None:
    """Store that a charge ended; never refused. Returns the idTagInfo to answer, if a token was sent."""
    found = await find_transaction(work, station, stop.transaction_id, "StopTransaction")
    if isinstance(found, UnmatchedReason):
        return await _unmatched(work, station, stop, found)
    if found.stop_key == stop.key:
        return found.stop_answer
    transaction = await endable(work, found)
    if transaction is None:
        return await _unmatched(work, station, stop, UnmatchedReason.ALREADY_STOPPED)
    verdict = None if stop.token is None else await authorise(work, station, stop.token)
    new = await new_of_charge(work, transaction, stop.samples)
    store_samples(work, station, transaction.charge_point_number, transaction.id, new)
    charged = await energy_until(work, transaction, stop, new)
    columns = finished(transaction, stop, charged, verdict, work.now)
    close(work, station, transaction, columns)
    newest_at = max((one.measured_at for one in new), default=transaction.last_sample_at)
    if newest_at is not None:  # the running charge's row lags behind its samples (PROGRESS_EVERY)
        newest_at = max(newest_at, transaction.last_sample_at or newest_at)
        work.change(ChargeLog, transaction.id, last_sample_at=min(newest_at, transaction.latest_at(work.now)))
    answer: dict[str, Any] | None = columns["stop_answer"]
    return answer


async def find_transaction(
    work: Work, station: ConnectedStation, transaction_id: str, action: str
) -> Transaction | UnmatchedReason:
    """The station's own transaction of that id, or why there is none.

    Another station's transaction is never looked at further than its id; that it was named is told once.
    """
    memory = station.recall(OpenTransactions)
    found = memory.by_transaction_id.get(transaction_id)
    if found is not None:
        return found
    if transaction_id == "0" or transaction_id.startswith("-"):
        return UnmatchedReason.NO_TRANSACTION
    if transaction_id not in memory.strangers:
        stored = await stored_transaction(work, station, transaction_id)
        if stored is not None:
            return stored
        is_foreign = await is_known_elsewhere(work, transaction_id)
        work.after_commit(lambda: memory.remember_stranger(transaction_id, is_foreign=is_foreign))
        if is_foreign:
            tell_foreign(work, station, action)
    else:
        is_foreign = memory.strangers[transaction_id]
    return UnmatchedReason.FOREIGN_TRANSACTION if is_foreign else UnmatchedReason.UNKNOWN_TRANSACTION


async def stored_transaction(work: Work, station: ConnectedStation, transaction_id: str) -> Transaction | None:
    """The station's newest transaction of that id, as the database has it."""
    query = select(ChargeLog).where(ChargeLog.station_id == station.id, ChargeLog.transaction_id == transaction_id)
    log = (await work.session.exec(query.order_by(col(ChargeLog.id).desc()).limit(1))).first()
    if log is None:
        return None
    newest = await newest_samples(work, [log.id])
    seen = {} if station.version is Version.V16 else await seen_events(work, [log.id])
    return Transaction.of(log, newest.get(log.id), seen.get(log.id))


async def is_known_elsewhere(work: Work, transaction_id: str) -> bool:
    """Whether some station has a transaction of that id."""
    query = select(ChargeLog.id).where(ChargeLog.transaction_id == transaction_id).limit(1)
    return (await work.session.exec(query)).first() is not None


def tell_foreign(work: Work, station: ConnectedStation, action: str) -> None:
    """A station that names another's transaction is broken or hostile (CVE-2026-28230)."""
    work.emit(fact_about(station, "security_event", {"type": "foreign_transaction", "action": action}))


async def endable(work: Work, transaction: Transaction) -> Transaction | None:
    """The charge as it is now, if it still lacks a stop: a job or an operator may have ended it meanwhile."""
    if transaction.is_open and transaction.abandoned_at is None:
        return transaction
    log = await work.session.get(ChargeLog, transaction.id)
    if log is None or log.state is ChargeState.FINISHED or log.is_corrected:
        return None
    return replace(transaction, state=ChargeState(log.state), flags=tuple(log.flags), is_whole=False)


async def energy_until(work: Work, transaction: Transaction, stop: Stop, new: Sequence[Sample]) -> Energy:
    """What was charged until the stop, by its register and the samples before it."""
    first = Register(transaction.started_at, transaction.meter_start_wh)
    readings = registers(new)
    if stop.meter_stop_wh is None:
        return energy(first, [*await registers_of(work, transaction.id), *readings], None)
    last = Register(stop.moment.at, stop.meter_stop_wh)
    high_wh = transaction.tally.high_wh
    is_rising = last.wh >= high_wh or is_rounding(high_wh, last.wh)
    if transaction.is_whole and is_rising:
        charged = energy(first, readings, last)
        if not charged.flags:
            return charged
    readings = [*await registers_of(work, transaction.id), *readings]
    charged = energy(first, readings, last)
    before = [one for one in readings if one.at <= last.at]
    if charged.flags and len(before) < len(readings):
        # Measured after the end and told before the (late) stop, without naming a transaction: it is the next charge's.
        without = energy(first, before, last)
        return charged if without.flags else without
    return charged


def finished(transaction: Transaction, stop: Stop, charged: Energy, verdict: Verdict | None, now: datetime) -> Columns:
    """The columns of a charge log that its stop sets."""
    flags = _start_flags(transaction.flags) | stop.moment.flags | charged.flags
    if transaction.state is ChargeState.ESTIMATED_END:
        flags.add(Flag.LATE_STOP)
    if verdict is not None and stop.token is not None and is_stranger(transaction, stop.token, verdict):
        flags.add(Flag.OTHER_TOKEN)
    lasted_s = duration_s(transaction.started_at, stop.moment.at)
    if stop.moment.at < transaction.started_at:
        flags.add(Flag.CLOCK_SUSPECT)
        lasted_s = duration_s(transaction.received_at, now)
    elif Flag.CLOCK_SUSPECT in flags and lasted_s > SPAN_MAX.total_seconds():  # the clock was set in between
        lasted_s = duration_s(transaction.received_at, now)
    return {
        "state": ChargeState.FINISHED,
        "stopped_at": stop.moment.at,
        "stop_received_at": now,
        "meter_stop_wh": stop.meter_stop_wh,
        "stop_reason": stop.reason,
        "stop_token": stop.token,
        "stop_key": stop.key,
        "stop_answer": None if verdict is None else id_tag_info(verdict, timestamps.write),
        "energy_wh": charged.wh,
        "duration_s": lasted_s,
        "flags": sorted(flags),
        "abandoned_at": None,
        "abandoned_because": None,
    }


def _start_flags(flags: Iterable[str]) -> set[str]:
    """What was said of an estimated end no longer holds."""
    return set(flags) - _OF_THE_END


def is_stranger(transaction: Transaction, token: str, verdict: Verdict) -> bool:
    """Neither the token that started the charge nor one of its group (OCPP 1.6, 4.10)."""
    if token_key(token) == transaction.token_key:
        return False
    group = transaction.token_group
    return group is None or verdict.parent is None or token_key(group) != token_key(verdict.parent)


async def _unmatched(
    work: Work, station: ConnectedStation, stop: Stop, reason: UnmatchedReason
) -> dict[str, Any] | None:
    """Keep a stop that belongs to no charge; refusing it would make the station repeat it for ever."""
    query = select(UnmatchedStop).where(UnmatchedStop.station_id == station.id, UnmatchedStop.stop_key == stop.key)
    known = (await work.session.exec(query)).first()
    if known is not None:
        return known.answer
    verdict = None if stop.token is None else await authorise(work, station, stop.token)
    answer = None if verdict is None else id_tag_info(verdict, timestamps.write)
    stop_id = work.insert(
        UnmatchedStop,
        organisation_id=station.organisation_id,
        station_id=station.id,
        transaction_id=stop.transaction_id,
        reason=reason,
        received_at=work.now,
        stopped_at=stop.moment.at,
        meter_stop_wh=stop.meter_stop_wh or 0,
        stop_reason=stop.reason,
        token=stop.token,
        stop_key=stop.key,
        answer=answer,
        payload=stop.payload,
    )
    data = {"unmatched_stop_id": str(stop_id), "reason": reason.value, "meter_stop_wh": stop.meter_stop_wh}
    work.emit(fact_about(station, "stop_unmatched", data))
    return answer


# Estimates


async def estimated_end(
    work: Work,
    log: ChargeLog,
    reason: str,
    *,
    next_start: Register | None = None,
    extra: Sequence[Register] = (),
) -> Columns:
    """The columns of a charge log whose stop did not come: the end is its last reading.

    Without any reading, the start of the charge point's next charge shows what the register had come to.
    """
    first = Register(log.started_at, log.meter_start_wh)
    readings = [*await registers_of(work, log.id), *extra]
    if not readings and next_start is not None and 0 <= next_start.wh - first.wh <= LARGEST_CHARGE_WH:
        readings = [next_start]
    charged = energy(first, readings, None)
    last = max([first, *readings], key=lambda one: (one.at, one.order))
    latest_at = latest_of_clock(log.started_at, log.received_at, work.now)
    stopped_at = max((one.at for one in [first, *readings] if one.at <= latest_at), default=first.at)
    stopped_at = max(stopped_at, log.last_sample_at or stopped_at)
    return {
        "state": ChargeState.ESTIMATED_END,
        "stopped_at": stopped_at,
        "meter_stop_wh": round(last.wh),
        "stop_reason": reason,
        "energy_wh": charged.wh,
        "duration_s": duration_s(log.started_at, stopped_at),
        "flags": sorted({*_start_flags(log.flags), *charged.flags, Flag.ESTIMATED_END}),
        "abandoned_at": None,
        "abandoned_because": None,
    }


def abandon(work: Work, station: ConnectedStation, transaction: Transaction, because: str) -> None:
    """The station said something that leaves no room for the charge; its stop may still be on the way."""
    if transaction.abandoned_at is None:
        work.change(ChargeLog, transaction.id, abandoned_at=work.now, abandoned_because=because)
        remember(work, station.recall(OpenTransactions), replace(transaction, abandoned_at=work.now))


async def revived(work: Work, transaction: Transaction) -> Transaction | None:
    """The charge goes on after all, even if its end was estimated already; None if it has a stop."""
    log = await work.session.get(ChargeLog, transaction.id)
    if log is None or log.state is ChargeState.FINISHED or log.is_corrected:
        return None
    flags = sorted(_start_flags(log.flags))
    work.change(
        ChargeLog,
        transaction.id,
        state=ChargeState.RUNNING,
        stopped_at=None,
        meter_stop_wh=None,
        stop_reason=None,
        duration_s=None,
        flags=flags,
        abandoned_at=None,
        abandoned_because=None,
    )
    return replace(transaction, state=ChargeState.RUNNING, flags=tuple(flags), abandoned_at=None)


async def close_abandoned(work: Work, rows_max: int = 100) -> int:
    """Estimate the end of charges whose stop was waited for in vain; returns how many."""
    query = (
        select(ChargeLog)
        .where(col(ChargeLog.abandoned_at) <= work.now - GRACE, col(ChargeLog.state) == ChargeState.RUNNING)
        .order_by(col(ChargeLog.abandoned_at))
        .limit(rows_max)
        .with_for_update(skip_locked=True)
    )
    logs = (await work.session.exec(query)).all()
    stations = {log.station_id for log in logs}
    rows = await work.session.exec(select(Station.id, Station.identity).where(col(Station.id).in_(stations)))
    identities = dict(rows.all())
    for log in logs:
        columns = await estimated_end(work, log, log.abandoned_because or UNKNOWN_REASON)
        for name, value in columns.items():
            setattr(log, name, value)
        columns["charge_point_number"] = log.charge_point_number
        tell_stopped(
            work,
            columns,
            organisation_id=log.organisation_id,
            station_id=log.station_id,
            identity=identities.get(log.station_id),
            charge_log_id=log.id,
        )
    return len(logs)


# What others hear of it


def close(work: Work, station: ConnectedStation, transaction: Transaction, columns: Columns) -> None:
    """Write the end of a charge, remember it and tell of it."""
    work.change(ChargeLog, transaction.id, **columns)
    after = replace(
        transaction,
        state=columns["state"],
        flags=tuple(columns["flags"]),
        energy_wh=columns["energy_wh"],
        abandoned_at=None,
        stop_key=columns.get("stop_key"),
        stop_answer=columns.get("stop_answer"),
    )
    remember(work, station.recall(OpenTransactions), after)
    data = columns | {"charge_point_number": transaction.charge_point_number}
    tell_stopped(
        work,
        data,
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        charge_log_id=transaction.id,
    )


def tell_stopped(
    work: Work, columns: Columns, *, organisation_id: int, station_id: int, identity: str | None, charge_log_id: int
) -> None:
    """Emit `charge_stopped`; without the token, which is personal."""
    data = {name: columns[name] for name in ("energy_wh", "duration_s", "stop_reason", "charge_point_number")}
    data |= {"charge_log_id": str(charge_log_id), "state": str(columns["state"])}
    data["stopped_at"] = columns["stopped_at"].isoformat()
    work.emit(
        Fact(
            kind="charge_stopped",
            organisation_id=organisation_id,
            station_id=station_id,
            station=identity,
            data=data,
        )
    )
