import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csms.ocpp import frames
from csms.ocpp.errors import ErrorKind
from csms.ocpp.frames import Call, Error, Frame, Malformed, Result, ResultError, Send, Unknown, parse
from csms.ocpp.versions import Version

V16, V201, V21 = Version.V16, Version.V201, Version.V21
EVERY_VERSION = pytest.mark.parametrize("version", list(Version))

pytestmark = pytest.mark.feature("B1")


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[2,"1","Heartbeat",{}]', lambda text: Call("1", "Heartbeat", {}, text)),
        (' [ 2 , "1" , "Heartbeat" , null ] ', lambda text: Call("1", "Heartbeat", {}, text, had_null=True)),
        ('[3,"1",{"a":21.4}]', lambda text: Result("1", {"a": 21.4}, text)),
        ('[3,"1",null]', lambda text: Result("1", {}, text)),
        ('[4,"1","NotSupported","no",{"a":1}]', lambda text: Error("1", "NotSupported", "no", {"a": 1}, text)),
        ('[4,"1","NotSupported"]', lambda text: Error("1", "NotSupported", "", {}, text)),
        ('[4,"1"]', lambda text: Error("1", "GenericError", "", {}, text)),
        ('[4,"1",7,null,"why"]', lambda text: Error("1", "GenericError", "", {"details": "why"}, text)),
        ('[4,"1","X",["a"],null]', lambda text: Error("1", "X", '["a"]', {}, text)),
    ],
)
@EVERY_VERSION
def test_well_formed_and_forgivable_frames_are_read(version: Version, text: str, frame: Callable[[str], Frame]) -> None:
    assert parse(text, version) == frame(text)


def test_the_message_types_of_21_are_read_by_21_and_ignored_by_the_others() -> None:
    send, error = '[6,"1","NotifyPeriodicEventStream",{"id":1}]', '[5,"1","FormatViolation","",{}]'
    assert parse(send, V21) == Send("1", "NotifyPeriodicEventStream", {"id": 1}, send)
    assert parse(error, V21) == ResultError("1", "FormatViolation", "", {}, error)
    for version in (V16, V201):
        assert parse(send, version) == Unknown(6, "1", send)
        assert parse(error, version) == Unknown(5, "1", error)


@pytest.mark.parametrize("text", ['[1,"1",{}]', "[0]", "[-2,{}]", '[99,"1","Heartbeat",{}]', "[7,7]"])
@EVERY_VERSION
def test_other_message_types_are_unknown(version: Version, text: str) -> None:
    assert isinstance(parse(text, version), Unknown)


