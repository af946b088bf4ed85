import gc
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csms.ocpp import frames
from csms.ocpp.actions import ACTIONS
from csms.ocpp.confidential import MASK
from csms.ocpp.conversation import (
    Answer,
    AnswerRefused,
    Call,
    CallPending,
    Conversation,
    Duplicate,
    Ignored,
    Late,
    Limits,
    Refused,
    Send,
)
from csms.ocpp.errors import ErrorKind, word
from csms.ocpp.repairs import AppliedRepair
from csms.ocpp.versions import Version

V16, V201, V21 = Version.V16, Version.V201, Version.V21
AT = "2026-01-01T00:00:00Z"
START = {"connectorId": 1, "idTag": "ABC", "meterStart": 0, "timestamp": AT}
EVERY_VERSION = pytest.mark.parametrize("version", list(Version))

pytestmark = pytest.mark.feature("B1")


def start_text(message_id: str = "1", **changes: Any) -> str:
    return frames.call_text(message_id, "StartTransaction", START | changes)


def refusal_of(received: object) -> list[Any]:
    """The CALLERROR that a refusal sends, as [4, id, code, description, details]."""
    assert isinstance(received, Refused)
    assert received.reply is not None
    reply: list[Any] = json.loads(received.reply)
    return reply


class TestCallsFromTheStation:
    def test_a_right_call_comes_through_untouched(self) -> None:
        received = Conversation(V16).receive(start_text())
        assert received == Call("1", "StartTransaction", START, start_text())

    @EVERY_VERSION
    def test_a_null_payload_is_legal_and_noted(self, version: Version) -> None:
        received = Conversation(version, lenient=False).receive('[2,"1","Heartbeat",null]')
        assert isinstance(received, Call)
        assert received.payload == {}
        assert received.repairs == (AppliedRepair("null_payload", ""),)

    @pytest.mark.robustness(17)
    @EVERY_VERSION
    def test_an_unknown_action_is_not_implemented(self, version: Version) -> None:
        reply = refusal_of(Conversation(version).receive('[2,"1","MakeCoffee",{}]'))
        assert reply[:3] == [4, "1", "NotImplemented"]

    @pytest.mark.robustness(15, 17)
    @pytest.mark.parametrize(
        ("version", "action"),
        [(v, a.name) for v in Version for a in ACTIONS[v].values() if not a.is_from_station or a.is_sent],
    )
    def test_an_action_of_the_csms_is_not_supported(self, version: Version, action: str) -> None:
        conversation = Conversation(version)
        for _ in range(2):
            assert refusal_of(conversation.receive(f'[2,"1","{action}",{{}}]'))[:3] == [4, "1", "NotSupported"]

    @pytest.mark.feature("B8")
    def test_a_lenient_conversation_repairs_and_records_the_breach(self) -> None:
        text = start_text(meterStart="12", extra=1)
        received = Conversation(V16).receive(text)
        assert isinstance(received, Call)
        assert received.payload == START | {"meterStart": 12}
        assert {repair.name for repair in received.repairs} == {"number_from_text", "drop_unknown_field"}
        assert received.violation is not None
        assert received.text is text

    @pytest.mark.feature("B8")
    @pytest.mark.parametrize(
        ("version", "changes", "code"),
        [
            (V16, {"extra": 1}, "FormationViolation"),
            (V16, {"meterStart": "12"}, "TypeConstraintViolation"),
            (V16, {"idTag": "x" * 21}, "PropertyConstraintViolation"),
            (V16, {"timestamp": "now"}, "PropertyConstraintViolation"),
        ],
    )
    def test_a_strict_conversation_refuses_with_the_versions_word(
        self, version: Version, changes: dict[str, Any], code: str
    ) -> None:
        conversation = Conversation(version, lenient=False)
        reply = refusal_of(conversation.receive(start_text(**changes)))
        assert reply[:3] == [4, "1", code]
        assert reply[3].startswith("/")
        conversation.is_lenient = True
        assert isinstance(conversation.receive(start_text(**changes)), Call)

    @pytest.mark.feature("B8")
    def test_what_no_repair_mends_is_refused(self) -> None:
        payload = {key: value for key, value in START.items() if key != "connectorId"}
        conversation = Conversation(V16)
        reply = refusal_of(conversation.receive(frames.call_text("1", "StartTransaction", payload)))
        assert reply == [4, "1", "OccurenceConstraintViolation", "/connectorId: is missing", {}]
        assert isinstance(conversation.receive(start_text()), Call)

    @pytest.mark.robustness(18, 19, 26)
    @pytest.mark.parametrize(
        ("text", "message_id", "kind"),
        [
            ('[2,"1",{},{}]', "1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"1",[],{}]', "1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"1","DataTransfer",{"a":' + "[" * 2000 + "]" * 2000 + "}]", "1", ErrorKind.FORMATION),
            ('[2,"1","DataTransfer",{"a":' + "9" * 5000 + "}]", "1", ErrorKind.FORMATION),
            ('[2,"1","DataTransfer",{"a":1e400}]', "1", ErrorKind.FORMATION),
            ('[2,"1","DataTransfer",{"a":NaN}]', "1", ErrorKind.FORMATION),
            ('[2,"1","DataTransfer",{"a":"\\ud800"}]', "1", ErrorKind.FORMATION),
            ('[2,"1","DataTransfer",{"a":"\\u0000"}]', "1", ErrorKind.PROPERTY_CONSTRAINT),
            ('[2,7,"Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK),
            ('[2,{},"Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"","Heartbeat",{}]', "-1", ErrorKind.RPC_FRAMEWORK),
            (f'[2,"{"i" * 37}","Heartbeat",{{}}]', "-1", ErrorKind.RPC_FRAMEWORK),
            (f'[2,"{"i" * 5000}","Heartbeat",{{}}]', "-1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"1"]', "1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"1","Heartbeat",{},{}]', "1", ErrorKind.RPC_FRAMEWORK),
            ('[2,"1","Heartbeat",[]]', "1", ErrorKind.TYPE_CONSTRAINT),
        ],
    )
    @EVERY_VERSION
    def test_every_bad_call_gets_a_callerror_and_the_next_is_served(
        self, version: Version, text: str, message_id: str, kind: ErrorKind
    ) -> None:
        conversation = Conversation(version)
        reply = refusal_of(conversation.receive(text))
        assert reply[:3] == [4, message_id, word(kind, version)]
        assert len(reply[3]) <= 255
        assert isinstance(conversation.receive('[2,"1","Heartbeat",{}]'), Call)

    @pytest.mark.robustness(18)
    @pytest.mark.parametrize("text", ["", "x", "[]", "{}", "\x00", "[" * 2000, "9" * 5000, "NaN", '"\ud800"'])
    def test_what_is_no_frame_is_dropped_in_16_and_answered_in_2(self, text: str) -> None:
        dropped = Conversation(V16).receive(text)
        assert isinstance(dropped, Refused)
        assert dropped.reply is None
        for version in (V201, V21):
            assert refusal_of(Conversation(version).receive(text))[:3] == [4, "-1", "RpcFrameworkError"]


@pytest.mark.feature("B7")
@pytest.mark.robustness(19)
class TestDuplicates:
    def test_a_call_in_progress_is_not_run_twice(self) -> None:
        conversation = Conversation(V16)
        assert isinstance(conversation.receive(start_text()), Call)
        assert conversation.receive(start_text()) == Duplicate("1", None)

    def test_its_id_cannot_be_used_for_another_call_meanwhile(self) -> None:
        conversation = Conversation(V16)
        conversation.receive(start_text())
        assert refusal_of(conversation.receive(start_text(connectorId=2)))[:3] == [4, "1", "ProtocolError"]
        assert conversation.receive(start_text()) == Duplicate("1", None)

    def test_a_repeated_call_gets_the_same_answer(self) -> None:
        conversation = Conversation(V16)
        conversation.receive(start_text())
        conversation.answered("1", '[3,"1",{"transactionId":7}]')
        for _ in range(2):
            assert conversation.receive(start_text()) == Duplicate("1", '[3,"1",{"transactionId":7}]')

    def test_an_old_id_with_other_content_is_a_new_call(self) -> None:
        conversation = Conversation(V16)
        conversation.receive(start_text())
        conversation.answered("1", '[3,"1",{"transactionId":7}]')
        assert isinstance(conversation.receive(start_text(connectorId=2)), Call)

    @pytest.mark.parametrize(
        ("action", "payload"),
        [
            ("Heartbeat", {}),
            ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
            ("Authorize", {"idTag": "A"}),
        ],
    )
    def test_a_call_that_asks_what_is_true_now_runs_again(self, action: str, payload: dict[str, Any]) -> None:
        conversation = Conversation(V16)
        text = frames.call_text("1", action, payload)
        for _ in range(3):
            assert isinstance(conversation.receive(text), Call)
            assert conversation.receive(text) == Duplicate("1", None)
            conversation.answered("1", '[3,"1",{}]')

    @pytest.mark.parametrize("reply", [None, '[4,"1","InternalError","",{}]', '[3,"1",{"a":"' + "x" * 20_000 + '"}]'])
    def test_only_a_moderate_result_is_remembered(self, reply: str | None) -> None:
        conversation = Conversation(V16)
        conversation.receive(start_text())
        conversation.answered("1", reply)
        assert isinstance(conversation.receive(start_text()), Call)

    def test_a_reply_to_nothing_is_not_remembered(self) -> None:
        conversation = Conversation(V16)
        conversation.answered("1", '[3,"1",{}]')
        assert isinstance(conversation.receive(start_text()), Call)

    def test_two_calls_may_be_open_but_not_endlessly_many(self) -> None:
        conversation = Conversation(V16, limits=Limits(in_progress=2))
        assert isinstance(conversation.receive(start_text("1")), Call)
        assert isinstance(conversation.receive(start_text("2")), Call)
        assert refusal_of(conversation.receive(start_text("3")))[:3] == [4, "3", "GenericError"]
        conversation.answered("1", None)
        assert isinstance(conversation.receive(start_text("3")), Call)


class TestOurCalls:
    def test_an_answer_meets_its_call(self) -> None:
        conversation = Conversation(V16)
        assert conversation.call("c1", "Reset", {"type": "Soft"}) == '[2,"c1","Reset",{"type":"Soft"}]'
        text = '[3,"c1",{"status":"Accepted"}]'
        assert conversation.receive(text) == Answer("c1", "Reset", {"status": "Accepted"}, None, text)
        assert conversation.outstanding is None

    def test_a_refusal_meets_its_call(self) -> None:
        conversation = Conversation(V16)
        conversation.call("c1", "Reset", {"type": "Soft"})
        text = '[4,"c1","NotSupported","never\\nheard",{"a":1}]'
        error = ("NotSupported", "never\nheard", {"a": 1})
        assert conversation.receive(text) == Answer("c1", "Reset", None, error, text)

    @pytest.mark.robustness(23)
    def test_one_call_is_outstanding_at_a_time(self) -> None:
        conversation = Conversation(V16)
        conversation.call("c1", "Reset", {"type": "Soft"})
        with pytest.raises(CallPending):
            conversation.call("c2", "ClearCache", {})
        assert conversation.outstanding is not None
        assert conversation.outstanding.message_id == "c1"

    def test_calls_cross(self) -> None:
        conversation = Conversation(V16)
        conversation.call("1", "ClearCache", {})
        assert isinstance(conversation.receive(start_text("1")), Call)
        assert isinstance(conversation.receive('[3,"1",{"status":"Accepted"}]'), Answer)

    @pytest.mark.parametrize(
        ("message_id", "action"), [("", "ClearCache"), ("i" * 37, "ClearCache"), ("1", "Heartbeat"), ("1", "Nonsense")]
    )
    def test_what_is_not_ours_to_call_is_a_mistake_of_the_caller(self, message_id: str, action: str) -> None:
        conversation = Conversation(V16)
        with pytest.raises(ValueError, match=r"action|characters"):
            conversation.call(message_id, action, {})
        assert conversation.outstanding is None

    def test_a_payload_without_json_form_leaves_nothing_outstanding(self) -> None:
        conversation = Conversation(V16)
        with pytest.raises(TypeError):
            conversation.call("1", "DataTransfer", {"vendorId": "\ud800"})
        assert conversation.outstanding is None

    @pytest.mark.robustness(21)
    def test_an_answer_after_the_timeout_is_late_and_harms_nobody(self) -> None:
        conversation = Conversation(V16)
        conversation.call("c1", "ClearCache", {})
        conversation.give_up("c1")
        conversation.call("c2", "ClearCache", {})
        conversation.give_up("c1")
        assert isinstance(conversation.receive('[3,"c1",{"status":"Accepted"}]'), Late)
        assert isinstance(conversation.receive('[3,"c2",{"status":"Rejected"}]'), Answer)
        assert conversation.unmatched_count == 1

    @pytest.mark.robustness(22)
    def test_an_answer_with_another_stations_id_never_matches(self) -> None:
        ours, other = Conversation(V16), Conversation(V16)
        ours.call("c1", "ClearCache", {})
        other.call("c2", "ClearCache", {})
        assert isinstance(other.receive('[3,"c1",{"status":"Accepted"}]'), Late)
        assert ours.outstanding is not None
        assert other.outstanding is not None

    def test_an_error_with_id_minus_one_matches_no_call(self) -> None:
        conversation = Conversation(V16)
        conversation.call("c1", "ClearCache", {})
        assert isinstance(conversation.receive('[4,"-1","NotImplemented","",{}]'), Late)
        assert conversation.outstanding is not None

    @pytest.mark.feature("B8")
    def test_an_answer_is_repaired_as_far_as_it_goes(self) -> None:
        conversation = Conversation(V16)
        conversation.call("c1", "GetConfiguration", {})
        received = conversation.receive('[3,"c1",{"configurationKey":[{"key":"A","readonly":"true","value":5}],"x":1}]')
        assert isinstance(received, Answer)
        assert received.payload == {"configurationKey": [{"key": "A", "readonly": True, "value": "5"}]}
        assert len(received.repairs) == 3
        assert received.violation is not None
        assert received.remaining is None
        conversation.call("c2", "ClearCache", {})
        broken = conversation.receive('[3,"c2",{"status":"Perhaps"}]')
        assert isinstance(broken, Answer)
        assert broken.payload == {"status": "Perhaps"}
        assert broken.remaining is not None

    @pytest.mark.parametrize("text", ['[3,"c1"]', '[3,"c1",[]]', '[3,"c1",{"a":NaN}]', '[4,"c1","X","",{},1]'])
    def test_an_unreadable_answer_settles_its_call_and_is_never_answered(self, text: str) -> None:
        conversation = Conversation(V16)
        assert isinstance(conversation.receive(text), Late)
        conversation.call("c1", "ClearCache", {})
        received = conversation.receive(text)
        assert isinstance(received, Answer)
        assert received.payload is None
        assert received.error is not None
        assert received.violation is not None
        assert conversation.outstanding is None

    @pytest.mark.robustness(48)
    @pytest.mark.parametrize(
        "answer",
        [
            '[4,"c1","FormationViolation","bad 5EC2E70123456789",{"value":"5EC2E70123456789"}]',
            '[4,"c1","5EC2E70123456789","",{}]',
            '[3,"c1",{"status":"Rejected","echo":"5EC2E70123456789"}]',
            '[3,"c1",["5EC2E70123456789"]]',
        ],
    )
    def test_a_secret_that_the_station_repeats_is_masked(self, answer: str) -> None:
        conversation = Conversation(V16)
        text = conversation.call("c1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": "5EC2E70123456789"})
        assert "5EC2E70123456789" in text
        assert "5EC2E70123456789" not in repr(conversation.outstanding)
        received = conversation.receive(answer)
        assert isinstance(received, Answer)
        assert "5EC2E7" not in repr(received)
        assert MASK in received.text


@pytest.mark.robustness(20)
class TestFloods:
    def test_unasked_answers_are_counted_dropped_and_leave_memory_flat(self) -> None:
        conversation = Conversation(V16)
        conversation.receive('[3,"x",{}]')
        gc.collect()
        before = len(gc.get_objects())
        for number in range(200_000):
            assert isinstance(conversation.receive(f'[3,"{number}",{{}}]'), Late)
        gc.collect()
        assert conversation.unmatched_count == 200_001
        assert conversation.is_flooding
        assert len(gc.get_objects()) - before < 100
        conversation.call("c1", "ClearCache", {})
        assert isinstance(conversation.receive('[3,"c1",{"status":"Accepted"}]'), Answer)

    def test_a_flood_begins_with_the_first_answer_over_the_limit_and_ends_with_our_next_call(self) -> None:
        conversation = Conversation(V16, limits=Limits(unmatched_since_call=2))
        floods = []
        for number in range(3):
            conversation.receive(f'[3,"{number}",{{}}]')
            floods.append(conversation.is_flooding)
        assert floods == [False, False, True]
        conversation.call("i" * 36, "ClearCache", {})
        for number in range(2):
            conversation.receive(f'[3,"{number}",{{}}]')
        assert not conversation.is_flooding

    def test_a_station_that_is_late_now_and_then_never_floods(self) -> None:
        conversation = Conversation(V16)
        for number in range(1000):
            conversation.call(str(number), "ClearCache", {})
            conversation.give_up(str(number))
            conversation.receive(f'[3,"{number}",{{"status":"Accepted"}}]')
        assert conversation.unmatched_count == 1000
        assert not conversation.is_flooding

    def test_calls_with_ever_new_ids_and_junk_leave_memory_flat(self) -> None:
        conversation = Conversation(V21)
        before = 0
        for number in range(30_000):
            conversation.receive(f'[2,"{number}","Heartbeat",{{}}]')
            conversation.receive(f'[2,"{number}","Nonsense{number}",{{}}]')
            conversation.receive(f'[9,"{number}"]')
            conversation.receive(f"junk {number}")
            if number == 1000:
                gc.collect()
                before = len(gc.get_objects())
        gc.collect()
        assert len(gc.get_objects()) - before < 100


class TestOtherMessageTypes:
    @EVERY_VERSION
    def test_an_unknown_type_is_ignored(self, version: Version) -> None:
        assert isinstance(Conversation(version).receive('[7,"1",{}]'), Ignored)

    def test_old_conformance_runs_may_have_it_answered(self) -> None:
        conversation = Conversation(V201, answers_unknown_types=True)
        assert refusal_of(conversation.receive('[7,"1",{}]'))[:3] == [4, "1", "MessageTypeNotSupported"]
        assert refusal_of(conversation.receive("[7]"))[:3] == [4, "-1", "MessageTypeNotSupported"]

    def test_a_send_of_21_is_taken_and_never_answered(self) -> None:
        payload = {"id": 1, "pending": 0, "basetime": AT, "data": [{"t": 0.5, "v": "1"}]}
        conversation = Conversation(V21)
        text = frames.send_text("1", "NotifyPeriodicEventStream", payload)
        assert conversation.receive(text) == Send("1", "NotifyPeriodicEventStream", payload, text)
        for bad in ('[6,"1","NotifyPeriodicEventStream",{}]', '[6,"1","Heartbeat",{}]', '[6,"1","Nonsense",{}]'):
            refused = conversation.receive(bad)
            assert isinstance(refused, Refused)
            assert refused.reply is None

    def test_a_station_tells_that_our_answer_was_no_good(self) -> None:
        text = '[5,"1","FormatViolation","why",{}]'
        assert Conversation(V21).receive(text) == AnswerRefused("1", "FormatViolation", "why", {}, text)
        assert isinstance(Conversation(V16).receive(text), Ignored)


@pytest.mark.robustness(25)
def test_vendor_keys_come_through_exactly() -> None:
    data = {"someKey": 1, "HTTPPort": 80, "nested": {"Ünï cödé": [None, 21.4]}}
    payload = {"vendorId": "V", "data": data, "customData": {"vendorId": "V", "someKey": None}}
    received = Conversation(V201).receive(frames.call_text("1", "DataTransfer", payload))
    assert isinstance(received, Call)
    assert json.dumps(received.payload) == json.dumps(payload)


NAMES = st.sampled_from(sorted({name for version in Version for name in ACTIONS[version]})) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SCRIPTS = st.lists(
    st.text()
    | st.builds(
        lambda *frame: json.dumps(frame),
        st.integers(0, 7) | JSON,
        st.sampled_from(["1", "2"]) | JSON,
        NAMES | JSON,
        JSON,
    ),
    max_size=10,
)


@pytest.mark.robustness(18)
@given(SCRIPTS, st.booleans())
@example(["[" * 100_000, '[2,"1","Heartbeat",{}]'], True)
def test_no_script_makes_a_conversation_raise(script: list[str], lenient: bool) -> None:
    for version in Version:
        conversation = Conversation(version, lenient=lenient)
        conversation.call("1", "DataTransfer", {"vendorId": "V"})
        for text in script:
            received = conversation.receive(text)
            if isinstance(received, Refused) and received.reply is not None:
                assert isinstance(frames.parse(received.reply, version), frames.Error)


def test_a_conversation_goes_with_its_last_reference() -> None:
    gc.disable()
    try:
        before = sum(isinstance(thing, Conversation) for thing in gc.get_objects())
        conversation = Conversation(V16)
        conversation.receive(start_text())
        del conversation
        assert sum(isinstance(thing, Conversation) for thing in gc.get_objects()) == before
    finally:
        gc.enable()
