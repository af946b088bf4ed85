"""S27: card lists in words."""

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
            "GetLocalListVersion",
            {},
            {"listVersion": 0},
            "Asked to tell the version of its card list: it is empty.",
            Level.INFO,
        ),
        (
            "SendLocalList",
            {"listVersion": 3, "updateType": "Differential", "localAuthorizationList": [{"idTag": TAG}]},
            {"status": "VersionMismatch"},
            "Asked to take changes to its card list (version 3, 1 cards): its list is of another version.",
            Level.WARNING,
        ),
    ],
)
def test_what_commands_came_to(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = asked(action, request_, answer)
    assert (words.text, words.level) == (text, level)
