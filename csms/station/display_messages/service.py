"""S3: display messages are set, read back and cleared; the rows say what became of them."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlmodel import col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.versions import Version
from csms.rights import Caller
from csms.routing import ConnectedStation
from csms.runtime import Runtime
from csms.station.charge_logs import get_charge_log
from csms.station.commands import Command, CommandOutcome, send, send_for, version_of, why_unanswered
from csms.station.display_messages.model import DisplayMessage
from csms.station.display_messages.rules import (
    CONTENT_CHARS_MAX,
    LIVE,
    NUMBER_MAX,
    ONLY_21,
    DisplayMessageState,
    Message,
    message_info,
)
from csms.station.information import Station, get_station
from csms.store import Work

MESSAGES_MAX: Final = 200
"""Messages of one station that are kept as live; stations hold a few dozen at most."""
_GONE: Final = "the station no longer names it"
_NO_DISPLAY: Final = "it may have no display"


def messages_query(station: Station, states: Sequence[DisplayMessageState]) -> SelectOfScalar[DisplayMessage]:
    """The station's messages in any of these states; all of them if none is given."""
    query = select(DisplayMessage).where(DisplayMessage.station_id == station.id)
    return query.where(col(DisplayMessage.state).in_(states)) if states else query


async def get_message(work: Work, station: Station, message_id: int) -> DisplayMessage:
    """Raises NotFound, also for another station's message."""
    query = select(DisplayMessage).where(DisplayMessage.station_id == station.id, DisplayMessage.id == message_id)
    found = (await work.session.exec(query)).first()
    if found is None:
        raise NotFound(f"{station.identity} has no such display message; GET its display-messages lists them")
    return found


def check_display(station: Station) -> Version:
    """Raises Conflict for a station whose version knows no display."""
    version = version_of(station)
    if version is Version.V16:
        raise Conflict("OCPP 1.6 has no display messages; a vendor's own message may do it: send DataTransfer")
    return version


