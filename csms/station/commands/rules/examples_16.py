"""B3: a valid request of every action of OCPP 1.6 that the CSMS sends."""

from collections.abc import Mapping
from typing import Any, Final

CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----"

EXAMPLES_16: Final[Mapping[str, dict[str, Any]]] = {
    "CancelReservation": {"reservationId": 17},
    "CertificateSigned": {"certificateChain": CERTIFICATE},
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
    "InstallCertificate": {"certificateType": "CentralSystemRootCertificate", "certificate": CERTIFICATE},
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
            "signingCertificate": CERTIFICATE,
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
