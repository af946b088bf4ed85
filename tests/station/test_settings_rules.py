"""S15: the pure parts: names, values, reports, whatever a station wrote."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.confidential import redacted
from csms.ocpp.versions import Version
from csms.station.device_reports.rules import ReportState, is_whole, missing_parts, state_of
from csms.station.monitoring.rules.events import read_events
from csms.station.monitoring.rules.telling import read_message as read_monitors
from csms.station.settings.rules.addresses import Address, parse_name, read_address
from csms.station.settings.rules.batches import limit, payload_batches
from csms.station.settings.rules.checking import Known, fault_of, is_same
from csms.station.settings.rules.merging import beginning, take_changed, take_told
from csms.station.settings.rules.telling import Changed, Told, names_secret, read_message
from csms.station.settings.rules.vocabulary import VOCABULARY, common_of, resolve
from csms.station.settings.rules.words import AttributeKind, DataType, Mutability, SettingOutcome

pytestmark = pytest.mark.feature("S15")
NOW = datetime(2026, 1, 1, tzinfo=UTC)

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["component", "variable", "name", "instance", "evse", "id", "connectorId", "key", "value"])
item = st.dictionaries(names | st.sampled_from(["type", "status", "variableAttribute", "variableMonitoring"]), json)
LISTS = (
    *("configurationKey", "unknownKey", "getVariableResult", "setVariableResult", "setVariableData", "reportData"),
    *("monitor", "setMonitoringData", "setMonitoringResult", "clearMonitoringResult", "eventData"),
)
payload = st.dictionaries(st.sampled_from(LISTS), st.lists(item, max_size=3) | json, max_size=4)
ACTIONS = (
    *("GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables", "NotifyReport"),
    *("NotifyMonitoringReport", "SetVariableMonitoring", "ClearVariableMonitoring", "SetMonitoringLevel"),
)


@given(st.sampled_from(ACTIONS), payload, payload | st.none())
def test_no_message_raises(action: str, request: dict[str, Any], answer: dict[str, Any] | None) -> None:
    for one in read_message(action, request, answer):
        setting = beginning(one.address, None)
        if isinstance(one, Told):
            take_told(setting, one, NOW)
        else:
            take_changed(setting, one, NOW, None)
        assert setting.after["key"] == one.address.key
    read_monitors(action, request, answer)
    read_events(request, {}, NOW)


words = st.text("abcXYZ019-_", min_size=1, max_size=10)
places = st.none() | st.integers(0, 9)


@given(st.tuples(words, words, st.none() | words, st.none() | words, places, places))
def test_a_name_means_what_it_was_made_of(
    parts: tuple[str, str, str | None, str | None, int | None, int | None],
) -> None:
    component, variable, component_instance, variable_instance, evse, connector = parts
    place = connector if evse is not None else None
    address = Address(variable, component, component_instance, evse, place, variable_instance)
    assert parse_name(address.name) == address
    assert read_address(address.payload()) == address


def test_the_vocabulary_is_without_doubles_and_every_name_can_be_read() -> None:
    every = [name.lower() for one in VOCABULARY for name in (one.name, one.key, one.variable) if name]
    assert len(every) == len(set(every))
    for common in VOCABULARY:
        assert common.key or common.variable
        for version in Version:
            address = common.address(version)
            assert (address is None) == ((common.key if version is Version.V16 else common.variable) is None)
            if address is not None:
                assert common_of(address.key) is common
                assert {resolve(name, version) for name in (common.name, address.name)} == {address}


@pytest.mark.parametrize(
    ("known", "value", "says"),
    [
        (Known(data_type=DataType.INTEGER), "1.5", "whole"),
        (Known(data_type=DataType.INTEGER), "-7", None),
        (Known(data_type=DataType.DECIMAL), "1,5", "point"),
        (Known(data_type=DataType.DECIMAL, min_limit=0.5), "0.4", "least"),
        (Known(data_type=DataType.DECIMAL, max_limit=2), "2.5", "most"),
        (Known(data_type=DataType.BOOLEAN), "True", None),
        (Known(data_type=DataType.BOOLEAN), "1", "true or false"),
        (Known(data_type=DataType.DATE_TIME), "2030-01-31T08:00:00Z", None),
        (Known(data_type=DataType.DATE_TIME), "soon", "time"),
        (Known(data_type=DataType.STRING, max_limit=3), "long", "3 characters"),
        (Known(data_type=DataType.OPTION_LIST, values_list="a, b"), "B", None),
        (Known(data_type=DataType.OPTION_LIST, values_list="a, b"), "c", "allowed"),
        (Known(data_type=DataType.MEMBER_LIST, values_list="a,b,c"), "c,a", None),
        (Known(data_type=DataType.MEMBER_LIST, values_list="a,b,c"), "c,c", "twice"),
        (Known(data_type=DataType.SEQUENCE_LIST, max_elements=1), "a,b", "at most 1"),
        (Known(mutability=Mutability.READ_ONLY), "x", "read-only"),
        (Known(is_constant=True), "x", "constant"),
        (Known(mutability=Mutability.WRITE_ONLY), "x", None),
    ],
)
def test_values_are_checked_by_what_is_known(known: Known, value: str, says: str | None) -> None:
    fault = fault_of(known, AttributeKind.ACTUAL, value, Version.V201)
    assert fault is None if says is None else says in (fault or "")


def test_another_attribute_has_its_own_right() -> None:
    known = Known(mutability=Mutability.READ_ONLY, attributes={"target": {"mutability": "read_write"}})
    assert fault_of(known, AttributeKind.TARGET, "1", Version.V201) is None
    assert "no max_set" in (fault_of(known, AttributeKind.MAX_SET, "1", Version.V201) or "")


@pytest.mark.parametrize(
    ("data_type", "one", "other", "same"),
    [
        (DataType.INTEGER, "300", "0300", True),
        (None, "300", "300.0", True),
        (DataType.STRING, "1", "1.0", False),
        (None, "True", "true", True),
        (DataType.MEMBER_LIST, "a,b", "b, A", True),
        (DataType.SEQUENCE_LIST, "a,b", "b,a", False),
        (None, "a,b", "b,a", True),
        (DataType.OPTION_LIST, "Red", "red", True),
        (None, "on", "off", False),
        (None, None, "x", False),
    ],
)
def test_same_values(data_type: DataType | None, one: str | None, other: str, *, same: bool) -> None:
    assert is_same(data_type, one, other) is same


@pytest.mark.parametrize("name", ["AuthorizationKey", "BasicAuthPassword", "ApnPassword", "VpnSharedSecret", "SimPin"])
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert names_secret(Address(name))
    assert names_secret(Address(name, "Any"))
    assert not names_secret(Address("HeartbeatInterval"))


def test_a_secret_never_stays_though_it_was_told_before_it_was_known_as_one() -> None:
    part = {
        "component": {"name": "C"},
        "variable": {"name": "Pin"},
        "variableAttribute": [{"value": "1234", "mutability": "WriteOnly"}, {"type": "Target", "value": "x"}],
    }
    (told,) = read_message("NotifyReport", redacted("NotifyReport", {"reportData": [part]}), None)
    setting = beginning(told.address, None)
    assert isinstance(told, Told)
    take_told(setting, told, NOW)
    assert setting.after["value"] is None
    change = Changed(told.address, AttributeKind.ACTUAL, "9876", SettingOutcome.ACCEPTED)
    take_changed(setting, change, NOW, None)
    assert (setting.after["value"], setting.changes[0].new_value) == (None, None)


@pytest.mark.parametrize(
    ("parts", "last", "whole", "missing"),
    [
        ([0], 0, True, []),
        ([0, 1, 2], 2, True, []),
        ([1, 2, 3], 3, True, []),
        ([0, 2], 2, False, [1]),
        ([0, 1], None, False, []),
        ([2], 2, False, []),
        ([], None, False, []),
        ([0, 3], None, False, [1, 2]),
    ],
)
def test_when_a_report_is_whole(parts: list[int], last: int | None, *, whole: bool, missing: list[int]) -> None:
    assert is_whole(parts, last) is whole
    assert missing_parts(parts, last) == missing


@pytest.mark.parametrize(
    ("status", "told", "state"),
    [
        (None, {}, ReportState.REQUESTED),
        ("Accepted", {}, ReportState.RECEIVING),
        (None, {"has_parts": True}, ReportState.RECEIVING),
        ("Rejected", {"has_ended": True}, ReportState.REFUSED),
        ("EmptyResultSet", {"has_ended": True}, ReportState.EMPTY),
        ("Accepted", {"has_parts": True, "has_ended": True}, ReportState.INCOMPLETE),
        ("Accepted", {"has_parts": True, "has_ended": True, "is_complete": True}, ReportState.COMPLETE),
    ],
)
def test_states_of_a_report(status: str | None, told: dict[str, bool], state: ReportState) -> None:
    nothing = {"has_parts": False, "has_ended": False, "is_complete": False}
    assert state_of(status, **{**nothing, **told}) is state


@given(st.lists(st.integers(0, 400), max_size=30), st.integers(1, 5), st.none() | st.integers(50, 600))
def test_no_message_is_too_long_and_nothing_is_lost(sizes: list[int], most: int, bytes_max: int | None) -> None:
    items = [(number, {"text": "x" * size}) for number, size in enumerate(sizes)]
    groups = payload_batches(items, most, bytes_max)
    assert [number for group in groups for number in group] == list(range(len(sizes)))
    assert all(0 < len(group) <= most for group in groups)


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("0", 10), ("many", 10), (None, 10), ("99999999999999", 10)])
def test_limits_that_make_no_sense_are_not_believed(text: str | None, number: int) -> None:
    assert limit(text, default=10) == number
