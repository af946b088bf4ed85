"""S9: reservations in words."""

from typing import Any

import pytest

from csms.ocpp.versions import Version
from csms.station.commands.examples import examples_of
from csms.wording import Level
from tests.telling import asked

pytestmark = pytest.mark.feature("S9")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "ReserveNow",
            examples_of(Version.V16)["ReserveNow"],
            {"status": "Occupied"},
            "Asked to reserve charge point 1 for card …C4D5 until 2026-01-01T12:00:00.000Z: it is occupied.",
            Level.WARNING,
        ),
    ],
)
def test_what_commands_came_to(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = asked(action, request_, answer)
    assert (words.text, words.level) == (text, level)
