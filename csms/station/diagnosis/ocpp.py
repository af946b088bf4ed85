"""S17: GetDiagnostics and GetLog as stations answer them, and what they tell while they upload."""

from csms.config import Settings
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, Check, ConnectedStation, Payload, Route
from csms.station.diagnosis.rules import location_of
from csms.station.diagnosis.service import answered, told
from csms.station.file_transfers import check_location
from csms.store import Work


async def diagnostics_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.4."""
    await told(work, station, "DiagnosticsStatusNotification", payload)
    return {}


async def log_status(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6 security whitepaper, 5.14; 2.0.1 N01.FR.07."""
    await told(work, station, "LogStatusNotification", payload)
    return {}


async def diagnostics_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    await answered(work, station, "GetDiagnostics", request, answer)


async def log_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    await answered(work, station, "GetLog", request, answer)


def check_diagnostics(settings: Settings, request: Payload) -> None:
    check_location(settings, location_of("GetDiagnostics", request), "body/location")


def check_log(settings: Settings, request: Payload) -> None:
    check_location(settings, location_of("GetLog", request), "body/log/remoteLocation")


ALL = (Version.V16, *VERSIONS_2)

ROUTES = (
    Route(Version.V16, "DiagnosticsStatusNotification", diagnostics_status),
    Route(ALL, "LogStatusNotification", log_status),
)
ANSWERED = (
    Answered(Version.V16, "GetDiagnostics", diagnostics_answered),
    Answered(ALL, "GetLog", log_answered),
)
CHECKS = (
    Check(Version.V16, "GetDiagnostics", check_diagnostics),
    Check(ALL, "GetLog", check_log),
)
