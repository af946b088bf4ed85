"""B7: a charge begins, once, however often its station says so."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, or_, select

from csms.ids import new_id
from csms.ocpp import timestamps
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import ChargeLog, ChargeState
from csms.station.charge_logs.rules import CLOCK_SET, Flag, Moment, Register, Tally, repeat_key
from csms.station.charge_logs.service.ending import UNKNOWN_REASON, close, estimated_end
from csms.station.charge_logs.service.memory import AGAIN, OpenTransactions, Transaction, remember
from csms.station.charge_points import charge_point_id
from csms.station.information import fact_about
from csms.station.tokens import TokenKind, TokenStatus, Verdict, authorise, id_tag_info, token_key
from csms.store import Work

TRANSACTION_IDS: Final = 2**31 - 1
"""Transaction ids are drawn from 1 to this: some stations keep them in 31 bits."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a station says when a charge begins."""

    charge_point_number: int
    token: str
    sent_at: datetime | None
    moment: Moment
    meter_start_wh: int
    reservation_id: int | None = None

    @property
    def key(self) -> str | None:
        """None without a time: then nothing tells a repeat from the next charge, once the first has ended."""
        if self.sent_at is None:
            return None
        token = token_key(self.token)
        return repeat_key("start", self.charge_point_number, token, self.sent_at.isoformat(), self.meter_start_wh)

    @property
    def is_clock_unset(self) -> bool:
        return self.sent_at is not None and self.sent_at < CLOCK_SET


async def begin(work: Work, station: ConnectedStation, start: Start) -> Transaction:
    """Store a charge that began, or find the one that this start repeats."""
    memory = station.recall(OpenTransactions)
    point_id = await _charge_point_id(work, station, start.charge_point_number)
    known = await _repeated(work, station, memory, start)
    if known is not None and not _is_another(known, start):
        return known
    key = _new_key(start, known)
    number, at = start.charge_point_number, start.moment.at
    verdict = await judged(work, station, start.token, number=number, started_at=at)
    is_overlapping = False
    for older in memory.open_at(start.charge_point_number):
        if Flag.OFFLINE in start.moment.flags and start.moment.at < older.started_at:
            is_overlapping = True
        else:
            await supersede(work, station, older, Register(at, start.meter_start_wh))
    transaction = _begun(work, station, start, key, verdict, is_overlapping=is_overlapping)
    _insert(work, station, start, transaction, verdict=verdict, point_id=point_id)
    tell_started(work, station, transaction, verdict)
    memory.doubt(key, work.now)  # at once: if the commit fails, the repeat must be looked up
    remember(work, memory, transaction)
    work.after_commit(lambda: memory.doubtful.discard(key))
    return transaction


async def _repeated(
    work: Work, station: ConnectedStation, memory: OpenTransactions, start: Start
) -> Transaction | None:
    token = token_key(start.token)
    for one in memory.open_at(start.charge_point_number):
        is_same_time = Flag.NO_TIME in one.flags if start.sent_at is None else one.started_at == start.moment.at
        if is_same_time and one.token_key == token and one.meter_start_wh == start.meter_start_wh:
            return one
    if start.key is None:
        return None
    known = memory.with_start(start.key)
    if known is None and memory.may_be_stored(start.key, start.moment.at, work.now):
        query = select(ChargeLog).where(ChargeLog.station_id == station.id, _has_start(start))
        log = (await work.session.exec(query.order_by(col(ChargeLog.id).desc()))).first()
        known = None if log is None else Transaction.of(log, log.last_sample_at)
    return known


def _has_start(start: Start) -> Any:
    if not start.is_clock_unset:
        return col(ChargeLog.start_key) == start.key
    return or_(col(ChargeLog.start_key) == start.key, col(ChargeLog.start_key).startswith(f"{start.key}{AGAIN}"))


def _is_another(known: Transaction, start: Start) -> bool:
    """A clock that was never set shows the same time after each boot: without energy in between it is no repeat."""
    return start.is_clock_unset and not known.is_open and not known.energy_wh


def _new_key(start: Start, known: Transaction | None) -> str:
    if start.key is None:
        return repeat_key("start", new_id())
    return start.key if known is None else f"{start.key}{AGAIN}{new_id()}"


