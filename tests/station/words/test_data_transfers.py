"""B6: vendors' own messages in words."""

from typing import Any

import pytest

from csms.ocpp.versions import VERSIONS_2, Version
from csms.wording import Level
from tests.telling import speechless, told

pytestmark = pytest.mark.feature("B6")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "DataTransfer",
            {"vendorId": "com.example", "messageId": "Ping"},
            {"status": "UnknownVendorId"},
            "The station sent a message of vendor com.example (Ping); nobody here understands it.",
            Level.INFO,
        ),
    ],
)
def test_what_stations_tell(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = told(action, request_, answer)
    assert (words.text, words.level) == (text, level)


@pytest.mark.parametrize("version", VERSIONS_2)
def test_every_status_has_words(version: Version) -> None:
    assert speechless(version, requests=["DataTransfer"]) == []
