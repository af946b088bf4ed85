"""CSV that spreadsheets read safely."""

import csv
import io
from datetime import UTC, date, datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.tabular import cell, csv_text, wants_csv


class Word(StrEnum):
    GOOD = "good"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (-5, "-5"),
        (1.5, "1.5"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (Word.GOOD, "good"),
        (["a", "b"], "a, b"),
        ("-5", "'-5"),
        ("plain", "plain"),
    ],
)
def test_a_value_as_a_cell(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.robustness(39)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_formula_in_a_cell_is_made_harmless(start: str) -> None:
    assert cell(f"{start}cmd|'/c calc'!A1").startswith("'")
    assert cell([f"{start}1"]).startswith("'")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_what_is_written_can_be_read(texts: list[str]) -> None:
    written = csv_text({"text": lambda text: text}, texts)
    header, *rows = csv.reader(io.StringIO(written, newline=""))
    assert header == ["text"]
    assert [(row or [""])[0].removeprefix("'") for row in rows] == [text.removeprefix("'") for text in texts]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("text/csv", True),
        ("Text/CSV; charset=utf-8", True),
        ("text/csv, application/json", True),
        ("application/json, text/csv;q=0.5", False),
        ("*/*", False),
        ("text/html", False),
    ],
)
def test_csv_is_given_to_who_asks_for_it(accept: str | None, wanted: bool) -> None:
    assert wants_csv(accept) is wanted
