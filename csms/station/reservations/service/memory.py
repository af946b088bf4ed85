"""S9: what stations say of reservations, and charges that begin with one; in the broker's units of work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import col, select

from csms.routing import ConnectedStation
from csms.station.charge_logs import ChargeLog, OpenTransactions
from csms.station.charge_points import ChargePoints, ChargePointStatus, set_connector_status, set_status
from csms.station.reservations.model import Reservation
from csms.station.reservations.rules import LIVE, ReservationState
from csms.station.reservations.service.records import tell
from csms.station.tokens import Holds, Verdict, authorise, token_key
from csms.store import Work

STATIONS_A_QUERY: Final = 5000
SKEW: Final = timedelta(minutes=2)
"""How far behind a station's clock may be."""
BY_COMMAND: Final = "command"
_WORDS: Final = {True: (ChargePointStatus.AVAILABLE, "Reserved"), False: (ChargePointStatus.RESERVED, "Available")}
_USABLE: Final = (*LIVE, ReservationState.EXPIRED)
"""A start that a station queued while it was offline may come after the reservation's end."""


@dataclass(slots=True)
class Reserved:
    """The live reservations of a connected station, by OCPP's id."""

    by_number: dict[int, Reservation] = field(default_factory=dict)


async def load(work: Work, stations: Sequence[ConnectedStation]) -> None:
    """Fill `Reserved` and the tokens' `Holds` of stations: one query for thousands of them."""
    by_id = {station.id: station for station in stations}
    for station in stations:
        station.recall(Reserved).by_number = {}
    ids = list(by_id)
    for first in range(0, len(ids), STATIONS_A_QUERY):
        query = select(Reservation).where(
            col(Reservation.station_id).in_(ids[first : first + STATIONS_A_QUERY]), col(Reservation.state).in_(LIVE)
        )
        for row in await work.session.exec(query):
            work.session.expunge(row)
            by_id[row.station_id].recall(Reserved).by_number[row.number] = row
    for station in stations:
        _hold(station)


def _hold(station: ConnectedStation) -> None:
    station.recall(Holds).current = tuple(one.hold for one in station.recall(Reserved).by_number.values())


async def find(
    work: Work, station: ConnectedStation, number: int, states: Iterable[ReservationState]
) -> Reservation | None:
    """The station's reservation of that OCPP id in one of those states."""
    query = select(Reservation).where(Reservation.station_id == station.id, Reservation.number == number)
    return (await work.session.exec(query.where(col(Reservation.state).in_(list(states))))).first()


async def change(
    work: Work, station: ConnectedStation, row: Reservation, state: ReservationState, **columns: Any
) -> None:
    """Note the reservation's new state; memory and the charge point's status follow."""
    columns |= {"state": state, "state_at": work.now}
    work.change(Reservation, row.id, **columns)
    tell(work, station, row.model_dump() | columns)
    work.after_commit(lambda: _remember(station, row, columns))
    if state is not ReservationState.USED and state is not ReservationState.REFUSED:
        await _show(work, station, row.charge_point_number, is_kept=state is ReservationState.ACTIVE)


def _remember(station: ConnectedStation, row: Reservation, columns: dict[str, Any]) -> None:
    memory = station.recall(Reserved).by_number
    memory.pop(row.number, None)
    if columns["state"] in LIVE:
        memory[row.number] = Reservation(**row.model_dump() | columns)
    _hold(station)


async def _show(work: Work, station: ConnectedStation, number: int | None, *, is_kept: bool) -> None:
    """Some stations do not say themselves that a charge point is reserved or free again (1.6, 5.13; 2.0.1 H01.FR.15).

    With several connectors (2.x) only the station knows which of them is kept.
    """
    known = station.recall(ChargePoints).by_number.get(number or 0)
    before, word = _WORDS[is_kept]
    if number is None or known is None or known.status is not before:
        return
    if not known.connectors:
        await set_status(work, station, number, word, work.now)
    elif len(known.connectors) == 1:
        await set_connector_status(work, station, number, next(iter(known.connectors)), word, work.now)


async def add_foreign(work: Work, station: ConnectedStation, values: dict[str, Any]) -> None:
    """A reservation that somebody made by a raw command: kept like the others."""
    live = station.recall(Reserved).by_number.values()
    number = values["charge_point_number"]
    if number is not None and any(one.charge_point_number == number for one in live):
        return  # the station moved what it keeps; the older row still says that the place is kept
    row = Reservation(
        organisation_id=station.organisation_id,
        station_id=station.id,
        state=ReservationState.ACTIVE,
        state_at=work.now,
        created_at=work.now,
        created_by=BY_COMMAND,
        **values,
    )
    columns = row.model_dump()
    work.insert(Reservation, **columns)
    tell(work, station, columns)
    work.after_commit(lambda: _remember(station, row, {"state": ReservationState.ACTIVE}))
    await _show(work, station, number, is_kept=True)


@dataclass(frozen=True, slots=True)
class Started:
    """A charge that began, as far as reservations are concerned."""

    charge_point_number: int
    token: str
    at: datetime
    reservation_number: int | None = None
    transaction_id: str | None = None
    """2.x: the charge may have begun with an earlier message."""


async def use(work: Work, station: ConnectedStation, started: Started) -> None:
    """Mark the reservation with which a charge began, if its token may use it.

    Stations that forget to name it are helped: the token and the place say which one it was.
    """
    row = await _meant(work, station, started)
    if row is None:
        return
    key = token_key(started.token)
    if key != row.token_key and not _is_member(await authorise(work, station, started.token), row):
        return
    charge_log_id = _charge_log_id(work, station, started)
    await change(work, station, row, ReservationState.USED, charge_log_id=charge_log_id, reason=None)


async def _meant(work: Work, station: ConnectedStation, started: Started) -> Reservation | None:
    live = station.recall(Reserved).by_number
    if started.reservation_number is not None:
        return live.get(started.reservation_number) or await find(work, station, started.reservation_number, _USABLE)
    key, places = token_key(started.token), (started.charge_point_number, None)
    fitting = [one for one in live.values() if one.charge_point_number in places and one.token_key == key]
    return next((one for one in fitting if one.created_at - SKEW <= started.at < one.until), None)


def _is_member(verdict: Verdict, row: Reservation) -> bool:
    return verdict.parent is not None and row.group_key is not None and token_key(verdict.parent) == row.group_key


def _charge_log_id(work: Work, station: ConnectedStation, started: Started) -> int | None:
    """The charge that this unit of work begins, or that began before."""
    ids: list[int] = [row["id"] for row in work.rows.get(ChargeLog, ()) if row["station_id"] == station.id]
    if ids:
        return ids[-1]
    known = station.recall(OpenTransactions).by_transaction_id.get(started.transaction_id or "")
    return None if known is None else known.id
