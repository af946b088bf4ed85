"""S27: what a process remembers of tokens, and what a connected station's handlers know without asking."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from csms.station.tokens.rules import ChainStatus, Hold

Key = tuple[int, str]
V = TypeVar("V")

CACHED_FOR: Final = timedelta(seconds=10)
"""How long a process that missed the news of a change may still judge by what a token was before."""
CACHED_MAX: Final = 50_000


class Recent(Generic[V]):
    """What this process read a moment ago; the least recently used is dropped.

    Keys hold the organisation's id, which is unique over all installations, so one cache serves every store.
    """

    def __init__(self, size_max: int = CACHED_MAX, kept_for: timedelta = CACHED_FOR) -> None:
        self._size_max = size_max
        self._kept_for = kept_for
        self._entries: OrderedDict[Key, tuple[datetime, int, V]] = OrderedDict()
        self._turns: dict[int, int] = {}
        """By organisation: grows when all that was read of it before holds no more."""

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Key, now: datetime, read: Callable[[], Awaitable[V]]) -> V:
        """What is stored under that key; read now unless that was done less than `kept_for` ago."""
        turn = self._turns.get(key[0], 0)
        entry = self._entries.get(key)
        if entry is not None and entry[1] == turn and timedelta(0) <= now - entry[0] < self._kept_for:
            self._entries.move_to_end(key)  # a clock set back ends it too
            return entry[2]
        value = await read()
        self._entries[key] = now, turn, value  # of the turn in which the reading began
        self._entries.move_to_end(key)
        while len(self._entries) > self._size_max:
            self._entries.popitem(last=False)
        return value

    def forget(self, organisation_id: int) -> None:
        """Read everything of that organisation anew."""
        self._turns[organisation_id] = self._turns.get(organisation_id, 0) + 1


@dataclass(slots=True)
class Holds:
    """The charge points of a connected station that are kept for somebody; filled by whoever reserves."""

    current: tuple[Hold, ...] = field(default_factory=tuple)


@dataclass(slots=True)
class ContractCheck:
    """What was found out about the certificate in the Authorize that is about to be handled."""

    status: ChainStatus = ChainStatus.UNVERIFIABLE

    def take(self) -> ChainStatus:
        """It counts for one Authorize."""
        found, self.status = self.status, ChainStatus.UNVERIFIABLE
        return found
