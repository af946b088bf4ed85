"""S6: charge logs as operators read, correct and complete them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.station.charge_logs.model import (
    ChargeLog,
    ChargeLogCorrection,
    ChargeState,
    MeterSample,
    UnmatchedStop,
)
from csms.station.charge_logs.rules import (
    AHEAD_MAX,
    Flag,
    Measures,
    Moment,
    OpenCharge,
    Point,
    Register,
    Span,
    candidates,
    curve,
    duration_s,
    energy,
    latest_of_clock,
)
from csms.station.charge_logs.service.ending import Stop, finished, tell_stopped
from csms.station.charge_logs.service.memory import Transaction, newest_samples
from csms.station.charge_logs.service.samples import (
    REGISTERS_MAX,
    new_of_charge,
    read_samples,
    registers,
    registers_of,
    store_samples,
)
from csms.station.information import Station, fact_about
from csms.station.tokens import token_key
from csms.store import Work

SPANS_MAX: Final = 200_000
"""Charges that one statistic looks at."""
SUGGESTIONS_MAX: Final = 10
CHARGE_PAIRED: Final = "charge_paired"
"""Told to the broker, which may think of that charge as running."""
_OPEN: Final = (ChargeState.RUNNING, ChargeState.ESTIMATED_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which charge logs are wanted; None means any."""

    station_id: int | None = None
    charge_point_number: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    token: str | None = None
    person: str | None = None
    states: Sequence[ChargeState] = ()


def charge_logs_query(wanted: Filter) -> SelectOfScalar[ChargeLog]:
    """The caller's charge logs that match all that is given; the period is that of their starts."""
    query = select(ChargeLog)
    exact: tuple[tuple[Any, Any], ...] = (
        (ChargeLog.station_id, wanted.station_id),
        (ChargeLog.charge_point_number, wanted.charge_point_number),
        (ChargeLog.token_key, None if wanted.token is None else token_key(wanted.token)),
    )
    for column, value in exact:
        if value is not None:
            query = query.where(col(column) == value)
    if wanted.person:
        query = query.where(col(ChargeLog.holder).icontains(wanted.person, autoescape=True))
    if wanted.states:
        query = query.where(col(ChargeLog.state).in_(wanted.states))
    if wanted.start is not None:
        query = query.where(ChargeLog.started_at >= wanted.start)
    if wanted.end is not None:
        query = query.where(ChargeLog.started_at < wanted.end)
    return query


