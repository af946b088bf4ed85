"""Single values of payloads that break their schema."""

from typing import Any

import pytest

from csms.ocpp.reading import int32_of, integer_of, natural_of

pytestmark = pytest.mark.feature("B8")


@pytest.mark.parametrize(
    ("value", "integer", "int32", "natural"),
    [
        (7, 7, 7, 7),
        (0, 0, 0, 0),
        (-1, -1, -1, None),
        (2**31, 2**31, None, 2**31),
        (-(2**31), -(2**31), -(2**31), None),
        (2**63, 2**63, None, None),
        (True, None, None, None),
        (False, None, None, None),
        (1.0, None, None, None),
        ("7", None, None, None),
        (None, None, None, None),
        ([7], None, None, None),
    ],
    ids=repr,
)
def test_only_integers_in_their_range_are_read(
    value: Any, integer: int | None, int32: int | None, natural: int | None
) -> None:
    assert (integer_of(value), int32_of(value), natural_of(value)) == (integer, int32, natural)


def test_the_most_is_allowed_and_no_more() -> None:
    assert (natural_of(9, 9), natural_of(10, 9)) == (9, None)
