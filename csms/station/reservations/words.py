"""S9: reservations in words."""

from collections.abc import Mapping
from typing import Final

from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, card_of, said

_GIVEN_UP: Final[Mapping[str, str]] = {
    "Expired": "has ended: its time has passed",
    "Removed": "was given up by the station: the place broke or was taken out of service",
    "NoTransaction": "has ended: its token was there, and no charge began in time",
}


def _updated(request: Payload, _answer: Payload) -> Words:
    word = str(request.get("reservationUpdateStatus"))
    what = _GIVEN_UP.get(word, f"is «{said(word)}»")
    level = Level.WARNING if word == "Removed" else Level.INFO
    return Words(f"Reservation {said(request.get('reservationId', ''))} {what}.", level)


def _reserve(request: Payload) -> str:
    number = request.get("connectorId") or request.get("evseId")
    plug = f" with the plug {said(request['connectorType'])}" if request.get("connectorType") else ""
    place = f"charge point {said(number)}" if number else f"any charge point{plug}"
    until = request.get("expiryDate") or request.get("expiryDateTime") or ""
    return f"reserve {place} for {card_of(request)} until {said(until)}"


def _cancel(request: Payload) -> str:
    return f"cancel reservation {said(request.get('reservationId', ''))}"


_NOT_RESERVED: Final[Mapping[str, Words]] = {
    "Occupied": Words("it is occupied", Level.WARNING, what_to_do="Reserve another charge point."),
    "Faulted": Words("it has a fault", Level.WARNING, what_to_do="Reserve another charge point."),
    "Unavailable": Words("it is out of service", Level.WARNING, what_to_do="Put it back into service first."),
    "Rejected": Words("it does not take reservations", Level.WARNING, "The station is set so, or cannot reserve."),
}
_NOT_KNOWN: Final = Words("it knows no such reservation", Level.WARNING)

WORDS = (
    Tell("ReservationStatusUpdate", _updated),
    Ask("CancelReservation", _cancel, {"Accepted": DONE, "Rejected": _NOT_KNOWN}),
    Ask("ReserveNow", _reserve, {"Accepted": DONE, **_NOT_RESERVED}),
)

EXAMPLES = (
    Example("CancelReservation", "Cancel a reservation", v16={"reservationId": 17}, v2={"reservationId": 17}),
    Example(
        "ReserveNow",
        "Reserve a connector",
        v16={"connectorId": 1, "expiryDate": "2026-01-01T12:00:00.000Z", "idTag": "04A2B3C4D5", "reservationId": 17},
        v2={
            "id": 17,
            "evseId": 1,
            "expiryDateTime": "2026-01-01T12:00:00.000Z",
            "idToken": {"idToken": "04A2B3C4D5", "type": "ISO14443"},
        },
    ),
)
