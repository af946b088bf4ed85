"""S3: display messages over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path, Query, status
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from csms.ids import Id
from csms.rights import Area
from csms.station.commands import SaidShown
from csms.station.display_messages.model import DisplayMessage
from csms.station.display_messages.rules import TEXTS_MAX, DisplayMessageState, Message, Priority, ShownWhile
from csms.station.display_messages.service import clear, get_message, messages_query, refresh, show
from csms.station.information import StationDep, StationId
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    UtcTime,
    behind,
    may_read,
    may_write,
    page_of,
)

router = APIRouter(prefix="/stations/{station_id}")
_CAN_WRITE = [may_write(Area.OPERATION)]
_ALL = ("SetDisplayMessage", "GetDisplayMessages", "ClearDisplayMessage", "NotifyDisplayMessages")

MessageId = Annotated[Id, Path(description="the display message's id")]
Content = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00]*$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,4})?$", max_length=8)]


class Text(Strict):
    """One text in one language."""

    content: Content = Field(description="up to 512 characters, 1024 in OCPP 2.1", examples=["Willkommen!"])
    language: Language | None = Field(None, description="RFC 5646, as in `de` or `en-GB`", examples=["de"])
    format: Literal["ASCII", "HTML", "URI", "UTF8", "QRCODE"] = Field("UTF8", description="QRCODE: OCPP 2.1")


class NewDisplayMessage(Strict):
    """A message to be shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"texts": [{"content": "Willkommen!", "language": "de"}], "shown_while": "idle"}]
        }
    )

    texts: list[Text] = Field(min_length=1, max_length=TEXTS_MAX, description="several: OCPP 2.1")
    priority: Priority = Priority.NORMAL
    shown_while: ShownWhile | None = Field(None, description="the charge point's state; null: always")
    shown_from: UtcTime | None = None
    shown_until: UtcTime | None = Field(None, description="the station forgets it then")
    charge_log_id: Id | None = Field(None, description="shown only while this charge lasts", examples=[None])
    charge_point_number: int | None = Field(None, ge=1, le=256, description="on whose display; null: the main one")

    @model_validator(mode="after")
    def _check_period(self) -> Self:
        if self.shown_from is not None and self.shown_until is not None and self.shown_until <= self.shown_from:
            raise ValueError("`shown_until` must lie behind `shown_from`")
        return self

    def message(self) -> Message:
        return Message(
            number=0,
            priority=self.priority,
            texts=[text.model_dump(exclude_none=True) for text in self.texts],
            shown_while=self.shown_while,
            shown_from=self.shown_from,
            shown_until=self.shown_until,
            charge_point_number=self.charge_point_number,
        )


class DisplayMessageShown(Shown):
    """A message and what became of it."""

    id: Id
    station_id: str = Field(description="the station's OCPP identity", examples=["CP-0001"])
    number: int = Field(description="OCPP's message id")
    texts: list[dict[str, str]]
    priority: Priority
    shown_while: ShownWhile | None
    shown_from: datetime | None
    shown_until: datetime | None
    transaction_id: str | None = Field(description="shown only while this transaction lasts")
    charge_point_number: int | None
    state: DisplayMessageState
    state_at: datetime
    reason: str | None = Field(description="why it is so, in plain words")
    station_word: str | None = Field(description="the station's own word", examples=["NotSupportedPriority"])
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, row: DisplayMessage, identity: str) -> Self:
        texts = [{name: str(value) for name, value in text.items()} for text in row.texts]
        return cls.model_validate({**row.model_dump(), "texts": texts, "station_id": identity})


class RefreshShown(SaidShown):
    """What the station said when it was asked for all its messages."""

    status: str | None = Field(description="`Accepted`: they follow; `Unknown`: it has none", examples=["Accepted"])


@router.get(
    "/display-messages",
    summary="Messages on the station's displays, and their history",
    dependencies=[may_read()],
    openapi_extra=behind(*_ALL),
)
async def list_messages(
    station: StationDep,
    work: Reading,
    page: PageDep,
    state: Annotated[list[DisplayMessageState] | None, Query(description="one or several", max_length=5)] = None,
) -> Page[DisplayMessageShown]:
    """Newest first. What is `installed` was told by the station or agreed to by it."""
    rows, cursor = await page_of(work, messages_query(station, state or ()), page)
    return Page(items=[DisplayMessageShown.of(row, station.identity) for row in rows], next_cursor=cursor)


@router.post(
    "/display-messages",
    status_code=status.HTTP_201_CREATED,
    summary="Show a message",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or charge"},
        409: {"description": "the station speaks OCPP 1.6, which has no displays, or has too many messages"},
        422: {"description": "the station's version cannot say this"},
    },
    openapi_extra=behind("SetDisplayMessage"),
)
async def create_message(
    station_id: StationId, body: NewDisplayMessage, runtime: RuntimeDep, caller: CallerDep
) -> DisplayMessageShown:
    """Asks the station and waits for its word: see `state` and `reason`."""
    row = await show(runtime, caller, station_id, body.message(), charge_log_id=body.charge_log_id)
    return DisplayMessageShown.of(row, station_id)


@router.get(
    "/display-messages/{message_id}",
    summary="One message",
    dependencies=[may_read()],
    responses={404: {"description": "no such station or message"}},
)
async def show_message(station: StationDep, work: Reading, message_id: MessageId) -> DisplayMessageShown:
    """A message of this station in whatever state."""
    return DisplayMessageShown.of(await get_message(work, station, message_id), station.identity)


@router.delete(
    "/display-messages/{message_id}",
    summary="Take a message off the station",
    dependencies=_CAN_WRITE,
    responses={
        404: {"description": "no such station or message"},
        409: {"description": "it is not there any more, or the station could not be asked"},
    },
    openapi_extra=behind("ClearDisplayMessage"),
)
async def delete_message(
    station_id: StationId, message_id: MessageId, runtime: RuntimeDep, caller: CallerDep
) -> DisplayMessageShown:
    """The row stays as history, as `cleared`."""
    return DisplayMessageShown.of(await clear(runtime, caller, station_id, message_id), station_id)


@router.post(
    "/display-messages/refresh",
    summary="Have the station tell its messages",
    dependencies=_CAN_WRITE,
    responses={404: {"description": "no such station"}, 409: {"description": "the station speaks OCPP 1.6"}},
    openapi_extra=behind("GetDisplayMessages", "NotifyDisplayMessages"),
)
async def refresh_messages(station_id: StationId, runtime: RuntimeDep, caller: CallerDep) -> RefreshShown:
    """They are told after the answer; what the station then does not name becomes `gone`."""
    return RefreshShown.of(await refresh(runtime, caller, station_id))