async def show(
    runtime: Runtime, caller: Caller, identity: str, wanted: Message, *, charge_log_id: int | None = None
) -> DisplayMessage:
    """Ask the station to show a message; the row says what came of it.

    Raises NotFound, Conflict (1.6, or too many messages) and Invalid (more than the station's version can say).
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        if charge_log_id is not None:
            wanted = replace(wanted, transaction_id=await _transaction_of(work, station, charge_log_id))
        row = await _add(work, station, wanted)
        request = {"message": message_info(replace(wanted, number=row.number))}
    return await send_for(
        runtime, caller, identity, row, action="SetDisplayMessage", payload=request, refuse=_refuse, perhaps=_NO_DISPLAY
    )


async def _transaction_of(work: Work, station: Station, charge_log_id: int) -> str:
    charge = await get_charge_log(work, charge_log_id)
    if charge.station_id != station.id:
        raise NotFound(f"{station.identity} has no such charge; GET its charge-logs lists them")
    return str(charge.transaction_id)


async def _add(work: Work, station: Station, wanted: Message) -> DisplayMessage:
    is_21 = check_display(station) is Version.V21
    _check(wanted, is_21=is_21)
    live = (await work.session.exec(messages_query(station, LIVE).limit(MESSAGES_MAX))).all()
    if len(live) >= MESSAGES_MAX:
        raise Conflict(f"{MESSAGES_MAX} messages are live on this station already; delete one first")
    row = DisplayMessage(
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=secrets.randbelow(NUMBER_MAX) + 1,
        priority=wanted.priority,
        shown_while=wanted.shown_while,
        shown_from=wanted.shown_from,
        shown_until=wanted.shown_until,
        transaction_id=wanted.transaction_id,
        charge_point_number=wanted.charge_point_number,
        texts=wanted.texts,
        state=DisplayMessageState.REQUESTED,
        state_at=work.now,
        created_at=work.now,
        created_by=work.actor.name,
    )
    work.session.add(row)
    await work.session.flush()
    return row


def _check(wanted: Message, *, is_21: bool) -> None:
    if not is_21 and len(wanted.texts) > 1:
        raise Invalid("only OCPP 2.1 takes several texts in one message; send one for each", place="body/texts")
    if not is_21 and wanted.shown_while in ONLY_21:
        raise Invalid(f"only OCPP 2.1 knows {wanted.shown_while}", place="body/shown_while")
    chars_max = CONTENT_CHARS_MAX[is_21]
    for index, text in enumerate(wanted.texts):
        if len(text["content"]) > chars_max:
            raise Invalid(f"the station's version takes {chars_max} characters", place=f"body/texts/{index}/content")
        if not is_21 and text["format"] == "QRCODE":
            raise Invalid("only OCPP 2.1 knows QR codes", place=f"body/texts/{index}/format")


def _refuse(work: Work, row: DisplayMessage, reason: str) -> None:
    if row.state is DisplayMessageState.REQUESTED:
        row.state, row.state_at, row.reason = DisplayMessageState.REFUSED, work.now, reason


async def clear(runtime: Runtime, caller: Caller, identity: str, message_id: int) -> DisplayMessage:
    """Take a message off the station. Raises NotFound, and Conflict for one that is not there or not taken away."""
    async with runtime.store.reading(caller) as work:
        row = await get_message(work, await get_station(work, identity), message_id)
    if row.state not in LIVE:
        raise Conflict(f"this message is {row.state} already; there is nothing to take away")
    command = await send(runtime, caller, identity, "ClearDisplayMessage", {"id": row.number})
    if command.outcome is not CommandOutcome.ANSWERED:
        raise Conflict(f"the message is still there: {why_unanswered(command, _NO_DISPLAY)}")
    async with runtime.store.reading(caller) as work:
        return await work.session.get_one(DisplayMessage, message_id)


async def refresh(runtime: Runtime, caller: Caller, identity: str) -> Command:
    """Have the station tell all its messages; they come as parts of a report, after the answer."""
    async with runtime.store.reading(caller) as work:
        check_display(await get_station(work, identity))
    request = {"requestId": secrets.randbelow(NUMBER_MAX) + 1}
    return await send(runtime, caller, identity, "GetDisplayMessages", request)


# In the broker's units of work


async def find(work: Work, station: ConnectedStation, number: int) -> DisplayMessage | None:
    query = select(DisplayMessage).where(DisplayMessage.station_id == station.id, DisplayMessage.number == number)
    return (await work.session.exec(query)).first()


def settle(work: Work, row: DisplayMessage, state: DisplayMessageState, **columns: object) -> None:
    """Note what has become of a message."""
    work.change(DisplayMessage, row.id, state=state, state_at=work.now, **columns)


def content_of(message: Message) -> dict[str, object]:
    """What a message says, as columns."""
    return {
        "priority": message.priority,
        "shown_while": message.shown_while,
        "shown_from": message.shown_from,
        "shown_until": message.shown_until,
        "transaction_id": message.transaction_id,
        "charge_point_number": message.charge_point_number,
        "texts": message.texts,
    }


def add_told(work: Work, station: ConnectedStation, told: Message, by: str, told_in: int | None = None) -> None:
    """Note a message that the station has and that was not set through here."""
    work.insert(
        DisplayMessage,
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=told.number,
        **content_of(told),
        state=DisplayMessageState.INSTALLED,
        state_at=work.now,
        created_at=work.now,
        created_by=by,
        told_in=told_in,
    )


async def note_told(work: Work, station: ConnectedStation, told: Sequence[Message], request_id: int) -> None:
    """Bring rows in line with a part of a report."""
    numbers = [one.number for one in told]
    query = select(DisplayMessage).where(
        DisplayMessage.station_id == station.id, col(DisplayMessage.number).in_(numbers)
    )
    known = {row.number: row for row in await work.session.exec(query)}
    live = len((await work.session.exec(_live_ids(station))).all())
    for one in {one.number: one for one in told}.values():
        row = known.get(one.number)
        if row is not None:
            settle(work, row, DisplayMessageState.INSTALLED, told_in=request_id, reason=None)
        elif live < MESSAGES_MAX:
            live += 1
            add_told(work, station, one, "the station", request_id)


def _live_ids(station: ConnectedStation) -> SelectOfScalar[int]:
    return (
        select(DisplayMessage.id)
        .where(DisplayMessage.station_id == station.id, col(DisplayMessage.state).in_(LIVE))
        .limit(MESSAGES_MAX)
    )


async def forget_untold(work: Work, station_id: int, request_id: int) -> None:
    """The report is whole: what it did not name is gone."""
    await work.session.exec(
        update(DisplayMessage)
        .where(
            col(DisplayMessage.station_id) == station_id,
            col(DisplayMessage.state) == DisplayMessageState.INSTALLED,
            col(DisplayMessage.told_in).is_distinct_from(request_id),
        )
        .values(state=DisplayMessageState.GONE, state_at=work.now, reason=_GONE)
    )
