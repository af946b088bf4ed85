"""S1, B6: what a station says of itself, and its sign of life."""

from typing import Any

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Payload, Registration, Route
from csms.station.information.model import Station
from csms.store import Fact, Work

PENDING_INTERVAL_S = 60
"""How soon a station that is not accepted yet may ask again (OCPP 1.6, 4.2.1)."""
_STATUS = {
    Registration.ACCEPTED: "Accepted",
    Registration.PENDING: "Pending",
    Registration.REJECTED: "Rejected",
}


async def boot_notification(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.2."""
    facts: dict[str, Any] = {
        "vendor": payload["chargePointVendor"],
        "model": payload["chargePointModel"],
        "serial_number": payload.get("chargePointSerialNumber") or payload.get("chargeBoxSerialNumber"),
        "firmware_version": payload.get("firmwareVersion"),
        "iccid": payload.get("iccid"),
        "imsi": payload.get("imsi"),
        "meter_type": payload.get("meterType"),
        "meter_serial_number": payload.get("meterSerialNumber"),
    }
    work.change(Station, station.id, **facts, last_boot_at=work.now)
    work.emit(
        Fact(
            kind="station_booted",
            organisation_id=station.organisation_id,
            station_id=station.id,
            station=station.identity,
            data={name: facts[name] for name in ("vendor", "model", "firmware_version")},
        )
    )
    is_accepted = station.registration is Registration.ACCEPTED
    return {
        "status": _STATUS[station.registration],
        "currentTime": timestamps.write(work.now),
        "interval": station.heartbeat_interval_s if is_accepted else PENDING_INTERVAL_S,
    }


async def heartbeat(work: Work, station: ConnectedStation, _payload: Payload) -> Payload:
    """OCPP 1.6, 4.6: the answer is the clock."""
    work.change(Station, station.id, last_heartbeat_at=work.now)
    return {"currentTime": timestamps.write(work.now)}


ROUTES = (
    Route(Version.V16, "BootNotification", boot_notification),
    Route(Version.V16, "Heartbeat", heartbeat),
)
