"""S24: firmware messages of all versions: what stations tell and answer, and what their boots prove."""

from csms.config import Settings
from csms.ocpp.reading import text_of
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, Check, ConnectedStation, Observe, Payload, Route
from csms.station.file_transfers import check_location
from csms.station.firmware import rules
from csms.station.firmware.service import publications, updates
from csms.station.firmware.service.updates import load_memory
from csms.store import Work

load = load_memory


async def firmware_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.5; 2.0.1 L01.FR.01."""
    await updates.told(work, station, "FirmwareStatusNotification", payload)
    return {}


async def signed_firmware_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6 security whitepaper, 5.18."""
    await updates.told(work, station, "SignedFirmwareStatusNotification", payload)
    return {}


async def publish_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 L03."""
    await publications.told(work, station, payload)
    return {}


async def update_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    await updates.answered(work, station, "UpdateFirmware", request, answer)


async def signed_update_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    await updates.answered(work, station, "SignedUpdateFirmware", request, answer)


async def booted(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """BootNotification of any version: the new firmwareVersion proves the update."""
    inner = payload.get("chargingStation")
    source = inner if isinstance(inner, dict) else payload
    await updates.booted(work, station, text_of(source.get("firmwareVersion"), 50))


def check_update(settings: Settings, request: Payload) -> None:
    location, place = rules.location_of(request)
    check_location(settings, location, f"body/{place}")


ROUTES = (
    Route((Version.V16, *VERSIONS_2), "FirmwareStatusNotification", firmware_status),
    Route(Version.V16, "SignedFirmwareStatusNotification", signed_firmware_status),
    Route(VERSIONS_2, "PublishFirmwareStatusNotification", publish_status),
)
OBSERVES = (Observe((Version.V16, *VERSIONS_2), "BootNotification", booted),)
ANSWERED = (
    Answered((Version.V16, *VERSIONS_2), "UpdateFirmware", update_answered),
    Answered(Version.V16, "SignedUpdateFirmware", signed_update_answered),
    Answered(VERSIONS_2, "PublishFirmware", publications.publish_answered),
    Answered(VERSIONS_2, "UnpublishFirmware", publications.unpublish_answered),
)
CHECKS = (
    Check((Version.V16, *VERSIONS_2), "UpdateFirmware", check_update),
    Check(Version.V16, "SignedUpdateFirmware", check_update),
    Check(VERSIONS_2, "PublishFirmware", check_update),
)
