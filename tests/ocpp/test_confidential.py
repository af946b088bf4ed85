import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.ocpp.confidential import MASK, redacted, redacted_text, scrubbed, secret_values

pytestmark = [pytest.mark.feature("B1"), pytest.mark.robustness(48)]

SECRET = "5EC2E7-0123456789"
COMPONENT = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}

PAYLOADS = [
    ("ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET}),
    ("ChangeConfiguration", {"key": "authorizationKEY", "value": SECRET}),
    ("ChangeConfiguration", {"key": "WifiPassword", "value": SECRET}),
    ("GetConfiguration", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}]}),
    ("SetVariables", {"setVariableData": [{**COMPONENT, "attributeValue": SECRET}]}),
    ("GetVariables", {"getVariableResult": [{**COMPONENT, "attributeStatus": "Accepted", "attributeValue": SECRET}]}),
    ("NotifyReport", {"reportData": [{**COMPONENT, "variableAttribute": [{"type": "Actual", "value": SECRET}]}]}),
    ("NotifyEvent", {"eventData": [{**COMPONENT, "actualValue": SECRET}]}),
    ("SetNetworkProfile", {"connectionData": {"apn": {"apn": "a", "apnPassword": SECRET}}}),
    ("SetNetworkProfile", {"connectionData": {"vpn": {"server": "v", "password": SECRET, "key": SECRET}}}),
    ("SetNetworkProfile", {"connectionData": {"basicAuthPassword": SECRET}}),
    ("NotifyCustomerInformation", {"data": SECRET, "seqNo": 0, "generatedAt": "2026-01-01T00:00:00Z", "requestId": 1}),
    ("GetDiagnostics", {"location": f"ftp://user:{SECRET}@files.example/up"}),
    ("GetLog", {"log": {"remoteLocation": f"sftp://user:{SECRET}@files.example/up"}}),
]


@pytest.mark.parametrize(("action", "payload"), PAYLOADS)
def test_secrets_are_masked_in_payloads_and_frames(action: str, payload: dict[str, Any]) -> None:
    before = json.dumps(payload)
    masked = redacted(action, payload)
    assert SECRET not in json.dumps(masked)
    assert MASK in json.dumps(masked)
    assert json.dumps(payload) == before
    assert set(secret_values(action, payload)) == {SECRET}
    for frame in ([2, "1", action, payload], [3, "1", payload]):
        text = redacted_text(json.dumps(frame))
        assert SECRET not in text
        assert json.loads(text)[:2] == frame[:2]


def test_only_the_secret_is_masked() -> None:
    keys = [{"key": "HeartbeatInterval", "value": "300"}, {"key": "AuthorizationKey", "value": SECRET}]
    masked = redacted("GetConfiguration", {"configurationKey": keys, "unknownKey": ["password"]})
    assert masked == {
        "configurationKey": [{"key": "HeartbeatInterval", "value": "300"}, {"key": "AuthorizationKey", "value": MASK}],
        "unknownKey": ["password"],
    }


def test_what_has_no_secret_stays_the_same_object() -> None:
    payload = {"key": "HeartbeatInterval", "value": "300"}
    text = json.dumps([2, "1", "ChangeConfiguration", payload])
    assert redacted("ChangeConfiguration", payload) is payload
    assert redacted_text(text) is text
    assert redacted_text(text, "Heartbeat") is text
    assert secret_values("Heartbeat", {"password": "x"}) == ()


def test_escaped_names_hide_nothing() -> None:
    text = '[2,"1","ChangeConfiguration",{"key":"\\u0041uthorizationKey","value":"' + SECRET + '"}]'
    assert SECRET not in redacted_text(text)


def test_a_broken_text_is_cut_off_at_the_secret() -> None:
    text = '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"' + SECRET
    assert redacted_text(text) == '[2,"1","ChangeConfiguration",{"key":"AuthorizationKey' + MASK


def test_a_known_secret_is_scrubbed_wherever_the_peer_repeats_it() -> None:
    secret = 'quo"te\\äé12345'
    text = json.dumps([4, "1", "FormationViolation", f"bad value {secret}", {"v": secret}], ensure_ascii=False)
    assert "12345" not in scrubbed(text, (secret,))
    assert scrubbed("a1b", ("1",)) == "a1b"


@pytest.mark.parametrize("said", ["5333637265744b6579", "5333637265744B6579", "S3CRETKEY", "s3cretkey", "S3cretKey"])
@pytest.mark.parametrize("secret", ["S3cretKey", "5333637265744B6579"])
def test_a_known_secret_is_scrubbed_in_hex_and_in_another_case_too(secret: str, said: str) -> None:
    """A station that refuses a key may tell it as it understood it."""
    assert scrubbed(f"cannot take {said}!", (secret,)) == f"cannot take {MASK}!"


@given(st.text() | st.text().map("password ://a:b@".__add__))
def test_no_text_makes_redacting_raise(text: str) -> None:
    redacted_text(text)
