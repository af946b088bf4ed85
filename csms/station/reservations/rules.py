"""S9: a reservation's life, when two of them collide, and how each OCPP version asks for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.reading import integer_of

Payload = dict[str, Any]

AHEAD_MAX: Final = timedelta(days=30)
"""How long a place may be kept: whoever forgets a reservation must not block it for ever."""
AHEAD_MIN: Final = timedelta(minutes=1)
NUMBER_MAX: Final = 2**31 - 1
"""OCPP's reservation ids are drawn from 1 to this."""


class ReservationState(StrEnum):
    """How far a reservation is."""

    REQUESTED = "requested"
    """Sent, or about to be; the station has not said yes."""
    ACTIVE = "active"
    """The station keeps the place."""
    REFUSED = "refused"
    """The station said no (see `station_word`), or could not be asked."""
    USED = "used"
    """A charge began with it."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REMOVED = "removed"
    """The station gave it up by itself: the place broke, or was taken out of service."""


LIVE: Final = (ReservationState.REQUESTED, ReservationState.ACTIVE)
"""In these states it keeps others out."""


@dataclass(frozen=True, slots=True)
class Live:
    """A reservation that keeps others out."""

    charge_point_number: int | None
    """None: some charge point; which one, the station decides."""
    until: datetime


def collision(live: Sequence[Live], number: int | None, charge_points: int) -> str | None:
    """Why the place cannot be kept for one more, or None. `charge_points` is how many the station has; 0: unknown."""
    if number is not None:
        taken = next((one for one in live if one.charge_point_number == number), None)
        if taken is not None:
            return f"charge point {number} is reserved until {taken.until.isoformat()}; cancel that reservation first"
    if charge_points and len(live) >= charge_points:
        return f"all {charge_points} charge points are reserved; cancel a reservation first"
    return None


# OCPP 2.0.1, 3.21 ConnectorEnumType: c is a cable, s a socket.
_PLUGS: Final = {
    ("iec_62196_t1_combo", "cable"): "cCCS1",
    ("iec_62196_t2_combo", "cable"): "cCCS2",
    ("chademo", "cable"): "cG105",
    ("tesla_r", "cable"): "cTesla",
    ("tesla_s", "cable"): "cTesla",
    ("sae_j3400", "cable"): "cTesla",
    ("iec_62196_t1", "cable"): "cType1",
    ("iec_62196_t2", "cable"): "cType2",
    ("iec_60309_2_single_16", "socket"): "s309-1P-16A",
    ("iec_60309_2_three_16", "socket"): "s309-3P-16A",
    ("iec_60309_2_three_32", "socket"): "s309-3P-32A",
    ("domestic_g", "socket"): "sBS1361",
    ("domestic_e", "socket"): "sCEE-7-7",
    ("domestic_f", "socket"): "sCEE-7-7",
    ("iec_62196_t2", "socket"): "sType2",
    ("iec_62196_t3a", "socket"): "sType3",
    ("iec_62196_t3c", "socket"): "sType3",
    ("pantograph_bottom_up", "cable"): "Pan",
    ("pantograph_top_down", "cable"): "Pan",
}


def plug_word(plug_type: str, plug_format: str | None) -> str | None:
    """The plug in OCPP 2.x's words; None for one that it does not know."""
    if plug_format is not None:
        return _PLUGS.get((plug_type, plug_format))
    return _PLUGS.get((plug_type, "cable")) or _PLUGS.get((plug_type, "socket"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a station is asked to keep: `token` and `group` in the words of its version."""

    number: int
    charge_point_number: int | None
    until: str
    token: Any
    group: Any = None
    plug: str | None = None


def reserve_request_16(asked: Asked) -> Payload:
    """OCPP 1.6, 5.13; connector 0 is any of them."""
    request: Payload = {"connectorId": asked.charge_point_number or 0, "expiryDate": asked.until, "idTag": asked.token}
    if asked.group is not None:
        request["parentIdTag"] = asked.group
    request["reservationId"] = asked.number
    return request


def reserve_request_2(asked: Asked) -> Payload:
    """OCPP 2.0.1, H01; without an EVSE it is any of them, perhaps with a certain plug (H01.FR.06 to FR.09)."""
    request: Payload = {"id": asked.number, "expiryDateTime": asked.until}
    if asked.plug is not None:
        request["connectorType"] = asked.plug
    request["idToken"] = asked.token
    if asked.charge_point_number is not None:
        request["evseId"] = asked.charge_point_number
    if asked.group is not None:
        request["groupIdToken"] = asked.group
    return request


# OCPP 2.0.1, 3.67 ReservationUpdateStatusEnumType; 2.1 adds the last.
_UPDATES: Final = {
    "Expired": ReservationState.EXPIRED,
    "Removed": ReservationState.REMOVED,
    "NoTransaction": ReservationState.EXPIRED,
}


def update_state(word: object) -> ReservationState | None:
    """What a ReservationStatusUpdate says has become of it; None for a word of no standard."""
    return _UPDATES.get(word) if isinstance(word, str) else None


def number_in(payload: Payload) -> int | None:
    """The reservation's id in a ReserveNow, CancelReservation, StartTransaction or TransactionEvent, or none."""
    return integer_of(payload.get("reservationId", payload.get("id")))
