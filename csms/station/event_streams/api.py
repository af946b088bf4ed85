"""B2: event streams over HTTP."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from pydantic import ConfigDict, Field, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import SaidShown
from csms.station.event_streams.model import EventStream
from csms.station.event_streams.rules import NUMBER_MAX, StreamState
from csms.station.event_streams.service import adjust, get_stream, messages_of, refresh, streams_of
from csms.station.information import StationDep, StationId
from csms.web import CallerDep, Page, PageDep, Reading, RuntimeDep, Shown, Strict, behind, may_read, may_write, page_of

router = APIRouter(prefix="/stations/{station_id}")
_CAN_WRITE = [may_write(Area.OPERATION)]

Number = Annotated[int, Path(ge=0, le=NUMBER_MAX, description="the stream's number", examples=[1])]


class StreamShown(Shown):
    """A stream of monitored values."""

    id: Id
    number: int
    monitor_number: int = Field(description="the variable monitor whose values flow")
    interval_s: int | None = Field(description="how often a message comes, at most")
    values_count: int | None = Field(description="after how many values a message comes")
    state: StreamState
    state_at: datetime
    reason: str | None

    @classmethod
    def of(cls, row: EventStream) -> Self:
        return cls.model_validate(row.model_dump())


class SampleShown(Shown):
    at: datetime = Field(description="by the station's clock")
    value: str


class MessageShown(Shown):
    """The values of one message."""

    id: Id
    received_at: datetime
    pending: int | None = Field(description="values that the station had yet to send")
    samples: list[SampleShown]


class Pace(Strict):
    """How often messages come; give one or both."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"interval_s": 60}]})

    interval_s: int | None = Field(None, ge=0, le=86400, examples=[60])
    values_count: int | None = Field(None, ge=0, le=10_000, examples=[10])

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.interval_s is None and self.values_count is None:
            raise ValueError("give `interval_s`, `values_count` or both")
        return self

    def params(self) -> dict[str, int]:
        named = {"interval": self.interval_s, "values": self.values_count}
        return {name: value for name, value in named.items() if value is not None}


class AdjustedShown(SaidShown):
    stream: StreamShown


@router.get(
    "/event-streams",
    summary="Streams of monitored values (OCPP 2.1)",
    dependencies=[may_read()],
    openapi_extra=behind("OpenPeriodicEventStream", "ClosePeriodicEventStream", "GetPeriodicEventStream"),
)
async def list_streams(station: StationDep, work: Reading, page: PageDep) -> Page[StreamShown]:
    """Stations open and close streams themselves; at most 64 are accepted at a time."""
    rows, cursor = await page_of(work, streams_of(station), page)
    return Page(items=[StreamShown.of(row) for row in rows], next_cursor=cursor)


@router.get(
    "/event-streams/{number}/messages",
    summary="What came through a stream",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or stream"}},
    openapi_extra=behind("NotifyPeriodicEventStream"),
)
async def list_messages(station: StationDep, work: Reading, page: PageDep, number: Number) -> Page[MessageShown]:
    """Newest first."""
    stream = await get_stream(work, station, number)
    rows, cursor = await page_of(work, messages_of(stream), page)
    return Page(items=[MessageShown.model_validate(row.model_dump()) for row in rows], next_cursor=cursor)


@router.put(
    "/event-streams/{number}/pace",
    summary="Ask for another pace",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station or stream"}, 409: {"description": "the stream is not open"}},
    openapi_extra=behind("AdjustPeriodicEventStream"),
)
async def change_pace(
    station_id: StationId, number: Number, body: Pace, runtime: RuntimeDep, caller: CallerDep
) -> AdjustedShown:
    """In force when the station accepts it."""
    command, stream = await adjust(runtime, caller, station_id, number, body.params())
    return AdjustedShown.of(command, stream=StreamShown.of(stream))


@router.post(
    "/event-streams/refresh",
    summary="Have the station tell its streams",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station"}, 409: {"description": "the station speaks an older version"}},
    openapi_extra=behind("GetPeriodicEventStream"),
)
async def refresh_streams(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> SaidShown:
    """What it does not name is closed."""
    command = await refresh(runtime, caller, station_id)
    return SaidShown.of(command)
