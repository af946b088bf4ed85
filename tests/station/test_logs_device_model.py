"""S10, S15: settings, monitors and events of 2.x in words, whatever the payload holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.actions import ACTIONS
from csms.ocpp.versions import Version
from csms.station.commands.examples import examples_of
from csms.station.logs import Exchange, describe
from csms.station.monitoring import words as monitoring
from csms.station.settings import words as settings
from csms.wording import Ask, Level

pytestmark = pytest.mark.feature("S10")
WORDS = [one for one in (*monitoring.WORDS, *settings.WORDS) if one.action in ACTIONS[Version.V201]]

BEAT = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
POWER = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
PASSWORD = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "SetVariables",
            {"setVariableData": [{**BEAT, "attributeValue": "60"}]},
            {"setVariableResult": [{**BEAT, "attributeStatus": "Accepted"}]},
            "Asked to set OCPPCommCtrlr.HeartbeatInterval to 60: done.",
            Level.INFO,
        ),
        (
            "SetVariables",
            {"setVariableData": [{**PASSWORD, "attributeValue": "(hidden)"}, POWER]},
            {"setVariableResult": [{**PASSWORD, "attributeStatus": "RebootRequired"}]},
            "Asked to change SecurityCtrlr.BasicAuthPassword, EVSE#1.Power: it will after a restart.",
            Level.WARNING,
        ),
        (
            "SetVariables",
            {"setVariableData": [BEAT]},
            {"setVariableResult": [{**BEAT, "attributeStatus": "UnknownVariable"}]},
            "Asked to change OCPPCommCtrlr.HeartbeatInterval: not all of it.",
            Level.WARNING,
        ),
        (
            "GetVariables",
            {"getVariableData": [BEAT, POWER]},
            {"getVariableResult": [{**BEAT, "attributeStatus": "Accepted"}, {**POWER, "attributeStatus": "Rejected"}]},
            "Asked to tell its settings OCPPCommCtrlr.HeartbeatInterval, EVSE#1.Power: it told 1.",
            Level.WARNING,
        ),
        (
            "GetBaseReport",
            {"reportBase": "FullInventory", "requestId": 1},
            {"status": "Accepted"},
            "Asked to report all its settings: it will, in parts.",
            Level.INFO,
        ),
        (
            "SetVariableMonitoring",
            {"setMonitoringData": [POWER]},
            {"setMonitoringResult": [{**POWER, "status": "Duplicate"}]},
            "Asked to watch EVSE#1.Power: not all of it.",
            Level.WARNING,
        ),
        (
            "ClearVariableMonitoring",
            {"id": [4]},
            {"clearMonitoringResult": [{"id": 4, "status": "Accepted"}]},
            "Asked to give up one of its monitors: done.",
            Level.INFO,
        ),
        (
            "TriggerMessage",
            {"requestedMessage": "MeterValues", "evse": {"id": 2}},
            {"status": "Accepted"},
            "Asked to send MeterValues at charge point 2: it will.",
            Level.INFO,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_was_asked_and_answered(
    *, action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = describe(Exchange(action, from_station=False, outcome="answered", request=request_, answer=answer))
    assert (words.text, words.level) == (text, level)


ALARM = {**POWER, "trigger": "Alerting", "actualValue": "23000", "severity": 2, "techInfo": "too much"}


@pytest.mark.parametrize(
    ("action", "request_", "text", "level"),
    [
        ("NotifyReport", {"reportData": [{}, {}], "seqNo": 0, "tbc": True}, "2 settings (part 1); more follow", "info"),
        ("NotifyReport", {"reportData": [], "seqNo": 3}, "0 settings (part 4); that is all", "info"),
        ("NotifyMonitoringReport", {"monitor": [{}], "seqNo": 0}, "1 monitored variables (part 1)", "info"),
        ("NotifyEvent", {"eventData": [ALARM]}, "Alert: EVSE#1.Power is 23000.", "error"),
        ("NotifyEvent", {"eventData": [{**ALARM, "severity": 8}]}, "Alert: EVSE#1.Power is 23000.", "warning"),
        ("NotifyEvent", {"eventData": [{**ALARM, "cleared": True}]}, "EVSE#1.Power is well again (23000).", "info"),
        ("NotifyEvent", {"eventData": [{**ALARM, "trigger": "Delta"}, ALARM]}, "And 1 more events.", "error"),
    ],
)
def test_what_the_station_told(*, action: str, request_: dict[str, Any], text: str, level: str) -> None:
    words = describe(Exchange(action, from_station=True, outcome="answered", request=request_, answer={}))
    assert text in words.text
    assert words.level == level


@pytest.mark.parametrize("action", [one.action for one in WORDS if isinstance(one, Ask)])
def test_every_command_has_words(action: str) -> None:
    request = examples_of(Version.V201)[action]
    words = describe(Exchange(action, from_station=False, outcome="timed_out", request=request))
    assert "do " + action not in words.text


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
item = st.dictionaries(st.sampled_from(["component", "variable", "status", "actualValue", "trigger", "id"]), odd)
fields = st.sampled_from(["setVariableData", "eventData", "reportData", "getVariableResult", "id", "seqNo", "evse"])


@given(
    st.sampled_from([*(one.action for one in WORDS), "TriggerMessage"]),
    st.booleans(),
    st.dictionaries(fields, st.lists(item, max_size=2) | odd, max_size=3),
    st.dictionaries(fields, st.lists(item, max_size=2) | odd, max_size=3),
)
def test_no_payload_is_too_odd(
    action: str, is_from_station: bool, request: dict[str, Any], answer: dict[str, Any]
) -> None:
    assert describe(Exchange(action, is_from_station, "answered", request, answer)).text
