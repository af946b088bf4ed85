"""B3: questions about customers, and the text that comes back in parts (2.0.1 N09, N10)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from csms.ocpp.reading import integer_of

Payload = dict[str, Any]

PARTS_MAX: Final = 200
"""512 characters each; what a station tells beyond is not kept."""
PART_CHARS_MAX: Final = 512
REQUEST_ID_MAX: Final = 2**31 - 1


ACCEPTED: Final = "Accepted"


class InformationState(StrEnum):
    """How far a question is."""

    REQUESTED = "requested"
    """Sent, or being sent; no answer yet."""
    AWAITED = "awaited"
    """The station agreed; not all parts have come."""
    COMPLETE = "complete"
    """All is here, or the station has deleted what it was asked to."""
    INCOMPLETE = "incomplete"
    """The rest stayed away."""
    REFUSED = "refused"


ENDED: Final = (InformationState.COMPLETE, InformationState.INCOMPLETE, InformationState.REFUSED)

REFUSALS: Final[Mapping[str, str]] = {
    "Rejected": "the station will not do it",
    "Invalid": "the station found the question wrong: it names nobody, or more than one way",
}


def part_of(payload: Payload) -> tuple[int, str] | None:
    """Number and text of a NotifyCustomerInformation; None for what is no part."""
    number, text = payload.get("seqNo"), payload.get("data")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < PARTS_MAX:
        return None
    return number, str(text)[:PART_CHARS_MAX]


def joined(parts: Mapping[str, str]) -> str:
    """The text, in the order of the parts' numbers (which JSON keeps as texts)."""
    return "".join(parts[number] for number in sorted(parts, key=int))


def is_whole(parts: Mapping[str, str], last: int | None) -> bool:
    """Whether every part up to the last one is here."""
    return last is not None and all(str(number) in parts for number in range(last + 1))


def request_number(payload: Payload) -> int | None:
    return integer_of(payload.get("requestId"))


def answered_state(word: str, *, wants_report: bool) -> InformationState:
    """What the answer to CustomerInformation means; without a report, `Accepted` is all that comes."""
    if word != ACCEPTED:
        return InformationState.REFUSED
    return InformationState.AWAITED if wants_report else InformationState.COMPLETE


def refusal(word: str) -> str:
    """A refusal in plain words."""
    return REFUSALS.get(word, f"the station answered «{word}»")
