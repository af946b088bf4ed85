"""B7: the end of a transaction of 2.x, and what comes after it."""

from collections.abc import Collection, Sequence
from contextlib import suppress

from csms.ocpp.errors import OcppError
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import ChargeLog, ChargeState
from csms.station.charge_logs.rules import (
    Flag,
    Register,
    bounded_register,
    duration_s,
    energy,
    stop_reason,
)
from csms.station.charge_logs.service.ending import (
    Columns,
    Stop,
    close,
    endable,
    energy_until,
    finished,
)
from csms.station.charge_logs.service.measuring import measure
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction
from csms.station.charge_logs.service.samples import (
    Sample,
    new_of_charge,
    registers,
    registers_of,
    store_samples,
)
from csms.station.charge_logs.service.told import TransactionEvent
from csms.station.charge_points import set_charging
from csms.station.tokens import Verdict
from csms.store import Work


async def show_charging(
    work: Work, station: ConnectedStation, number: int, event: TransactionEvent, word: str | None
) -> None:
    if number > 0:
        with suppress(OcppError):  # a number that no charge point can have
            await set_charging(work, station, number, word, event.moment.at)


async def reckon_again(work: Work, transaction: Transaction, samples: Sequence[Sample]) -> None:
    """What came after the end belongs before it: energy and duration anew, unless an operator has set them."""
    log = await work.session.get(ChargeLog, transaction.id)
    if log is None or log.state is not ChargeState.FINISHED or log.is_corrected or log.stopped_at is None:
        return
    known = {one.at: one for one in await registers_of(work, log.id)}
    readings = [*known.values(), *(one for one in registers(samples) if one.at not in known)]
    before = [one for one in readings if one.at <= log.stopped_at]
    last = _told_last(log, known.values())
    columns: Columns = {"duration_s": duration_s(transaction.started_at, log.stopped_at)}
    if readings or last is not None:
        charged = energy(Register(transaction.started_at, transaction.meter_start_wh), before, last)
        columns["energy_wh"] = charged.wh
        if last is None and before:
            columns["meter_stop_wh"] = round(max(before, key=lambda one: one.at).wh)
    work.change(ChargeLog, log.id, **columns)


def _told_last(log: ChargeLog, known: Collection[Register]) -> Register | None:
    """The register that was told with the end; None if what is stored as such is only the latest reading."""
    if log.meter_stop_wh is None or log.stopped_at is None:
        return None
    last = Register(log.stopped_at, log.meter_stop_wh)
    is_told = any(one.at >= last.at and round(one.wh) == last.wh for one in known)
    is_forgotten = not known and Flag.NO_METER_START not in log.flags and last.wh != log.meter_start_wh
    return last if is_told or is_forgotten else None


async def end_told(
    work: Work,
    station: ConnectedStation,
    event: TransactionEvent,
    transaction: Transaction,
    *,
    samples: Sequence[Sample],
    verdict: Verdict | None,
) -> None:
    number = transaction.charge_point_number
    ending = await endable(work, transaction)
    if ending is None:  # a second end, or one that an operator has corrected: kept, and nothing changes
        await measure(work, station, number, transaction, samples)
        return
    new = await new_of_charge(work, ending, samples)
    store_samples(work, station, number, ending.id, new)
    stop = _stop(event, samples)
    columns = finished(ending, stop, await energy_until(work, ending, stop, new), verdict, work.now)
    columns |= {"stop_answer": None, "stop_token": stop.token}
    if stop.token is None:
        del columns["stop_token"]  # told by an earlier event, or by none
    if not ending.has_register:
        columns["energy_wh"] = None
    if stop.meter_stop_wh is None and ending.has_register:
        columns["meter_stop_wh"] = await _last_register(work, ending, new)
    newest = [one.measured_at for one in new]
    if newest:
        newest_at = max(*newest, ending.last_sample_at or newest[0])
        columns["last_sample_at"] = min(newest_at, ending.latest_at(work.now))
    close(work, station, ending, columns)
    if number > 0 and not [one for one in station.recall(OpenTransactions).open_at(number) if one.id != ending.id]:
        await show_charging(work, station, number, event, None)


def _stop(event: TransactionEvent, samples: Sequence[Sample]) -> Stop:
    told = [one for one in samples if one.measures.energy_wh is not None]
    last = max(told, key=lambda one: (one.measured_at, one.measures.begin_wh is None), default=None)
    return Stop(
        transaction_id=event.transaction_id,
        token=None if event.token is None else event.token[0],
        moment=event.moment,
        meter_stop_wh=None if last is None else bounded_register(round(last.measures.energy_wh or 0)),
        reason=stop_reason(event.stopped_reason, event.trigger),
        key=event.key,
        samples=samples,
        payload={},
    )


async def _last_register(work: Work, transaction: Transaction, new: Sequence[Sample]) -> int:
    """The end told no register: the latest one that was."""
    readings = [*await registers_of(work, transaction.id), *registers(new)]
    last = max(readings, key=lambda one: (one.at, one.order), default=None)
    return transaction.meter_start_wh if last is None else round(last.wh)
