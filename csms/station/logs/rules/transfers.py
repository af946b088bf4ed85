"""S10, S17, S24: logs and firmware in words: what stations are told to upload or install, and how far they are."""

from collections.abc import Callable, Mapping
from typing import Final

from csms.station.logs.rules.words import Level, Payload, Words, said, status_of

_LOGS: Final[Mapping[str, str]] = {
    "DiagnosticsLog": "its diagnostics log",
    "SecurityLog": "its security log",
    "DataCollectorLog": "its data collector log",
}


def _log(request: Payload) -> str:
    return f"upload {_LOGS.get(said(request.get('logType', '')), 'a log')}"


def _when(request: Payload) -> str:
    """When it may fetch and install it."""
    firmware = request.get("firmware")
    inner = firmware if isinstance(firmware, Mapping) else request
    fetch = inner.get("retrieveDateTime") or inner.get("retrieveDate")
    install = inner.get("installDateTime")
    words = f", to be fetched from {said(fetch)}" if fetch else ""
    return f"{words}, to be installed from {said(install)}" if install else words


def _update(request: Payload) -> str:
    return f"update its firmware{_when(request)}"


def _signed_update(request: Payload) -> str:
    return f"update its firmware with a signed image{_when(request)}"


def _any_update(request: Payload) -> str:
    """UpdateFirmware of 2.x is signed when it has a signature."""
    firmware = request.get("firmware")
    is_signed = isinstance(firmware, Mapping) and "signature" in firmware
    return _signed_update(request) if is_signed else _update(request)


DOINGS: Final[Mapping[str, str | Callable[[Payload], str]]] = {
    "GetDiagnostics": "upload its diagnostics",
    "GetLog": _log,
    "PublishFirmware": "offer an image to the stations behind it",
    "SignedUpdateFirmware": _signed_update,
    "UnpublishFirmware": "offer an image to the stations behind it no longer",
    "UpdateFirmware": _any_update,
}

_Verdict = tuple[Level, str, str | None, str | None]

_UPDATE_VERDICTS: Final[Mapping[str, _Verdict]] = {
    "AcceptedCanceled": (Level.INFO, "it will; an update that was running was given up", None, None),
    "InvalidCertificate": (
        Level.ERROR,
        "the image's certificate is not valid",
        None,
        "Get the right certificate from the maker.",
    ),
    "RevokedCertificate": (
        Level.ERROR,
        "the image's certificate is revoked",
        None,
        "Do not use this image; ask the maker.",
    ),
}
VERDICTS: Final[Mapping[tuple[str, str], _Verdict]] = {
    ("GetLog", "AcceptedCanceled"): (Level.INFO, "it will; an upload that was running was given up", None, None),
    **{
        (action, word): said
        for action in ("SignedUpdateFirmware", "UpdateFirmware")
        for word, said in _UPDATE_VERDICTS.items()
    },
    ("UnpublishFirmware", "Unpublished"): (Level.INFO, "done", None, None),
    ("UnpublishFirmware", "NoFirmware"): (Level.INFO, "it had no such image", None, None),
    ("UnpublishFirmware", "DownloadOngoing"): (
        Level.WARNING,
        "not now",
        "A station is downloading it.",
        "Try again when that has ended.",
    ),
}

_PROGRESS: Final[Mapping[str, tuple[str, Level]]] = {
    "Idle": ("nothing is under way", Level.INFO),
    "Uploading": ("the upload runs", Level.INFO),
    "Uploaded": ("the upload is complete", Level.INFO),
    "UploadFailed": ("the upload failed", Level.ERROR),
    "UploadFailure": ("the upload failed", Level.ERROR),
    "BadMessage": ("the request was not understood", Level.ERROR),
    "NotSupportedOperation": ("the station does not support this upload", Level.ERROR),
    "PermissionDenied": ("the server refused the upload", Level.ERROR),
    "AcceptedCanceled": ("this upload was given up for a newer one", Level.INFO),
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
_UPLOAD_TASK: Final = "Check address, user name and free space of the server, then ask for it again."
_FIRMWARE_TASK: Final = "Check the address and the image, then start the update again."


def _progress(subject: str, task: str) -> Callable[[Payload, Payload], Words]:
    def tell(request: Payload, _answer: Payload) -> Words:
        status = status_of(request)
        what, level = _PROGRESS.get(status, (f"«{status}»", Level.WARNING))
        if level is Level.INFO:
            return Words(f"{subject}: {what}.")
        return Words(f"{subject}: {what}.", level, f"The station says {status}.", task)

    return tell


MESSAGES: Final[Mapping[str, Callable[[Payload, Payload], Words]]] = {
    "DiagnosticsStatusNotification": _progress("Diagnostics", _UPLOAD_TASK),
    "FirmwareStatusNotification": _progress("Firmware", _FIRMWARE_TASK),
    "LogStatusNotification": _progress("Log", _UPLOAD_TASK),
    "PublishFirmwareStatusNotification": _progress("Firmware on the local controller", _FIRMWARE_TASK),
    "SignedFirmwareStatusNotification": _progress("Firmware", _FIRMWARE_TASK),
}
