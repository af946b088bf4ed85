from typing import Any

import pytest

from csms.ocpp.actions import ACTIONS
from csms.ocpp.errors import ErrorKind
from csms.ocpp.schema import check, pointer, schema_of, source_of
from csms.ocpp.versions import Version

pytestmark = pytest.mark.feature("B8")

V16, V201, V21 = Version.V16, Version.V201, Version.V21
START = {"connectorId": 1, "idTag": "ABC", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}


def profile(limit: float) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": schedule,
        },
    }


@pytest.mark.parametrize(
    ("version", "action", "payload", "place", "kind"),
    [
        (V16, "StartTransaction", START | {"connectorId": "1"}, "/connectorId", ErrorKind.TYPE_CONSTRAINT),
        (V16, "StartTransaction", START | {"connectorId": 1.0}, "/connectorId", ErrorKind.TYPE_CONSTRAINT),
        (V16, "StartTransaction", START | {"meterStart": 2**63}, "/meterStart", ErrorKind.PROPERTY_CONSTRAINT),
        (V16, "StartTransaction", START | {"idTag": "x" * 21}, "/idTag", ErrorKind.PROPERTY_CONSTRAINT),
        (V16, "StartTransaction", START | {"timestamp": "now"}, "/timestamp", ErrorKind.PROPERTY_CONSTRAINT),
        (V16, "Heartbeat", {"a/b~c": 1}, "/a~1b~0c", ErrorKind.FORMATION),
        (V201, "Heartbeat", {"a": 1}, "/a", ErrorKind.PROTOCOL),
        (V16, "Reset", {}, "/type", ErrorKind.OCCURRENCE_CONSTRAINT),
        (V16, "Reset", {"type": "hard"}, "/type", ErrorKind.PROPERTY_CONSTRAINT),
        (V16, "Reset", [], "", ErrorKind.TYPE_CONSTRAINT),
        (V16, "MeterValues", {"connectorId": 1, "meterValue": []}, "/meterValue", ErrorKind.OCCURRENCE_CONSTRAINT),
        (V16, "DataTransfer", {"vendorId": "\ud800"}, "", ErrorKind.FORMATION),
        (V16, "DataTransfer", {"vendorId": "a\0"}, "", ErrorKind.FORMATION),
        (V16, "DataTransfer", {1: 2}, "", ErrorKind.FORMATION),
        (
            V16,
            "SetChargingProfile",
            profile(21.45),
            "/csChargingProfiles/chargingSchedule/chargingSchedulePeriod/0/limit",
            ErrorKind.PROPERTY_CONSTRAINT,
        ),
        (
            V21,
            "NotifyPeriodicEventStream",
            {"id": 1, "pending": 0, "basetime": START["timestamp"], "data": []},
            "/data",
            ErrorKind.OCCURRENCE_CONSTRAINT,
        ),
    ],
)
def test_a_breach_is_found_with_its_place_and_kind(
    version: Version, action: str, payload: Any, place: str, kind: ErrorKind
) -> None:
    found = check(version, action, "request", payload)
    assert found is not None
    assert (found.place, found.kind) == (place, kind)


@pytest.mark.robustness(25)
@pytest.mark.parametrize("limit", [21.4, 6.1, 0.3, 16, 0.1, 32.0])
def test_limits_of_one_decimal_are_right(limit: float) -> None:
    assert check(V16, "SetChargingProfile", "request", profile(limit)) is None


@pytest.mark.parametrize("unit", ["Celcius", "Celsius"])
def test_both_spellings_of_celsius_are_right(unit: str) -> None:
    sample = {"value": "20.5", "measurand": "Temperature", "unit": unit}
    payload = {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z", "sampledValue": [sample]}]}
    assert check(V16, "MeterValues", "request", payload) is None


def test_a_stop_needs_no_reason_and_a_time_of_16_no_zone() -> None:
    stop = {"transactionId": 1, "meterStop": 5, "timestamp": "2026-01-01T00:00:00"}
    assert check(V16, "StopTransaction", "request", stop) is None


def test_a_time_of_2_needs_a_zone() -> None:
    status = {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    assert check(V201, "StatusNotification", "request", status | {"timestamp": "2026-01-01T00:00:00+01:00"}) is None
    found = check(V201, "StatusNotification", "request", status | {"timestamp": "2026-01-01T00:00:00"})
    assert found is not None
    assert found.place == "/timestamp"


@pytest.mark.robustness(48)
@pytest.mark.parametrize(
    "payload",
    [
        {"key": "AuthorizationKey", "value": "5E\x05C2ET" * 80},
        {"key": "AuthorizationKey", "value": ["5E\x05C2ET"]},
        {"key": "AuthorizationKey", "value": {"5EC2ET": "5E\x05C2ET"}},
        {"key": ["5E\x05C2ET"], "value": "x"},
    ],
)
def test_a_message_never_repeats_the_value(payload: dict[str, Any]) -> None:
    found = check(V16, "ChangeConfiguration", "request", payload)
    assert found is not None
    assert "5E" not in str(found)


def test_the_message_says_what_is_asked_for() -> None:
    messages = {
        str(check(V16, "Reset", "request", {"type": "Cold"})),
        str(check(V16, "ChangeConfiguration", "request", {"key": "k" * 51, "value": ""})),
        str(check(V16, "Reset", "request", {})),
        str(check(V16, "Reset", "request", None)),
    }
    assert messages == {
        "/type: must be one of Hard, Soft",
        "/key: is longer than 50 characters",
        "/type: is missing",
        "payload: must be an object",
    }


def references(value: Any) -> bool:
    if isinstance(value, dict):
        return "$ref" in value or any(references(item) for item in value.values())
    return isinstance(value, list) and any(references(item) for item in value)


def test_a_schema_is_complete_in_itself_and_a_copy() -> None:
    for version in Version:
        for action in ACTIONS[version]:
            assert not references(source_of(version, action, "request"))
    schema_of(V16, "Reset", "request").clear()
    assert schema_of(V16, "Reset", "request")["required"] == ["type"]


@pytest.mark.parametrize(
    ("version", "action", "kind"),
    [
        (V16, "Nonsense", "request"),
        (V16, "TransactionEvent", "request"),
        (V21, "NotifyPeriodicEventStream", "response"),
    ],
)
def test_there_is_no_schema_of_what_does_not_exist(version: Version, action: str, kind: Any) -> None:
    with pytest.raises(LookupError):
        check(version, action, kind, {})


def test_a_pointer_escapes_and_cuts_names() -> None:
    assert pointer(["a/b", 0, "c~d"]) == "/a~1b/0/c~0d"
    assert pointer(["x" * 1000]) == "/" + "x" * 64
    assert pointer([]) == ""
