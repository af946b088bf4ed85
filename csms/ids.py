"""Row ids: 63-bit integers that grow with time, made without asking the database.

Layout, high to low: 42 bits of milliseconds since 2020, 10 bits of the process, 11 bits of a
counter. So `ORDER BY id` is the order of creation, a page cursor is one number, and tables can be
partitioned by time on their primary key. Two processes that drew the same 10 bits collide only
within one millisecond and counter; the insert then fails and is tried again with new ids.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_EPOCH_MS = int(EPOCH.timestamp() * 1000)
_COUNTER_BITS = 11
_SHIFT = 21
MAX_ID = 2**63 - 1


class _Ids:
    """The ids of this process: strictly growing, even when the clock steps back."""

    def __init__(self) -> None:
        self._process = secrets.randbelow(1 << (_SHIFT - _COUNTER_BITS)) << _COUNTER_BITS
        self._ms = 0
        self._counter = 0
        self.clock: Callable[[], datetime] | None = None
        """Another time than the real one."""

    def next(self) -> int:
        ms = time.time_ns() // 1_000_000 - _EPOCH_MS if self.clock is None else _ms_at(self.clock())
        if ms > self._ms:
            self._ms, self._counter = ms, 0
        else:
            self._counter += 1
            if self._counter >> _COUNTER_BITS:
                self._ms, self._counter = self._ms + 1, 0
        return (self._ms << _SHIFT) | self._process | self._counter


def _ms_at(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


_ids = _Ids()
new_id = _ids.next


@contextmanager
def ids_by(clock: Callable[[], datetime]) -> Iterator[None]:
    """Within the block ids grow with that clock, so that rows of another time lie where their time is looked up.

    For a process that begins with it, on a database that has no younger rows: ids never step back.
    """
    _ids.clock = clock
    try:
        yield
    finally:
        _ids.clock = None


def id_at(at: datetime) -> int:
    """The smallest id of that moment: rows made at or after `at` have ids not below it."""
    ms = max(0, _ms_at(at))
    return min(ms << _SHIFT, MAX_ID)


def time_of(row_id: int) -> datetime:
    """When the id was made, to the millisecond, UTC-aware."""
    return EPOCH + timedelta(milliseconds=row_id >> _SHIFT)


def _parse(value: object) -> object:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ID)):
        number = int(value)
        return number if number <= MAX_ID else value
    return value


Id = Annotated[
    int,
    BeforeValidator(_parse),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["451234567890123456"]}),
]
"""An id as the API shows it: digits in a string, because JavaScript's numbers end at 2^53."""
