"""B3: what an operator's wish is in OCPP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.versions import Version

Payload = dict[str, Any]

NOT_WHILE_PENDING: Final = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction", "RequestStopTransaction"}
)
"""May not be sent to a station that waits to be accepted (OCPP 1.6, 4.2; 2.0.1 B02.FR.05)."""


class RestartKind(StrEnum):
    """How a station restarts."""

    SOFT = "soft"
    HARD = "hard"
    WHEN_IDLE = "when_idle"


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that carries out what an operator wants."""

    action: str
    payload: Payload


class CannotSay(Exception):
    """The station's version of OCPP has no words for it; the text says what to do instead."""


_RESETS_16: Final = {RestartKind.SOFT: "Soft", RestartKind.HARD: "Hard"}


def restart(version: Version, kind: RestartKind, charge_point_number: int | None = None) -> Wish:
    """Reset (1.6, 5.14; 2.0.1 B11, B12): Immediate of 2.x ends transactions in order first, as Soft of 1.6 does."""
    if version is Version.V16:
        if kind is RestartKind.WHEN_IDLE:
            raise CannotSay("OCPP 1.6 cannot wait for charges to end; use `soft`, which ends them in order")
        if charge_point_number is not None:
            raise CannotSay("OCPP 1.6 restarts the whole station only; leave `charge_point_number` out")
        return Wish("Reset", {"type": _RESETS_16[kind]})
    payload: Payload = {"type": "OnIdle" if kind is RestartKind.WHEN_IDLE else "Immediate"}
    if charge_point_number is not None:
        payload["evseId"] = charge_point_number
    return Wish("Reset", payload)


def start(version: Version, number: int, id_token: Payload, remote_start_id: int) -> Wish:
    """RemoteStartTransaction (1.6, 5.11); RequestStartTransaction (2.0.1 F01, F02)."""
    if version is Version.V16:
        return Wish("RemoteStartTransaction", {"connectorId": number, "idTag": id_token["idToken"]})
    payload = {"idToken": id_token, "remoteStartId": remote_start_id, "evseId": number}
    return Wish("RequestStartTransaction", payload)


def stop(version: Version, transaction_id: str) -> Wish:
    """RemoteStopTransaction (1.6, 5.12); RequestStopTransaction (2.0.1 F03)."""
    if version is not Version.V16:
        return Wish("RequestStopTransaction", {"transactionId": transaction_id})
    if not transaction_id.isdecimal():
        raise CannotSay("this charge began when the station spoke OCPP 2.x; it speaks 1.6 now and cannot stop it")
    return Wish("RemoteStopTransaction", {"transactionId": int(transaction_id)})


def unlock(version: Version, number: int, connector_number: int) -> Wish:
    """UnlockConnector (1.6, 5.18; 2.0.1 F05)."""
    if version is not Version.V16:
        return Wish("UnlockConnector", {"evseId": number, "connectorId": connector_number})
    if connector_number != 1:
        raise CannotSay("in OCPP 1.6 each connector is a charge point of its own; unlock that one")
    return Wish("UnlockConnector", {"connectorId": number})


def availability(version: Version, number: int, connector_number: int | None, *, is_operative: bool) -> Wish:
    """ChangeAvailability (1.6, 5.2; 2.0.1 G03, G04); number 0 is the whole station."""
    word = "Operative" if is_operative else "Inoperative"
    if version is Version.V16:
        if connector_number is not None:
            raise CannotSay("in OCPP 1.6 each connector is a charge point of its own; leave `connector_number` out")
        return Wish("ChangeAvailability", {"connectorId": number, "type": word})
    payload: Payload = {"operationalStatus": word}
    if number > 0:
        payload["evse"] = {"id": number}
        if connector_number is not None:
            payload["evse"]["connectorId"] = connector_number
    return Wish("ChangeAvailability", payload)


def transaction_status(version: Version, transaction_id: str) -> Wish:
    """GetTransactionStatus (2.0.1 E14)."""
    if version is Version.V16:
        raise CannotSay("OCPP 1.6 cannot ask for a transaction's status; its meter values show whether it goes on")
    return Wish("GetTransactionStatus", {"transactionId": transaction_id})


def running_cost(version: Version, transaction_id: str, total_cost: float) -> Wish:
    """CostUpdated (2.0.1 I02)."""
    if version is Version.V16:
        raise CannotSay("OCPP 1.6 has no message for the running cost; some vendors take it as DataTransfer")
    return Wish("CostUpdated", {"totalCost": total_cost, "transactionId": transaction_id})
