from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.messages import Message, Messages
from simulators.v16.connector import Transaction

pytestmark = pytest.mark.feature("F5")


def charge(transaction_id: int | None = None) -> Transaction:
    return Transaction(1, "TAG", 0, datetime(2026, 1, 1, tzinfo=UTC), 0.0, transaction_id)


def take(messages: Messages, now_s: float = 0.0) -> Message:
    message = messages.next(now_s)
    assert message is not None
    return message


def test_transaction_messages_keep_their_order_and_reports_pass_a_retry() -> None:
    messages, transaction = Messages(), charge()
    messages.add("StartTransaction", {}, transaction)
    messages.add("MeterValues", {}, transaction)
    messages.add("StatusNotification", {})
    start = take(messages)
    assert start.action == "StartTransaction"
    assert not messages.failed(start, now_s=0.0, attempts=3, interval_s=60)
    report = take(messages)
    assert report.action == "StatusNotification"
    messages.done(report)
    assert messages.next(59.9) is None
    assert messages.due_in_s(59.9) == pytest.approx(0.1)
    assert take(messages, 60.0) is start
    messages.done(start)
    assert take(messages, 60.0).action == "MeterValues"


def test_waits_grow_and_end() -> None:
    messages = Messages()
    messages.add("StopTransaction", {}, charge(7))
    message = take(messages)
    assert not messages.failed(message, now_s=100.0, attempts=3, interval_s=60)
    assert message.due_at_s == 160.0
    assert not messages.failed(message, now_s=160.0, attempts=3, interval_s=60)
    assert message.due_at_s == 280.0
    assert messages.failed(message, now_s=280.0, attempts=3, interval_s=60)
    assert len(messages) == 0
    assert messages.drained.is_set()


def test_a_refused_report_is_forgotten_and_not_called_lost() -> None:
    messages = Messages()
    messages.add("StatusNotification", {})
    assert not messages.failed(take(messages), now_s=0.0, attempts=3, interval_s=60)
    assert len(messages) == 0


def test_reports_do_not_outlive_the_connection() -> None:
    messages = Messages()
    messages.add("StatusNotification", {})
    messages.add("StopTransaction", {}, charge(7))
    messages.drop_reports()
    assert [message.action for message in messages._waiting] == ["StopTransaction"]
    assert not messages.drained.is_set()


@pytest.mark.parametrize(
    ("action", "transaction_id", "filled"),
    [
        ("StopTransaction", 7, {"meterStop": 5, "transactionId": 7}),
        ("StopTransaction", None, {"meterStop": 5, "transactionId": -1}),
        ("MeterValues", 7, {"meterStop": 5, "transactionId": 7}),
        ("MeterValues", None, {"meterStop": 5}),
    ],
)
def test_the_transaction_id_is_filled_in_when_it_is_known(
    action: str, transaction_id: int | None, filled: dict[str, int]
) -> None:
    message = Message(action, {"meterStop": 5, "transactionId": None}, charge(transaction_id))
    assert message.filled() == filled


@given(st.lists(st.sampled_from(["start", "meter", "stop", "report"]), max_size=300), st.integers(5, 60))
def test_a_full_queue_gives_up_meter_values_but_never_a_start_or_stop(kinds: list[str], limit: int) -> None:
    messages, transaction = Messages(limit), charge(7)
    actions = {"start": "StartTransaction", "meter": "MeterValues", "stop": "StopTransaction"}
    for number, kind in enumerate(kinds):
        if kind == "report":
            messages.add("StatusNotification", {"number": number})
        else:
            messages.add(actions[kind], {"number": number}, transaction)
    kept = [(message.action, message.payload["number"]) for message in messages._waiting]
    assert [number for _, number in kept] == sorted(number for _, number in kept)
    must = [(actions[kind], number) for number, kind in enumerate(kinds) if kind in ("start", "stop")]
    assert [entry for entry in kept if entry[0] in ("StartTransaction", "StopTransaction")] == must
    assert len(kept) <= max(limit, len(must) + kinds.count("meter")) + 1
