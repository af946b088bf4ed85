"""S1, B6: what a station says of itself, and its sign of life."""

from typing import Any

from csms.ocpp import timestamps
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import ConnectedStation, Payload, Registration, Route
from csms.station.information.model import Station
from csms.station.information.service import fact_about
from csms.store import Work

REASON_CHARS_MAX = 40
PENDING_INTERVAL_S = 60
"""How soon a station that is not accepted yet may ask again (OCPP 1.6, 4.2.1)."""
_STATUS = {
    Registration.ACCEPTED: "Accepted",
    Registration.PENDING: "Pending",
    Registration.REJECTED: "Rejected",
}


async def boot_notification(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.2."""
    facts = {
        "vendor": payload["chargePointVendor"],
        "model": payload["chargePointModel"],
        "serial_number": payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber"),
        "firmware_version": payload.get("firmwareVersion"),
        "iccid": payload.get("iccid"),
        "imsi": payload.get("imsi"),
        "meter_type": payload.get("meterType"),
        "meter_serial_number": payload.get("meterSerialNumber"),
    }
    _note_boot(work, station, facts, None)
    return {"status": _STATUS[station.registration]} | _clock(work, station)


async def boot_notification_2(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 B01 to B04; what only 1.6 tells (the meter) stays as it was."""
    told = payload["chargingStation"]
    modem = told.get("modem") or {}
    facts = {
        "vendor": told["vendorName"],
        "model": told["model"],
        "serial_number": told.get("serialNumber"),
        "firmware_version": told.get("firmwareVersion"),
        "iccid": modem.get("iccid"),
        "imsi": modem.get("imsi"),
    }
    _note_boot(work, station, facts, str(payload.get("reason", "Unknown"))[:REASON_CHARS_MAX])
    return _clock(work, station) | {"status": _STATUS[station.registration]}


def _note_boot(work: Work, station: ConnectedStation, facts: dict[str, Any], reason: str | None) -> None:
    """Store it whatever the registration is: an operator sees what waits to be accepted."""
    work.change(Station, station.id, **facts, boot_reason=reason, last_boot_at=work.now)
    data = {name: facts[name] for name in ("vendor", "model", "firmware_version")} | {"reason": reason}
    work.emit(fact_about(station, "station_booted", data))


def _clock(work: Work, station: ConnectedStation) -> Payload:
    """The time, and how soon to call again."""
    is_accepted = station.registration is Registration.ACCEPTED
    interval_s = station.heartbeat_interval_s if is_accepted else PENDING_INTERVAL_S
    return {"currentTime": timestamps.write(work.now), "interval": interval_s}


async def heartbeat(work: Work, station: ConnectedStation, _payload: Payload) -> Payload:
    """OCPP 1.6, 4.6; 2.0.1 G02: the answer is the clock."""
    work.change(Station, station.id, last_heartbeat_at=work.now)
    return {"currentTime": timestamps.write(work.now)}


ROUTES = (
    Route(Version.V16, "BootNotification", boot_notification),
    Route(VERSIONS_2, "BootNotification", boot_notification_2),
    Route((Version.V16, *VERSIONS_2), "Heartbeat", heartbeat),
)
