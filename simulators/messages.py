"""F5: the messages that a station has yet to deliver: transactions in order and with retries, reports while online."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

MAX_MESSAGES = 2_000
NO_TRANSACTION_ID = -1  # what 1.6 stations send when the CSMS never gave an id


class Charge(Protocol):
    """A transaction of either version; in 1.6 its id is the CSMS's, None until its answer came."""

    @property
    def transaction_id(self) -> int | str | None: ...


@dataclass(slots=True, eq=False)
class Message:
    """One call to make. Without a transaction it is a report: sent once, forgotten when the connection ends.

    `is_kept` makes a message that belongs to no transaction wait and be tried again like one that does (security
    events); `is_intermediate` is one that may go first when space runs out.
    """

    action: str
    payload: dict[str, Any]
    transaction: Charge | None = None
    is_kept: bool = False
    is_intermediate: bool = False
    attempts: int = 0
    due_at_s: float = 0.0

    @property
    def is_report(self) -> bool:
        """Whether it may be forgotten when the connection ends."""
        return self.transaction is None and not self.is_kept

    def filled(self) -> dict[str, Any]:
        """The payload with the transaction id that is known by now (1.6; in 2.x it is there from the start)."""
        if self.transaction is None or "transactionId" not in self.payload:
            return self.payload
        transaction_id = self.transaction.transaction_id
        if transaction_id is None and self.action == "MeterValues":
            return {key: value for key, value in self.payload.items() if key != "transactionId"}
        return {**self.payload, "transactionId": NO_TRANSACTION_ID if transaction_id is None else transaction_id}


class Messages:
    """A queue that survives disconnects (in a real station: in flash memory).

    Transaction messages leave strictly in order; one that waits for its retry holds back those behind it
    (OCPP 1.6, 4.10), but not the reports. `drained` is set while nothing waits.
    """

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self.added = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self._limit = limit
        self._waiting: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def transaction_count(self) -> int:
        """How many transaction messages wait."""
        return sum(message.transaction is not None for message in self._waiting)

    def of(self, transaction_id: int | str | None = None) -> int:
        """How many messages of this transaction wait; of all without an id."""
        own = (message.transaction for message in self._waiting if message.transaction is not None)
        return sum(transaction_id in (None, one.transaction_id) for one in own)

    def add(self, action: str, payload: dict[str, Any], transaction: Charge | None = None) -> None:
        """Append a message; 1.6's meter values are what may go when space runs out."""
        is_intermediate = transaction is not None and action == "MeterValues"
        self.put(Message(action, payload, transaction, is_intermediate=is_intermediate))

    def put(self, message: Message) -> None:
        """Append a message. When full, intermediate ones are thinned; a start or stop is never given up for space."""
        if len(self._waiting) >= self._limit:
            self._thin()
        self._waiting.append(message)
        self.added.set()
        self.drained.clear()

    def _thin(self) -> None:
        """Drop every second meter value (OCPP 1.6, 4.10 lets intermediate ones go first), and all reports."""
        kept: deque[Message] = deque()
        is_dropped = False
        for message in self._waiting:
            if message.is_report:
                continue
            if message.is_intermediate:
                is_dropped = not is_dropped
                if is_dropped:
                    continue
            kept.append(message)
        self._waiting = kept

    def next(self, now_s: float) -> Message | None:
        """The first message that may leave now."""
        is_held_back = False
        for message in self._waiting:
            if message.is_report:
                return message
            if not is_held_back and message.due_at_s <= now_s:
                return message
            is_held_back = True
        return None

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the held-back message is due, None when nothing waits."""
        due = next((message.due_at_s for message in self._waiting if not message.is_report), None)
        return None if due is None else max(0.0, due - now_s)

    def done(self, message: Message) -> None:
        """The message was delivered, or is given up."""
        if message in self._waiting:
            self._waiting.remove(message)
        self._note_drained()

    def failed(self, message: Message, now_s: float, attempts: int, interval_s: int) -> bool:
        """A try failed. True when the message is given up: a report at once, others after `attempts` tries.

        The wait grows with each try: interval times the tries so far (OCPP 1.6, 3.7.1).
        """
        message.attempts += 1
        if message.is_report or message.attempts >= attempts:
            self.done(message)
            return not message.is_report
        message.due_at_s = now_s + interval_s * message.attempts
        return False

    def drop_reports(self) -> None:
        """Forget the reports: after a reconnect the present state is told instead."""
        self._waiting = deque(message for message in self._waiting if not message.is_report)
        self._note_drained()

    def _note_drained(self) -> None:
        if not self._waiting:
            self.drained.set()
