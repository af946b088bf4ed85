"""S24: firmware updates in words."""

from typing import Any

import pytest

from csms.ocpp.versions import VERSIONS_2, Version
from csms.wording import Level
from tests.telling import asked, speechless, told

pytestmark = pytest.mark.feature("S24")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        ("FirmwareStatusNotification", {"status": "Installed"}, {}, "Firmware: it is installed.", Level.INFO),
        (
            "SignedFirmwareStatusNotification",
            {"status": "InvalidSignature"},
            {},
            "Firmware: its signature is wrong; it was not installed.",
            Level.ERROR,
        ),
    ],
)
def test_what_stations_tell(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = told(action, request_, answer)
    assert (words.text, words.level) == (text, level)


_REQUESTS = ["PublishFirmware", "UnpublishFirmware", "UpdateFirmware"]


@pytest.mark.parametrize("version", VERSIONS_2)
def test_every_status_has_words(version: Version) -> None:
    messages = ["FirmwareStatusNotification", "PublishFirmwareStatusNotification"]
    assert speechless(version, _REQUESTS, messages) == []


def test_what_an_update_is_about_is_told() -> None:
    firmware = {"location": "https://x", "retrieveDateTime": "2026-01-01T02:00:00Z", "signature": "a"}
    words = asked("UpdateFirmware", {"firmware": firmware, "requestId": 1}, {"status": "RevokedCertificate"})
    assert words.text == (
        "Asked to update its firmware with a signed image, to be fetched from 2026-01-01T02:00:00Z: "
        "the image's certificate is revoked."
    )
    plain = {"location": "https://x", "retrieveDate": "2026-01-01T02:00:00Z"}
    assert asked("UpdateFirmware", plain).text == (
        "Asked to update its firmware, to be fetched from 2026-01-01T02:00:00Z: it answered."
    )


@pytest.mark.parametrize("action", _REQUESTS)
@pytest.mark.parametrize("odd", [{"firmware": "x"}, {"firmware": {"retrieveDateTime": ["a"]}}, {}])
def test_odd_requests_have_words_too(action: str, odd: dict[str, Any]) -> None:
    assert asked(action, odd, {"status": "Accepted"}).text.startswith("Asked to ")
