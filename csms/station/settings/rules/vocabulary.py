"""S15: settings that have one name here, whatever OCPP calls them: 1.6 section 9, security whitepaper 2.x part 2."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from csms.ocpp.versions import Version
from csms.station.settings.rules.addresses import Address, parse_name
from csms.station.settings.rules.words import DataType

_INT, _BOOL = DataType.INTEGER, DataType.BOOLEAN
_MANY, _ONE, _TEXT = DataType.MEMBER_LIST, DataType.OPTION_LIST, DataType.STRING


@dataclass(frozen=True, slots=True)
class Common:
    """A setting under its common name; None where a version does not have it."""

    name: str
    meaning: str
    key: str | None
    """OCPP 1.6."""
    variable: str | None
    """OCPP 2.x, as `Component.Variable[instance]`."""
    data_type: DataType = _INT
    unit: str | None = None

    def address(self, version: Version) -> Address | None:
        """Where a station of that version has it."""
        if version is Version.V16:
            return None if self.key is None else Address(self.key)
        return None if self.variable is None else parse_name(self.variable)


_S: Final = "s"
VOCABULARY: Final = (
    # Communication
    Common(
        "heartbeat_interval",
        "Time between heartbeats",
        "HeartbeatInterval",
        "OCPPCommCtrlr.HeartbeatInterval",
        _INT,
        _S,
    ),
    Common(
        "websocket_ping_interval",
        "Time between the station's WebSocket pings; 0 is none",
        "WebSocketPingInterval",
        "OCPPCommCtrlr.WebSocketPingInterval",
        _INT,
        _S,
    ),
    Common(
        "transaction_message_attempts",
        "How often the station sends a message about a charge that the central system cannot take",
        "TransactionMessageAttempts",
        "OCPPCommCtrlr.MessageAttempts[TransactionEvent]",
    ),
    Common(
        "transaction_message_retry_interval",
        "Time before such a message is sent again; it grows with each attempt",
        "TransactionMessageRetryInterval",
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]",
        _INT,
        _S,
    ),
    Common(
        "reset_retries", "How often a restart that failed is tried again", "ResetRetries", "OCPPCommCtrlr.ResetRetries"
    ),
    Common(
        "unlock_on_ev_side_disconnect",
        "Whether the cable is unlocked when the car is unplugged",
        "UnlockConnectorOnEVSideDisconnect",
        "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
        _BOOL,
    ),
    Common(
        "offline_threshold",
        "After how long offline the station tells all its states again",
        None,
        "OCPPCommCtrlr.OfflineThreshold",
        _INT,
        _S,
    ),
    Common(
        "message_timeout",
        "How long the station waits for an answer",
        None,
        "OCPPCommCtrlr.MessageTimeout[Default]",
        _INT,
        _S,
    ),
    Common(
        "network_configuration_priority",
        "Which network profiles the station uses, the preferred first",
        None,
        "OCPPCommCtrlr.NetworkConfigurationPriority",
        DataType.SEQUENCE_LIST,
    ),
    Common(
        "network_profile_connection_attempts",
        "How often a network profile is tried before the next",
        None,
        "OCPPCommCtrlr.NetworkProfileConnectionAttempts",
    ),
    Common(
        "retry_back_off_repeat_times",
        "How often the pause between connection attempts doubles",
        None,
        "OCPPCommCtrlr.RetryBackOffRepeatTimes",
    ),
    Common(
        "retry_back_off_random_range",
        "The random part of the pause between connection attempts",
        None,
        "OCPPCommCtrlr.RetryBackOffRandomRange",
        _INT,
        _S,
    ),
    Common(
        "retry_back_off_wait_minimum",
        "The shortest pause between connection attempts",
        None,
        "OCPPCommCtrlr.RetryBackOffWaitMinimum",
        _INT,
        _S,
    ),
    # Charging
    Common(
        "connection_timeout",
        "How long a driver may take between card and plug",
        "ConnectionTimeOut",
        "TxCtrlr.EVConnectionTimeOut",
        _INT,
        _S,
    ),
    Common(
        "stop_on_ev_side_disconnect",
        "Whether a charge ends when the car is unplugged",
        "StopTransactionOnEVSideDisconnect",
        "TxCtrlr.StopTxOnEVSideDisconnect",
        _BOOL,
    ),
    Common(
        "stop_on_invalid_id",
        "Whether a charge ends when its card turns out to be invalid",
        "StopTransactionOnInvalidId",
        "TxCtrlr.StopTxOnInvalidId",
        _BOOL,
    ),
    Common(
        "max_energy_on_invalid_id",
        "How much an invalid card may still charge",
        "MaxEnergyOnInvalidId",
        "TxCtrlr.MaxEnergyOnInvalidId",
        _INT,
        "Wh",
    ),
    Common("tx_start_point", "What begins a charge", None, "TxCtrlr.TxStartPoint", _MANY),
    Common("tx_stop_point", "What ends a charge", None, "TxCtrlr.TxStopPoint", _MANY),
    # Cards
    Common(
        "authorize_remote_start",
        "Whether the station checks the card of a remote start itself",
        "AuthorizeRemoteTxRequests",
        "AuthCtrlr.AuthorizeRemoteStart",
        _BOOL,
    ),
    Common(
        "local_authorize_offline",
        "Whether known cards may charge while the station is offline",
        "LocalAuthorizeOffline",
        "AuthCtrlr.LocalAuthorizeOffline",
        _BOOL,
    ),
    Common(
        "local_pre_authorize",
        "Whether known cards start at once, before the central system has answered",
        "LocalPreAuthorize",
        "AuthCtrlr.LocalPreAuthorize",
        _BOOL,
    ),
    Common(
        "offline_tx_for_unknown_id",
        "Whether unknown cards may charge while the station is offline",
        "AllowOfflineTxForUnknownId",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled",
        _BOOL,
    ),
    Common(
        "authorization_cache_enabled",
        "Whether the station remembers cards that were accepted",
        "AuthorizationCacheEnabled",
        "AuthCacheCtrlr.Enabled",
        _BOOL,
    ),
    Common(
        "local_list_enabled",
        "Whether the local card list is used",
        "LocalAuthListEnabled",
        "LocalAuthListCtrlr.Enabled",
        _BOOL,
    ),
    Common(
        "local_list_items_per_message",
        "How many cards fit into one message",
        "SendLocalListMaxLength",
        "LocalAuthListCtrlr.ItemsPerMessage",
    ),
    # Meter values
    Common(
        "sampled_interval",
        "Time between meter values during a charge; 0 is none",
        "MeterValueSampleInterval",
        "SampledDataCtrlr.TxUpdatedInterval",
        _INT,
        _S,
    ),
    Common(
        "sampled_measurands",
        "What is measured during a charge",
        "MeterValuesSampledData",
        "SampledDataCtrlr.TxUpdatedMeasurands",
        _MANY,
    ),
    Common(
        "ended_measurands",
        "What is measured for the end of a charge",
        "StopTxnSampledData",
        "SampledDataCtrlr.TxEndedMeasurands",
        _MANY,
    ),
    Common(
        "started_measurands",
        "What is measured at the start of a charge",
        None,
        "SampledDataCtrlr.TxStartedMeasurands",
        _MANY,
    ),
    Common(
        "aligned_interval",
        "Time between meter values by the clock; 0 is none",
        "ClockAlignedDataInterval",
        "AlignedDataCtrlr.Interval",
        _INT,
        _S,
    ),
    Common(
        "aligned_measurands",
        "What is measured by the clock",
        "MeterValuesAlignedData",
        "AlignedDataCtrlr.Measurands",
        _MANY,
    ),
    Common(
        "aligned_ended_measurands",
        "What is measured by the clock for the end of a charge",
        "StopTxnAlignedData",
        "AlignedDataCtrlr.TxEndedMeasurands",
        _MANY,
    ),
    # Smart charging and reservation
    Common(
        "profile_stack_level",
        "The highest stack level of a charging profile",
        "ChargeProfileMaxStackLevel",
        "SmartChargingCtrlr.ProfileStackLevel",
    ),
    Common(
        "profile_rate_unit",
        "In which units charging may be limited",
        "ChargingScheduleAllowedChargingRateUnit",
        "SmartChargingCtrlr.RateUnit",
        _MANY,
    ),
    Common(
        "profile_periods",
        "How many periods a charging schedule may have",
        "ChargingScheduleMaxPeriods",
        "SmartChargingCtrlr.PeriodsPerSchedule",
    ),
    Common(
        "profile_entries",
        "How many charging profiles the station keeps",
        "MaxChargingProfilesInstalled",
        "SmartChargingCtrlr.Entries[ChargingProfiles]",
    ),
    Common(
        "phases_3_to_1",
        "Whether the station can switch from three phases to one during a charge",
        "ConnectorSwitch3to1PhaseSupported",
        "SmartChargingCtrlr.Phases3to1",
        _BOOL,
    ),
    Common(
        "reserve_any",
        "Whether the station as a whole can be reserved",
        "ReserveConnectorZeroSupported",
        "ReservationCtrlr.NonEvseSpecific",
        _BOOL,
    ),
    # Security
    Common("security_profile", "How the station proves who it is", "SecurityProfile", "SecurityCtrlr.SecurityProfile"),
    Common(
        "organization_name", "The operator's name in certificates", "CpoName", "SecurityCtrlr.OrganizationName", _TEXT
    ),
    Common(
        "additional_root_certificate_check",
        "Whether a new root certificate must be signed by the one it replaces",
        "AdditionalRootCertificateCheck",
        "SecurityCtrlr.AdditionalRootCertificateCheck",
        _BOOL,
    ),
    Common(
        "certificate_chain_size",
        "How long a certificate chain may be",
        "CertificateSignedMaxChainSize",
        "SecurityCtrlr.MaxCertificateChainSize",
    ),
    # Reading settings
    Common(
        "items_per_read",
        "How many settings are read with one message",
        "GetConfigurationMaxKeys",
        "DeviceDataCtrlr.ItemsPerMessage[GetVariables]",
    ),
    # Clock
    Common("time_source", "Where the station has its time from", None, "ClockCtrlr.TimeSource", DataType.SEQUENCE_LIST),
    Common("time_zone", "The station's time zone", None, "ClockCtrlr.TimeZone", _TEXT),
    Common("time_offset", "The station's offset from UTC", None, "ClockCtrlr.TimeOffset", _TEXT),
    # Of 1.6 alone
    Common("blink_repeat", "How often the light blinks", "BlinkRepeat", None),
    Common("light_intensity", "How bright the lights are", "LightIntensity", None, _INT, "%"),
    Common(
        "minimum_status_duration",
        "How long a state must last before it is told",
        "MinimumStatusDuration",
        None,
        _INT,
        _S,
    ),
    Common("connector_phase_rotation", "How the phases are wired", "ConnectorPhaseRotation", None, _MANY),
    Common("number_of_connectors", "How many charge points there are", "NumberOfConnectors", None),
    Common("feature_profiles", "Which parts of OCPP the station has", "SupportedFeatureProfiles", None, _MANY),
    Common("local_list_max_length", "How many cards the local list holds", "LocalAuthListMaxLength", None),
)

_BY_NAME: Final[Mapping[str, Common]] = {
    name.lower(): common
    for common in VOCABULARY
    for name in (common.name, common.key, common.variable)
    if name is not None
}


def _by_address() -> Iterator[tuple[str, Common]]:
    for common in VOCABULARY:
        for version in (Version.V16, Version.V201):
            address = common.address(version)
            if address is not None:
                yield address.key, common


_BY_KEY: Final[Mapping[str, Common]] = dict(_by_address())


def common_of(key: str) -> Common | None:
    """The common setting behind a setting's key (`Address.key`)."""
    return _BY_KEY.get(key)


def find_common(name: str) -> Common | None:
    """The common setting of that name: the common one, the 1.6 key, or the variable of 2.x."""
    return _BY_NAME.get(name.strip().lower())


def resolve(name: str, version: Version) -> Address | None:
    """Where a station of that version has what people call so; None if it has no such thing."""
    text = name.strip()
    common = find_common(text)
    if common is not None:
        return common.address(version)
    return Address(text) if version is Version.V16 else parse_name(text)
