"""F1: events over HTTP: as a stream (server-sent events) and page by page."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlmodel import col

from csms.exceptions import CsmsError
from csms.fleet.live.service import EventFilter, Stream, check_room, events_query
from csms.ids import Id, id_at
from csms.outbox import Event
from csms.rights import Area, Level
from csms.web import (
    Authenticator,
    CallerDep,
    Page,
    PageDep,
    PeriodDep,
    Reading,
    RuntimeDep,
    Shown,
    may_read,
    page_of,
)

router = APIRouter()

_EXAMPLE: Final = (
    'id: 451234567890123456\nevent: charge_point_changed\ndata: {"id":"451234567890123456",'
    '"kind":"charge_point_changed","station_id":"CP-0001","at":"2026-01-01T00:00:00Z","data":{"number":1}}\n\n'
)
_STREAM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "events as they happen, until either side closes",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    429: {"description": "this key, or everybody together, has too many streams open"},
}


class EventShown(Shown):
    """Something that happened."""

    id: Id
    kind: str = Field(description="what happened", examples=["error_raised"])
    station_id: str | None = Field(description="the station's OCPP identity", examples=["CP-0001"])
    at: datetime
    data: dict[str, Any] = Field(description="depends on the kind")


class EventQuery(BaseModel):
    """Which events."""

    station: list[str] = Field([], max_length=200, description="OCPP identities, one or several")
    kind: list[str] = Field([], max_length=50, description="one or several", examples=[["error_raised"]])


def _chosen(query: Annotated[EventQuery, Query()]) -> EventFilter:
    return EventFilter(frozenset(query.station), frozenset(query.kind))


WantedDep = Annotated[EventFilter, Depends(_chosen)]
LastId = Annotated[Id | None, Query(description="resume after this event, for clients that cannot set headers")]
LastIdHeader = Annotated[Id | None, Header(alias="Last-Event-ID", description="resume after this event")]


def _last_id(last_event_id: LastId = None, header: LastIdHeader = None) -> int | None:
    """The header wins: it is what EventSource sends when it connects again to the same address."""
    return header if header is not None else last_event_id


@router.get(
    "/events",
    dependencies=[may_read()],
    response_class=StreamingResponse,
    responses=_STREAM_RESPONSES,
    summary="What changes, as it happens (server-sent events)",
)
async def stream_events(
    request: Request,
    runtime: RuntimeDep,
    caller: CallerDep,
    wanted: WantedDep,
    last_id: Annotated[int | None, Depends(_last_id)],
) -> StreamingResponse:
    """Each event has its `id`, its kind as `event` and JSON as `data`.

    Send the last id seen as `Last-Event-ID` to get what you missed, up to a day; events of the last seconds may then
    come again. `event: gap` means that events are missing: load the state anew. A comment comes every 15 seconds.
    """

    async def is_allowed() -> bool:
        secret = request.headers.get("authorization", "").partition(" ")[2].strip()
        authenticator: Authenticator = request.app.state.authenticator
        try:
            now = await authenticator.authenticate(runtime, secret, caller.remote_address or "", is_anew=True)
        except CsmsError:
            return False
        return now.may(Area.DATA_ACCESS, Level.READ)

    check_room(runtime, caller)
    stream = Stream(runtime, caller, wanted, last_id, is_allowed, stopping=request.app.state.stopping)
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream.texts(), media_type="text/event-stream", headers=headers)


@router.get("/events/history", dependencies=[may_read()], summary="What happened, newest first")
async def list_events(work: Reading, page: PageDep, period: PeriodDep, wanted: WantedDep) -> Page[EventShown]:
    query = events_query(wanted)
    if period.start is not None:
        query = query.where(col(Event.id) >= id_at(period.start))
    if period.end is not None:
        query = query.where(col(Event.id) < id_at(period.end))
    rows, next_cursor = await page_of(work, query, page)
    items = [EventShown(id=row.id, kind=row.kind, station_id=row.station, at=row.at, data=row.data) for row in rows]
    return Page(items=items, next_cursor=next_cursor)
