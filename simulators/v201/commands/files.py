"""F5: answers about firmware and logs (2.0.1, L and N01)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from csms.ocpp import timestamps
from simulators import firmware, transfers
from simulators.v201.commands.core import TRIGGERS, refused
from simulators.v201.evse import Evse
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station


def _update(station: "Station", payload: Payload) -> Reply:
    """L01: an order that is signed is checked before anything is fetched."""
    told = payload["firmware"]
    now = station.clock.now()
    certificate, signature = told.get("signingCertificate"), told.get("signature")
    if certificate is not None and (fault := firmware.certificate_fault(station.certificates, certificate, now)):
        station.tell_security("InvalidFirmwareSigningCertificate", fault)
        return Reply({"status": "InvalidCertificate", "statusInfo": {"reasonCode": fault[:20]}})
    if not transfers.is_known(told["location"]):
        return Reply(refused("InvalidURL"))
    retrieve_at, install_at = (timestamps.read(told.get(name)) for name in ("retrieveDateTime", "installDateTime"))
    order = firmware.Order(
        told["location"],
        retrieve_at.at if retrieve_at is not None else now,
        install_at.at if install_at is not None else None,
        payload.get("retries", 0),
        payload.get("retryInterval", 0),
        certificate,
        signature if certificate is not None else None,
        payload["requestId"],
    )
    status = "AcceptedCanceled" if station.files.is_updating else "Accepted"
    return Reply({"status": status}, lambda: station.files.start_update(order))


def _get_log(station: "Station", payload: Payload) -> Reply:
    return station.files.answer_get_log(payload)


def _trigger_firmware(station: "Station", _evses: list[Evse], _connector_id: int | None) -> None:
    update = station.files.update
    is_under_way = update is not None and station.files.is_updating
    told = {"status": update.status, "requestId": update.order.request_id} if is_under_way and update else _IDLE
    station.spawn(station.send("FirmwareStatusNotification", told))


def _trigger_log(station: "Station", _evses: list[Evse], _connector_id: int | None) -> None:
    upload = station.files.upload
    is_under_way = upload is not None and station.files.is_uploading
    told = {"status": "Uploading", "requestId": upload.order.request_id} if is_under_way and upload else _IDLE
    station.spawn(station.send("LogStatusNotification", told))


_IDLE: Payload = {"status": "Idle"}

TRIGGERS |= {"FirmwareStatusNotification": _trigger_firmware, "LogStatusNotification": _trigger_log}

HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {"GetLog": _get_log, "UpdateFirmware": _update}
