"""S15: how many settings go into one message, by the limits that stations tell."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import orjson

from csms.station.settings.rules.addresses import Address

T = TypeVar("T")
ITEMS_DEFAULT: Final = 10
"""Items a message while the station's limit is not known."""
ITEMS_MAX: Final = 200
FRAME_BYTES: Final = 200
"""What a message has around its items."""


def limit_address(what: str, action: str) -> Address:
    """`ItemsPerMessage` or `BytesPerMessage` of an action (2.0.1 part 2, DeviceDataCtrlr)."""
    return Address(what, "DeviceDataCtrlr", variable_instance=action)


KEYS_LIMIT: Final = Address("GetConfigurationMaxKeys")
"""Of OCPP 1.6 (9.1.9): keys in one GetConfiguration."""


def limit(text: str | None, default: int, most: int = ITEMS_MAX) -> int:
    """A limit that a station told, if it makes sense."""
    number = int(text) if text is not None and text.strip().isdigit() and len(text.strip()) < len(str(2**31)) else 0
    return min(number, most) if number > 0 else default


def batches(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """The items in groups of `most`."""
    return [items[start : start + most] for start in range(0, len(items), most)]


def payload_batches(items: Iterable[tuple[T, dict[str, Any]]], most: int, bytes_max: int | None) -> list[list[T]]:
    """The items in groups of `most`, smaller where their payloads would be too long together."""
    groups: list[list[T]] = []
    size = 0
    for item, payload in items:
        length = len(orjson.dumps(payload)) + 1
        is_full = not groups or len(groups[-1]) >= most
        if is_full or (bytes_max is not None and size + length + FRAME_BYTES > bytes_max):
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += length
    return groups
