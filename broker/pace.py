"""ROBUSTNESS 20, 27: how fast a station's frames are taken: pauses its socket, and reads on when it may send again."""

import asyncio
from collections.abc import Sized

from broker.limits import TokenBucket
from broker.socket import Socket
from csms.config import Settings

CHARS_A_CALL = 4096
"""A longer frame counts as several: parsing, mending and storing it keeps all others waiting."""


class Pace:
    """One connection's: so many calls a second, and so many that wait for their answers."""

    def __init__(self, socket: Socket, waiting: Sized, settings: Settings) -> None:
        self._socket = socket
        self._waiting = waiting
        self._waiting_max = settings.calls_waiting_max
        self._rate = TokenBucket(settings.calls_per_second_max, settings.calls_burst_max)
        self._slowed: asyncio.TimerHandle | None = None

    def count(self, text: str) -> None:
        """A frame has been taken; is it one too many, the next has to wait."""
        if not self._rate.spend(1 + len(text) // CHARS_A_CALL) or len(self._waiting) >= self._waiting_max:
            self._socket.pause()
            self._go_on()

    def answered(self) -> None:
        """One waits no longer."""
        if len(self._waiting) == self._waiting_max // 2:
            self._go_on()

    def _go_on(self) -> None:
        """Read on as soon as the rate allows it; where too much waits, an answer comes back to it."""
        wait_s = self._rate.wait_s()
        if wait_s and self._slowed is None:
            self._slowed = asyncio.get_running_loop().call_later(wait_s, self._end_of_wait)
        elif not wait_s and len(self._waiting) < self._waiting_max:
            self._socket.resume()

    def _end_of_wait(self) -> None:
        self._slowed = None
        self._go_on()

    def end(self) -> None:
        """The connection is gone."""
        if self._slowed is not None:
            self._slowed.cancel()
