"""B3: what an operator's wish is in OCPP 1.6, what each action is for, and an example of each."""

from typing import Any, Final

Payload = dict[str, Any]

PURPOSES: Final[dict[str, str]] = {
    "CancelReservation": "Cancel a reservation",
    "CertificateSigned": "Hand over the signed certificate that the station asked for",
    "ChangeAvailability": "Take a connector or the station out of service, or put it back",
    "ChangeConfiguration": "Change a configuration key",
    "ClearCache": "Forget the cached authorisations",
    "ClearChargingProfile": "Remove charging profiles",
    "DataTransfer": "Send a vendor's own message",
    "DeleteCertificate": "Delete an installed certificate",
    "ExtendedTriggerMessage": "Ask for a message (security extension)",
    "GetCompositeSchedule": "Ask which limits will apply",
    "GetConfiguration": "Read configuration keys",
    "GetDiagnostics": "Have diagnostics uploaded",
    "GetInstalledCertificateIds": "List the installed certificates",
    "GetLocalListVersion": "Read the version of the local authorisation list",
    "GetLog": "Have a log uploaded",
    "InstallCertificate": "Install a root certificate",
    "RemoteStartTransaction": "Start charging",
    "RemoteStopTransaction": "Stop charging",
    "ReserveNow": "Reserve a connector",
    "Reset": "Restart the station",
    "SendLocalList": "Send the local authorisation list, or changes to it",
    "SetChargingProfile": "Limit the charging power or current",
    "SignedUpdateFirmware": "Update the firmware with a signed image",
    "TriggerMessage": "Ask for a message",
    "UnlockConnector": "Unlock a connector's cable",
    "UpdateFirmware": "Update the firmware",
}
"""Every action of OCPP 1.6 that the CSMS sends, in words."""

_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----"

EXAMPLES: Final[dict[str, Payload]] = {
    "CancelReservation": {"reservationId": 17},
    "CertificateSigned": {"certificateChain": _CERTIFICATE},
    "ChangeAvailability": {"connectorId": 1, "type": "Inoperative"},
    "ChangeConfiguration": {"key": "MeterValueSampleInterval", "value": "60"},
    "ClearCache": {},
    "ClearChargingProfile": {"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile"},
    "DataTransfer": {"vendorId": "com.example", "messageId": "SetDisplay", "data": "Welcome"},
    "DeleteCertificate": {
        "certificateHashData": {
            "hashAlgorithm": "SHA256",
            "issuerNameHash": "a3f1",
            "issuerKeyHash": "77c2",
            "serialNumber": "0123",
        }
    },
    "ExtendedTriggerMessage": {"requestedMessage": "SignChargePointCertificate"},
    "GetCompositeSchedule": {"connectorId": 1, "duration": 3600, "chargingRateUnit": "A"},
    "GetConfiguration": {"key": ["HeartbeatInterval"]},
    "GetDiagnostics": {"location": "https://files.example.com/diagnostics/"},
    "GetInstalledCertificateIds": {"certificateType": "CentralSystemRootCertificate"},
    "GetLocalListVersion": {},
    "GetLog": {
        "logType": "SecurityLog",
        "requestId": 1,
        "log": {"remoteLocation": "https://files.example.com/logs/"},
    },
    "InstallCertificate": {"certificateType": "CentralSystemRootCertificate", "certificate": _CERTIFICATE},
    "RemoteStartTransaction": {"connectorId": 1, "idTag": "04A2B3C4D5"},
    "RemoteStopTransaction": {"transactionId": 42},
    "ReserveNow": {
        "connectorId": 1,
        "expiryDate": "2026-01-01T12:00:00.000Z",
        "idTag": "04A2B3C4D5",
        "reservationId": 17,
    },
    "Reset": {"type": "Soft"},
    "SendLocalList": {
        "listVersion": 2,
        "updateType": "Differential",
        "localAuthorizationList": [{"idTag": "04A2B3C4D5", "idTagInfo": {"status": "Accepted"}}],
    },
    "SetChargingProfile": {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}],
            },
        },
    },
    "SignedUpdateFirmware": {
        "requestId": 1,
        "firmware": {
            "location": "https://files.example.com/firmware/2.1.0.bin",
            "retrieveDateTime": "2026-01-01T02:00:00.000Z",
            "signingCertificate": _CERTIFICATE,
            "signature": "MEUCIQ==",
        },
    },
    "TriggerMessage": {"requestedMessage": "StatusNotification", "connectorId": 1},
    "UnlockConnector": {"connectorId": 1},
    "UpdateFirmware": {
        "location": "https://files.example.com/firmware/2.1.0.bin",
        "retrieveDate": "2026-01-01T02:00:00.000Z",
    },
}
"""A valid request of every action of OCPP 1.6 that the CSMS sends."""

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


def stop_request(transaction_id: int) -> Payload:
    """RemoteStopTransaction (1.6, 5.12)."""
    return {"transactionId": transaction_id}


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
