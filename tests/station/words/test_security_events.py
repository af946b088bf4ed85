"""B2, B10: security events in words."""

from typing import Any

import pytest

from csms.wording import Level
from tests.telling import told

pytestmark = pytest.mark.feature("B2", "B10")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "SecurityEventNotification",
            {"type": "TamperDetectionActivated"},
            {},
            "Security event: TamperDetectionActivated.",
            Level.WARNING,
        ),
    ],
)
def test_what_stations_tell(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = told(action, request_, answer)
    assert (words.text, words.level) == (text, level)
