"""S5: raising and resolving errors, by what stations tell, by hand, and by being offline for too long."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, select, update

from csms.exceptions import Conflict, NotFound
from csms.routing import ConnectedStation, Registration
from csms.station.connections import Connection, are_brokers_silent, latest_refusals, listening_since
from csms.station.errors.model import StationError
from csms.station.errors.rules import (
    OFFLINE,
    Consequences,
    OpenError,
    Report,
    Resolution,
    Severity,
    Source,
    began_at,
    code_to_store,
    consequences,
    severity_of,
    worse,
)
from csms.station.information import Station, fact_about
from csms.station.maintenance_windows import Span, Windows, active_at, covering, spans_since
from csms.store import Work

INFO_CHARS_MAX = 255
NO_BROKER = "no broker of this installation is running, so no station can connect"
RETURN_S_MAX = 3600
"""A broker that has just started gives stations time to come back; one that starts again and again hides nothing."""
OFFLINE_ROWS = 200
"""Offline stations told of in one unit of work; after an outage there may be thousands."""


Judge = Callable[[Report, Sequence[OpenError]], Consequences]
"""What a report opens, repeats and resolves, given what is open."""


@dataclass(slots=True)
class OpenErrors:
    """What a connected station's hardware has open, oldest first, by charge point (0: the station itself)."""

    by_number: dict[int, tuple[OpenError, ...]] = field(default_factory=dict)


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `OpenErrors` of stations that connect: one query for all of them."""
    query = (
        select(StationError)
        .where(
            col(StationError.station_id).in_([station.id for station in stations]),
            col(StationError.resolved_at).is_(None),
            StationError.source == Source.HARDWARE,
        )
        .order_by(col(StationError.id))
    )
    found: dict[int, dict[int, tuple[OpenError, ...]]] = {}
    for row in await work.session.exec(query):
        by_number = found.setdefault(row.station_id, {})
        by_number[row.charge_point_number] = (*by_number.get(row.charge_point_number, ()), _known(row))
    for station in stations:
        station.recall(OpenErrors).by_number = found.get(station.id, {})


async def report(
    work: Work,
    station: ConnectedStation,
    number: int,
    told: Report,
    raised_at: datetime,
    *,
    judge: Judge = consequences,
) -> None:
    """Store what a station tells of the errors of a charge point (0: of itself); `judge` says what follows from it."""
    await report_all(work, station, number, [(told, raised_at)], judge=judge)


async def report_all(
    work: Work,
    station: ConnectedStation,
    number: int,
    told: Sequence[tuple[Report, datetime]],
    *,
    judge: Judge,
) -> None:
    """The same for several reports in one message, one after the other."""
    memory = station.recall(OpenErrors)
    remembered = memory.by_number.get(number, ())
    open_errors = await _still_open(work, remembered)
    for one, raised_at in told:
        open_errors = _applied(work, station, number, one, raised_at, judge(one, open_errors), open_errors)
    if open_errors != remembered:
        work.after_commit(lambda: memory.by_number.__setitem__(number, open_errors))


def _applied(  # noqa: PLR0917  # one report and where it is about
    work: Work,
    station: ConnectedStation,
    number: int,
    told: Report,
    raised_at: datetime,
    found: Consequences,
    open_errors: tuple[OpenError, ...],
) -> tuple[OpenError, ...]:
    """Note what follows from a report; returns what is open then."""
    keeps = _without(open_errors, found)
    for error in found.repeated:
        _repeat(work, station, number, told, error, was=open_errors)
        keeps = [error if kept.id == error.id else kept for kept in keeps]
    for error in found.ended:
        _end(work, station, number, error, Resolution.STATION)
    for error in found.displaced:
        _end(work, station, number, error, Resolution.DISPLACED)
    if found.is_new:
        keeps.append(_open(work, station, number, told, raised_at))
    return tuple(keeps)


async def _still_open(work: Work, remembered: tuple[OpenError, ...]) -> tuple[OpenError, ...]:
    """Leave out those that a person resolved meanwhile in another process; asked only when something is open."""
    if not remembered:
        return ()
    ids = [error.id for error in remembered]
    query = select(StationError.id).where(col(StationError.id).in_(ids), col(StationError.resolved_at).is_(None))
    still = set((await work.session.exec(query)).all())
    return tuple(error for error in remembered if error.id in still)


def _without(open_errors: Iterable[OpenError], found: Consequences) -> list[OpenError]:
    gone = {error.id for error in (*found.ended, *found.displaced)}
    return [error for error in open_errors if error.id not in gone]


def _open(work: Work, station: ConnectedStation, number: int, told: Report, raised_at: datetime) -> OpenError:
    code = code_to_store(told)
    span = station.recall(Windows).active_at(number, work.now)
    row_id = _insert(
        work,
        span,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=number,
        connector_number=told.connector,
        source=Source.HARDWARE,
        code=code,
        vendor_code=told.vendor_code,
        vendor_id=told.vendor_id,
        info=told.info,
        severity=told.severity,
        raised_at=raised_at,
    )
    known = OpenError(row_id, code, told.vendor_code, told.severity, connector=told.connector)
    _tell(work, "error_raised", station, number, known, in_maintenance_window=span is not None)
    return known


def _insert(work: Work, span: Span | None, **values: Any) -> int:
    return work.insert(
        StationError,
        **values,
        received_at=work.now,
        last_seen_at=work.now,
        repeat_count=0,
        in_maintenance_window=span is not None,
        maintenance_window_id=span.window_id if span else None,
    )


def _repeat(
    work: Work, station: ConnectedStation, number: int, told: Report, error: OpenError, *, was: Iterable[OpenError]
) -> None:
    values: dict[str, Any] = {"last_seen_at": work.now, "repeat_count": error.repeat_count}
    if told.info and code_to_store(told) == error.code:
        values["info"] = told.info
    if any(before.id == error.id and before.severity != error.severity for before in was):
        values["severity"] = error.severity
        _tell(work, "error_worsened", station, number, error)
    work.change(StationError, error.id, **values)


def _end(work: Work, station: ConnectedStation, number: int, error: OpenError, resolution: Resolution) -> None:
    work.change(StationError, error.id, resolved_at=work.now, resolution=resolution)
    _tell(work, "error_resolved", station, number, error, resolution=resolution.value)


def _known(row: StationError) -> OpenError:
    return OpenError(row.id, row.code, row.vendor_code, row.severity, row.repeat_count, row.connector_number)


def _tell(
    work: Work,
    kind: str,
    station: ConnectedStation | Station,
    number: int,
    error: OpenError,
    *,
    source: Source = Source.HARDWARE,
    **more: object,
) -> None:
    data = {
        "error_id": str(error.id),
        "charge_point": number,
        "connector": error.connector,
        "source": source.value,
        "code": error.code,
        "vendor_code": error.vendor_code,
        "severity": error.severity.value,
        **more,
    }
    work.emit(fact_about(station, kind, data))


async def window_of(work: Work, error: StationError) -> Span | None:
    """The maintenance window that the error began in, by the database."""
    began = began_at(error.source, error.raised_at, error.received_at)
    return await active_at(work, error.station_id, error.charge_point_number, began)


async def check_mark(work: Work, error_id: int) -> None:
    """Set the window's mark by the database: the memory it was set from may have missed a change on the bus."""
    error = await work.session.get(StationError, error_id, with_for_update=True)
    if error is None:
        return
    span = await window_of(work, error)
    if error.in_maintenance_window != (span is not None):
        error.in_maintenance_window = span is not None
        error.maintenance_window_id = span.window_id if span else None


