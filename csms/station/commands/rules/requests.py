"""B3: what an operator's wish is in OCPP."""

from typing import Any, Final

Payload = dict[str, Any]

NOT_WHILE_PENDING: Final = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction", "RequestStopTransaction"}
)
"""May not be sent to a station that waits to be accepted (OCPP 1.6, 4.2; 2.0.1 B02.FR.05)."""


def restart_request(*, is_hard: bool) -> Payload:
    """Reset (1.6, 5.14): soft ends transactions in order first, hard does not."""
    return {"type": "Hard" if is_hard else "Soft"}


def start_request(connector_id: int, id_tag: str) -> Payload:
    """RemoteStartTransaction (1.6, 5.11)."""
    return {"connectorId": connector_id, "idTag": id_tag}


def stop_request(transaction_id: str) -> Payload:
    """RemoteStopTransaction (1.6, 5.12)."""
    return {"transactionId": int(transaction_id)}


def unlock_request(connector_id: int) -> Payload:
    """UnlockConnector (1.6, 5.18)."""
    return {"connectorId": connector_id}


def availability_request(connector_id: int, *, is_operative: bool) -> Payload:
    """ChangeAvailability (1.6, 5.2); connector 0 is the whole station."""
    return {"connectorId": connector_id, "type": "Operative" if is_operative else "Inoperative"}


def changes_password(action: str, payload: Payload) -> bool:
    """Whether the request would change the password with which the station logs in (1.6 security whitepaper, A01)."""
    if action == "ChangeConfiguration":
        return str(payload.get("key", "")).strip().lower() == "authorizationkey"
    if action == "SetVariables":
        names = (item.get("variable", {}).get("name", "") for item in payload.get("setVariableData", ()))
        return any(str(name).strip().lower() == "basicauthpassword" for name in names)
    return False
