"""S17: diagnostics and logs in words."""

from collections.abc import Mapping
from typing import Final

from csms.station.file_transfers import progress_told
from csms.wording import Ask, Example, Level, Payload, Tell, Words, said

_LOGS: Final[Mapping[str, str]] = {
    "DiagnosticsLog": "its diagnostics log",
    "SecurityLog": "its security log",
    "DataCollectorLog": "its data collector log",
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
}
_TASK: Final = "Check address, user name and free space of the server, then ask for it again."
_INSTEAD: Final = Words("it will; an upload that was running was given up")


def _log(request: Payload) -> str:
    return f"upload {_LOGS.get(said(request.get('logType', '')), 'a log')}"


def _told_file(answer: Payload) -> Words:
    name = answer.get("fileName")
    if not name:
        return Words("there are none", Level.WARNING, "The station has nothing to upload.")
    return Words(f"it will, as {said(name)}")


WORDS = (
    Tell("DiagnosticsStatusNotification", progress_told("Diagnostics", _TASK, _PROGRESS)),
    Tell("LogStatusNotification", progress_told("Log", _TASK, _PROGRESS)),
    Ask("GetDiagnostics", "upload its diagnostics", told=_told_file),
    Ask("GetLog", _log, {"AcceptedCanceled": _INSTEAD}),
)

EXAMPLES = (
    Example("GetDiagnostics", "Have diagnostics uploaded", v16={"location": "https://files.example.com/diagnostics/"}),
    Example(
        "GetLog",
        "Have a log uploaded",
        v16={"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "https://files.example.com/logs/"}},
        v2={"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "https://files.example.com/logs/"}},
    ),
)
