"""S1: a station that starts and lives, in words."""

from collections.abc import Mapping
from typing import Final

from csms.wording import Level, Payload, Tell, Words, said

_BOOT_REASONS: Final[Mapping[str, str]] = {
    "ApplicationReset": " after an application reset",
    "FirmwareUpdate": " after a firmware update",
    "LocalReset": " after a reset at the station",
    "PowerUp": " after the power came back",
    "RemoteReset": " as it was asked to",
    "ScheduledReset": " as planned",
    "Triggered": " earlier, and says so again because it was asked",
    "Watchdog": " because its watchdog had to restart it",
}


def _boot(request: Payload, answer: Payload) -> Words:
    told = request.get("chargingStation")  # 2.x
    told = told if isinstance(told, Mapping) else request
    names = ("chargePointVendor", "chargePointModel") if told is request else ("vendorName", "model")
    make = " ".join(said(told.get(name, "")) for name in names).strip()
    firmware = f", firmware {said(told['firmwareVersion'])}" if told.get("firmwareVersion") else ""
    reason = _BOOT_REASONS.get(str(request.get("reason")), "")
    started = f"The station started{reason} ({make or 'make unknown'}{firmware})"
    status = answer.get("status")
    if status == "Pending":
        why = "It is not registered, or nobody has accepted it yet."
        return Words(f"{started} and waits to be accepted.", Level.WARNING, why, "Accept it if it is yours.")
    if status == "Rejected":
        return Words(
            f"{started} and was rejected.", Level.WARNING, "It is set to rejected.", "Accept it if it is yours."
        )
    return Words(f"{started}.")


def _heartbeat(_request: Payload, _answer: Payload) -> Words:
    return Words("The station is alive.")


WORDS = (Tell("BootNotification", _boot), Tell("Heartbeat", _heartbeat))
