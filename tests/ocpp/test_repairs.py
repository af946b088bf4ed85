import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import ValidationErrorKind

from csms.ocpp.actions import ACTIONS
from csms.ocpp.repairs import AppliedRepair, repair
from csms.ocpp.schema import check, pointer, source_of, validator_of
from csms.ocpp.versions import Version

pytestmark = pytest.mark.feature("B8")

V16, V201, V21 = Version.V16, Version.V201, Version.V21
AT = "2026-01-01T00:00:00.000Z"
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
START = {"connectorId": 1, "idTag": "ABC", "meterStart": 0, "timestamp": AT}
STOP = {"transactionId": 1, "meterStop": 5, "timestamp": AT}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


def samples(*sampled: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": list(sampled)}]}


CASES = [
    ("an unknown field", "Heartbeat", {"uptime": 5}, {}, [("drop_unknown_field", "/uptime")]),
    ("a null payload", "Heartbeat", None, {}, [("null_payload", "")]),
    (
        "a misspelt field beside a null",
        "StartTransaction",
        {**START, "idTag": None, "IDTag": "ABC"},
        START,
        [("field_spelling", "/IDTag"), ("drop_null", "/idTag")],
    ),
    ("a field in other case", "Authorize", {"idtag": "A"}, {"idTag": "A"}, [("field_spelling", "/idtag")]),
    ("a null field", "BootNotification", BOOT | {"iccid": None}, BOOT, [("drop_null", "/iccid")]),
    ("an empty optional enum", "StopTransaction", STOP | {"reason": ""}, STOP, [("drop_empty", "/reason")]),
    (
        "a long serial number",
        "BootNotification",
        BOOT | {"chargePointSerialNumber": "S" * 40},
        BOOT | {"chargePointSerialNumber": "S" * 25},
        [("cut_text", "/chargePointSerialNumber")],
    ),
    (
        "a long id tag, which cut would be another",
        "Authorize",
        {"idTag": "A" * 36},
        {"idTag": "A" * 36},
        [("long_text_kept", "/idTag")],
    ),
    (
        "an error word nobody knows",
        "StatusNotification",
        STATUS | {"errorCode": "Error"},
        STATUS | {"errorCode": "OtherError", "vendorErrorCode": "Error"},
        [("unknown_value", "/errorCode")],
    ),
    (
        "an error word nobody knows beside a vendor's",
        "StatusNotification",
        STATUS | {"errorCode": "Error", "vendorErrorCode": "E7"},
        STATUS | {"errorCode": "OtherError", "vendorErrorCode": "E7"},
        [("unknown_value", "/errorCode")],
    ),
    (
        "an enum in other case",
        "StatusNotification",
        STATUS | {"status": " suspended_ev"},
        STATUS | {"status": "SuspendedEV"},
        [("enum_spelling", "/status")],
    ),
    (
        "a number as text",
        "StartTransaction",
        START | {"connectorId": "1", "meterStart": " +1200 "},
        START | {"meterStart": 1200},
        [("number_from_text", "/connectorId"), ("number_from_text", "/meterStart")],
    ),
    (
        "a whole float",
        "StatusNotification",
        STATUS | {"connectorId": 1.0},
        STATUS,
        [("integer_from_number", "/connectorId")],
    ),
    (
        "a register with decimals",
        "StartTransaction",
        START | {"meterStart": 1200.6},
        START | {"meterStart": 1201},
        [("integer_from_number", "/meterStart")],
    ),
    (
        "a register with decimals as text",
        "StopTransaction",
        STOP | {"meterStop": "1200,4"},
        STOP | {"meterStop": 1200},
        [("number_from_text", "/meterStop")],
    ),
    ("a text as number", "Authorize", {"idTag": 123}, {"idTag": "123"}, [("text_from_number", "/idTag")]),
    (
        "vendor data as JSON",
        "DataTransfer",
        {"vendorId": "V", "data": {"HTTPPort": 80, "someKey": [1]}},
        {"vendorId": "V", "data": '{"HTTPPort":80,"someKey":[1]}'},
        [("text_from_json", "/data")],
    ),
    (
        "a short zone",
        "StartTransaction",
        START | {"timestamp": "2026-01-01T01:00:00+0100"},
        START,
        [("timestamp", "/timestamp")],
    ),
    (
        "no seconds and no zone",
        "StartTransaction",
        START | {"timestamp": "2026-01-01T00:00"},
        START,
        [("timestamp_zone", "/timestamp")],
    ),
    (
        "a time nobody can read",
        "StartTransaction",
        START | {"timestamp": "1.1.26"},
        START | {"timestamp": "1.1.26"},
        [("unreadable_time_kept", "/timestamp")],
    ),
    (
        "no time",
        "StopTransaction",
        {"transactionId": 1, "meterStop": 5},
        {"transactionId": 1, "meterStop": 5},
        [("missing_time_kept", "/timestamp")],
    ),
    (
        "a reason nobody knows",
        "StopTransaction",
        STOP | {"reason": "Cosmic"},
        STOP | {"reason": "Other"},
        [("unknown_value", "/reason")],
    ),
    (
        "a sample's unit and value",
        "MeterValues",
        samples({"value": 50.01, "measurand": "Frequency", "unit": "Hz"}),
        samples({"value": "50.01", "measurand": "Frequency", "unit": "Hertz"}),
        [
            ("text_from_number", "/meterValue/0/sampledValue/0/value"),
            ("enum_spelling", "/meterValue/0/sampledValue/0/unit"),
        ],
    ),
    (
        "a measurand nobody knows, which dropped would mean energy",
        "MeterValues",
        samples({"value": "3", "measurand": "Fan.Speed"}),
        samples({"value": "3", "measurand": "Fan.Speed"}),
        [("unknown_value_kept", "/meterValue/0/sampledValue/0/measurand")],
    ),
    (
        "a sample without value",
        "MeterValues",
        samples({"value": None}, {"value": "1"}),
        samples({"value": "1"}),
        [("empty_sample", "/meterValue/0/sampledValue/0")],
    ),
    (
        "one sample without its list",
        "MeterValues",
        {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": {"value": "1"}}]},
        samples({"value": "1"}),
        [("list_from_item", "/meterValue/0/sampledValue")],
    ),
    (
        "an empty sampledValue",
        "MeterValues",
        {
            "connectorId": 1,
            "meterValue": [{"timestamp": AT, "sampledValue": []}, samples({"value": "1"})["meterValue"][0]],
        },
        samples({"value": "1"}),
        [("empty_sampled_value", "/meterValue/0")],
    ),
    (
        "nothing but an empty sampledValue",
        "MeterValues",
        samples(),
        {"connectorId": 1, "meterValue": []},
        [("empty_sampled_value", "/meterValue/0"), ("empty_list_kept", "/meterValue")],
    ),
]


@pytest.mark.parametrize(("action", "payload", "mended", "applied"), [pytest.param(*c[1:], id=c[0]) for c in CASES])
def test_what_real_stations_send_is_repaired(
    action: str, payload: Any, mended: Any, applied: list[tuple[str, str]]
) -> None:
    before = copy.deepcopy(payload)
    result = repair(V16, action, "request", payload)
    assert result.remaining is None
    assert payload == before
    assert result.payload == mended
    assert result.applied == tuple(AppliedRepair(*pair) for pair in applied)


def test_limits_off_step_in_an_answer_are_excused() -> None:
    period = {"startPeriod": 0, "limit": 16.05}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    answer = {"status": "Accepted", "chargingSchedule": schedule}
    result = repair(V16, "GetCompositeSchedule", "response", answer)
    assert (result.payload, result.remaining) == (answer, None)
    assert [applied.name for applied in result.applied] == ["number_step_kept"]


@pytest.mark.parametrize(
    ("action", "payload", "place"),
    [
        pytest.param(
            "StartTransaction", {"idTag": "A", "meterStart": 0, "timestamp": AT}, "/connectorId", id="missing"
        ),
        pytest.param("StartTransaction", START | {"connectorId": "one"}, "/connectorId", id="no number"),
        pytest.param("StartTransaction", START | {"connectorId": 1.5}, "/connectorId", id="half a connector"),
        pytest.param("StartTransaction", START | {"connectorId": True}, "/connectorId", id="true"),
        pytest.param("StartTransaction", START | {"meterStart": 10**19}, "/meterStart", id="too large"),
        pytest.param("StartTransaction", START | {"meterStart": "1e300"}, "/meterStart", id="too large as text"),
        pytest.param("StartTransaction", START | {"idTag": None}, "/idTag", id="null where needed"),
        pytest.param("StartTransaction", START | {"idTag": "A" * 300}, "/idTag", id="no id is that long"),
        pytest.param("StatusNotification", STATUS | {"status": "Occupied"}, "/status", id="unknown state"),
        pytest.param("Authorize", {"idTag": {"a": 1}}, "/idTag", id="object for text"),
        pytest.param("MeterValues", {"connectorId": 1, "meterValue": "none"}, "/meterValue", id="text for list"),
    ],
)
def test_what_cannot_be_repaired_remains_and_the_payload_is_as_sent(action: str, payload: Any, place: str) -> None:
    result = repair(V16, action, "request", payload)
    assert result.remaining is not None
    assert result.remaining.place == place
    assert result.payload is payload


def test_a_valid_payload_comes_back_as_it_is() -> None:
    result = repair(V16, "StartTransaction", "request", START)
    assert result.payload is START
    assert result.applied == ()


@pytest.mark.robustness(25)
def test_vendor_data_of_2_is_never_touched() -> None:
    data: dict[str, Any] = {"someKey": None, "HTTPPort": 80, "x": {"Y-z": [None, {}, ""]}}
    payload = {"vendorId": "V", "data": data, "customData": {"vendorId": "V", "HTTPPort": None}, "extra": 1}
    result = repair(V201, "DataTransfer", "request", payload)
    assert result.remaining is None
    assert result.payload == {key: value for key, value in payload.items() if key != "extra"}


def test_the_list_of_repairs_is_bounded() -> None:
    result = repair(V16, "MeterValues", "request", samples(*[{"value": 1}] * 3000))
    assert result.remaining is None
    assert len(result.applied) == 1000
    assert check(V16, "MeterValues", "request", result.payload) is None


ROUTES = [
    (version, action, kind)
    for version in Version
    for action in ACTIONS[version]
    for kind in ("request", "response")
    if not (ACTIONS[version][action].is_sent and kind == "response")
]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", "1", "1,5", "true", "Celcius", "2026-01-01T00:00", "NaN", "1e999", "hz", "x" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


SCALARS: dict[str, list[Any]] = {
    "date-time": [AT, "2026-01-01T00:00:00", "2026-01-01 00:00", "never"],
    "uri": ["ftp://example.com/x"],
    "string": ["", "text", "x" * 300, 5],
    "integer": [0, 1, -1, 2**64, "3", 3.0],
    "number": [1, 21.4, "21.4", 16.05, -1],
    "boolean": [True, "false", 1, "True"],
    "": [None, 1, {"a": []}],
}


@st.composite
def near_payloads(draw: st.DrawFn) -> tuple[Version, str, Any, Any]:
    """A route and a payload that has its field names, filled with fitting values and junk."""
    version, action, kind = draw(st.sampled_from(ROUTES))
    return version, action, kind, draw(near(source_of(version, action, kind)))


def near(rules: dict[str, Any]) -> st.SearchStrategy[Any]:
    fitting = _fitting(rules)
    return st.integers(0, 9).flatmap(lambda dice: JUNK if dice == 0 else fitting)


def _fitting(rules: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind = rules.get("type", "")
    if kind == "object":
        fields = {name: near(inner) for name, inner in rules.get("properties", {}).items()}
        needed = {name: fields[name] for name in rules.get("required", ())}
        return st.fixed_dictionaries(needed, optional={n: s for n, s in fields.items() if n not in needed})
    if kind == "array":
        return st.lists(near(rules["items"]), max_size=3)
    if "enum" in rules:
        return st.sampled_from(rules["enum"]) | st.sampled_from(rules["enum"]).map(str.upper)
    return st.sampled_from(SCALARS[rules.get("format", kind)])


def without_indexes(place: str) -> str:
    """A repair's place is that of the payload as sent; dropped items before it move it up a list."""
    return re.sub(r"/[0-9]+(?=/|$)", "/*", place)


@settings(max_examples=300, deadline=None)
@given(near_payloads())
def test_repairing_never_raises_nor_mutates_and_leaves_only_what_is_excused(
    case: tuple[Version, str, Any, Any],
) -> None:
    version, action, kind, payload = case
    before = copy.deepcopy(payload)
    result = repair(version, action, kind, payload)
    assert repr(payload) == repr(before)
    if result.remaining is None:
        kept = {without_indexes(applied.place) for applied in result.applied if applied.name.endswith("_kept")}
        for error in validator_of(version, action, kind).iter_errors(result.payload):
            missing = [error.kind.property] if isinstance(error.kind, ValidationErrorKind.Required) else []
            assert without_indexes(pointer([*error.instance_path, *missing])) in kept


@given(st.sampled_from(ROUTES), JUNK | st.binary() | st.just(object()) | st.dictionaries(st.integers(), JUNK))
def test_repairing_never_raises_for_what_is_no_payload(route: tuple[Version, str, Any], payload: Any) -> None:
    result = repair(*route, payload)
    assert result.remaining is not None or check(*route, result.payload) is None or result.applied


EVENT = {
    "eventType": "Ended",
    "timestamp": AT,
    "triggerReason": "EVDeparted",
    "seqNo": 1,
    "transactionInfo": {"transactionId": "T"},
}


@pytest.mark.parametrize("version", [V201, V21])
@pytest.mark.parametrize(
    ("changes", "mended", "name"),
    [
        ({"triggerReason": "Vendor"}, {"triggerReason": "Vendor"}, "unknown_value_kept"),
        ({"triggerReason": "evdeparted"}, {}, "enum_spelling"),
        ({"triggerReason": None, "seqNo": None}, {"triggerReason": None, "seqNo": None}, "missing_value_kept"),
        (
            {"transactionInfo": {"transactionId": "T", "stoppedReason": "Boom", "chargingState": "Napping"}},
            {"transactionInfo": {"transactionId": "T", "stoppedReason": "Other", "chargingState": "Napping"}},
            "unknown_value",
        ),
    ],
)
def test_what_has_happened_is_not_refused_for_a_word(
    version: Version, changes: dict[str, Any], mended: dict[str, Any], name: str
) -> None:
    """A station that gets a CALLERROR for a TransactionEvent sends it again for ever."""
    result = repair(version, "TransactionEvent", "request", EVENT | changes)
    assert result.remaining is None
    assert result.payload == {key: value for key, value in (EVENT | mended).items() if value is not None}
    assert name in {one.name for one in result.applied}


def test_a_signature_without_its_key_and_an_unknown_kind_of_token_are_kept() -> None:
    signed = {"value": 5.0, "signedMeterValue": {"signedMeterData": "AA", "encodingMethod": "OCMF"}}
    told = EVENT | {
        "idToken": {"idToken": "1", "type": "Fingerprint"},
        "meterValue": [{"timestamp": AT, "sampledValue": [signed]}],
    }
    result = repair(V201, "TransactionEvent", "request", told)
    assert (result.remaining, result.payload) == (None, told)
