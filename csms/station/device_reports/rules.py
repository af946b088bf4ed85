"""S15: when a report in parts is whole."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from csms.ocpp.reading import integer_of

PARTS_MAX: Final = 5_000
"""Parts of one report that are remembered; a real one has some hundred."""
GAPS_SHOWN_MAX: Final = 20


class ReportState(StrEnum):
    """Where a report is in its life."""

    REQUESTED = "requested"
    """Asked for; the station has not answered yet."""
    RECEIVING = "receiving"
    """The station agreed and sends parts."""
    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    """Parts stayed away; what came is kept."""
    EMPTY = "empty"
    """The station has nothing that fits the question."""
    REFUSED = "refused"
    """The station will not, or could not be asked."""


_REFUSALS: Final = frozenset({"rejected", "notsupported"})


def state_of(status: str | None, *, has_parts: bool, has_ended: bool, is_complete: bool) -> ReportState:
    """The state by what the station answered (`status`) and by what has come."""
    if is_complete:
        return ReportState.COMPLETE
    if not has_parts and status is not None:
        if status.lower() == "emptyresultset":
            return ReportState.EMPTY
        if status.lower() != "accepted":
            return ReportState.REFUSED
    if has_ended:
        return ReportState.INCOMPLETE
    return ReportState.RECEIVING if has_parts or status is not None else ReportState.REQUESTED


def is_whole(parts: Collection[int], last: int | None) -> bool:
    """Whether every part up to the last has come. Parts count from 0 (2.0.1 B07.FR.08); some stations begin at 1."""
    if last is None or not parts:
        return False
    first = min(parts)
    return first in (0, 1) and len(set(parts)) == last - first + 1


def missing_parts(parts: Sequence[int], last: int | None) -> list[int]:
    """Numbers of parts that did not come, as far as can be told: the first few."""
    if not parts:
        return []
    seen = set(parts)
    first = min(parts) if len(seen) == 1 else min(*parts, 1)
    end = min(max(parts) if last is None else last, PARTS_MAX)
    return list(islice((number for number in range(first, end + 1) if number not in seen), GAPS_SHOWN_MAX))


def part_number(payload: dict[str, Any]) -> int:
    """`seqNo`; 0 where a lenient station sent none that could be one."""
    number = payload.get("seqNo")
    return number if isinstance(number, int) and 0 <= number < PARTS_MAX else 0


def request_number(payload: dict[str, Any]) -> int | None:
    """`requestId`, if it is one."""
    return integer_of(payload.get("requestId"))


def is_last(payload: dict[str, Any]) -> bool:
    """Whether nothing follows: `tbc` is false by default."""
    return payload.get("tbc") is not True
