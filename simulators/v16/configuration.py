"""F5: the configuration keys of a simulated 1.6 station (OCPP 1.6, 9): which exist and what they may hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.meter import MEASURANDS

MAX_INTEGER = 2**31 - 1
MAX_MEASURANDS = 10
MAX_KEYS_PER_REQUEST = 50
KEY_BYTES = (16, 20)  # AuthorizationKey, 1.6 security whitepaper, 4.2

Check = Callable[[str], bool]


def _is_integer(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:11]) <= MAX_INTEGER


def _is_flag(text: str) -> bool:
    return text.lower() in ("true", "false")


def _is_measurands(text: str) -> bool:
    named = _names(text)
    return len(named) <= MAX_MEASURANDS and all(name in MEASURANDS for name in named)


def _is_key(text: str) -> bool:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return False
    return KEY_BYTES[0] <= len(key) <= KEY_BYTES[1]


def _is_profile(text: str) -> bool:
    return text in ("0", "1", "2", "3")


def _is_text(text: str) -> bool:
    return len(text) <= 500  # noqa: PLR2004 CiString500 of ChangeConfiguration


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one key may hold and how a change of it is answered."""

    default: str
    check: Check | None = None  # None: read only
    needs_reboot: bool = False
    is_secret: bool = False


RULES: Mapping[str, Rule] = {
    "AllowOfflineTxForUnknownId": Rule("false", _is_flag),
    "AuthorizationCacheEnabled": Rule("true", _is_flag),
    "AuthorizationKey": Rule("", _is_key, is_secret=True),
    "AdditionalRootCertificateCheck": Rule("false"),
    "AuthorizeRemoteTxRequests": Rule("false", _is_flag),
    "CertificateSignedMaxChainSize": Rule("10000"),
    "CertificateStoreMaxLength": Rule("20"),
    "ChargeProfileMaxStackLevel": Rule("20"),
    "ChargingScheduleAllowedChargingRateUnit": Rule("Current,Power"),
    "ChargingScheduleMaxPeriods": Rule("96"),
    "ClockAlignedDataInterval": Rule("0", _is_integer),
    "ConnectionTimeOut": Rule("60", _is_integer),
    "ConnectorPhaseRotation": Rule("0.RST", _is_text),
    "CpoName": Rule("Simulated Charging", _is_text),
    "GetConfigurationMaxKeys": Rule(str(MAX_KEYS_PER_REQUEST)),
    "HeartbeatInterval": Rule("300", _is_integer),
    "LocalAuthListEnabled": Rule("true", _is_flag),
    "LocalAuthListMaxLength": Rule("1000"),
    "LocalAuthorizeOffline": Rule("true", _is_flag),
    "LocalPreAuthorize": Rule("false", _is_flag),
    "MaxChargingProfilesInstalled": Rule("50"),
    "MeterValuesAlignedData": Rule("Energy.Active.Import.Register", _is_measurands),
    "MeterValuesAlignedDataMaxLength": Rule(str(MAX_MEASURANDS)),
    "MeterValuesSampledData": Rule(
        "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC", _is_measurands
    ),
    "MeterValuesSampledDataMaxLength": Rule(str(MAX_MEASURANDS)),
    "MeterValueSampleInterval": Rule("60", _is_integer),
    "NumberOfConnectors": Rule("1"),
    "ResetRetries": Rule("0", _is_integer),
    "SecurityProfile": Rule("1", _is_profile),
    "SendLocalListMaxLength": Rule("1000"),
    "StopTransactionOnEVSideDisconnect": Rule("true", _is_flag),
    "StopTransactionOnInvalidId": Rule("true", _is_flag),
    "StopTxnAlignedData": Rule("", _is_measurands),
    "StopTxnSampledData": Rule("", _is_measurands),
    "SupportedFeatureProfiles": Rule(
        "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"
    ),
    "SupportedFileTransferProtocols": Rule("FTP,HTTP,HTTPS"),
    "TransactionMessageAttempts": Rule("3", _is_integer),
    "TransactionMessageRetryInterval": Rule("60", _is_integer),
    "UnlockConnectorOnEVSideDisconnect": Rule("true", _is_flag),
    # The socket is made with it, so it takes effect with the next start.
    "WebSocketPingInterval": Rule("60", _is_integer, needs_reboot=True),
}
_SPELLINGS = {name.lower(): name for name in RULES}


class Configuration:
    """The values of one station. What needs a reboot is stored at once and used after `reboot()`."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """`values` are set as by the maker, read-only keys too. Raises KeyError for a key that does not exist."""
        self._stored = {name: rule.default for name, rule in RULES.items()}
        for name, value in (values or {}).items():
            self._stored[_SPELLINGS[name.lower()]] = value
        self._used = dict(self._stored)

    def text(self, name: str) -> str:
        """The value in use."""
        return self._used[name]

    def integer(self, name: str) -> int:
        """A numeric value in use."""
        return int(self._used[name])

    def flag(self, name: str) -> bool:
        """A boolean value in use."""
        return self._used[name].lower() == "true"

    def names(self, name: str) -> list[str]:
        """A comma separated list in use."""
        return _names(self._used[name])

    def change(self, key: str, value: str) -> str:
        """ChangeConfiguration's status: Accepted, RebootRequired, Rejected or NotSupported (an unknown key)."""
        name = _SPELLINGS.get(key.lower())
        if name is None:
            return "NotSupported"
        rule = RULES[name]
        if rule.check is None or not rule.check(value):
            return "Rejected"
        self._stored[name] = value
        if rule.needs_reboot:
            return "RebootRequired"
        self._used[name] = value
        return "Accepted"

    def read(self, keys: list[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """GetConfiguration's `configurationKey` and `unknownKey`; no keys asks for all.

        Secrets are named, their values never shown.
        """
        wanted = keys or list(RULES)
        known = [_SPELLINGS[key.lower()] for key in wanted if key.lower() in _SPELLINGS]
        unknown = [key for key in wanted if key.lower() not in _SPELLINGS]
        return [self._describe(name) for name in known], unknown

    def _describe(self, name: str) -> dict[str, Any]:
        rule = RULES[name]
        described: dict[str, Any] = {"key": name, "readonly": rule.check is None}
        return described if rule.is_secret else {**described, "value": self._stored[name]}

    def reboot(self) -> None:
        """Take what was waiting for a restart into use."""
        self._used = dict(self._stored)
