"""F5: answers about the cache, the local list and reservations (2.0.1, C11, D, H)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from csms.ocpp import timestamps
from csms.ocpp.errors import ErrorKind, OcppError
from simulators.v201.evse import IdToken, Reservation
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def _clear_cache(station: "Station", _payload: Payload) -> Reply:
    if not station.model.flag("AuthCacheCtrlr.Enabled"):
        return Reply(REJECTED)  # C11.FR.03
    station.authorization.cache.clear()
    return Reply(ACCEPTED)


def _send_local_list(station: "Station", payload: Payload) -> Reply:
    return Reply({"status": station.authorization.send_local_list(payload)})


def _local_version(station: "Station", _payload: Payload) -> Reply:
    is_on = station.model.flag("LocalAuthListCtrlr.Enabled")
    return Reply({"versionNumber": station.authorization.local_version if is_on else 0})


def _reserve(station: "Station", payload: Payload) -> Reply:
    expiry = timestamps.read(payload["expiryDateTime"])
    if expiry is None:
        raise OcppError(ErrorKind.FORMATION, "expiryDateTime is a date-time")
    group = IdToken.read(payload["groupIdToken"]) if "groupIdToken" in payload else None
    reservation = Reservation(
        payload["id"],
        IdToken.read(payload["idToken"]),
        expiry.at,
        payload.get("evseId"),
        payload.get("connectorType"),
        group,
    )
    status = station.reservations.check(reservation)
    return Reply({"status": status}, None if status != "Accepted" else lambda: station.reservations.make(reservation))


def _cancel(station: "Station", payload: Payload) -> Reply:
    held = station.reservations.find(payload["reservationId"])
    if held is None:
        return Reply(REJECTED)
    return Reply(ACCEPTED, lambda: station.reservations.drop(held, None))


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "CancelReservation": _cancel,
    "ClearCache": _clear_cache,
    "GetLocalListVersion": _local_version,
    "ReserveNow": _reserve,
    "SendLocalList": _send_local_list,
}