# --- offline ----------------------------------------------------------------------------------------------------


async def raise_offline(work: Work, offline_after_s: float) -> int:
    """Raise `Offline` for stations that did not come back in time; returns for how many (OFFLINE_ROWS at most).

    Only accepted stations that were online once; simulated ones come and go with their process. After an outage of
    ours nobody is missed before the brokers have been there for `offline_after_s`.
    """
    latest = work.now - timedelta(seconds=offline_after_s)
    listening = await listening_since(work)
    if listening is not None and listening > latest:
        latest -= timedelta(seconds=RETURN_S_MAX)
    is_told = select(StationError.id).where(
        StationError.station_id == Station.id, StationError.code == OFFLINE, col(StationError.resolved_at).is_(None)
    )
    query = (
        select(Station)
        .where(
            col(Station.is_online).is_(False),
            col(Station.offline_since) <= latest,
            Station.registration == Registration.ACCEPTED,
            col(Station.is_demo).is_(False),
            ~is_told.exists(),
        )
        .order_by(col(Station.offline_since))
        .limit(OFFLINE_ROWS)
    )
    stations = (await work.session.exec(query)).all()
    if stations:
        earliest = min(station.offline_since or work.now for station in stations)
        ids = [station.id for station in stations]
        spans, refused = await spans_since(work, ids, earliest), await latest_refusals(work, ids, earliest)
        ours = NO_BROKER if await are_brokers_silent(work) else None
        for station in stations:
            info = ours or _refusal(station, refused.get(station.id))
            _raise_offline(work, station, spans.get(station.id, []), info)
    return len(stations)


