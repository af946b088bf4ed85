"""F5: the messages that a station has yet to deliver: transactions in order and with retries, reports while online."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from simulators.v16.connector import Transaction

MAX_MESSAGES = 2_000
NO_TRANSACTION_ID = -1  # what stations send when the CSMS never gave an id


@dataclass(slots=True, eq=False)
class Message:
    """One call to make. Without a transaction it is a report: sent once, forgotten when the connection ends."""

    action: str
    payload: dict[str, Any]
    transaction: Transaction | None = None
    attempts: int = 0
    due_at_s: float = 0.0

    def filled(self) -> dict[str, Any]:
        """The payload with the transaction id that is known by now."""
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

    def add(self, action: str, payload: dict[str, Any], transaction: Transaction | None = None) -> None:
        """Append a message. When full, meter values are thinned; a start or stop is never given up for space."""
        if len(self._waiting) >= self._limit:
            self._thin()
        self._waiting.append(Message(action, payload, transaction))
        self.added.set()
        self.drained.clear()

    def _thin(self) -> None:
        """Drop every second meter value (OCPP 1.6, 4.10 lets intermediate ones go first), and all reports."""
        kept: deque[Message] = deque()
        is_dropped = False
        for message in self._waiting:
            if message.transaction is not None and message.action == "MeterValues":
                is_dropped = not is_dropped
                if is_dropped:
                    continue
            elif message.transaction is None:
                continue
            kept.append(message)
        self._waiting = kept

    def next(self, now_s: float) -> Message | None:
        """The first message that may leave now."""
        is_held_back = False
        for message in self._waiting:
            if message.transaction is None:
                return message
            if not is_held_back and message.due_at_s <= now_s:
                return message
            is_held_back = True
        return None

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the held-back message is due, None when nothing waits."""
        due = next((message.due_at_s for message in self._waiting if message.transaction is not None), None)
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
        if message.transaction is None or message.attempts >= attempts:
            self.done(message)
            return message.transaction is not None
        message.due_at_s = now_s + interval_s * message.attempts
        return False

    def drop_reports(self) -> None:
        """Forget the reports: after a reconnect the present state is told instead."""
        self._waiting = deque(message for message in self._waiting if message.transaction is not None)
        self._note_drained()

    def _note_drained(self) -> None:
        if not self._waiting:
            self.drained.set()
