"""Tables as CSV (RFC 4180) that a spreadsheet may open without running what a station or a person wrote into a cell."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

RowT = TypeVar("RowT")
Columns = Mapping[str, Callable[[RowT], Any]]
"""The header of each column and how its cell is read from a row."""

CSV_MEDIA_TYPE = "text/csv"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def neutral(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula: an apostrophe before = + - @ tab CR (OWASP)."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def cell(value: object) -> str:
    """A value as a CSV cell: times in UTC as ISO 8601, nothing as an empty cell, lists joined by commas."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)  # a negative number is no formula
    return neutral(_words(value))


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple | set):
        return ", ".join(str(one) for one in value)
    return str(value)


def csv_text(columns: Columns[RowT], rows: Iterable[RowT], *, with_header: bool = True) -> str:
    """The table, its header first, or some more lines of it, as one text; lines end with CR LF."""
    text = io.StringIO()
    writer = csv.writer(text)
    if with_header:
        writer.writerow(columns)
    writer.writerows([cell(read(row)) for read in columns.values()] for row in rows)
    return text.getvalue()


def wants_csv(accept: str | None) -> bool:
    """Whether an Accept header names CSV and not JSON before it."""
    for part in (accept or "").lower().split(","):
        media_type = part.partition(";")[0].strip()
        if media_type == CSV_MEDIA_TYPE:
            return True
        if media_type in ("application/json", "*/*"):
            return False
    return False
