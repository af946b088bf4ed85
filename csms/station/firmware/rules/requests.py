"""S24: an update as each OCPP version asks for it, and whether an image is for a station at all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from csms.ocpp import timestamps
from csms.ocpp.versions import Version

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UpdateWish:
    """What an operator wants of a station."""

    retrieve_at: datetime
    install_at: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


def action_for(version: Version, *, is_signed: bool) -> str:
    return "SignedUpdateFirmware" if version is Version.V16 and is_signed else "UpdateFirmware"


def update_request(
    action: str,
    version: Version,
    wish: UpdateWish,
    *,
    location: str,
    request_id: int,
    certificate: str | None = None,
    signature: str | None = None,
) -> Payload:
    """UpdateFirmware (1.6, 5.19), SignedUpdateFirmware (1.6 security), UpdateFirmware (2.0.1 L01, L02)."""
    retrieve = timestamps.write(wish.retrieve_at)
    if version is Version.V16 and action == "UpdateFirmware":
        fields: Payload = {
            "location": location,
            "retries": wish.retries,
            "retrieveDate": retrieve,
            "retryInterval": wish.retry_interval_s,
        }
        return _given(fields)
    firmware = {
        "location": location,
        "retrieveDateTime": retrieve,
        "installDateTime": wish.install_at and timestamps.write(wish.install_at),
        "signingCertificate": certificate,
        "signature": signature,
    }
    fields = {
        "retries": wish.retries,
        "retryInterval": wish.retry_interval_s,
        "requestId": request_id,
        "firmware": _given(firmware),
    }
    return _given(fields)


def publish_request(
    location: str, md5: str, request_id: int, *, retries: int | None, retry_interval_s: int | None
) -> Payload:
    """PublishFirmware (2.0.1 L03); its checksum is MD5."""
    fields = {
        "location": location,
        "retries": retries,
        "checksum": md5,
        "requestId": request_id,
        "retryInterval": retry_interval_s,
    }
    return _given(fields)


def _given(fields: Payload) -> Payload:
    return {name: value for name, value in fields.items() if value is not None}


def location_of(request: Payload) -> tuple[str, str]:
    """The location of any of these requests, and its place within."""
    firmware = request.get("firmware")
    if isinstance(firmware, dict):
        return str(firmware.get("location", "")), "firmware/location"
    return str(request.get("location", "")), "location"


def mismatch(
    image: tuple[str | None, str | None], station: tuple[str | None, str | None], version: str, running: str | None
) -> str | None:
    """Why an image (vendor, model, version) is not for a station, or None; what is not known does not count."""
    for name, wanted, found in zip(("vendor", "model"), image, station, strict=True):
        if wanted and found and _plain(wanted) != _plain(found):
            return f"the image is for {name} «{wanted}», the station is «{found}»"
    if same_version(version, running):
        return f"the station runs {running} already"
    return None


def same_version(one: str | None, other: str | None) -> bool:
    """Whether two version texts mean the same: «v2.1» is «2.1»."""
    return bool(one and other) and _version(one or "") == _version(other or "")


def _version(text: str) -> str:
    return _plain(text).removeprefix("v").strip()


def _plain(text: str) -> str:
    return text.strip().casefold()
