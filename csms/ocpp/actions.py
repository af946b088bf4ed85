"""B2: every action of every version with its direction and profile, as data (routes are built from it)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from csms.ocpp.versions import Version


class Direction(StrEnum):
    """Who may send the request."""

    FROM_STATION = "from station"
    TO_STATION = "to station"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Action:
    """One action of one version.

    ``profile`` is the 1.6 feature profile ("Core", …, "Security" for the security whitepaper) or the 2.x
    functional block. ``is_sent`` marks a message without answer (2.1 SEND).
    """

    name: str
    direction: Direction
    profile: str
    is_sent: bool = False

    @property
    def is_from_station(self) -> bool:
        """Whether a station may send it."""
        return self.direction is not Direction.TO_STATION

    @property
    def is_to_station(self) -> bool:
        """Whether the CSMS may send it."""
        return self.direction is not Direction.FROM_STATION


_Table = Mapping[str, tuple[str, str]]
"""Profile -> (from the station, to the station), names parted by blanks; a name in both goes both ways."""

_V16: Final[_Table] = {
    "Core": (
        (
            "Authorize BootNotification DataTransfer Heartbeat MeterValues StartTransaction StatusNotification"
            " StopTransaction"
        ),
        (
            "ChangeAvailability ChangeConfiguration ClearCache DataTransfer GetConfiguration RemoteStartTransaction"
            " RemoteStopTransaction Reset UnlockConnector"
        ),
    ),
    "FirmwareManagement": (
        "DiagnosticsStatusNotification FirmwareStatusNotification",
        "GetDiagnostics UpdateFirmware",
    ),
    "LocalAuthListManagement": ("", "GetLocalListVersion SendLocalList"),
    "Reservation": ("", "CancelReservation ReserveNow"),
    "SmartCharging": ("", "ClearChargingProfile GetCompositeSchedule SetChargingProfile"),
    "RemoteTrigger": ("", "TriggerMessage"),
    "Security": (
        "LogStatusNotification SecurityEventNotification SignCertificate SignedFirmwareStatusNotification",
        (
            "CertificateSigned DeleteCertificate ExtendedTriggerMessage GetInstalledCertificateIds GetLog"
            " InstallCertificate SignedUpdateFirmware"
        ),
    ),
}

_V201: Final[_Table] = {
    "Security": ("SecurityEventNotification SignCertificate", "CertificateSigned"),
    "Provisioning": (
        "BootNotification NotifyReport",
        "GetBaseReport GetReport GetVariables Reset SetNetworkProfile SetVariables",
    ),
    "Authorization": ("Authorize", "ClearCache"),
    "LocalAuthorizationListManagement": ("", "GetLocalListVersion SendLocalList"),
    "Transactions": ("TransactionEvent", "GetTransactionStatus"),
    "RemoteControl": ("", "RequestStartTransaction RequestStopTransaction TriggerMessage UnlockConnector"),
    "Availability": ("Heartbeat StatusNotification", "ChangeAvailability"),
    "Reservation": ("ReservationStatusUpdate", "CancelReservation ReserveNow"),
    "TariffAndCost": ("", "CostUpdated"),
    "MeterValues": ("MeterValues", ""),
    "SmartCharging": (
        (
            "ClearedChargingLimit NotifyChargingLimit NotifyEVChargingNeeds NotifyEVChargingSchedule"
            " ReportChargingProfiles"
        ),
        "ClearChargingProfile GetChargingProfiles GetCompositeSchedule SetChargingProfile",
    ),
    "FirmwareManagement": (
        "FirmwareStatusNotification PublishFirmwareStatusNotification",
        "PublishFirmware UnpublishFirmware UpdateFirmware",
    ),
    "ISO15118CertificateManagement": (
        "Get15118EVCertificate GetCertificateStatus",
        "DeleteCertificate GetInstalledCertificateIds InstallCertificate",
    ),
    "Diagnostics": (
        "LogStatusNotification NotifyCustomerInformation NotifyEvent NotifyMonitoringReport",
        (
            "ClearVariableMonitoring CustomerInformation GetLog GetMonitoringReport SetMonitoringBase"
            " SetMonitoringLevel SetVariableMonitoring"
        ),
    ),
    "DisplayMessage": (
        "NotifyDisplayMessages",
        "ClearDisplayMessage GetDisplayMessages SetDisplayMessage",
    ),
    "DataTransfer": ("DataTransfer", "DataTransfer"),
}

_NEW_IN_V21: Final[_Table] = {
    "TariffAndCost": (
        "NotifySettlement VatNumberValidation",
        "ChangeTransactionTariff ClearTariffs GetTariffs NotifyWebPaymentStarted SetDefaultTariff",
    ),
    "SmartCharging": (
        "NotifyPriorityCharging PullDynamicScheduleUpdate",
        "UpdateDynamicSchedule UsePriorityCharging",
    ),
    "ISO15118CertificateManagement": ("GetCertificateChainStatus", ""),
    "Diagnostics": (
        "ClosePeriodicEventStream NotifyPeriodicEventStream OpenPeriodicEventStream",
        "AdjustPeriodicEventStream GetPeriodicEventStream",
    ),
    "BidirectionalPowerTransfer": ("", "AFRRSignal NotifyAllowedEnergyTransfer"),
    "DERControl": (
        "NotifyDERAlarm NotifyDERStartStop ReportDERControl",
        "ClearDERControl GetDERControl SetDERControl",
    ),
    "BatterySwapping": ("BatterySwap", "RequestBatterySwap"),
}

_SENT: Final = frozenset({"NotifyPeriodicEventStream"})


def _actions(*tables: _Table) -> Mapping[str, Action]:
    actions: dict[str, Action] = {}
    for table in tables:
        for profile, (from_station, to_station) in table.items():
            for name in from_station.split():
                actions[name] = Action(name, Direction.FROM_STATION, profile, name in _SENT)
            for name in to_station.split():
                direction = Direction.BOTH if name in actions else Direction.TO_STATION
                actions[name] = Action(name, direction, profile)
    return MappingProxyType(dict(sorted(actions.items())))


ACTIONS: Final[Mapping[Version, Mapping[str, Action]]] = {
    Version.V16: _actions(_V16),
    Version.V201: _actions(_V201),
    Version.V21: _actions(_V201, _NEW_IN_V21),
}
"""Every action by version and name, in the order of the alphabet."""


def to_station(version: Version, *, profile: str | None = None) -> tuple[Action, ...]:
    """The actions that the CSMS may send, of one profile or of all."""
    return tuple(a for a in ACTIONS[version].values() if a.is_to_station and profile in (None, a.profile))


def from_station(version: Version, *, profile: str | None = None) -> tuple[Action, ...]:
    """The actions that a station may send, of one profile or of all."""
    return tuple(a for a in ACTIONS[version].values() if a.is_from_station and profile in (None, a.profile))
