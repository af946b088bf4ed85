"""S11, B8: the raw frames of a station over HTTP, page by page or whole, and the fleet's breaches of the standard."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from csms.exceptions import Invalid
from csms.ids import Id
from csms.station.communication_logs.model import Frame, FrameOutcome
from csms.station.communication_logs.service import (
    FrameFilter,
    export_frames,
    frames_of,
    get_frame,
    violations,
)
from csms.station.information import Station, StationDep
from csms.tabular import csv_text
from csms.web import CallerDep, Page, PageDep, PeriodDep, Reading, RuntimeDep, Shown, may_read, page_of

router = APIRouter()

VIOLATION_DAYS_MAX: Final = 31
_NO_STATION: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such station"}}


class AskedBy(StrEnum):
    """Whose request it is."""

    STATION = "station"
    CSMS = "csms"


class RawFrame(Shown):
    """One frame, as it went over the wire (secrets are masked), and what it says."""

    text: str = Field(examples=['[2,"19223201","Heartbeat",{}]'])
    parsed: Any = Field(description="the text as JSON; null if it is none", examples=[[2, "19223201", "Heartbeat", {}]])


class ExchangeShown(Shown):
    """One exchange: a request and its answer, or a text that is neither."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    connection_id: Id | None = Field(description="see `connection-history`")
    at: datetime = Field(description="when the request was received or sent")
    asked_by: AskedBy
    action: str | None = Field(description="null for what is no request", examples=["Heartbeat"])
    message_id: str | None = Field(examples=["19223201"])
    outcome: FrameOutcome
    error_code: str | None = Field(description="the CALLERROR's code, when refused", examples=[None])
    request: RawFrame | None
    answer: RawFrame | None
    answered_at: datetime | None
    duration_ms: float | None = Field(description="from request to answer")
    repairs: list[str] = Field(description="what was mended in a message that broke its schema")
    violation: str | None = Field(description="the first breach of the schema, as the station sent it")


class ViolationShown(Shown):
    """How often stations of one make broke the standard in the same way."""

    vendor: str | None
    model: str | None
    firmware_version: str | None
    action: str | None
    asked_by: AskedBy
    outcome: FrameOutcome
    repairs: list[str] = Field(examples=[["number_from_text"]])
    count: int
    station_count: int
    first_at: datetime
    last_at: datetime
    example: str = Field(examples=["/connectorId: must be an integer"])
    example_frame_id: Id


class Violations(Shown):
    """The groups of a period, the most frequent first; at most 500."""

    start: datetime
    end: datetime
    items: list[ViolationShown]


def _raw(text: str | None) -> RawFrame | None:
    if text is None:
        return None
    try:
        return RawFrame(text=text, parsed=orjson.loads(text))
    except ValueError:
        return RawFrame(text=text, parsed=None)


def _asked_by(from_station: bool) -> AskedBy:
    return AskedBy.STATION if from_station else AskedBy.CSMS


def _duration_ms(frame: Frame) -> float | None:
    return None if frame.answered_at is None else (frame.answered_at - frame.at) / timedelta(milliseconds=1)


def show_exchange(frame: Frame, identity: str) -> ExchangeShown:
    return ExchangeShown(
        id=frame.id,
        station_id=identity,
        connection_id=frame.connection_id,
        at=frame.at,
        asked_by=_asked_by(frame.from_station),
        action=frame.action,
        message_id=frame.message_id,
        outcome=frame.outcome,
        error_code=frame.error_code,
        request=_raw(frame.request),
        answer=_raw(frame.answer),
        answered_at=frame.answered_at,
        duration_ms=_duration_ms(frame),
        repairs=frame.repairs or [],
        violation=frame.violation,
    )


class FrameQuery(BaseModel):
    """Which exchanges, beside the period."""

    action: list[str] = Field([], max_length=30, description="one or several actions")
    outcome: list[FrameOutcome] = Field([], max_length=10, description="one or several")
    asked_by: AskedBy | None = Field(None, description="whose requests")
    message_id: str | None = Field(None, max_length=64, description="exactly this OCPP message id")
    deviating: bool | None = Field(None, description="only what broke its schema, or only what did not")


def _chosen(query: Annotated[FrameQuery, Query()]) -> FrameQuery:
    return query


def _wanted(period: PeriodDep, query: Annotated[FrameQuery, Depends(_chosen)]) -> FrameFilter:
    return FrameFilter(
        start=period.start,
        end=period.end,
        actions=frozenset(query.action),
        outcomes=frozenset(query.outcome),
        from_station=None if query.asked_by is None else query.asked_by is AskedBy.STATION,
        message_id=query.message_id,
        is_deviating=query.deviating,
    )


