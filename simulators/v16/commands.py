"""F5: a simulated 1.6 station's answers to the calls of the CSMS; core, reservation and remote trigger stand here."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from csms.ocpp import schema, timestamps
from csms.ocpp.actions import ACTIONS
from csms.ocpp.errors import ErrorKind, OcppError
from csms.ocpp.versions import Version
from simulators.firmware import STATUSES_16 as FIRMWARE_STATUSES
from simulators.v16 import management, security
from simulators.v16.configuration import MAX_KEYS_PER_REQUEST
from simulators.v16.connector import Connector, Reservation, Status
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v16.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}
ECHO = "Echo"  # the one message of DataTransfer that these stations know


def answer(station: "Station", action: str, payload: Payload) -> Reply:
    """The answer to one call.

    Raises OcppError: NotImplemented for an unknown action, NotSupported for one that this station does not offer.
    """
    handler = _HANDLERS.get(action)
    if handler is None:
        is_known = action in ACTIONS[Version.V16]
        raise OcppError(ErrorKind.NOT_SUPPORTED if is_known else ErrorKind.NOT_IMPLEMENTED, f"no {action} here")
    if station.boot_status == "Rejected":
        # OCPP 1.6, 4.2.1: a rejected station does not talk, but to say that it wants to boot.
        raise OcppError(ErrorKind.SECURITY, "the station was rejected at boot")
    station.note(f"the CSMS calls {action}")
    if action in _CHECKED:
        breach = schema.check(Version.V16, action, "request", payload)
        if breach is not None:
            raise OcppError(breach.kind, str(breach))
    return handler(station, payload)


def _text(payload: Payload, name: str, max_chars: int = 500) -> str:
    value = payload.get(name)
    if value is None:
        raise OcppError(ErrorKind.OCCURRENCE_CONSTRAINT, f"{name} is missing")
    if not isinstance(value, str):
        raise OcppError(ErrorKind.TYPE_CONSTRAINT, f"{name} is a text")
    if len(value) > max_chars:
        raise OcppError(ErrorKind.PROPERTY_CONSTRAINT, f"{name} has at most {max_chars} characters")
    return value


def _choice(payload: Payload, name: str, *choices: str) -> str:
    value = _text(payload, name)
    if value not in choices:
        raise OcppError(ErrorKind.PROPERTY_CONSTRAINT, f"{name} is one of {', '.join(choices)}")
    return value


def _integer(payload: Payload, name: str) -> int:
    value = payload.get(name)
    if value is None:
        raise OcppError(ErrorKind.OCCURRENCE_CONSTRAINT, f"{name} is missing")
    if type(value) is not int:
        raise OcppError(ErrorKind.TYPE_CONSTRAINT, f"{name} is an integer")
    return value


def _optional_connector(station: "Station", payload: Payload) -> Connector | None:
    if payload.get("connectorId") is None:
        return None
    return station.charging.connectors.get(_integer(payload, "connectorId"))


def _change_availability(station: "Station", payload: Payload) -> Reply:
    number = _integer(payload, "connectorId")
    is_operative = _choice(payload, "type", "Operative", "Inoperative") == "Operative"
    charging = station.charging
    if number == 0:
        wanted = [charging.station, *charging.connectors.values()]
    elif number in charging.connectors:
        wanted = [charging.connectors[number]]
    else:
        return Reply(REJECTED)
    is_busy = not is_operative and any(connector.transaction is not None for connector in wanted)

    def change() -> None:
        for connector in wanted:
            charging.set_operative(connector, is_operative=is_operative)

    return Reply({"status": "Scheduled"} if is_busy else ACCEPTED, change)


def _change_configuration(station: "Station", payload: Payload) -> Reply:
    key, value = _text(payload, "key", 50), _text(payload, "value")
    if key.lower() == "securityprofile" and not (value in ("1", "2", "3") and security.may_raise(station, value)):
        return Reply(REJECTED)
    status = station.configuration.change(key, value)
    return Reply({"status": status}, (lambda: _apply(station, key.lower(), value)) if status == "Accepted" else None)


def _apply(station: "Station", key: str, value: str) -> None:
    """Wake whoever is waiting by the old value."""
    if key == "heartbeatinterval":
        station.heartbeat_changed.set()
    elif key == "clockaligneddatainterval":
        station.charging.aligned_changed.set()
    elif key == "metervaluesampleinterval":
        for connector in station.charging.connectors.values():
            station.charging.changed(connector)
    elif key == "authorizationkey":
        station.change_password(bytes.fromhex(value))
    elif key == "securityprofile":
        station.spawn(station.reconnect(security.RECONNECT_S, "new security profile"))


def _clear_cache(station: "Station", _payload: Payload) -> Reply:
    station.cached_tags.clear()
    return Reply(ACCEPTED)


def _data_transfer(station: "Station", payload: Payload) -> Reply:
    if _text(payload, "vendorId", 255) != station.nameplate.vendor:
        return Reply({"status": "UnknownVendorId"})
    if payload.get("messageId") != ECHO:
        return Reply({"status": "UnknownMessageId"})
    return Reply({**ACCEPTED, "data": payload["data"]} if "data" in payload else ACCEPTED)


def _get_configuration(station: "Station", payload: Payload) -> Reply:
    keys = payload.get("key") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise OcppError(ErrorKind.TYPE_CONSTRAINT, "key is a list of texts")
    if len(keys) > MAX_KEYS_PER_REQUEST:
        raise OcppError(ErrorKind.OCCURRENCE_CONSTRAINT, f"at most {MAX_KEYS_PER_REQUEST} keys a request")
    known, unknown = station.configuration.read(keys)
    return Reply({"configurationKey": known, **({"unknownKey": unknown} if unknown else {})})


def _remote_start(station: "Station", payload: Payload) -> Reply:
    id_tag = _text(payload, "idTag", 20)
    connector = _optional_connector(station, payload)
    if payload.get("connectorId") is None:
        connector = _first_free(station)
    if connector is None or not station.is_online or not station.charging.may_start(connector, id_tag):
        return Reply(REJECTED)
    number, profile = connector.connector_id, payload.get("chargingProfile")
    if profile is not None:
        if not station.profiles.may_set(number, profile, is_remote_start=True):
            return Reply(REJECTED)
        station.profiles.set(number, profile)
    if station.configuration.flag("AuthorizeRemoteTxRequests"):
        return Reply(ACCEPTED, lambda: station.spawn(station.charging.present_tag(number, id_tag)))
    return Reply(ACCEPTED, lambda: station.spawn(station.charging.admit(number, id_tag)))


def _first_free(station: "Station") -> Connector | None:
    """A connector with a waiting car, else any free one."""
    free = [connector for connector in station.charging.connectors.values() if connector.can_start]
    return next((connector for connector in free if connector.status is Status.PREPARING), next(iter(free), None))


def _remote_stop(station: "Station", payload: Payload) -> Reply:
    connector = station.charging.find(_integer(payload, "transactionId"))
    if connector is None:
        return Reply(REJECTED)
    return Reply(ACCEPTED, lambda: station.charging.stop(connector, "Remote"))


def _reset(station: "Station", payload: Payload) -> Reply:
    is_hard = _choice(payload, "type", "Hard", "Soft") == "Hard"
    return Reply(ACCEPTED, lambda: station.reset(is_hard=is_hard))


def _unlock_connector(station: "Station", payload: Payload) -> Reply:
    connector = station.charging.connectors.get(_integer(payload, "connectorId"))
    if connector is None:
        return Reply({"status": "NotSupported"})
    if connector.fault is not None and connector.fault.error_code == "ConnectorLockFailure":
        return Reply({"status": "UnlockFailed"})
    return Reply({"status": "Unlocked"}, lambda: station.charging.stop(connector, "UnlockCommand"))


def _reserve_now(station: "Station", payload: Payload) -> Reply:
    connector = station.charging.connectors.get(_integer(payload, "connectorId"))
    expiry = timestamps.read(_text(payload, "expiryDate"))
    if expiry is None:
        raise OcppError(ErrorKind.FORMATION, "expiryDate is a date-time")
    reservation = Reservation(_integer(payload, "reservationId"), _text(payload, "idTag", 20), expiry.at)
    if connector is None:
        return Reply(REJECTED)  # no reservations of the station as a whole (ReserveConnectorZeroSupported is not there)
    station.charging.forget_expired(connector)
    is_renewed = (
        connector.reservation is not None and connector.reservation.reservation_id == reservation.reservation_id
    )
    if connector.status is not Status.AVAILABLE and not is_renewed:
        refusals = {Status.FAULTED: "Faulted", Status.UNAVAILABLE: "Unavailable"}
        return Reply({"status": refusals.get(connector.status, "Occupied")})

    def reserve() -> None:
        station.charging.reserve(connector, reservation)
        station.spawn(_expire(station, connector, reservation))

    return Reply(ACCEPTED, reserve)


async def _expire(station: "Station", connector: Connector, reservation: Reservation) -> None:
    await station.clock.sleep((reservation.expires_at - station.clock.now()).total_seconds())
    station.charging.forget_expired(connector)


def _cancel_reservation(station: "Station", payload: Payload) -> Reply:
    wanted = _integer(payload, "reservationId")
    found = [
        connector
        for connector in station.charging.connectors.values()
        if connector.reservation is not None and connector.reservation.reservation_id == wanted
    ]
    return Reply(ACCEPTED, lambda: station.charging.reserve(found[0], None)) if found else Reply(REJECTED)


def _trigger_message(station: "Station", payload: Payload) -> Reply:
    return _triggered(station, payload, _TRIGGERS)


def _extended_trigger(station: "Station", payload: Payload) -> Reply:
    """Security whitepaper, F06: as TriggerMessage, and what is signed besides."""
    return _triggered(station, payload, {**_TRIGGERS, **security.EXTENDED_TRIGGERS})


def _triggered(station: "Station", payload: Payload, triggers: Mapping[str, security.Trigger]) -> Reply:
    wanted = _text(payload, "requestedMessage", 50)
    trigger = triggers.get(wanted)
    if trigger is None:
        return Reply({"status": "NotImplemented"})
    if payload.get("connectorId") and _optional_connector(station, payload) is None:
        return Reply(REJECTED)
    one = _optional_connector(station, payload)
    connectors = list(station.charging.connectors.values()) if one is None else [one]
    if one is None and wanted == "StatusNotification":
        connectors = [station.charging.station, *connectors]
    return Reply(ACCEPTED, lambda: trigger(station, connectors))


def _trigger_boot(station: "Station", _connectors: list[Connector]) -> None:
    if station.boot_status == "Accepted":
        station.spawn(station.send("BootNotification", station.boot_payload()))
    else:
        station.boot_asked.set()


def _trigger_heartbeat(station: "Station", _connectors: list[Connector]) -> None:
    station.spawn(station.send("Heartbeat", {}))


def _trigger_status(station: "Station", connectors: list[Connector]) -> None:
    for connector in connectors:
        station.spawn(station.send("StatusNotification", station.charging.status_payload(connector)))


def _trigger_meter_values(station: "Station", connectors: list[Connector]) -> None:
    for connector in connectors:
        connector.advance_to(station.clock.monotonic())
        message = station.charging.meter_values(connector, "MeterValuesSampledData", "Trigger")
        if message is not None:
            station.spawn(station.send(message.action, message.filled()))


def _trigger_diagnostics(station: "Station", _connectors: list[Connector]) -> None:
    told = {"status": "Uploading" if station.files.is_uploading else "Idle"}
    station.spawn(station.send("DiagnosticsStatusNotification", told))


def _trigger_firmware(station: "Station", _connectors: list[Connector]) -> None:
    update = station.files.update
    status = update.status if update is not None and station.files.is_updating else "Idle"
    told = {"status": status if status in FIRMWARE_STATUSES else "Idle"}
    station.spawn(station.send("FirmwareStatusNotification", told))


_TRIGGERS: dict[str, security.Trigger] = {
    "BootNotification": _trigger_boot,
    "DiagnosticsStatusNotification": _trigger_diagnostics,
    "FirmwareStatusNotification": _trigger_firmware,
    "Heartbeat": _trigger_heartbeat,
    "MeterValues": _trigger_meter_values,
    "StatusNotification": _trigger_status,
}

_HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "CancelReservation": _cancel_reservation,
    "ChangeAvailability": _change_availability,
    "ChangeConfiguration": _change_configuration,
    "ClearCache": _clear_cache,
    "DataTransfer": _data_transfer,
    "GetConfiguration": _get_configuration,
    "RemoteStartTransaction": _remote_start,
    "RemoteStopTransaction": _remote_stop,
    "ReserveNow": _reserve_now,
    "Reset": _reset,
    "TriggerMessage": _trigger_message,
    "UnlockConnector": _unlock_connector,
    "ExtendedTriggerMessage": _extended_trigger,
    **management.HANDLERS,
    **security.HANDLERS,
}
_CHECKED = frozenset({"ExtendedTriggerMessage", *management.HANDLERS, *security.HANDLERS})
