"""S15: which message a wish is, in each version (1.6 5.17, security whitepaper 5.4; 2.0.1 F06; 2.1 F06)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.versions import Version


class TriggeredMessage(StrEnum):
    """What the station shall send."""

    BOOT = "boot"
    HEARTBEAT = "heartbeat"
    STATUS = "status"
    METER_VALUES = "meter_values"
    TRANSACTION = "transaction"
    """2.x: the state of the charge that is running."""
    FIRMWARE_STATUS = "firmware_status"
    LOG_STATUS = "log_status"
    """Of an upload of logs; 1.6 needs the security extension."""
    DIAGNOSTICS_STATUS = "diagnostics_status"
    """1.6 alone."""
    PUBLISH_FIRMWARE_STATUS = "publish_firmware_status"
    """2.x: of a local controller."""
    CERTIFICATE_REQUEST = "certificate_request"
    """For a new certificate of the station; 1.6 needs the security extension."""
    V2G_CERTIFICATE_REQUEST = "v2g_certificate_request"
    """2.x, for Plug & Charge (ISO 15118-2)."""
    V2G_20_CERTIFICATE_REQUEST = "v2g_20_certificate_request"
    """2.1, for ISO 15118-20."""
    COMBINED_CERTIFICATE_REQUEST = "combined_certificate_request"
    """2.x: one certificate for both uses."""
    CUSTOM = "custom"
    """2.1: a vendor's own, named in `custom`."""


_M: Final = TriggeredMessage
_PLAIN: Final = {
    _M.BOOT: "BootNotification",
    _M.HEARTBEAT: "Heartbeat",
    _M.STATUS: "StatusNotification",
    _M.METER_VALUES: "MeterValues",
    _M.FIRMWARE_STATUS: "FirmwareStatusNotification",
}
_V16: Final = {**_PLAIN, _M.DIAGNOSTICS_STATUS: "DiagnosticsStatusNotification"}
_V16_EXTENDED: Final = {
    _M.LOG_STATUS: "LogStatusNotification",
    _M.CERTIFICATE_REQUEST: "SignChargePointCertificate",
}
_V201: Final = {
    **_PLAIN,
    _M.TRANSACTION: "TransactionEvent",
    _M.LOG_STATUS: "LogStatusNotification",
    _M.PUBLISH_FIRMWARE_STATUS: "PublishFirmwareStatusNotification",
    _M.CERTIFICATE_REQUEST: "SignChargingStationCertificate",
    _M.V2G_CERTIFICATE_REQUEST: "SignV2GCertificate",
    _M.COMBINED_CERTIFICATE_REQUEST: "SignCombinedCertificate",
}
_V21: Final = {**_V201, _M.V2G_20_CERTIFICATE_REQUEST: "SignV2G20Certificate", _M.CUSTOM: "CustomTrigger"}
_TABLES: Final[Mapping[Version, tuple[tuple[str, Mapping[TriggeredMessage, str]], ...]]] = {
    Version.V16: (("TriggerMessage", _V16), ("ExtendedTriggerMessage", _V16_EXTENDED)),
    Version.V201: (("TriggerMessage", _V201),),
    Version.V21: (("TriggerMessage", _V21),),
}
AT_CHARGE_POINTS: Final = frozenset({_M.STATUS, _M.METER_VALUES, _M.TRANSACTION})
"""What concerns a charge point; the others are of the station as a whole (2.0.1 F06.FR.04)."""


def possible(version: Version) -> list[TriggeredMessage]:
    """What a station of that version may be asked to send."""
    return [message for _, table in _TABLES[version] for message in table]


def trigger_request(
    version: Version,
    message: TriggeredMessage,
    *,
    number: int | None = None,
    connector: int | None = None,
    custom: str | None = None,
) -> tuple[str, dict[str, Any]] | None:
    """The action and its payload; None if that version has no such message."""
    for action, table in _TABLES[version]:
        if message in table:
            payload: dict[str, Any] = {"requestedMessage": table[message]}
            if number is not None and version is Version.V16:
                payload["connectorId"] = number
            elif number is not None:
                payload["evse"] = {"id": number} | ({} if connector is None else {"connectorId": connector})
            if message is _M.CUSTOM:
                payload["customTrigger"] = custom
            return action, payload
    return None


def status_needs_connector(version: Version, message: TriggeredMessage) -> bool:
    """2.x: StatusNotification is of a connector (2.0.1 F06.FR.12)."""
    return version is not Version.V16 and message is _M.STATUS