WantedDep = Annotated[FrameFilter, Depends(_wanted)]


@router.get(
    "/stations/{station_id}/communication-logs",
    dependencies=[may_read()],
    responses=_NO_STATION,
    summary="Every raw OCPP frame in both directions, newest first",
)
async def list_frames(station: StationDep, work: Reading, page: PageDep, wanted: WantedDep) -> Page[ExchangeShown]:
    rows, next_cursor = await page_of(work, frames_of(station.id, wanted), page)
    return Page(items=[show_exchange(row, station.identity) for row in rows], next_cursor=next_cursor)


@router.get(
    "/stations/{station_id}/communication-logs/{frame_id}",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or frame"}},
    summary="One exchange",
)
async def show_frame(frame_id: Annotated[Id, Path()], station: StationDep, work: Reading) -> ExchangeShown:
    return show_exchange(await get_frame(work, station, frame_id), station.identity)


_COLUMNS: Final[Mapping[str, Callable[[Frame], Any]]] = {
    "id": lambda frame: frame.id,
    "at": lambda frame: frame.at,
    "asked_by": lambda frame: _asked_by(frame.from_station),
    "action": lambda frame: frame.action,
    "message_id": lambda frame: frame.message_id,
    "outcome": lambda frame: frame.outcome,
    "error_code": lambda frame: frame.error_code,
    "answered_at": lambda frame: frame.answered_at,
    "duration_ms": _duration_ms,
    "repairs": lambda frame: frame.repairs,
    "violation": lambda frame: frame.violation,
    "request": lambda frame: frame.request,
    "answer": lambda frame: frame.answer,
}


async def _csv(chunks: AsyncIterator[Sequence[Frame]]) -> AsyncIterator[str]:
    yield csv_text(_COLUMNS, ())
    async for rows in chunks:
        yield csv_text(_COLUMNS, rows, with_header=False)


async def _ndjson(chunks: AsyncIterator[Sequence[Frame]], identity: str) -> AsyncIterator[bytes]:
    async for rows in chunks:
        yield b"".join(show_exchange(row, identity).model_dump_json().encode() + b"\n" for row in rows)


def _download(content: AsyncIterator[str | bytes], station: Station, media_type: str, ending: str) -> StreamingResponse:
    name = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in station.identity)
    headers = {"Content-Disposition": f'attachment; filename="communication-logs-{name}.{ending}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)


@router.get(
    "/stations/{station_id}/communication-logs.csv",
    dependencies=[may_read()],
    response_class=StreamingResponse,
    responses={
        **_NO_STATION,
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "one exchange a line"},
    },
    summary="The frames as CSV, newest first",
)
async def export_csv(
    station: StationDep, wanted: WantedDep, runtime: RuntimeDep, caller: CallerDep
) -> StreamingResponse:
    """At most 200,000 exchanges; narrow down with `from` and `to` for others."""
    chunks = export_frames(runtime.store, caller, station.id, wanted)
    return _download(_csv(chunks), station, "text/csv; charset=utf-8", "csv")


@router.get(
    "/stations/{station_id}/communication-logs.ndjson",
    dependencies=[may_read()],
    response_class=StreamingResponse,
    responses={
        **_NO_STATION,
        200: {
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "one exchange a line, each as in the list",
        },
    },
    summary="The frames as lines of JSON, newest first",
)
async def export_ndjson(
    station: StationDep, wanted: WantedDep, runtime: RuntimeDep, caller: CallerDep
) -> StreamingResponse:
    """At most 200,000 exchanges; narrow down with `from` and `to` for others."""
    chunks = export_frames(runtime.store, caller, station.id, wanted)
    return _download(_ndjson(chunks, station.identity), station, "application/x-ndjson", "ndjson")


@router.get(
    "/fleet/violations",
    dependencies=[may_read()],
    responses={422: {"description": "the period is longer than 31 days"}},
    summary="Which makes of station break the standard, how, and how often",
)
async def list_violations(work: Reading, period: PeriodDep) -> Violations:
    """The last seven days unless a period is given."""
    end = period.end or work.now
    start = period.start or end - timedelta(days=7)
    if not timedelta(0) < end - start <= timedelta(days=VIOLATION_DAYS_MAX):
        raise Invalid(f"from 1 moment to {VIOLATION_DAYS_MAX} days; ask for another period", place="query/from")
    groups = await violations(work, start, end)
    items = [
        ViolationShown.model_validate(
            {**{name: getattr(group, name) for name in group.__slots__}, "asked_by": _asked_by(group.from_station)}
        )
        for group in groups
    ]
    return Violations(start=start, end=end, items=items)
