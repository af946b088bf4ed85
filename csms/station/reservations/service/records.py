"""S9: the rows: which reservations there are, whether one more fits, and how they end by time."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import Conflict, Invalid, NotFound
from csms.routing import ConnectedStation
from csms.station.charge_points import PlugType, charge_points_of, connectors_of, get_charge_point, release
from csms.station.information import Station, fact_about
from csms.station.reservations.model import Reservation, ReservationPolicy
from csms.station.reservations.rules import (
    AHEAD_MAX,
    AHEAD_MIN,
    LIVE,
    NUMBER_MAX,
    Live,
    ReservationState,
    collision,
)
from csms.station.tokens import Token, TokenKind, token_key
from csms.store import Work

CHANGED: Final = "reservation_changed"
EXPIRED_PER_RUN: Final = 500
LIVE_MAX: Final = 300
"""More than a station has charge points."""
_BY_TIME: Final = "its time has passed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants to have reserved."""

    until: datetime
    charge_point_number: int | None = None
    plug_type: PlugType | None = None
    token_id: int | None = None
    token: str | None = None
    token_kind: TokenKind | None = None
    group_uid: str | None = None
    contact: str | None = None
    comment: str = ""


async def is_allowed(work: Work, station: Station) -> bool:
    """Whether the station takes reservations."""
    query = select(ReservationPolicy.is_allowed).where(ReservationPolicy.station_id == station.id)
    return (await work.session.exec(query)).first() is not False


async def set_allowed(work: Work, station: Station, *, is_allowed: bool) -> None:
    """Let the station take reservations, or not; those that live go on."""
    query = select(ReservationPolicy).where(ReservationPolicy.station_id == station.id)
    row = (await work.session.exec(query)).first()
    if row is None:
        row = ReservationPolicy(organisation_id=station.organisation_id, station_id=station.id)
    row.is_allowed = is_allowed
    work.session.add(row)


def reservations_query(
    station: Station, states: Sequence[ReservationState] = (), number: int | None = None
) -> SelectOfScalar[Reservation]:
    """The station's reservations in any of these states; all of them if none is given."""
    query = select(Reservation).where(Reservation.station_id == station.id)
    if states:
        query = query.where(col(Reservation.state).in_(states))
    if number is not None:
        query = query.where(Reservation.charge_point_number == number)
    return query


async def get_reservation(work: Work, station: Station, reservation_id: int, *, to_change: bool = False) -> Reservation:
    """Raises NotFound, also for another station's reservation. `to_change` keeps others from it until the commit."""
    query = select(Reservation).where(Reservation.station_id == station.id, Reservation.id == reservation_id)
    found = (await work.session.exec(query.with_for_update() if to_change else query)).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such reservation; GET …/reservations lists them")
    return found


async def add_reservation(work: Work, station: Station, wanted: Wanted) -> Reservation:
    """Note what is about to be asked of the station.

    Raises Conflict if the station takes no reservations or the place is taken, Invalid for what cannot be reserved.
    """
    if not await is_allowed(work, station):
        raise Conflict(f"«{station.identity}» takes no reservations; allow them with PUT …/reservation-policy")
    await expire(work, station)
    await _check_place(work, station, wanted)
    _check_until(wanted.until, work.now)
    await _check_free(work, station, wanted.charge_point_number)
    token = await _token(work, station, wanted)
    reservation = Reservation(
        organisation_id=station.organisation_id,
        station_id=station.id,
        number=1 + secrets.randbelow(NUMBER_MAX),
        charge_point_number=wanted.charge_point_number,
        plug_type=wanted.plug_type,
        token=token.uid,
        token_key=token_key(token.uid),
        token_kind=token.kind,
        group_uid=token.group_uid,
        group_key=None if token.group_uid is None else token_key(token.group_uid),
        contact=wanted.contact,
        comment=wanted.comment,
        until=wanted.until,
        state_at=work.now,
        created_at=work.now,
        created_by=work.actor.name,
    )
    work.session.add(reservation)
    await work.session.flush()  # two at once for one charge point: the index lets one of them in
    tell(work, station, reservation.model_dump())
    return reservation