def _refusal(station: Station, refused: Connection | None) -> str | None:
    """Whoever is woken reads whether the station is away, or comes and is refused."""
    if refused is None or station.offline_since is None or refused.opened_at < station.offline_since:
        return None
    return f"its latest try to connect was refused: {refused.reason}"[:INFO_CHARS_MAX]


def _raise_offline(work: Work, station: Station, spans: Sequence[Span], info: str | None) -> None:
    since = station.offline_since or work.now
    span = covering(spans, 0, since)
    severity = severity_of(OFFLINE, is_faulted=False)
    row_id = _insert(
        work,
        span,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=0,
        source=Source.OFFLINE,
        code=OFFLINE,
        info=info,
        severity=severity,
        raised_at=since,
    )
    known = OpenError(row_id, OFFLINE, None, severity)
    is_inside = span is not None
    _tell(work, "error_raised", station, 0, known, source=Source.OFFLINE, in_maintenance_window=is_inside)


async def resolve_offline(work: Work, station_id: int, at: datetime) -> None:
    """The station connected at that time: resolve what began before."""
    await _resolve_offline(work, Station.id == station_id, StationError.raised_at <= at, at=at)


async def resolve_stale_offline(work: Work) -> int:
    """Resolve `Offline` of stations that are online, or that nobody expects any more; returns how many.

    For the moment between a station's return and the news of it, and for stations whose registration changed.
    """
    is_over = col(Station.is_online) | (col(Station.registration) != Registration.ACCEPTED)
    return await _resolve_offline(work, is_over, at=work.now)


async def _resolve_offline(work: Work, *conditions: Any, at: datetime) -> int:
    query = (
        select(StationError, Station)
        .join(Station, col(Station.id) == StationError.station_id)
        .where(StationError.code == OFFLINE, col(StationError.resolved_at).is_(None), *conditions)
        .limit(OFFLINE_ROWS)
        .with_for_update(of=StationError)
    )
    rows = (await work.session.exec(query)).all()
    for error, station in rows:
        _resolve(work, station, error, Resolution.CONNECTION, at)
    return len(rows)


def _resolve(work: Work, station: Station, error: StationError, resolution: Resolution, at: datetime) -> None:
    error.resolved_at, error.resolution = at, resolution
    number = error.charge_point_number
    _tell(work, "error_resolved", station, number, _known(error), source=error.source, resolution=resolution.value)


# --- noticed by other features ----------------------------------------------------------------------------------


