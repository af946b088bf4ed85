"""S9: answers to ReserveNow and CancelReservation, what stations tell of reservations, and the charges that use one."""

from typing import Any

from csms.ocpp import timestamps
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Observe, Payload, Route
from csms.station.reservations.rules import LIVE, ReservationState, number_in, update_state
from csms.station.reservations.service.memory import Started, add_foreign, change, find, load, use
from csms.station.reservations.service.records import CHANGED
from csms.station.tokens import read_id_token, token_key
from csms.store import Work


async def reserve_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.13; 2.0.1 H01: whoever sent it, what the station says is kept."""
    number, word = number_in(request), answer.get("status")
    if number is None:
        return
    row = await find(work, station, number, LIVE)
    if word == "Accepted":
        if row is not None:
            await change(work, station, row, ReservationState.ACTIVE, station_word=None, reason=None)
        elif (values := _foreign(request, number)) is not None:
            await add_foreign(work, station, values)
    elif row is not None and row.state is ReservationState.REQUESTED:
        said = str(word)[:40]
        await change(work, station, row, ReservationState.REFUSED, station_word=said, reason=_why(said))


def _why(word: str) -> str:
    known = {
        "Occupied": "the place is in use or reserved already",
        "Faulted": "the place has a fault",
        "Unavailable": "the place is out of service",
        "Rejected": "the station takes no reservations, or not this one",
    }
    return known.get(word, f"the station answered «{word}»")


def _foreign(request: Payload, number: int) -> dict[str, Any] | None:
    """The columns of a reservation that was made by a raw command, in either version's words."""
    if "idTag" in request:
        token, kind, group = str(request["idTag"]), None, request.get("parentIdTag")
        place, expiry = request.get("connectorId"), request.get("expiryDate")
    else:
        token, kind = read_id_token(request.get("idToken"))
        group = read_id_token(request.get("groupIdToken"))[0] or None
        place, expiry = request.get("evseId"), request.get("expiryDateTime")
    until = timestamps.read(expiry)
    if until is None:
        return None
    return {
        "number": number,
        "charge_point_number": place if isinstance(place, int) and place > 0 else None,
        "token": token,
        "token_key": token_key(token),
        "token_kind": kind,
        "group_uid": group,
        "group_key": None if group is None else token_key(group),
        "until": until.at,
    }


async def cancel_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """OCPP 1.6, 5.1; 2.0.1 H02: a station that rejects it has no such reservation, so nothing is kept either way."""
    number = number_in(request)
    row = None if number is None else await find(work, station, number, LIVE)
    if row is None:
        return
    is_known = answer.get("status") == "Accepted"
    reason = None if is_known else "the station had no such reservation any more"
    word = None if is_known else str(answer.get("status"))[:40]
    await change(work, station, row, ReservationState.CANCELLED, station_word=word, reason=reason)


async def reservation_status_update(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 H03, H04: the station gave a reservation up."""
    number, word = number_in(payload), payload.get("reservationUpdateStatus")
    state = update_state(word)
    row = None if number is None or state is None else await find(work, station, number, LIVE)
    if row is not None and state is not None:
        await change(work, station, row, state, station_word=str(word), reason=_ended(str(word)))
    return {}


def _ended(word: str) -> str:
    if word == "NoTransaction":
        return "the token was there, and no charge began in time"
    return "its time has passed" if word == "Expired" else "the station gave it up: the place broke or was taken away"


async def transaction_started(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """OCPP 1.6, 4.8."""
    sent = timestamps.read(payload.get("timestamp"))
    number = payload.get("connectorId")
    started = Started(
        charge_point_number=number if isinstance(number, int) else 0,
        token=str(payload.get("idTag", "")),
        at=work.now if sent is None else sent.at,
        reservation_number=number_in({"reservationId": payload.get("reservationId")}),
    )
    await use(work, station, started)


async def transaction_event(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """OCPP 2.0.1, H01.FR.15 and E: the id comes with the event in which the reservation is used, which may be later."""
    number = number_in({"reservationId": payload.get("reservationId")})
    token, _ = read_id_token(payload.get("idToken"))
    if not token or (number is None and payload.get("eventType") != "Started"):
        return
    sent, evse = timestamps.read(payload.get("timestamp")), payload.get("evse")
    place = evse.get("id") if isinstance(evse, dict) else None
    at = work.now if sent is None else sent.at
    info = payload.get("transactionInfo")
    transaction_id = str(info.get("transactionId")) if isinstance(info, dict) else None
    await use(work, station, Started(place if isinstance(place, int) else 0, token, at, number, transaction_id))


ROUTES = (Route(VERSIONS_2, "ReservationStatusUpdate", reservation_status_update),)
OBSERVES = (
    Observe(Version.V16, "StartTransaction", transaction_started),
    Observe(VERSIONS_2, "TransactionEvent", transaction_event),
)
ANSWERED = (
    Answered((Version.V16, *VERSIONS_2), "ReserveNow", reserve_answered),
    Answered((Version.V16, *VERSIONS_2), "CancelReservation", cancel_answered),
)
RELOADS = frozenset({CHANGED})
__all__ = ["ANSWERED", "OBSERVES", "RELOADS", "ROUTES", "load"]