async def _check_place(work: Work, station: Station, wanted: Wanted) -> None:
    if wanted.charge_point_number is not None:
        if wanted.plug_type is not None:
            raise Invalid("name a charge point or a plug, not both", place="body/plug_type")
        try:
            await get_charge_point(work, station, wanted.charge_point_number)
        except NotFound as error:
            raise Invalid(error.detail, place="body/charge_point_number") from error
    elif wanted.plug_type is not None:
        by_charge_point = await connectors_of(work, station)
        if not any(one.plug_type is wanted.plug_type for found in by_charge_point.values() for one in found):
            raise Invalid(f"no charge point is described with the plug {wanted.plug_type}", place="body/plug_type")


def _check_until(until: datetime, now: datetime) -> None:
    if until < now + AHEAD_MIN:
        raise Invalid("a place is kept for a minute at least; choose a later end", place="body/until")
    if until > now + AHEAD_MAX:
        raise Invalid(f"a place is kept for {AHEAD_MAX.days} days at most", place="body/until")


async def _check_free(work: Work, station: Station, number: int | None) -> None:
    live = (await work.session.exec(reservations_query(station, LIVE).limit(LIVE_MAX))).all()
    charge_points = len(await charge_points_of(work, station))
    why = collision([Live(one.charge_point_number, one.until) for one in live], number, charge_points)
    if why is not None:
        raise Conflict(why)


async def _token(work: Work, station: Station, wanted: Wanted) -> Token:
    """The registered token that is meant, or one made up for a token that nobody registered (a guest)."""
    query = select(Token).where(Token.organisation_id == station.organisation_id)
    if wanted.token_id is not None:
        found = (await work.session.exec(query.where(Token.id == wanted.token_id))).first()
        if found is None:
            raise Invalid("there is no such token; GET /api/v1/tokens lists yours", place="body/token_id")
    else:
        uid = wanted.token or ""
        found = (await work.session.exec(query.where(Token.uid_key == token_key(uid)))).first()
    if found is None:
        group = wanted.group_uid
        return Token(
            organisation_id=0, uid=uid, uid_key="", kind=wanted.token_kind, group_uid=group, created_at=work.now
        )
    if found.is_blocked:
        raise Conflict("this token is blocked and could not use the reservation", place="body/token_id")
    if wanted.group_uid is None:
        return found
    return Token(**found.model_dump() | {"group_uid": wanted.group_uid})


async def expire(work: Work, station: Station | None = None) -> int:
    """End reservations whose time has passed; returns how many there were."""
    query = (
        select(Reservation, Station)
        .join(Station, col(Station.id) == Reservation.station_id)
        .where(col(Reservation.state).in_(LIVE), Reservation.until <= work.now)
        .order_by(col(Reservation.until))
        .limit(EXPIRED_PER_RUN)
        .with_for_update(of=Reservation, skip_locked=True)
    )
    if station is not None:
        query = query.where(Reservation.station_id == station.id)
    rows = (await work.session.exec(query)).all()
    for reservation, its_station in rows:
        reservation.state, reservation.state_at, reservation.reason = ReservationState.EXPIRED, work.now, _BY_TIME
        if reservation.charge_point_number is not None:
            await release(work, its_station, reservation.charge_point_number)
        tell(work, its_station, reservation.model_dump())
    if rows:
        await work.session.flush()
    return len(rows)


def tell(work: Work, station: Station | ConnectedStation, row: Mapping[str, Any]) -> None:
    """Let live pages and the broker know; without the token and the contact, which are personal."""
    data = {
        "reservation_id": str(row["id"]),
        "charge_point_number": row["charge_point_number"],
        "state": ReservationState(row["state"]).value,
        "until": row["until"].isoformat(),
        "station_word": row["station_word"],
    }
    work.emit(fact_about(station, CHANGED, data))
