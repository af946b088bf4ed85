"""B2: streams open, flow, are adjusted and closed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, NotFound
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation, Payload
from csms.runtime import Runtime
from csms.station.commands import Command, send, version_of
from csms.station.event_streams.model import EventStream, EventStreamMessage
from csms.station.event_streams.rules import STREAMS_MAX, Stream, StreamState, values_in, whole
from csms.station.information import Station, get_station
from csms.store import Work

STATIONS_A_QUERY: Final = 5000


@dataclass(slots=True)
class KnownStream:
    """What handlers need of a stream."""

    id: int
    is_open: bool


@dataclass(slots=True)
class Streams:
    """The streams of a connected station by number."""

    by_number: dict[int, KnownStream] = field(default_factory=dict)

    @property
    def open_count(self) -> int:
        return sum(one.is_open for one in self.by_number.values())


async def load(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Streams` of stations that connect: one query for thousands of them."""
    by_id = {station.id: station for station in stations if station.version is Version.V21}
    ids = list(by_id)
    for first in range(0, len(ids), STATIONS_A_QUERY):
        query = select(EventStream.station_id, EventStream.number, EventStream.id, EventStream.state).where(
            col(EventStream.station_id).in_(ids[first : first + STATIONS_A_QUERY])
        )
        for station_id, number, row_id, state in await work.session.exec(query):
            by_id[station_id].recall(Streams).by_number[number] = KnownStream(row_id, state == StreamState.OPEN)


def opened(work: Work, station: ConnectedStation, told: Stream) -> str | None:
    """Open a stream; returns why not."""
    memory = station.recall(Streams)
    known = memory.by_number.get(told.number)
    if memory.open_count >= STREAMS_MAX and not (known is not None and known.is_open):
        return f"{STREAMS_MAX} streams are open already"
    if known is None and len(memory.by_number) >= 2 * STREAMS_MAX:
        return "too many different stream numbers; use those of closed streams again"
    _note(work, station, told, StreamState.OPEN)
    return None


def _note(work: Work, station: ConnectedStation, told: Stream, state: StreamState, reason: str | None = None) -> None:
    memory = station.recall(Streams)
    known = memory.by_number.get(told.number)
    columns = {
        "monitor_number": told.monitor_number,
        "interval_s": told.interval_s,
        "values_count": told.values_count,
        "state": state,
        "state_at": work.now,
        "reason": reason,
    }
    if known is None:
        row_id = work.insert(
            EventStream,
            organisation_id=station.organisation_id,
            station_id=station.id,
            number=told.number,
            **columns,
        )
    else:
        row_id = known.id
        work.change(EventStream, row_id, **columns)
    stream = KnownStream(row_id, state is StreamState.OPEN)
    work.after_commit(lambda: memory.by_number.__setitem__(told.number, stream))


def closed(work: Work, station: ConnectedStation, number: int, reason: str) -> None:
    """Close a stream; one that nobody opened is nothing."""
    memory = station.recall(Streams)
    known = memory.by_number.get(number)
    if known is None or not known.is_open:
        return
    work.change(EventStream, known.id, state=StreamState.CLOSED, state_at=work.now, reason=reason)
    stream = KnownStream(known.id, is_open=False)
    work.after_commit(lambda: memory.by_number.__setitem__(number, stream))


def flowed(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """Keep the values of a message; those of a stream that is not open are dropped, since nobody asked for them."""
    number = whole(payload.get("id"))
    known = None if number is None else station.recall(Streams).by_number.get(number)
    if known is None or not known.is_open:
        return
    work.insert(
        EventStreamMessage,
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=number,
        received_at=work.now,
        pending=whole(payload.get("pending")),
        samples=values_in(payload, work.now),
    )


def adjusted(work: Work, station: ConnectedStation, number: int, params: Payload) -> None:
    """The station keeps another pace from now on."""
    known = station.recall(Streams).by_number.get(number)
    if known is not None:
        pace = {"interval_s": whole(params.get("interval")), "values_count": whole(params.get("values"))}
        work.change(EventStream, known.id, **{name: value for name, value in pace.items() if value is not None})


def told_all(work: Work, station: ConnectedStation, streams: Sequence[Stream]) -> None:
    """The station named all its streams: the others are closed."""
    for one in streams:
        _note(work, station, one, StreamState.OPEN)
    named = {one.number for one in streams}
    for number in list(station.recall(Streams).by_number):
        if number not in named:
            closed(work, station, number, "the station no longer names it")


# What operators read and do


def streams_of(station: Station) -> SelectOfScalar[EventStream]:
    """The station's streams."""
    return select(EventStream).where(EventStream.station_id == station.id)


async def get_stream(work: Work, station: Station, number: int) -> EventStream:
    """Raises NotFound for a number that was never used."""
    found = (await work.session.exec(streams_of(station).where(EventStream.number == number))).first()
    if found is None:
        raise NotFound(f"{station.identity} has no stream {number}; GET its event-streams lists them")
    return found


def messages_of(stream: EventStream) -> SelectOfScalar[EventStreamMessage]:
    """What came through the stream."""
    return select(EventStreamMessage).where(
        EventStreamMessage.station_id == stream.station_id, EventStreamMessage.number == stream.number
    )


async def adjust(
    runtime: Runtime, caller: Caller, identity: str, number: int, params: Payload
) -> tuple[Command, EventStream]:
    """Ask the station for another pace. Raises NotFound, and Conflict for a stream that is not open."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
        stream = await get_stream(work, station, number)
    if stream.state is not StreamState.OPEN:
        raise Conflict(f"stream {number} is {stream.state}; only the station can open it")
    command = await send(runtime, caller, identity, "AdjustPeriodicEventStream", {"id": number, "params": params})
    async with runtime.store.reading(caller) as work:
        return command, await get_stream(work, station, number)


async def refresh(runtime: Runtime, caller: Caller, identity: str) -> Command:
    """Have the station tell its streams. Raises Conflict for one that speaks an older version."""
    async with runtime.store.reading(caller) as work:
        station = await get_station(work, identity)
    if version_of(station) is not Version.V21:
        raise Conflict("event streams came with OCPP 2.1; this station speaks an older version")
    return await send(runtime, caller, identity, "GetPeriodicEventStream", {})
