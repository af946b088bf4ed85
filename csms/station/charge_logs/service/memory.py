"""B7: what a connected station's handlers know of its charges without asking the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self

from sqlmodel import col, func, select

from csms.ocpp.versions import Version
from csms.routing import ConnectedStation
from csms.station.charge_logs.model import ChargeEvent, ChargeLog, ChargeState, MeterSample
from csms.station.charge_logs.rules import Flag, Seen, Tally, latest_of_clock
from csms.store import Work

RECENT: Final = timedelta(minutes=1)
RECENT_MIN: Final = 8
RECENT_MAX: Final = 64
"""Ended charges remembered for repeats of their messages: RECENT_MIN, or more of the last minute."""
STRANGERS_MAX: Final = 32
OPEN_MAX: Final = 300
"""More than a station has charge points; beyond it only a broken one tells of starts without stops."""
DOUBTFUL_MAX: Final = 64
STATIONS_A_QUERY: Final = 5000
AGAIN: Final = "."
"""Parts the key of a start from what makes it unique, where a clock that was never set repeats its times."""
SKEW: Final = timedelta(seconds=10)
"""How far ahead a well-set station clock may be."""


@dataclass(slots=True, eq=False)
class Transaction:
    """A charge as handlers need it: replaced by `remember`, except that `measure` brings it up to its newest sample.

    That happens in place, with nearly every message; all else is seldom.
    """

    id: int
    transaction_id: str
    start_key: str
    charge_point_number: int
    token_key: str
    token_group: str | None
    started_at: datetime
    received_at: datetime
    meter_start_wh: int
    start_answer: dict[str, Any]
    state: ChargeState
    flags: tuple[str, ...]
    tally: Tally
    """The energy so far."""
    energy_wh: int | None = None
    last_sample_at: datetime | None = None
    is_whole: bool = False
    """Whether every sample since the start went through this memory, in order, with a register that never fell."""
    progress_at: datetime | None = None
    """When progress was last written to the charge log."""
    abandoned_at: datetime | None = None
    stop_key: str | None = None
    stop_answer: dict[str, Any] | None = None
    seen: Seen | None = None
    """The events that have come (2.x)."""
    charging_state: str | None = None
    told: dict[str, Any] = field(default_factory=dict)
    """Columns of the charge log as last written from an event: what is told again is not written again."""

    @classmethod
    def of(cls, log: ChargeLog, last_sample_at: datetime | None, seen: Seen | None = None) -> Self:
        return cls(
            id=log.id,
            transaction_id=log.transaction_id,
            start_key=log.start_key,
            charge_point_number=log.charge_point_number,
            token_key=log.token_key,
            token_group=log.token_group,
            started_at=log.started_at,
            received_at=log.received_at,
            meter_start_wh=log.meter_start_wh,
            start_answer=log.start_answer,
            state=ChargeState(log.state),
            flags=tuple(log.flags),
            tally=_tally_of(log),
            energy_wh=log.energy_wh,
            last_sample_at=last_sample_at,
            abandoned_at=log.abandoned_at,
            stop_key=log.stop_key,
            stop_answer=log.stop_answer,
            seen=seen,
            charging_state=log.charging_state,
        )

    @property
    def is_open(self) -> bool:
        return self.state is ChargeState.RUNNING

    def latest_at(self, now: datetime) -> datetime:
        """What is said to be younger than that was measured by a clock gone wrong."""
        return latest_of_clock(self.started_at, self.received_at, now)

    @property
    def has_register(self) -> bool:
        """Whether it is known what the meter showed at its start, or soon after it."""
        return Flag.NO_METER_START not in self.flags


def _tally_of(log: ChargeLog) -> Tally:
    high_wh = log.meter_start_wh if log.last_register_wh is None else log.last_register_wh
    return Tally(log.last_sample_at or log.started_at, high_wh, float(log.energy_wh or 0))


@dataclass(slots=True)
class OpenTransactions:
    """The open charges of a station, and those that ended a moment ago."""

    by_transaction_id: dict[str, Transaction] = field(default_factory=dict)
    loaded_at: datetime | None = None
    """Every charge begun since then is here, or ended too long ago."""
    outside_sample_at: dict[int, datetime] = field(default_factory=dict)
    """The newest sample of each charge point that belongs to no charge."""
    strangers: dict[str, bool] = field(default_factory=dict)
    """Transaction ids that are not this station's, and whether they are another's."""
    doubtful: set[str] = field(default_factory=set)
    """Starts that were noted but perhaps not kept: looked up when they come again."""
    remote_starts: dict[int, str] = field(default_factory=dict)
    """Tokens with which we asked for starts that the station accepted (2.x), by remoteStartId."""
    _open: dict[str, Transaction] = field(default_factory=dict)
    """Those of `by_transaction_id` that are open."""

    def open_at(self, number: int) -> list[Transaction]:
        """The open charges of that charge point, oldest first; more than one only after trouble."""
        found = [one for one in self._open.values() if one.charge_point_number == number]
        return sorted(found, key=lambda one: (one.started_at, one.id)) if len(found) > 1 else found

    def with_start(self, key: str) -> Transaction | None:
        """The newest charge that began with that start."""
        newest_first = reversed(self.by_transaction_id.values())
        return next((one for one in newest_first if one.start_key.partition(AGAIN)[0] == key), None)

    def remember(self, transaction: Transaction) -> None:
        """Put in a charge, new or changed; those that are too many or too old are dropped and looked up if named."""
        transaction_id = transaction.transaction_id
        self.by_transaction_id[transaction_id] = transaction
        if transaction.is_open:
            self._open[transaction_id] = transaction
            self._drop_oldest(OPEN_MAX, OPEN_MAX, len(self._open), transaction)
        else:
            self._open.pop(transaction_id, None)
            self._drop_oldest(RECENT_MIN, RECENT_MAX, len(self.by_transaction_id) - len(self._open), transaction)

    def _drop_oldest(self, kept_min: int, kept_max: int, count: int, newest: Transaction) -> None:
        """Of the open charges or of the ended ones, as `newest` is, of which there are `count`."""
        if count <= kept_min:
            return
        for one in list(self._open.values() if newest.is_open else self.by_transaction_id.values()):
            if one.is_open is not newest.is_open:
                continue
            if count <= kept_min or (count <= kept_max and newest.received_at - one.received_at < RECENT):
                return
            del self.by_transaction_id[one.transaction_id]
            self._open.pop(one.transaction_id, None)
            self._looks_up_until(one.received_at)
            count -= 1

    def forget_charges(self) -> None:
        """Before they are loaded anew."""
        self.by_transaction_id.clear()
        self._open.clear()

    def _looks_up_until(self, at: datetime) -> None:
        if self.loaded_at is not None:
            self.loaded_at = max(self.loaded_at, at)

    def remember_stranger(self, transaction_id: str, *, is_foreign: bool) -> None:
        self.strangers[transaction_id] = is_foreign
        while len(self.strangers) > STRANGERS_MAX:
            del self.strangers[next(iter(self.strangers))]

    def remember_remote_start(self, remote_start_id: int, token: str) -> None:
        self.remote_starts[remote_start_id] = token
        while len(self.remote_starts) > STRANGERS_MAX:
            del self.remote_starts[next(iter(self.remote_starts))]

    def remember_outside(self, number: int, measured_at: datetime) -> None:
        before = self.outside_sample_at.get(number)
        self.outside_sample_at[number] = measured_at if before is None else max(before, measured_at)

    def doubt(self, key: str, now: datetime) -> None:
        """Look that start up when it comes again; if there are too many of them, every start until now."""
        if len(self.doubtful) >= DOUBTFUL_MAX:
            self.doubtful.clear()
            self._looks_up_until(now)
        self.doubtful.add(key)

    def may_be_stored(self, key: str, started_at: datetime, now: datetime) -> bool:
        """Whether a start that is not in memory may nevertheless be in the database."""
        if self.loaded_at is None or key in self.doubtful:
            return True
        return started_at <= self.loaded_at + SKEW or started_at > now


def remember(work: Work, memory: OpenTransactions, transaction: Transaction) -> None:
    """Put the charge into memory once the unit of work is kept."""
    work.after_commit(lambda: memory.remember(transaction))


async def load(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `OpenTransactions` of stations that connect: two queries for thousands of them, a third for those of 2.x."""
    for first in range(0, len(stations), STATIONS_A_QUERY):
        await _load(work, stations[first : first + STATIONS_A_QUERY])


