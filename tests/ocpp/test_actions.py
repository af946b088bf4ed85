import pytest
from ocpp.v16 import call as call_16
from ocpp.v16.enums import Action as Action16
from ocpp.v21.enums import Action as Action21
from ocpp.v201.enums import Action as Action201

from csms.ocpp import schema
from csms.ocpp.actions import ACTIONS, Action, Direction, from_station, to_station
from csms.ocpp.versions import Version

pytestmark = pytest.mark.feature("B2")

V16, V201, V21 = Version.V16, Version.V201, Version.V21
EVERY_ACTION = [(version, action) for version in Version for action in ACTIONS[version].values()]
NEW_IN_V21_FROM_STATION = {
    "BatterySwap",
    "ClosePeriodicEventStream",
    "GetCertificateChainStatus",
    "NotifyDERAlarm",
    "NotifyDERStartStop",
    "NotifyPeriodicEventStream",
    "NotifyPriorityCharging",
    "NotifySettlement",
    "OpenPeriodicEventStream",
    "PullDynamicScheduleUpdate",
    "ReportDERControl",
    "VatNumberValidation",
}


@pytest.mark.parametrize(
    ("version", "names"),
    [
        (V16, {str(action) for action in Action16}),
        (V201, {str(action) for action in Action201}),
        (V21, {str(action) for action in Action21} | {"NotifyPeriodicEventStream"}),
    ],
)
def test_the_actions_are_those_of_the_ocpp_package(version: Version, names: set[str]) -> None:
    assert set(ACTIONS[version]) == names


@pytest.mark.parametrize(("version", "totals"), [(V16, (13, 25, 1)), (V201, (24, 39, 1)), (V21, (36, 54, 1))])
def test_the_directions_add_up_to_the_standards_totals(version: Version, totals: tuple[int, int, int]) -> None:
    directions = [action.direction for action in ACTIONS[version].values()]
    assert tuple(directions.count(direction) for direction in Direction) == totals


@pytest.mark.parametrize(("version", "action"), EVERY_ACTION, ids=str)
def test_every_action_has_its_schemas(version: Version, action: Action) -> None:
    assert schema.schema_of(version, action.name, "request")["type"] == "object"
    if not action.is_sent:
        assert schema.schema_of(version, action.name, "response")["type"] == "object"


def test_a_notification_comes_from_the_station() -> None:
    names = {action.name for version in Version for action in from_station(version)}
    only_ours = {"NotifyAllowedEnergyTransfer", "NotifyWebPaymentStarted"}
    told = {name for version in Version for name in ACTIONS[version] if "Notif" in name} - only_ours
    assert told <= names


def test_21_adds_to_201() -> None:
    assert ACTIONS[V201].items() <= ACTIONS[V21].items()
    new = {action.name for action in from_station(V21)} - {action.name for action in from_station(V201)}
    assert new == NEW_IN_V21_FROM_STATION


def test_the_core_profile_of_16_is_asked_for_by_name() -> None:
    assert [action.name for action in to_station(V16, profile="Core")] == [
        "ChangeAvailability",
        "ChangeConfiguration",
        "ClearCache",
        "DataTransfer",
        "GetConfiguration",
        "RemoteStartTransaction",
        "RemoteStopTransaction",
        "Reset",
        "UnlockConnector",
    ]
    assert len(from_station(V16, profile="Core")) == 8


def test_the_profiles_of_16_are_those_of_the_standard() -> None:
    profiles = {action.profile for action in ACTIONS[V16].values()}
    assert profiles == {
        "Core",
        "FirmwareManagement",
        "LocalAuthListManagement",
        "RemoteTrigger",
        "Reservation",
        "Security",
        "SmartCharging",
    }
    assert sum(action.profile == "Security" for action in ACTIONS[V16].values()) == 11
    assert all(hasattr(call_16, name) for name in ACTIONS[V16])


def test_data_transfer_goes_both_ways_and_counts_for_both() -> None:
    for version in Version:
        action = ACTIONS[version]["DataTransfer"]
        assert action.is_from_station
        assert action.is_to_station
        assert action in to_station(version)
        assert action in from_station(version)
