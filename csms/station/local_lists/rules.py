"""S27: what a station's list lacks, and the messages that bring it there."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

Entry = Mapping[str, Any]
"""One token on a list, in words of our own: `uid`, `kind`, `status` and what else the station is told."""
Entries = Mapping[str, Entry]
"""A list: entries by what the station tells them apart by."""

ITEMS_DEFAULT: Final = 50
"""Tokens a message where the station does not say how many it takes."""
ITEMS_MAX: Final = 500
VERSION_MAX: Final = 2**31 - 1


class UpdateType(StrEnum):
    """OCPP's UpdateType."""

    FULL = "Full"
    DIFFERENTIAL = "Differential"


class ListResult(StrEnum):
    """What came of the last try to bring a list into step."""

    IN_STEP = "in_step"
    FAILED = "failed"
    """The station could not store it."""
    VERSION_MISMATCH = "version_mismatch"
    NOT_SUPPORTED = "not_supported"
    UNREACHABLE = "unreachable"
    """Not connected, or no answer in time."""


@dataclass(frozen=True, slots=True)
class Update:
    """One SendLocalList: entries to put in, and entries to take out."""

    kind: UpdateType
    version: int
    put: Sequence[Entry] = ()
    removed: Sequence[Entry] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """How one list becomes another."""

    put: dict[str, Entry]
    removed: dict[str, Entry]

    def __len__(self) -> int:
        return len(self.put) + len(self.removed)


def difference(before: Entries, after: Entries) -> Difference:
    """What to put in and take out so that `before` becomes `after`."""
    put = {key: entry for key, entry in after.items() if before.get(key) != entry}
    removed = {key: entry for key, entry in before.items() if key not in after}
    return Difference(put, removed)


def plan(before: Entries | None, after: Entries, *, version: int, items_max: int) -> list[Update]:
    """The messages that make the station's list `after`; none if it is so already.

    `before` is what the station has, None if nobody knows; `version` is the one it has now. More than fit into one
    message follow as differences, each with a version of its own (OCPP 1.6, 5.15; 2.0.1 D01).
    """
    if before is not None:
        changes = difference(before, after)
        if not changes:
            return []
        if len(changes) <= len(after) and version + len(changes) <= VERSION_MAX:
            return _differential(changes, version, items_max)
    return _full(after, version, items_max)


def _full(after: Entries, version: int, items_max: int) -> list[Update]:
    parts = list(_parts(list(after.values()), items_max)) or [[]]
    kinds = [UpdateType.FULL, *[UpdateType.DIFFERENTIAL] * (len(parts) - 1)]
    first = next_version(version, len(parts))
    return [Update(kind, first + index, put=part) for index, (kind, part) in enumerate(zip(kinds, parts, strict=True))]


def _differential(changes: Difference, version: int, items_max: int) -> list[Update]:
    """Tokens are taken out first: there may be no room for the new ones before."""
    moves = [(False, entry) for entry in changes.removed.values()] + [(True, entry) for entry in changes.put.values()]
    parts = list(_parts(moves, items_max))
    return [
        Update(
            UpdateType.DIFFERENTIAL,
            version + 1 + index,
            put=[entry for is_new, entry in part if is_new],
            removed=[entry for is_new, entry in part if not is_new],
        )
        for index, part in enumerate(parts)
    ]


def next_version(version: int, messages: int) -> int:
    """The first of so many new versions; begins again at 1 where the numbers end."""
    return 1 if version + messages > VERSION_MAX else max(version, 0) + 1


def _parts(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def fitted(entries: Entries, length_max: int | None) -> dict[str, Entry]:
    """As many entries as the station has room for: first those that may charge, then those that may not."""
    ranked = sorted(entries.items(), key=lambda item: (item[1]["status"] != "accepted", item[0]))
    return dict(ranked if length_max is None else ranked[:length_max])


def digest(entries: Entries, family: str) -> str:
    """What two equal lists have in common."""
    text = json.dumps([family, sorted(entries.items())], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def read_limit(value: str | None) -> int | None:
    """A limit as a station told it; None if it told none that makes sense."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return None
    return int(value.strip()[:9]) or None


def items_a_message(told: int | None) -> int:
    """Tokens a message: what the station takes, within what a frame may hold."""
    return min(told or ITEMS_DEFAULT, ITEMS_MAX)