async def _load(work: Work, stations: Sequence[ConnectedStation]) -> None:
    memories = {station.id: station.recall(OpenTransactions) for station in stations}
    for memory in memories.values():
        memory.forget_charges()
        memory.loaded_at = work.now
    query = select(ChargeLog).where(
        col(ChargeLog.station_id).in_(memories), col(ChargeLog.state) == ChargeState.RUNNING
    )
    logs = (await work.session.exec(query)).all()
    newest = await newest_samples(work, [log.id for log in logs])
    speak_2 = {station.id for station in stations if station.version is not Version.V16}
    seen = await seen_events(work, [log.id for log in logs if log.station_id in speak_2])
    for log in logs:
        memories[log.station_id].remember(Transaction.of(log, newest.get(log.id), seen.get(log.id)))


async def seen_events(work: Work, charge_log_ids: Sequence[int]) -> dict[int, Seen]:
    """Which events of each of the charges have come."""
    seen: dict[int, Seen] = {}
    number = col(ChargeEvent.seq_no)
    for first in range(0, len(charge_log_ids), STATIONS_A_QUERY):
        query = (
            select(  # type: ignore[call-overload]  # it is typed for four columns
                ChargeEvent.charge_log_id,
                func.min(number),
                func.max(number),
                func.count(number.distinct()),
                func.max(ChargeEvent.at),
            )
            .where(col(ChargeEvent.charge_log_id).in_(charge_log_ids[first : first + STATIONS_A_QUERY]))
            .group_by(col(ChargeEvent.charge_log_id))
        )
        seen |= {log_id: Seen(*told) for log_id, *told in await work.session.exec(query)}
    return seen


async def newest_samples(work: Work, charge_log_ids: Sequence[int]) -> dict[int, datetime]:
    """When each of the charges was last measured."""
    newest: dict[int, datetime] = {}
    for first in range(0, len(charge_log_ids), STATIONS_A_QUERY):
        query = (
            select(MeterSample.charge_log_id, func.max(MeterSample.measured_at))
            .where(col(MeterSample.charge_log_id).in_(charge_log_ids[first : first + STATIONS_A_QUERY]))
            .group_by(col(MeterSample.charge_log_id))
        )
        newest |= {log_id: at for log_id, at in await work.session.exec(query) if log_id is not None}
    return newest
