"""F5: a 1.6 station's answers about firmware, diagnostics, the local list and charging profiles."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from csms.ocpp import timestamps
from simulators import firmware, logs, transfers
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v16.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def _update_firmware(station: "Station", payload: Payload) -> Reply:
    """OCPP 1.6, 6.19: the answer promises nothing; what becomes of it is told."""
    at = timestamps.read(payload["retrieveDate"])
    order = firmware.Order(
        payload["location"],
        station.clock.now() if at is None else at.at,
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", 0),
    )
    return Reply({}, lambda: station.files.start_update(order))


def _get_diagnostics(station: "Station", payload: Payload) -> Reply:
    """OCPP 1.6, 5.8: without a line of that time there is no file, and no name."""
    start, stop = (timestamps.read(payload.get(name)) for name in ("startTime", "stopTime"))
    order = logs.Order(
        payload["location"],
        oldest=start.at if start is not None else None,
        latest=stop.at if stop is not None else None,
        retries=payload.get("retries", 0),
        retry_interval_s=payload.get("retryInterval", 0),
    )
    if not logs.select(station.log_lines, order):
        return Reply({})
    upload = station.files.prepare_upload(order)
    return Reply({"fileName": upload.name}, lambda: station.files.start_upload(upload))


def _send_local_list(station: "Station", payload: Payload) -> Reply:
    return Reply({"status": station.local_list.change(payload)})


def _local_version(station: "Station", _payload: Payload) -> Reply:
    return Reply({"listVersion": station.local_list.told_version})


def _set_profile(station: "Station", payload: Payload) -> Reply:
    number, profile = payload["connectorId"], payload["csChargingProfiles"]
    if not station.profiles.may_set(number, profile):
        return Reply(REJECTED)
    return Reply(ACCEPTED, lambda: station.profiles.set(number, profile))


def _clear_profile(station: "Station", payload: Payload) -> Reply:
    return Reply(ACCEPTED if station.profiles.clear(payload) else {"status": "Unknown"})


def _composite(station: "Station", payload: Payload) -> Reply:
    number, unit = payload["connectorId"], payload.get("chargingRateUnit", "W")
    if number != 0 and number not in station.charging.connectors:
        return Reply(REJECTED)
    return Reply({**ACCEPTED, **station.profiles.composite(number, payload["duration"], unit)})


def _signed_update(station: "Station", payload: Payload) -> Reply:
    """Security whitepaper, L01: the signing certificate is checked before anything is fetched."""
    told, now = payload["firmware"], station.clock.now()
    fault = firmware.certificate_fault(station.certificates, told["signingCertificate"], now)
    if fault is not None:
        station.tell_security("InvalidFirmwareSigningCertificate", fault)
        return Reply({"status": "InvalidCertificate"})
    if not transfers.is_known(told["location"]):
        return Reply(REJECTED)
    retrieve_at, install_at = (timestamps.read(told.get(name)) for name in ("retrieveDateTime", "installDateTime"))
    order = firmware.Order(
        told["location"],
        now if retrieve_at is None else retrieve_at.at,
        None if install_at is None else install_at.at,
        payload.get("retries", 0),
        payload.get("retryInterval", 0),
        told["signingCertificate"],
        told["signature"],
        payload["requestId"],
    )
    status = "AcceptedCanceled" if station.files.is_updating else "Accepted"
    return Reply({"status": status}, lambda: station.files.start_update(order))


def _get_log(station: "Station", payload: Payload) -> Reply:
    return station.files.answer_get_log(payload)


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "ClearChargingProfile": _clear_profile,
    "GetCompositeSchedule": _composite,
    "GetDiagnostics": _get_diagnostics,
    "GetLocalListVersion": _local_version,
    "GetLog": _get_log,
    "SendLocalList": _send_local_list,
    "SetChargingProfile": _set_profile,
    "SignedUpdateFirmware": _signed_update,
    "UpdateFirmware": _update_firmware,
}