async def get_charge_log(work: Work, charge_log_id: int, station_id: int | None = None) -> ChargeLog:
    """Raises NotFound, also for other organisations' logs and, if `station_id` is given, for other stations'."""
    query = select(ChargeLog).where(ChargeLog.id == charge_log_id)
    if station_id is not None:
        query = query.where(ChargeLog.station_id == station_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound("there is no such charge log; GET /api/v1/charge-logs lists yours")
    return found


async def running_charge_logs(work: Work, station_ids: Sequence[int]) -> Sequence[ChargeLog]:
    """The running charges of these stations, oldest first; at most a few for each."""
    query = (
        select(ChargeLog)
        .where(col(ChargeLog.station_id).in_(station_ids), col(ChargeLog.state) == ChargeState.RUNNING)
        .order_by(col(ChargeLog.id))
    )
    return (await work.session.exec(query)).all()


async def identities_of(work: Work, logs: Sequence[ChargeLog]) -> dict[int, str]:
    """The OCPP identities of the logs' stations by row id."""
    ids = {log.station_id for log in logs}
    rows = await work.session.exec(select(Station.id, Station.identity).where(col(Station.id).in_(ids)))
    return dict(rows.all())


# The curve


async def curve_of(work: Work, log: ChargeLog) -> list[Point]:
    """All points of a charge's curve."""
    query = (
        select(  # type: ignore[call-overload]  # it is typed for four columns
            MeterSample.measured_at,
            MeterSample.received_at,
            MeterSample.energy_wh,
            MeterSample.power_w,
            MeterSample.soc_percent,
        )
        .where(MeterSample.charge_log_id == log.id)
        .order_by(col(MeterSample.measured_at), col(MeterSample.id))
        .limit(REGISTERS_MAX)
    )
    rows = await work.session.exec(query)
    measured = []
    for at, received_at, *values in rows:
        is_possible = at <= latest_of_clock(log.started_at, log.received_at, received_at)
        measured.append((at if is_possible else received_at, Measures(*values)))
    stop = None
    if log.stopped_at is not None and log.meter_stop_wh is not None:
        stop = Register(log.stopped_at, log.meter_stop_wh, REGISTERS_MAX)
    return curve(Register(log.started_at, log.meter_start_wh), measured, stop)


# Sums


@dataclass(frozen=True, slots=True)
class Sum:
    """The charges of one charge point taken together."""

    charge_point_number: int
    charges: int
    running: int
    energy_wh: int
    charging_s: int


async def sums_by_charge_point(work: Work, wanted: Filter) -> list[Sum]:
    """One sum for each charge point that has charged, by number."""
    number, log = col(ChargeLog.charge_point_number), ChargeLog
    meant = charge_logs_query(wanted).whereclause
    sums = select(number, func.count(col(log.id)), func.sum(col(log.energy_wh)), func.sum(col(log.duration_s)))
    running = select(number, func.count(col(log.id))).where(col(log.state) == ChargeState.RUNNING)
    if meant is not None:
        sums, running = sums.where(meant), running.where(meant)
    still = dict((await work.session.exec(running.group_by(number))).all())
    rows = await work.session.exec(sums.group_by(number).order_by(number))
    return [
        Sum(point, charges, still.get(point, 0), int(energy_wh or 0), int(charging_s or 0))
        for point, charges, energy_wh, charging_s in rows
    ]


async def spans_of(work: Work, wanted: Filter) -> list[Span]:
    """The charges as statistics see them. Raises Invalid if there are more than SPANS_MAX."""
    meant = charge_logs_query(wanted).whereclause
    query = select(ChargeLog.started_at, ChargeLog.duration_s, ChargeLog.energy_wh)
    if meant is not None:
        query = query.where(meant)
    rows = (await work.session.exec(query.limit(SPANS_MAX + 1))).all()
    if len(rows) > SPANS_MAX:
        raise Invalid(f"more than {SPANS_MAX} charges; ask for a shorter period", place="query/from")
    return [Span(at, lasted_s or 0, energy_wh or 0) for at, lasted_s, energy_wh in rows]


# Corrections


async def correct(work: Work, log: ChargeLog, changes: Mapping[str, Any], reason: str) -> ChargeLogCorrection:
    """Change columns of an ended charge log and keep what they were; energy and duration follow unless given.

    Raises Conflict while the charge runs, Invalid for values that cannot be or change nothing.
    """
    if log.state is ChargeState.RUNNING:
        raise Conflict(f"this charge still runs; stop it first, with POST /api/v1/charge-logs/{log.id}/stop")
    wanted = {name: value for name, value in changes.items() if value != getattr(log, name)}
    if not wanted:
        raise Invalid("this changes nothing: the log has these values already", place="body")
    wanted |= _that_follow(log, wanted)
    before = {name: _json(getattr(log, name)) for name in wanted}
    for name, value in wanted.items():
        setattr(log, name, value)
    log.is_corrected = True
    correction = ChargeLogCorrection(
        organisation_id=log.organisation_id,
        charge_log_id=log.id,
        corrected_at=work.now,
        corrected_by=work.actor.name,
        reason=reason,
        before=before,
        after={name: _json(value) for name, value in wanted.items()},
    )
    work.session.add(correction)
    return correction


def _that_follow(log: ChargeLog, wanted: Mapping[str, Any]) -> dict[str, Any]:
    after = {name: wanted.get(name, getattr(log, name)) for name in _MEASURED}
    follow: dict[str, Any] = {}
    if "started_at" in wanted or "stopped_at" in wanted:
        if after["stopped_at"] is None or after["stopped_at"] < after["started_at"]:
            raise Invalid("`stopped_at` must not be before `started_at`", place="body/stopped_at")
        follow["duration_s"] = duration_s(after["started_at"], after["stopped_at"])
    if "energy_wh" not in wanted and ("meter_start_wh" in wanted or "meter_stop_wh" in wanted):
        if after["meter_stop_wh"] is None or after["meter_stop_wh"] < after["meter_start_wh"]:
            raise Invalid("`meter_stop_wh` is below `meter_start_wh`; give `energy_wh` too", place="body/meter_stop_wh")
        follow["energy_wh"] = after["meter_stop_wh"] - after["meter_start_wh"]
    if "token" in wanted:
        follow["token_key"] = token_key(wanted["token"])
    return follow


_MEASURED: Final = ("started_at", "stopped_at", "meter_start_wh", "meter_stop_wh")


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


async def corrections_of(work: Work, log: ChargeLog) -> Sequence[ChargeLogCorrection]:
    """What was changed in the log, oldest first."""
    query = select(ChargeLogCorrection).where(ChargeLogCorrection.charge_log_id == log.id)
    return (await work.session.exec(query.order_by(col(ChargeLogCorrection.id)))).all()


# Stops that match nothing


async def get_unmatched_stop(work: Work, station: Station, stop_id: int) -> UnmatchedStop:
    """Raises NotFound, also for other stations' stops."""
    query = select(UnmatchedStop).where(UnmatchedStop.id == stop_id, UnmatchedStop.station_id == station.id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such stop; GET …/unmatched-stops lists them")
    return found


async def suggestions(work: Work, stop: UnmatchedStop) -> list[ChargeLog]:
    """The charges without a stop of their own that it could belong to, the likeliest first."""
    query = select(ChargeLog).where(
        ChargeLog.station_id == stop.station_id,
        col(ChargeLog.state).in_(_OPEN),
        col(ChargeLog.is_corrected).is_(False),
        ChargeLog.started_at <= stop.stopped_at + AHEAD_MAX,
    )
    logs = (await work.session.exec(query.order_by(col(ChargeLog.started_at).desc()).limit(100))).all()
    by_id = {log.id: log for log in logs}
    charges = [
        OpenCharge(log.id, log.token_key, log.started_at, log.meter_start_wh, log.last_register_wh) for log in logs
    ]
    key = None if stop.token is None else token_key(stop.token)
    fitting = candidates(stop.stopped_at, stop.meter_stop_wh, key, charges)
    return [by_id[one] for one in fitting[:SUGGESTIONS_MAX]]


async def pair(work: Work, station: Station, stop: UnmatchedStop, log: ChargeLog) -> None:
    """Give a charge that lacks its stop one that matched nothing, as if the station had named it.

    Raises Conflict if either has its other half already, or the charge went on after that stop.
    """
    if stop.paired_at is not None:
        raise Conflict("this stop is paired already")
    if log.state is ChargeState.FINISHED or log.is_corrected:
        raise Conflict("that charge has its end already; pair the stop with one that is open or estimated")
    newest_at = (await newest_samples(work, [log.id])).get(log.id)
    transaction = Transaction.of(log, newest_at)
    if newest_at is not None and newest_at > stop.stopped_at + AHEAD_MAX:
        raise Conflict("that charge was still measured after this stop; it must be another's")
    if log.started_at > stop.stopped_at + AHEAD_MAX:
        raise Conflict("that charge began after this stop; it must be another's")
    sent = read_samples(stop.payload.get("transactionData"), stop.received_at, log.meter_start_wh)
    new = await new_of_charge(work, transaction, sent)
    store_samples(work, station, log.charge_point_number, log.id, new)
    readings = [*await registers_of(work, log.id), *registers(new)]
    last = Register(stop.stopped_at, stop.meter_stop_wh)
    charged = energy(Register(log.started_at, log.meter_start_wh), readings, last)
    columns = finished(transaction, _as_stop(stop), charged, None, stop.received_at)
    columns |= {"flags": sorted({*columns["flags"], Flag.PAIRED} - {Flag.LATE_STOP}), "stop_answer": stop.answer}
    for name, value in columns.items():
        setattr(log, name, value)
    work.emit(fact_about(station, CHARGE_PAIRED, {"charge_log_id": str(log.id)}))
    stop.paired_charge_log_id, stop.paired_at, stop.paired_by = log.id, work.now, work.actor.name
    tell_stopped(
        work,
        columns | {"charge_point_number": log.charge_point_number},
        organisation_id=log.organisation_id,
        station_id=log.station_id,
        identity=station.identity,
        charge_log_id=log.id,
    )


def _as_stop(stop: UnmatchedStop) -> Stop:
    return Stop(
        transaction_id=stop.transaction_id,
        token=stop.token,
        moment=Moment(stop.stopped_at),
        meter_stop_wh=stop.meter_stop_wh,
        reason=stop.stop_reason or "",
        key=stop.stop_key,
        samples=(),
        payload=stop.payload,
    )
