"""B3: a valid request of every action of OCPP 2.0.1 and 2.1 that the CSMS sends; what both have is valid in both."""

from collections.abc import Mapping
from typing import Any, Final

from csms.station.commands.rules.examples_16 import CERTIFICATE

_HASHES: Final = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "2c1f6b2ee7a0c7e7d8b0d5c3c6bb1a3c64c6b8a6f94f3f5f1a64d7fbb44d8e11",
    "issuerKeyHash": "77c2a9f33e62bd1e6b1d3b8f5a6c1de93f2b7c4d5e6f708192a3b4c5d6e7f809",
    "serialNumber": "4a3f",
}
_CARD: Final = {"idToken": "04A2B3C4D5", "type": "ISO14443"}
_TRANSACTION: Final = "7f4a2c9e-3b1d-4e5f-8a6b-1c2d3e4f5a6b"
_TARIFF: Final = {
    "tariffId": "day",
    "currency": "EUR",
    "energy": {"prices": [{"priceKwh": 0.49}], "taxRates": [{"type": "VAT", "tax": 19}]},
}
_LIMIT: Final = {
    "id": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [
        {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 21.4}]}
    ],
}

_BOTH: Final[Mapping[str, dict[str, Any]]] = {
    "CancelReservation": {"reservationId": 17},
    "CertificateSigned": {"certificateChain": CERTIFICATE, "certificateType": "ChargingStationCertificate"},
    "ChangeAvailability": {"evse": {"id": 1}, "operationalStatus": "Inoperative"},
    "ClearCache": {},
    "ClearChargingProfile": {"chargingProfileCriteria": {"evseId": 1, "chargingProfilePurpose": "TxDefaultProfile"}},
    "ClearDisplayMessage": {"id": 1},
    "ClearVariableMonitoring": {"id": [1]},
    "CostUpdated": {"totalCost": 4.2, "transactionId": _TRANSACTION},
    "CustomerInformation": {"requestId": 1, "report": True, "clear": False, "idToken": _CARD},
    "DataTransfer": {"vendorId": "com.example", "messageId": "SetDisplay", "data": {"text": "Welcome"}},
    "DeleteCertificate": {"certificateHashData": _HASHES},
    "GetBaseReport": {"requestId": 1, "reportBase": "FullInventory"},
    "GetChargingProfiles": {"requestId": 1, "chargingProfile": {"chargingProfilePurpose": "TxDefaultProfile"}},
    "GetCompositeSchedule": {"evseId": 1, "duration": 3600, "chargingRateUnit": "A"},
    "GetDisplayMessages": {"requestId": 1},
    "GetInstalledCertificateIds": {"certificateType": ["CSMSRootCertificate"]},
    "GetLocalListVersion": {},
    "GetLog": {
        "logType": "SecurityLog",
        "requestId": 1,
        "log": {"remoteLocation": "https://files.example.com/logs/"},
    },
    "GetMonitoringReport": {"requestId": 1, "monitoringCriteria": ["ThresholdMonitoring"]},
    "GetReport": {"requestId": 1, "componentCriteria": ["Problem"]},
    "GetTransactionStatus": {"transactionId": _TRANSACTION},
    "GetVariables": {
        "getVariableData": [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]
    },
    "InstallCertificate": {"certificateType": "CSMSRootCertificate", "certificate": CERTIFICATE},
    "PublishFirmware": {
        "requestId": 1,
        "location": "https://files.example.com/firmware/2.1.0.bin",
        "checksum": "9e107d9d372bb6826bd81d3542a419d6",
    },
    "RequestStartTransaction": {"evseId": 1, "remoteStartId": 1, "idToken": _CARD},
    "RequestStopTransaction": {"transactionId": _TRANSACTION},
    "ReserveNow": {"id": 17, "evseId": 1, "expiryDateTime": "2026-01-01T12:00:00.000Z", "idToken": _CARD},
    "Reset": {"type": "OnIdle"},
    "SendLocalList": {
        "versionNumber": 2,
        "updateType": "Differential",
        "localAuthorizationList": [{"idToken": _CARD, "idTokenInfo": {"status": "Accepted"}}],
    },
    "SetChargingProfile": {"evseId": 1, "chargingProfile": _LIMIT},
    "SetDisplayMessage": {
        "message": {"id": 1, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "Welcome"}}
    },
    "SetMonitoringBase": {"monitoringBase": "FactoryDefault"},
    "SetMonitoringLevel": {"severity": 4},
    "SetNetworkProfile": {
        "configurationSlot": 2,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "wss://csms.example.com/ocpp",
            "messageTimeout": 30,
            "securityProfile": 2,
            "ocppInterface": "Wired0",
        },
    },
    "SetVariableMonitoring": {
        "setMonitoringData": [
            {
                "component": {"name": "ChargingStation"},
                "variable": {"name": "Temperature"},
                "type": "UpperThreshold",
                "value": 70,
                "severity": 3,
            }
        ]
    },
    "SetVariables": {
        "setVariableData": [
            {
                "component": {"name": "OCPPCommCtrlr"},
                "variable": {"name": "HeartbeatInterval"},
                "attributeValue": "300",
            }
        ]
    },
    "TriggerMessage": {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
    "UnlockConnector": {"evseId": 1, "connectorId": 1},
    "UnpublishFirmware": {"checksum": "9e107d9d372bb6826bd81d3542a419d6"},
    "UpdateFirmware": {
        "requestId": 1,
        "firmware": {
            "location": "https://files.example.com/firmware/2.1.0.bin",
            "retrieveDateTime": "2026-01-01T02:00:00.000Z",
        },
    },
}

_ONLY_21: Final[Mapping[str, dict[str, Any]]] = {
    "AFRRSignal": {"timestamp": "2026-01-01T12:00:00.000Z", "signal": 1},
    "AdjustPeriodicEventStream": {"id": 1, "params": {"interval": 10, "values": 5}},
    "ChangeTransactionTariff": {"transactionId": _TRANSACTION, "tariff": _TARIFF},
    "ClearDERControl": {"isDefault": False, "controlType": "FixedVar"},
    "ClearTariffs": {"tariffIds": ["day"]},
    "GetDERControl": {"requestId": 1, "isDefault": False},
    "GetPeriodicEventStream": {},
    "GetTariffs": {"evseId": 1},
    "NotifyAllowedEnergyTransfer": {"transactionId": _TRANSACTION, "allowedEnergyTransfer": ["AC_three_phase"]},
    "NotifyWebPaymentStarted": {"evseId": 1, "timeout": 120},
    "RequestBatterySwap": {"requestId": 1, "idToken": _CARD},
    "SetDERControl": {
        "isDefault": False,
        "controlId": "var-1",
        "controlType": "FixedVar",
        "fixedVar": {"priority": 1, "setpoint": 10.5, "unit": "PctMaxVar"},
    },
    "SetDefaultTariff": {"evseId": 0, "tariff": _TARIFF},
    "UpdateDynamicSchedule": {"chargingProfileId": 1, "scheduleUpdate": {"limit": 11000}},
    "UsePriorityCharging": {"transactionId": _TRANSACTION, "activate": True},
}

EXAMPLES_201: Final[Mapping[str, dict[str, Any]]] = _BOTH
EXAMPLES_21: Final[Mapping[str, dict[str, Any]]] = {**_BOTH, **_ONLY_21}
