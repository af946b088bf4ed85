"""S27: the cards that stations remember, in words."""

from typing import Any

import pytest

from csms.wording import Level
from tests.telling import asked

pytestmark = pytest.mark.feature("S27")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "ClearCache",
            {},
            {"status": "Nonsense"},
            "Asked to forget the cards it remembers: it answered «Nonsense».",
            Level.WARNING,
        ),
    ],
)
def test_what_commands_came_to(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = asked(action, request_, answer)
    assert (words.text, words.level) == (text, level)
