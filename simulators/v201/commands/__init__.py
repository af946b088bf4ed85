"""F5: a simulated 2.x station's answers to the calls of the CSMS: who answers which."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from csms.ocpp import schema
from csms.ocpp.actions import ACTIONS
from csms.ocpp.errors import ErrorKind, OcppError
from simulators.boot import BootStatus
from simulators.v201.commands import access, core, files, monitors, screens, security, settings, smart_charging
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

Handler = Callable[["Station", Payload], Reply]

HANDLERS: Mapping[str, Handler] = {
    **core.HANDLERS,
    **access.HANDLERS,
    **settings.HANDLERS,
    **smart_charging.HANDLERS,
    **files.HANDLERS,
    **monitors.HANDLERS,
    **screens.HANDLERS,
    **security.HANDLERS,
}

BEFORE_ACCEPTANCE = frozenset(
    {"GetBaseReport", "GetReport", "GetVariables", "SetVariables", "TriggerMessage", "Reset", "SetNetworkProfile"}
)


def answer(station: "Station", action: str, payload: Payload) -> Reply:
    """The answer to one call.

    Raises OcppError: NotImplemented for an unknown action, NotSupported for one that this station does not offer,
    SecurityError before the CSMS accepted it, and what the schema says of a payload that makes no sense.
    """
    known = ACTIONS[station.version].get(action)
    handler = HANDLERS.get(action)
    if known is None or not known.is_to_station:
        raise OcppError(ErrorKind.NOT_IMPLEMENTED, f"no {action} here")
    if handler is None:
        raise OcppError(ErrorKind.NOT_SUPPORTED, f"no {action} here")
    is_early = station.boot_status is not BootStatus.ACCEPTED and action not in BEFORE_ACCEPTANCE
    if is_early or station.boot_status is BootStatus.REJECTED:
        raise OcppError(ErrorKind.SECURITY, "the station is not accepted yet")  # B02.FR.09, B03.FR.08
    breach = schema.check(station.version, action, "request", payload)
    if breach is not None:
        raise OcppError(breach.kind, str(breach))
    station.note(f"the CSMS calls {action}")
    return handler(station, payload)
