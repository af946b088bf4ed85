"""S17: what each version asks for a log, and what a station's words about its upload mean."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.reading import status_info_of
from csms.ocpp.versions import Version

Payload = dict[str, Any]


class DiagnosisKind(StrEnum):
    """What is asked for."""

    DIAGNOSTICS = "diagnostics"
    """What helps the maker to find a fault: OCPP 1.6 GetDiagnostics, 2.x the diagnostics log."""
    DIAGNOSTICS_LOG = "diagnostics_log"
    """The same by GetLog: OCPP 2.x, and 1.6 stations with the security extension."""
    SECURITY_LOG = "security_log"
    DATA_COLLECTOR_LOG = "data_collector_log"
    """Only OCPP 2.1."""


class DiagnosisState(StrEnum):
    """Where a request is in its life."""

    REQUESTED = "requested"
    """Sent; the station has not answered (it may still upload)."""
    ACCEPTED = "accepted"
    EMPTY = "empty"
    """The station says that it has nothing to upload; some do and upload all the same."""
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    """The station says that it has uploaded; the file went elsewhere or is not here."""
    RECEIVED = "received"
    """The file is here."""
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


ENDED: Final = frozenset(
    {
        DiagnosisState.RECEIVED,
        DiagnosisState.REJECTED,
        DiagnosisState.CANCELLED,
        DiagnosisState.TIMED_OUT,
    }
)
"""States that no message of the station changes any more; a failed upload may be tried again by the station."""

LOG_TYPES: Final = {
    DiagnosisKind.DIAGNOSTICS: "DiagnosticsLog",
    DiagnosisKind.DIAGNOSTICS_LOG: "DiagnosticsLog",
    DiagnosisKind.SECURITY_LOG: "SecurityLog",
    DiagnosisKind.DATA_COLLECTOR_LOG: "DataCollectorLog",
}
_KINDS: Final = {
    "SecurityLog": DiagnosisKind.SECURITY_LOG,
    "DataCollectorLog": DiagnosisKind.DATA_COLLECTOR_LOG,
}
_STATUSES: Final = {
    "Uploading": (DiagnosisState.UPLOADING, None),
    "Uploaded": (DiagnosisState.UPLOADED, None),
    "UploadFailed": (DiagnosisState.FAILED, "the station could not upload: check that it reaches the file server"),
    "UploadFailure": (DiagnosisState.FAILED, "the station could not upload: check that it reaches the file server"),
    "BadMessage": (DiagnosisState.FAILED, "the station did not understand the request"),
    "NotSupportedOperation": (
        DiagnosisState.FAILED,
        "the station cannot upload that way: try the other protocol (http or ftp)",
    ),
    "PermissionDenied": (DiagnosisState.FAILED, "the file server refused the station, or the station its own log"),
    "AcceptedCanceled": (DiagnosisState.CANCELLED, "another request took its place"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants of a station."""

    kind: DiagnosisKind
    start: datetime | None = None
    end: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


def action_for(kind: DiagnosisKind, version: Version) -> str:
    """Raises ValueError, in words, for what that version does not have."""
    if kind is DiagnosisKind.DATA_COLLECTOR_LOG and version is not Version.V21:
        raise ValueError(f"only stations with {Version.V21} have a data collector log; this one speaks {version}")
    return "GetDiagnostics" if version is Version.V16 and kind is DiagnosisKind.DIAGNOSTICS else "GetLog"


def request_of(action: str, wish: Wish, location: str, request_id: int) -> Payload:
    """GetDiagnostics (1.6, 6.1) or GetLog (1.6 security whitepaper; 2.0.1 N01)."""
    if action == "GetDiagnostics":
        fields: Payload = {
            "location": location,
            "retries": wish.retries,
            "retryInterval": wish.retry_interval_s,
            "startTime": wish.start and timestamps.write(wish.start),
            "stopTime": wish.end and timestamps.write(wish.end),
        }
        return _given(fields)
    log = {
        "remoteLocation": location,
        "oldestTimestamp": wish.start and timestamps.write(wish.start),
        "latestTimestamp": wish.end and timestamps.write(wish.end),
    }
    fields = {
        "log": _given(log),
        "logType": LOG_TYPES[wish.kind],
        "requestId": request_id,
        "retries": wish.retries,
        "retryInterval": wish.retry_interval_s,
    }
    return _given(fields)


def _given(fields: Payload) -> Payload:
    return {name: value for name, value in fields.items() if value is not None}


def kind_of(action: str, request: Payload) -> DiagnosisKind:
    """What a raw request asks for."""
    if action == "GetDiagnostics":
        return DiagnosisKind.DIAGNOSTICS
    return _KINDS.get(str(request.get("logType")), DiagnosisKind.DIAGNOSTICS_LOG)


def location_of(action: str, request: Payload) -> str:
    """The location of a request, `""` where there is none."""
    if action == "GetDiagnostics":
        return str(request.get("location", ""))
    log = request.get("log")
    return str(log.get("remoteLocation", "")) if isinstance(log, dict) else ""


def after_answer(action: str, answer: Payload) -> tuple[DiagnosisState, str | None]:
    """What the station's answer means, with the reason where it is no."""
    if action == "GetDiagnostics":
        if answer.get("fileName"):
            return DiagnosisState.ACCEPTED, None
        return DiagnosisState.EMPTY, "the station says that it has nothing to upload"
    if answer.get("status") in ("Accepted", "AcceptedCanceled"):
        return DiagnosisState.ACCEPTED, None
    told = status_info_of(answer)
    return DiagnosisState.REJECTED, f"the station refused: {told}" if told else "the station refused; it gave no reason"


def after_status(state: DiagnosisState, status: str, *, has_file: bool) -> tuple[DiagnosisState, str | None] | None:
    """What a status notification makes of a request; None where it changes nothing.

    The file counts for more than the words: with it the request is received, whatever the station says.
    """
    if has_file:
        return (DiagnosisState.RECEIVED, None) if state is not DiagnosisState.RECEIVED else None
    if state in ENDED:
        return None
    return _STATUSES.get(status)
