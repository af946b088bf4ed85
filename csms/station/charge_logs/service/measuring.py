"""B6, B7: a charge is measured: samples of any measurand, phase and unit, in whatever order they come."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from csms.ocpp.errors import OcppError
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import ChargeLog, ChargeState
from csms.station.charge_logs.rules import LARGEST_CHARGE_WH, Flag, Register, Tally
from csms.station.charge_logs.service.ending import UNKNOWN_REASON, estimated_end, revived
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction, remember
from csms.station.charge_logs.service.samples import (
    Sample,
    first_register,
    new_of_charge,
    new_outside,
    registers,
    store_samples,
)
from csms.station.charge_points import charge_point_id
from csms.store import Work

PROGRESS_EVERY: Final = timedelta(seconds=30)
"""How often a running charge's row is brought up to date; its samples are always stored at once."""

Columns = dict[str, Any]


async def measure(
    work: Work, station: ConnectedStation, number: int, transaction: Transaction | None, samples: Sequence[Sample]
) -> None:
    """Store samples, each once; of a charge if `transaction` is given."""
    if transaction is None:
        await _outside(work, station, number, samples)
        return
    new = await new_of_charge(work, transaction, samples)
    store_samples(work, station, number, transaction.id, new)
    if not new:
        return
    if transaction.is_open and transaction.abandoned_at is not None:
        transaction = await _as_stored(work, transaction, is_alive=_newest(new) > transaction.abandoned_at)
    if transaction.is_open:
        _advance(work, transaction, new)
    elif transaction.state is ChargeState.ESTIMATED_END:
        await _estimate_again(work, transaction, new)
    if not transaction.is_open:
        newest_at = min(_newest(new), transaction.latest_at(work.now))
        after = replace(transaction, last_sample_at=max(newest_at, transaction.last_sample_at or newest_at))
        remember(work, station.recall(OpenTransactions), after)
    elif station.recall(OpenTransactions).by_transaction_id.get(transaction.transaction_id) is not transaction:
        remember(work, station.recall(OpenTransactions), transaction)


async def measure_unnamed(
    work: Work, station: ConnectedStation, number: int, transaction: Transaction | None, samples: Sequence[Sample]
) -> None:
    """Store samples that name no transaction: those from before the start of the one that is open are of none."""
    if transaction is None:
        await measure(work, station, number, None, samples)
        return
    outside = [one for one in samples if one.measured_at < transaction.started_at]
    if outside:
        await measure(work, station, number, None, outside)
    of_charge = [one for one in samples if one.measured_at >= transaction.started_at] if outside else samples
    if of_charge:
        await measure(work, station, number, with_meter_start(work, transaction, of_charge), of_charge)


def with_meter_start(work: Work, transaction: Transaction, samples: Sequence[Sample]) -> Transaction:
    """The charge with its earliest register as its start, if it has had none (2.x tells it only with some event).

    What comes back is remembered by who measures it next.
    """
    if transaction.has_register:
        return transaction
    first = first_register(samples)
    if first is None:
        return transaction
    measured_at, start_wh = first
    flags = tuple(flag for flag in transaction.flags if flag != Flag.NO_METER_START)
    work.change(ChargeLog, transaction.id, meter_start_wh=start_wh, flags=list(flags))
    tally = Tally(measured_at, start_wh)
    return replace(transaction, meter_start_wh=start_wh, flags=flags, tally=tally, is_whole=True)


def _newest(samples: Sequence[Sample]) -> datetime:
    return max(one.measured_at for one in samples)


async def _outside(work: Work, station: ConnectedStation, number: int, samples: Sequence[Sample]) -> None:
    """Values outside of any charge, as those of the clock; number 0 is the station's main meter."""
    if number != 0:
        with suppress(OcppError):  # values of a charge point that cannot be are kept all the same
            await charge_point_id(work, station, number)
    new = await new_outside(work, station, number, samples)
    store_samples(work, station, number, None, new)
    if new:
        memory, newest = station.recall(OpenTransactions), _newest(new)
        work.after_commit(lambda: memory.remember_outside(number, newest))


async def _as_stored(work: Work, transaction: Transaction, *, is_alive: bool) -> Transaction:
    """An abandoned charge as it is now; a sample younger than what made it so shows that it goes on."""
    back = await revived(work, transaction) if is_alive else None
    if back is not None:
        return back
    log = await work.session.get(ChargeLog, transaction.id)
    if log is None or log.state is ChargeState.RUNNING:
        return transaction
    return Transaction.of(log, transaction.last_sample_at)


def _advance(work: Work, transaction: Transaction, samples: Sequence[Sample]) -> None:
    """Bring a running charge up to its newest sample, once that is kept."""
    in_order = sorted(samples, key=_time_of) if len(samples) > 1 else samples
    progress_at = transaction.progress_at
    if progress_at is None or work.now - progress_at >= PROGRESS_EVERY:
        progress_at = work.now
        ahead = replace(transaction, tally=transaction.tally.copy())
        _count(ahead, in_order, work.now)
        work.change(ChargeLog, transaction.id, **_progress(ahead, in_order))

    def advance() -> None:
        transaction.progress_at = progress_at
        _count(transaction, in_order, work.now)

    work.after_commit(advance)


def _count(transaction: Transaction, in_order: Sequence[Sample], now: datetime) -> None:
    """In place."""
    newest, tally, latest_at = transaction.last_sample_at, transaction.tally, transaction.latest_at(now)
    for one in in_order:
        measured_at = one.measured_at if one.measured_at <= latest_at else now  # no clock shows that yet
        is_late = newest is not None and measured_at < min(newest, latest_at)
        if not is_late:
            newest = measured_at
        register_wh = one.measures.energy_wh
        if register_wh is None:
            continue
        if is_late or register_wh - transaction.meter_start_wh > LARGEST_CHARGE_WH:
            transaction.is_whole = False
        else:
            tally.add(Register(measured_at, register_wh))
    transaction.last_sample_at = newest
    if tally.flags:
        transaction.is_whole = False


def _time_of(sample: Sample) -> datetime:
    return sample.measured_at


def _progress(transaction: Transaction, samples: Sequence[Sample]) -> Columns:
    columns: Columns = {
        "last_sample_at": transaction.last_sample_at,
        "last_register_wh": transaction.tally.high_wh,
        "energy_wh": round(transaction.tally.total_wh),
    }
    for one in samples:
        if one.measures.power_w is not None:
            columns["last_power_w"] = one.measures.power_w
        if one.measures.soc_percent is not None:
            columns["last_soc_percent"] = one.measures.soc_percent
    return columns


async def _estimate_again(work: Work, transaction: Transaction, samples: Sequence[Sample]) -> None:
    """Samples came after the end was estimated: the estimate becomes better."""
    log = await work.session.get(ChargeLog, transaction.id)
    if log is None or log.state is not ChargeState.ESTIMATED_END or log.is_corrected:
        return
    columns = await estimated_end(work, log, log.stop_reason or UNKNOWN_REASON, extra=registers(samples))
    columns["flags"] = sorted({*log.flags, *columns["flags"]})
    work.change(ChargeLog, log.id, **columns)