async def raise_noticed(work: Work, station: Station, code: str, *, severity: Severity, info: str) -> None:
    """Raise an error that this system noticed about a station; noticed again, it is counted, and told if worse."""
    found = (await _noticed(work, station, code)).first()
    if found is None:
        _raise_noticed(work, station, code, severity, info, await active_at(work, station.id, 0, work.now))
        return
    found.last_seen_at, found.info = work.now, info[:INFO_CHARS_MAX]
    found.repeat_count += 1
    if worse(severity, found.severity) is not found.severity:
        found.severity = severity
        _tell(work, "error_worsened", station, 0, _known(found), source=Source.SYSTEM)


async def _noticed(work: Work, station: Station, code: str) -> Any:
    query = select(StationError).where(
        StationError.station_id == station.id,
        StationError.code == code,
        StationError.source == Source.SYSTEM,
        col(StationError.resolved_at).is_(None),
    )
    return await work.session.exec(query.with_for_update())


def _raise_noticed(work: Work, station: Station, code: str, severity: Severity, info: str, span: Span | None) -> None:  # noqa: PLR0917
    row_id = _insert(
        work,
        span,
        organisation_id=station.organisation_id,
        station_id=station.id,
        charge_point_number=0,
        source=Source.SYSTEM,
        code=code,
        info=info[:INFO_CHARS_MAX],
        severity=severity,
        raised_at=work.now,
    )
    known = OpenError(row_id, code, None, severity)
    _tell(work, "error_raised", station, 0, known, source=Source.SYSTEM, in_maintenance_window=span is not None)


async def resolve_noticed(work: Work, station: Station, code: str) -> None:
    """What was noticed is over."""
    for error in (await _noticed(work, station, code)).all():
        _resolve(work, station, error, Resolution.SYSTEM, work.now)


async def noticed_stations(work: Work, code: str) -> Sequence[Station]:
    """The stations for which such an error is open."""
    query = (
        select(Station)
        .join(StationError, col(StationError.station_id) == Station.id)
        .where(StationError.code == code, StationError.source == Source.SYSTEM, col(StationError.resolved_at).is_(None))
        .distinct()
    )
    return (await work.session.exec(query)).all()


async def end_of_deleted(work: Work, station_id: int) -> None:
    """The station was deleted: nothing of it is wrong any more, and nobody is told so."""
    await work.session.exec(
        update(StationError)
        .where(col(StationError.station_id) == station_id, col(StationError.resolved_at).is_(None))
        .values(resolved_at=work.now, resolution=Resolution.SYSTEM)
        .execution_options(synchronize_session=False)
    )


# --- by the API -------------------------------------------------------------------------------------------------


async def get_error(work: Work, station: Station, error_id: int) -> StationError:
    """Raises NotFound."""
    query = select(StationError).where(StationError.station_id == station.id, StationError.id == error_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such error; GET …/errors lists them")
    return found


async def resolve_by_hand(work: Work, station: Station, error_id: int) -> StationError:
    """A person says that it is over. Raises NotFound; Conflict if it is resolved, or offline and still so."""
    query = select(StationError).where(StationError.station_id == station.id, StationError.id == error_id)
    error = (await work.session.exec(query.with_for_update())).first()
    if error is None:
        raise NotFound(f"«{station.identity}» has no such error; GET …/errors lists them")
    if error.resolved_at is not None:
        raise Conflict("this error is resolved already")
    if error.source is Source.OFFLINE and not station.is_online:
        raise Conflict(
            f"«{station.identity}» is still offline; this error resolves itself when the station is back. "
            "Plan a maintenance window if nobody is to be told"
        )
    error.resolved_by = work.actor.name
    _resolve(work, station, error, Resolution.HAND, work.now)
    return error


async def open_error_counts(work: Work, station_ids: Sequence[int]) -> dict[int, int]:
    """How many errors are open, by station; stations without any are left out."""
    query = (
        select(StationError.station_id, func.count())
        .where(col(StationError.station_id).in_(station_ids), col(StationError.resolved_at).is_(None))
        .group_by(col(StationError.station_id))
    )
    return dict((await work.session.exec(query)).all())
