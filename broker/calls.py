"""A call on its way to a station: in the queue, then outstanding, then settled, exactly once."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from csms.calls import Expired, Order, Outcome
from csms.ocpp import conversation as ocpp

_REPORTS = frozenset({"GetBaseReport", "GetReport"})
_TRIGGERS = frozenset({"ExtendedTriggerMessage", "TriggerMessage"})


def asked_for(order: Order, answer: dict[str, Any]) -> str | None:
    """The action that the station will call because we asked it to, if it accepted.

    It may do so even before it is accepted itself (OCPP 1.6, 4.2; 2.0.1 B02.FR.02).
    """
    if answer.get("status") != "Accepted":
        return None
    if order.action in _REPORTS:
        return "NotifyReport"
    if order.action not in _TRIGGERS:
        return None
    wanted = str(order.payload.get("requestedMessage", ""))
    return "SignCertificate" if wanted.startswith("Sign") else wanted


class PendingCall:
    """One order; `outcome` waits for what becomes of it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.message_id: str | None = None
        self.text: str | None = None
        self.sent_at: datetime | None = None
        self.answer: ocpp.Answer | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.storing: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def is_settled(self) -> bool:
        return self._settled.done()

    def settle(self, outcome: Outcome) -> None:
        if not self._settled.done():
            self._settled.set_result(outcome)

    async def outcome(self, *, on_expired: Callable[["PendingCall"], None]) -> Outcome:
        """Wait for the outcome; a call whose turn has not come within its time is never sent."""
        try:
            async with asyncio.timeout(self.order.timeout_s):
                return await asyncio.shield(self._settled)
        except TimeoutError:
            if self.sent_at is None:
                on_expired(self)
                self.settle(Expired("other commands kept the station busy; it was never sent"))
        return await self._settled
