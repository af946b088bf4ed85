"""S9: asking stations to keep a place and to give it up again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlmodel import col, or_, select

from csms.exceptions import Conflict, CsmsError, Invalid
from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.rights import SYSTEM, Caller
from csms.runtime import Runtime
from csms.station.charge_points import connectors_of
from csms.station.commands import Command, CommandOutcome, send, version_of
from csms.station.information import Station, get_station
from csms.station.reservations.model import Reservation
from csms.station.reservations.rules import (
    LIVE,
    Asked,
    Payload,
    ReservationState,
    plug_word,
    reserve_request_2,
    reserve_request_16,
)
from csms.station.reservations.service.records import Wanted, add_reservation, get_reservation, tell
from csms.station.tokens import UID_CHARS_MAX, TokenKind, id_token
from csms.store import Work

CANCELS_PER_RUN: Final = 20
CANCEL_AGAIN_AFTER: Final = timedelta(minutes=2)
_NOT_SENT: Final = (CommandOutcome.OFFLINE, CommandOutcome.EXPIRED)
"""The station never saw the request."""


async def reserve(runtime: Runtime, caller: Caller, identity: str, wanted: Wanted) -> Reservation:
    """Reserve a place and ask the station to keep it; the row says what came of it.

    Raises what `records.add_reservation` and `commands.send` raise.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        reservation = await add_reservation(work, station, wanted)
        request = await _request(work, station, reservation)
    try:
        command = await send(runtime, caller, identity, "ReserveNow", request)
    except CsmsError as error:
        await _give_up(runtime, caller, identity, reservation.id, error.detail)
        raise
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        row = await get_reservation(work, station, reservation.id, to_change=True)
        if row.state is ReservationState.REQUESTED:
            _settle(work, station, row, command)
        return row


async def _give_up(runtime: Runtime, caller: Caller, identity: str, reservation_id: int, reason: str) -> None:
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        _end(
            work,
            station,
            await get_reservation(work, station, reservation_id, to_change=True),
            ReservationState.REFUSED,
            reason,
        )


def _settle(work: Work, station: Station, row: Reservation, command: Command) -> None:
    """What the answer said is stored already; this is about calls that got none."""
    match command.outcome:
        case CommandOutcome.OFFLINE | CommandOutcome.EXPIRED:
            _end(work, station, row, ReservationState.REFUSED, command.reason or "the station could not be asked")
        case CommandOutcome.REFUSED:
            code = (command.error or {}).get("code", "an error")
            _end(work, station, row, ReservationState.REFUSED, f"the station answered {code}: it may not know how")
        case _:
            row.reason = command.reason
    work.session.add(row)


def _end(work: Work, station: Station, row: Reservation, state: ReservationState, reason: str) -> None:
    row.state, row.state_at, row.reason = state, work.now, reason
    work.session.add(row)
    tell(work, station, row.model_dump())


async def _request(work: Work, station: Station, row: Reservation) -> Payload:
    """Raises Invalid for what the station's version cannot say."""
    version = version_of(station)
    if len(row.token) > UID_CHARS_MAX[version]:
        raise Invalid("the token is too long for the station's OCPP version", place="body/token")
    until = timestamps.write(row.until)
    number = row.charge_point_number
    group = row.group_uid if row.group_uid and len(row.group_uid) <= UID_CHARS_MAX[version] else None
    if version is Version.V16:
        if row.plug_type is not None:
            raise Invalid("OCPP 1.6 reserves charge points, not plugs", place="body/plug_type")
        return reserve_request_16(Asked(row.number, number, until, row.token, group))
    is_21 = version is Version.V21
    token = id_token(row.token, row.token_kind, is_21=is_21)
    group_token = None if group is None else id_token(group, TokenKind.CENTRAL, is_21=is_21)
    plug = await _plug(work, station, row)
    return reserve_request_2(Asked(row.number, number, until, token, group_token, plug))


async def _plug(work: Work, station: Station, row: Reservation) -> str | None:
    if row.plug_type is None:
        return None
    by_charge_point = await connectors_of(work, station)
    formats = [one.format for found in by_charge_point.values() for one in found if one.plug_type is row.plug_type]
    plug_format = next((one.value for one in formats if one is not None), None)
    word = plug_word(row.plug_type.value, plug_format)
    if word is None:
        raise Invalid(f"OCPP has no word for the plug {row.plug_type}", place="body/plug_type")
    return word


async def cancel(runtime: Runtime, caller: Caller, identity: str, reservation_id: int) -> Reservation:
    """Cancel a reservation. If the station cannot be asked now, it is asked when it is back.

    Raises NotFound, and Conflict for a reservation that has ended.
    """
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        row = await get_reservation(work, station, reservation_id, to_change=True)
        if row.state not in LIVE:
            raise Conflict(f"this reservation is {row.state} already; there is nothing to cancel")
        row.cancel_requested_at, row.cancel_requested_by = row.cancel_requested_at or work.now, caller.name
        row.cancel_tried_at = work.now
        work.session.add(row)
        number = row.number
    command = await send(runtime, caller, identity, "CancelReservation", {"reservationId": number})
    async with runtime.store.writing(caller) as work:
        station = await get_station(work, identity)
        row = await get_reservation(work, station, reservation_id, to_change=True)
        if row.state in LIVE and command.outcome is not CommandOutcome.ANSWERED:
            row.reason = f"to be cancelled; {_why(command)}, so it is tried again"
            work.session.add(row)
        return row


def _why(command: Command) -> str:
    if command.outcome in _NOT_SENT:
        return "the station is not connected"
    return "the station did not take it"


async def cancel_pending(runtime: Runtime) -> None:
    """Ask stations again that could not be asked when somebody cancelled."""
    for identity, reservation_id in await _to_cancel(runtime):
        try:
            await cancel(runtime, SYSTEM, identity, reservation_id)
        except CsmsError:
            continue  # it has ended meanwhile, or the station may not be sent anything; time will end it


async def _to_cancel(runtime: Runtime) -> Sequence[tuple[str, int]]:
    async with runtime.store.reading() as work:
        tried_at = col(Reservation.cancel_tried_at)
        query = (
            select(Station.identity, Reservation.id)
            .join(Station, col(Station.id) == Reservation.station_id)
            .where(
                col(Reservation.state).in_(LIVE),
                col(Reservation.cancel_requested_at).is_not(None),
                col(Station.is_online).is_(True),
                or_(tried_at.is_(None), tried_at <= work.now - CANCEL_AGAIN_AFTER),
            )
            .order_by(tried_at)
            .limit(CANCELS_PER_RUN)
        )
        return (await work.session.exec(query)).all()