@pytest.mark.robustness(18, 19)
@pytest.mark.parametrize(
    ("text", "message_id", "kind"),
    [
        pytest.param('[2,"1",{},{}]', "1", ErrorKind.RPC_FRAMEWORK, id="action is an object"),
        pytest.param('[2,"1",[],{}]', "1", ErrorKind.RPC_FRAMEWORK, id="action is a list"),
        pytest.param('[2,"1"]', "1", ErrorKind.RPC_FRAMEWORK, id="short"),
        pytest.param('[2,"1","Heartbeat"]', "1", ErrorKind.RPC_FRAMEWORK, id="no payload"),
        pytest.param('[2,"1","Heartbeat",{},1]', "1", ErrorKind.RPC_FRAMEWORK, id="long"),
        pytest.param('[2,"1","Heartbeat",[]]', "1", ErrorKind.TYPE_CONSTRAINT, id="payload is a list"),
        pytest.param('[2,"1","Heartbeat","{}"]', "1", ErrorKind.TYPE_CONSTRAINT, id="payload is a text"),
        pytest.param("[2]", "-1", ErrorKind.RPC_FRAMEWORK, id="type only"),
        pytest.param('[2,7,"Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id is a number"),
        pytest.param('[2,{},"Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id is an object"),
        pytest.param('[2,null,"Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id is null"),
        pytest.param('[2,"","Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id is empty"),
        pytest.param(f'[2,"{"i" * 37}","Heartbeat",{{}}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id of 37"),
        pytest.param(f'[2,"{"i" * 5000}","Heartbeat",{{}}]', "-1", ErrorKind.RPC_FRAMEWORK, id="id of 5000"),
        pytest.param('[2,"a\\u0000","Heartbeat",{}]', "-1", ErrorKind.PROPERTY_CONSTRAINT, id="NUL in the id"),
    ],
)
@EVERY_VERSION
def test_a_malformed_call_can_be_answered(version: Version, text: str, message_id: str | None, kind: ErrorKind) -> None:
    frame = parse(text, version)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.kind, frame.answerable) == (message_id, kind, True)


@pytest.mark.robustness(18, 26)
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param('{"a":' + "[" * 2000 + "]" * 2000 + "}", id="2,000 nested brackets"),
        pytest.param('{"a":' + "[" * 100 + "]" * 100 + "}", id="100 nested brackets"),
        pytest.param('{"a":' * 64 + "1" + "}" * 64, id="64 nested objects"),
        pytest.param('{"a":' + "9" * 5000 + "}", id="integer with 5,000 digits"),
        pytest.param('{"a":1e400}', id="1e400"),
        pytest.param('{"a":NaN}', id="NaN"),
        pytest.param('{"a":-Infinity}', id="Infinity"),
        pytest.param('{"a":"\\ud800"}', id="escaped lone surrogate"),
        pytest.param('{"a":"\ud800"}', id="raw lone surrogate"),
        pytest.param('{"a":"\\u0000"}', id="NUL in a value"),
        pytest.param('{"\\u0000":1}', id="NUL in a key"),
        pytest.param('{"a":[[{"b":["x\\u0000y"]}]]}', id="NUL deep inside"),
        pytest.param('{"a":"\x00"}', id="raw NUL"),
        pytest.param('{"a":1', id="cut off"),
    ],
)
@EVERY_VERSION
def test_a_call_that_cannot_be_stored_is_refused_under_its_own_id(version: Version, payload: str) -> None:
    frame = parse(f'[2,"id-1","DataTransfer",{payload}]', version)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.action, frame.answerable) == ("id-1", "DataTransfer", True)
    assert frame.kind in {ErrorKind.FORMATION, ErrorKind.PROPERTY_CONSTRAINT}


@pytest.mark.parametrize("number", ["18446744073709551616", "1e308", "-0", "1.7976931348623157e308"])
def test_finite_numbers_are_read(number: str) -> None:
    assert isinstance(parse(f'[2,"1","DataTransfer",{{"a":{number}}}]', V16), Call)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    frame = parse(r'[2,"1","DataTransfer",{"data":"C:\\u0000"}]', V16)
    assert isinstance(frame, Call)
    assert frame.payload == {"data": "C:\\u0000"}


def test_many_brackets_side_by_side_are_not_deep() -> None:
    frame = parse(json.dumps([2, "1", "DataTransfer", {"data": [[{}]] * 5000}]), V16)
    assert isinstance(frame, Call)


@pytest.mark.robustness(18)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "{}",
        "[[]]",
        '"2"',
        "null",
        "[true]",
        "[2.0]",
        '["2","1","Heartbeat",{}]',
        "[null,1]",
        "\ufeff[]",
    ],
)
def test_what_is_no_frame_is_dropped_by_16_and_answered_with_minus_one_by_2(text: str) -> None:
    old, new = parse(text, V16), parse(text, V201)
    assert isinstance(old, Malformed)
    assert isinstance(new, Malformed)
    assert (old.message_id, old.answerable) == (None, False)
    assert (new.message_id, new.answerable, new.kind) == ("-1", True, ErrorKind.RPC_FRAMEWORK)


@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ('[3,"1"]', "1"),
        ('[3,"1",[]]', "1"),
        ('[3,"1",{},{}]', "1"),
        ("[3,1,{}]", None),
        ('[3,"1",{"a":NaN}]', "1"),
        ('[3,"1",{"a":"\\u0000"}]', "1"),
        ("[4,1]", None),
        ("[4]", None),
        ('[4,"1","X","",{},{}]', "1"),
        ('[4,"1","X","\ud800",{}]', "1"),
        ("[4,1,NaN]", None),
    ],
)
@EVERY_VERSION
def test_a_malformed_answer_is_never_answered(version: Version, text: str, message_id: str | None) -> None:
    frame = parse(text, version)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.answerable) == (message_id, False)


