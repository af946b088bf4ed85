"""P3: the hash chain: each row holds the SHA-256 of the row before it and of itself."""

import hashlib
from typing import Final

import orjson

GENESIS: Final = "0" * 64
"""What the first row of an organisation follows."""


def hash_of(previous_hash: str, content: dict[str, str | int | None]) -> str:
    """The hash of a row: SHA-256 in hex over the hash before and the row's columns as JSON with sorted keys."""
    text = orjson.dumps({**content, "previous_hash": previous_hash}, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()
