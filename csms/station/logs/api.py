"""S10: the log of a station in words, over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from csms.exceptions import Invalid
from csms.ids import MAX_ID, Id
from csms.station.communication_logs import ExchangeShown, Frame, FrameFilter, get_frame, show_exchange
from csms.station.information import StationDep
from csms.station.logs.service import entries, words_of
from csms.web import Page, PageDep, PeriodDep, Reading, Shown, may_read
from csms.wording import Level, Words

router = APIRouter()

_NO_STATION: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "no such station"}}


class LogShown(Shown):
    """One thing that happened between the station and us, in words."""

    id: Id = Field(description="also the id of the exchange in `communication-logs`")
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    at: datetime
    action: str | None = Field(description="the message code", examples=["Authorize"])
    level: Level
    text: str = Field(examples=["Card …1234 was refused: it is blocked."])
    why: str | None = Field(examples=["The card is blocked in the list of tokens."])
    what_to_do: str | None = Field(examples=["Unblock it if its holder may charge."])


class LogDetail(LogShown):
    """The same with the frames behind it."""

    exchange: ExchangeShown


class LogQuery(BaseModel):
    """Which lines, beside the period."""

    action: list[str] = Field([], max_length=30, description="one or several message codes", examples=[["Authorize"]])
    level: list[Level] = Field([], max_length=3, description="one or several levels")


def _chosen(query: Annotated[LogQuery, Query()]) -> LogQuery:
    return query


def _fields(frame: Frame, words: Words, identity: str) -> dict[str, Any]:
    return {
        "id": frame.id,
        "station_id": identity,
        "at": frame.at,
        "action": frame.action,
        "level": words.level,
        "text": words.text,
        "why": words.why,
        "what_to_do": words.what_to_do,
    }


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and int(cursor[:20]) <= MAX_ID):
        raise Invalid("this cursor was not made here; start again without one", place="query/cursor")
    return int(cursor)


@router.get(
    "/stations/{station_id}/logs",
    dependencies=[may_read()],
    responses=_NO_STATION,
    summary="What happened between the station and us, in words, newest first",
)
async def list_logs(
    station: StationDep,
    work: Reading,
    page: PageDep,
    period: PeriodDep,
    query: Annotated[LogQuery, Depends(_chosen)],
) -> Page[LogShown]:
    """With `level`, a page may hold few lines or none and still have a `next_cursor`: go on with it."""
    wanted = FrameFilter(start=period.start, end=period.end, actions=frozenset(query.action))
    found, next_id = await entries(
        work, station.id, wanted, frozenset(query.level), before_id=_before(page.cursor), limit=page.limit
    )
    items = [LogShown.model_validate(_fields(one.frame, one.words, station.identity)) for one in found]
    return Page(items=items, next_cursor=None if next_id is None else str(next_id))


@router.get(
    "/stations/{station_id}/logs/{log_id}",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or line"}},
    summary="One line of the log with its raw frames",
)
async def show_log(log_id: Annotated[Id, Path()], station: StationDep, work: Reading) -> LogDetail:
    frame = await get_frame(work, station, log_id)
    fields = _fields(frame, words_of(frame), station.identity)
    return LogDetail.model_validate({**fields, "exchange": show_exchange(frame, station.identity)})