def test_a_text_over_the_limit_is_refused_unread() -> None:
    frame = parse('[2,"1","DataTransfer",{"data":"' + "x" * 100 + '"}]', V16, max_chars=100)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.answerable) == ("1", True)


def test_a_text_at_the_limit_and_an_id_of_36_characters_are_read() -> None:
    text = f'[2,"{"i" * 36}","Heartbeat",{{}}]'
    assert isinstance(parse(text, V16, max_chars=len(text)), Call)


IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=36)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
PAYLOADS = st.dictionaries(TEXTS, JSON, max_size=5)


@given(IDS, TEXTS, PAYLOADS)
def test_what_is_written_can_be_read(message_id: str, action: str, payload: dict[str, Any]) -> None:
    for version in Version:
        call = parse(frames.call_text(message_id, action, payload), version)
        result = parse(frames.result_text(message_id, payload), version)
        assert isinstance(call, Call)
        assert (call.message_id, call.action, call.payload) == (message_id, action, payload)
        assert isinstance(result, Result)
        assert (result.message_id, result.payload) == (message_id, payload)
    send = parse(frames.send_text(message_id, action, payload), V21)
    assert isinstance(send, Send)
    assert (send.message_id, send.action, send.payload) == (message_id, action, payload)


@given(IDS, st.sampled_from(ErrorKind), TEXTS, PAYLOADS, st.sampled_from(Version))
def test_written_errors_can_be_read(
    message_id: str, kind: ErrorKind, description: str, details: dict[str, Any], version: Version
) -> None:
    error = parse(frames.error_text(message_id, kind, description, details, version), version)
    assert isinstance(error, Error)
    assert (error.message_id, error.description, error.details) == (message_id, description[:255], details)
    result_error = parse(frames.result_error_text(message_id, kind, description, details), V21)
    assert isinstance(result_error, ResultError)


@given(
    st.text()
    | st.text('[]{}",:\\0123456789u eE.-+"').map("[2,".__add__)
    | JSON.map(lambda value: orjson.dumps(value).decode())
)
@example("[" * 100_000)
@example('[2,"' + "\ud800")
def test_no_text_makes_parsing_raise(text: str) -> None:
    for version in Version:
        frame = parse(text, version)
        assert frame.text is text


@given(st.lists(JSON, max_size=6), st.sampled_from([2, 3, 4, 5, 6, 7]))
def test_no_array_makes_parsing_raise(rest: list[Any], message_type: int) -> None:
    for version in Version:
        parse(orjson.dumps([message_type, *rest]).decode(), version)


def test_texts_are_compact_with_keys_in_order_and_times_in_utc() -> None:
    payload = {"status": "Accepted", "currentTime": datetime(2026, 1, 1, tzinfo=UTC), "interval": 300}
    assert frames.result_text("1", payload) == (
        '[3,"1",{"status":"Accepted","currentTime":"2026-01-01T00:00:00.000Z","interval":300}]'
    )
    assert frames.error_text("1", ErrorKind.FORMATION, "bad", version=V16) == '[4,"1","FormationViolation","bad",{}]'
    assert frames.error_text("1", ErrorKind.FORMATION, "bad", version=V201) == '[4,"1","FormatViolation","bad",{}]'


def test_what_has_no_json_form_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(TypeError):
        frames.result_text("1", {"a": object()})


@pytest.mark.robustness(25)
@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","DataTransfer",{"vendorId":"V","data":{"someKey":1,"HTTPPort":80,"customData":{"vendorId":"x","Ünï":null}}}]',
        '[2,"1","SetChargingProfile",{"csChargingProfiles":{"limit":21.4,"min":6.1,"rate":0.3}}]',
    ],
)
def test_vendor_keys_and_limits_make_an_exact_round_trip(text: str) -> None:
    frame = parse(text, V201)
    assert isinstance(frame, Call)
    assert frames.call_text(frame.message_id, frame.action, frame.payload) == text


def test_a_frame_is_small() -> None:
    frame = parse('[2,"1","Heartbeat",{}]', V16)
    assert not hasattr(frame, "__dict__")
    assert sys.getsizeof(frame) < 100
