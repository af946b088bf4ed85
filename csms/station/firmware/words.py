"""S24: firmware in words."""

from collections.abc import Mapping
from typing import Final

from csms.station.file_transfers import progress_told
from csms.wording import Ask, Example, Level, Payload, Tell, Words, said

_PROGRESS: Final[Mapping[str, tuple[str, Level]]] = {
    "Idle": ("nothing is under way", Level.INFO),
    "Downloading": ("the download runs", Level.INFO),
    "Downloaded": ("the download is complete", Level.INFO),
    "DownloadFailed": ("the download failed", Level.ERROR),
    "DownloadScheduled": ("the download is planned", Level.INFO),
    "DownloadPaused": ("the download pauses", Level.INFO),
    "Installing": ("it is being installed", Level.INFO),
    "Installed": ("it is installed", Level.INFO),
    "InstallationFailed": ("the installation failed", Level.ERROR),
    "InstallRebooting": ("the station restarts to install it", Level.INFO),
    "InstallScheduled": ("the installation is planned", Level.INFO),
    "InstallVerificationFailed": ("it was installed and does not work", Level.ERROR),
    "InvalidSignature": ("its signature is wrong; it was not installed", Level.ERROR),
    "SignatureVerified": ("its signature is right", Level.INFO),
    "ChecksumVerified": ("its checksum is right", Level.INFO),
    "InvalidChecksum": ("its checksum is wrong; it is not offered", Level.ERROR),
    "Published": ("it is offered to the stations behind the controller", Level.INFO),
    "PublishFailed": ("it could not be offered", Level.ERROR),
}
_TASK: Final = "Check the address and the image, then start the update again."
_VERDICTS: Final[Mapping[str, Words]] = {
    "AcceptedCanceled": Words("it will; an update that was running was given up"),
    "InvalidCertificate": Words(
        "the image's certificate is not valid",
        Level.ERROR,
        what_to_do="Get the right certificate from the maker.",
    ),
    "RevokedCertificate": Words(
        "the image's certificate is revoked", Level.ERROR, what_to_do="Do not use this image; ask the maker."
    ),
}


def _update(request: Payload) -> str:
    """UpdateFirmware of 2.x is signed when it has a signature."""
    firmware = request.get("firmware")
    is_signed = isinstance(firmware, Mapping) and "signature" in firmware
    return _signed_update(request) if is_signed else f"update its firmware{_when(request)}"


def _signed_update(request: Payload) -> str:
    return f"update its firmware with a signed image{_when(request)}"


def _when(request: Payload) -> str:
    """When it may fetch and install it."""
    firmware = request.get("firmware")
    inner = firmware if isinstance(firmware, Mapping) else request
    fetch = inner.get("retrieveDateTime") or inner.get("retrieveDate")
    install = inner.get("installDateTime")
    words = f", to be fetched from {said(fetch)}" if fetch else ""
    return f"{words}, to be installed from {said(install)}" if install else words


WORDS = (
    Tell("FirmwareStatusNotification", progress_told("Firmware", _TASK, _PROGRESS)),
    Tell("PublishFirmwareStatusNotification", progress_told("Firmware on the local controller", _TASK, _PROGRESS)),
    Tell("SignedFirmwareStatusNotification", progress_told("Firmware", _TASK, _PROGRESS)),
    Ask("PublishFirmware", "offer an image to the stations behind it"),
    Ask("SignedUpdateFirmware", _signed_update, _VERDICTS),
    Ask(
        "UnpublishFirmware",
        "offer an image to the stations behind it no longer",
        {
            "Unpublished": Words("done"),
            "NoFirmware": Words("it had no such image"),
            "DownloadOngoing": Words(
                "not now", Level.WARNING, "A station is downloading it.", "Try again when that has ended."
            ),
        },
    ),
    Ask("UpdateFirmware", _update, _VERDICTS),
)

EXAMPLES = (
    Example(
        "PublishFirmware",
        "Have a local controller offer firmware to its stations",
        v2={
            "requestId": 1,
            "location": "https://files.example.com/firmware/2.1.0.bin",
            "checksum": "9e107d9d372bb6826bd81d3542a419d6",
        },
    ),
    Example(
        "SignedUpdateFirmware",
        "Update the firmware with a signed image",
        v16={
            "requestId": 1,
            "firmware": {
                "location": "https://files.example.com/firmware/2.1.0.bin",
                "retrieveDateTime": "2026-01-01T02:00:00.000Z",
                "signingCertificate": "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----",
                "signature": "MEUCIQ==",
            },
        },
    ),
    Example(
        "UnpublishFirmware",
        "Have a local controller stop offering firmware",
        v2={"checksum": "9e107d9d372bb6826bd81d3542a419d6"},
    ),
    Example(
        "UpdateFirmware",
        "Update the firmware",
        v16={"location": "https://files.example.com/firmware/2.1.0.bin", "retrieveDate": "2026-01-01T02:00:00.000Z"},
        v2={
            "requestId": 1,
            "firmware": {
                "location": "https://files.example.com/firmware/2.1.0.bin",
                "retrieveDateTime": "2026-01-01T02:00:00.000Z",
            },
        },
    ),
)