async def _charge_point_id(work: Work, station: ConnectedStation, number: int) -> int | None:
    """Created when first seen; None for 0, which some stations send. Raises OcppError for an impossible number."""
    return None if number == 0 else await charge_point_id(work, station, number)


async def judged(
    work: Work,
    station: ConnectedStation,
    uid: str,
    *,
    number: int | None,
    started_at: datetime | None,
    kind: TokenKind | None = None,
    charge_log_id: int = 0,
) -> Verdict:
    """The verdict on a token that charges, or wants to; one at a time of it if it is exclusive."""
    verdict = await authorise(work, station, uid, kind=kind, charge_point_number=number, started_at=started_at)
    if verdict.is_accepted and verdict.is_exclusive and started_at is not None:  # whoever stops a charge begins none
        query = select(ChargeLog.id).where(
            ChargeLog.organisation_id == station.organisation_id,
            ChargeLog.token_key == token_key(uid),
            col(ChargeLog.state) == ChargeState.RUNNING,
            ChargeLog.id != charge_log_id,
        )
        if (await work.session.exec(query.limit(1))).first() is not None:
            return replace(verdict, status=TokenStatus.CONCURRENT_TX)
    return verdict


def _begun(
    work: Work, station: ConnectedStation, start: Start, key: str, verdict: Verdict, *, is_overlapping: bool
) -> Transaction:
    flags = set(start.moment.flags)
    if not verdict.is_accepted:
        flags.add(Flag.UNAUTHORISED)
    if is_overlapping:
        flags.add(Flag.OVERLAPPING)
    return Transaction(
        id=new_id(),
        transaction_id=_new_transaction_id(station.recall(OpenTransactions)),
        start_key=key,
        charge_point_number=start.charge_point_number,
        token_key=token_key(start.token),
        token_group=verdict.parent,
        started_at=start.moment.at,
        received_at=work.now,
        meter_start_wh=start.meter_start_wh,
        start_answer=id_tag_info(verdict, timestamps.write),
        state=ChargeState.RUNNING,
        flags=tuple(sorted(flags)),
        tally=Tally(start.moment.at, start.meter_start_wh),
        is_whole=True,
        abandoned_at=work.now if is_overlapping else None,
    )


def _new_transaction_id(memory: OpenTransactions) -> str:
    while (drawn := str(1 + secrets.randbelow(TRANSACTION_IDS))) in memory.by_transaction_id:
        pass
    return drawn


def _insert(
    work: Work, station: ConnectedStation, start: Start, new: Transaction, *, verdict: Verdict, point_id: int | None
) -> None:
    work.insert(
        ChargeLog,
        id=new.id,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=new.charge_point_number,
        charge_point_id=point_id,
        transaction_id=new.transaction_id,
        start_key=new.start_key,
        reservation_id=start.reservation_id,
        token=start.token,
        token_key=new.token_key,
        token_group=new.token_group,
        holder=verdict.holder,
        verdict=verdict.status,
        start_answer=new.start_answer,
        state=new.state,
        started_at=new.started_at,
        received_at=new.received_at,
        meter_start_wh=new.meter_start_wh,
        flags=list(new.flags),
        abandoned_at=new.abandoned_at,
        abandoned_because=None if new.abandoned_at is None else UNKNOWN_REASON,
        is_corrected=False,
    )


async def supersede(work: Work, station: ConnectedStation, older: Transaction, next_start: Register | None) -> None:
    """A charge begins where one is open: the older one's stop was lost (or is late)."""
    log = await work.session.get(ChargeLog, older.id)
    if log is None or log.state is not ChargeState.RUNNING:  # ended meanwhile, by a job or an operator
        if log is not None:
            remember(work, station.recall(OpenTransactions), Transaction.of(log, older.last_sample_at))
        return
    columns = await estimated_end(work, log, UNKNOWN_REASON, next_start=next_start)
    columns["flags"] = sorted({*columns["flags"], Flag.SUPERSEDED})
    close(work, station, older, columns)


def tell_started(work: Work, station: ConnectedStation, new: Transaction, verdict: Verdict | None) -> None:
    """Emit `charge_started`; without the token, which is personal."""
    data = {
        "charge_log_id": str(new.id),
        "charge_point_number": new.charge_point_number,
        "started_at": new.started_at.isoformat(),
        "verdict": None if verdict is None else verdict.status.value,
    }
    work.emit(fact_about(station, "charge_started", data))
