"""A call on its way to a station: in the queue, then outstanding, then settled, exactly once."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from csms.calls import Expired, Order, Outcome
from csms.ocpp import conversation as ocpp


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
