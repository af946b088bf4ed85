"""B2, B10: keeps security events, each once however often it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.ocpp import timestamps
from csms.outbox import Event
from csms.routing import ConnectedStation, Payload
from csms.station.errors import Severity, raise_noticed
from csms.station.information import Station, fact_about
from csms.station.security_events.model import EventSource, SecurityEvent
from csms.station.security_events.rules import (
    ALARMING,
    FLOOD,
    REPEAT_S,
    TECH_INFO_CHARS_MAX,
    TYPE_CHARS_MAX,
    Known,
    Recent,
    What,
    cut,
    is_critical,
    meaning_of,
)
from csms.store import Work

FACT = "security_event"


async def load_memory(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Recent` of stations that connect: one query for all of them."""
    since = work.now - timedelta(seconds=REPEAT_S)
    query = (
        select(SecurityEvent)
        .where(
            col(SecurityEvent.station_id).in_([station.id for station in stations]),
            col(SecurityEvent.last_seen_at) >= since,
        )
        .order_by(col(SecurityEvent.id))
    )
    recent = {station.id: Recent() for station in stations}
    for row in await work.session.exec(query):
        memory = recent[row.station_id or 0]
        if row.source is EventSource.STATION:
            memory.known[row.type, row.tech_info] = _known(row)
        elif row.type == FLOOD:
            memory.flood = _known(row)
    for station in stations:
        station.memory[Recent] = recent[station.id]


def _known(row: SecurityEvent) -> Known:
    told_at = timestamps.write(row.happened_at) if row.happened_at else ""
    return Known(row.id, told_at, row.last_seen_at, row.repeat_count)


def keep_told(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """Store what a station tells (2.0.1 A04); what it only repeats is counted, and what is too much as well."""
    memory = station.recall(Recent)
    kind = cut(payload.get("type"), TYPE_CHARS_MAX) or "unknown"
    what = kind, cut(payload.get("techInfo"), TECH_INFO_CHARS_MAX)
    told = timestamps.read(payload.get("timestamp"))
    told_at = timestamps.write(told.at) if told else ""
    known = memory.again(what, work.now)
    if known is not None:
        if known.told_at != told_at or not told_at:  # else it is the same message once more
            _count(work, memory, what, replace(known, told_at=told_at))
    elif memory.is_full(work.now):
        _count_flood(work, station, memory)
    else:
        event_id = _insert(work, station, EventSource.STATION, what, told.at if told else None)
        event = Known(event_id, told_at, work.now)
        now = work.now
        work.after_commit(lambda: memory.remember(what, event, now))


def _count(work: Work, memory: Recent, what: What, known: Known) -> None:
    event = replace(known, repeat_count=known.repeat_count + 1, seen_at=work.now)
    work.change(SecurityEvent, event.row_id, repeat_count=event.repeat_count, last_seen_at=work.now)
    now = work.now
    work.after_commit(lambda: memory.remember(what, event, now))


def _count_flood(work: Work, station: ConnectedStation, memory: Recent) -> None:
    flood = memory.flood
    if flood is None or work.now - flood.seen_at >= timedelta(seconds=REPEAT_S):
        flood = Known(_insert(work, station, EventSource.SYSTEM, (FLOOD, None), None), "", work.now)
    else:
        flood = replace(flood, repeat_count=flood.repeat_count + 1)
        work.change(SecurityEvent, flood.row_id, repeat_count=flood.repeat_count, last_seen_at=work.now)
    work.after_commit(lambda: setattr(memory, "flood", flood))


def _insert(
    work: Work, station: ConnectedStation, source: EventSource, what: What, happened_at: datetime | None
) -> int:
    kind, tech_info = what
    critical = source is EventSource.SYSTEM or is_critical(kind)
    event_id = work.insert(
        SecurityEvent,
        organisation_id=station.organisation_id,
        station_id=station.id,
        identity=station.identity,
        source=source,
        type=kind,
        is_critical=critical,
        happened_at=happened_at,
        received_at=work.now,
        last_seen_at=work.now,
        repeat_count=0,
        tech_info=tech_info,
    )
    if critical:
        data = {"event_id": str(event_id), "type": kind, "source": source.value}
        work.emit(fact_about(station, FACT, data))
    return event_id


async def alarm(work: Work, event: Event) -> None:
    """Raise an error for an event that somebody must look at; it stays until a person resolves it."""
    kind = str(event.data.get("type"))
    word = ALARMING.get(kind)
    if word is None or event.station_id is None or "event_id" not in event.data:
        return
    station = await work.session.get(Station, event.station_id)
    row = await work.session.get(SecurityEvent, int(event.data["event_id"]))
    if station is not None and row is not None:
        info = row.tech_info or meaning_of(kind) or kind
        await raise_noticed(work, station, kind, severity=Severity(word), info=info)


async def keep_noticed(work: Work, event: Event) -> None:
    """Store what another part of this system noticed and told as a fact `security_event` with a `type`."""
    if "event_id" in event.data:
        return  # stored already, by us
    details = {name: value for name, value in event.data.items() if name != "type"} or None
    kind = cut(event.data.get("type"), TYPE_CHARS_MAX) or "unknown"
    again = await _noticed_before(work, event, kind, details)
    if again is not None:
        again.repeat_count += 1
        again.last_seen_at = event.at
        return
    work.insert(
        SecurityEvent,
        organisation_id=event.organisation_id,
        station_id=event.station_id,
        identity=event.station,
        source=EventSource.SYSTEM,
        type=kind,
        is_critical=True,
        happened_at=event.at,
        received_at=event.at,
        last_seen_at=event.at,
        repeat_count=0,
        details=details,
    )


async def _noticed_before(work: Work, event: Event, kind: str, details: dict[str, Any] | None) -> SecurityEvent | None:
    """The newest event of that type, if it says the same and is recent."""
    query = (
        select(SecurityEvent)
        .where(
            SecurityEvent.organisation_id == event.organisation_id,
            SecurityEvent.station_id == event.station_id,
            SecurityEvent.source == EventSource.SYSTEM,
            SecurityEvent.type == kind,
            col(SecurityEvent.last_seen_at) >= event.at - timedelta(seconds=REPEAT_S),
        )
        .order_by(col(SecurityEvent.id).desc())
        .limit(1)
    )
    found = (await work.session.exec(query)).first()
    return found if found is not None and found.details == details else None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; an empty set is all."""

    types: frozenset[str] = field(default_factory=frozenset)
    source: EventSource | None = None
    is_critical: bool | None = None


def events_query(
    wanted: EventFilter,
    *,
    station: Station | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> SelectOfScalar[SecurityEvent]:
    """The events of a station, or of all of the caller's, received from `start` to before `end`."""
    query = select(SecurityEvent)
    if station is not None:
        query = query.where(SecurityEvent.station_id == station.id)
    if wanted.types:
        query = query.where(col(SecurityEvent.type).in_(wanted.types))
    if wanted.source is not None:
        query = query.where(SecurityEvent.source == wanted.source)
    if wanted.is_critical is not None:
        query = query.where(col(SecurityEvent.is_critical).is_(wanted.is_critical))
    if start is not None:
        query = query.where(col(SecurityEvent.received_at) >= start)
    if end is not None:
        query = query.where(col(SecurityEvent.received_at) < end)
    return query
