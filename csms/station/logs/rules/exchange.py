"""S10: what is known of one exchange."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from csms.wording import Payload

_DEPTH_MAX: Final = 8
_TAG_NAMES: Final = frozenset({"idTag", "parentIdTag", "idToken", "additionalIdToken"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and its answer, as far as they came; payloads are as the station wrote them."""

    action: str | None
    from_station: bool
    outcome: str
    """The word of the communication log: answered, refused, timed_out, …"""
    request: Payload | None = None
    answer: Payload | None = None
    error_code: str | None = None
    error_description: str | None = None

    @property
    def tags(self) -> set[str]:
        """Every id tag in it."""
        return {*_tags_in(self.request, 0), *_tags_in(self.answer, 0)}


def _tags_in(value: object, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name in _TAG_NAMES and isinstance(item, str):
                yield item
            yield from _tags_in(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _tags_in(item, depth + 1)
