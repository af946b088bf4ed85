"""S17: logs and diagnostics in words."""

from typing import Any

import pytest

from csms.ocpp.versions import VERSIONS_2, Version
from csms.wording import Level
from tests.telling import asked, speechless, told

pytestmark = pytest.mark.feature("S17")

TAG = "04A2B3C41234"


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "DiagnosticsStatusNotification",
            {"status": "UploadFailed"},
            {},
            "Diagnostics: the upload failed.",
            Level.ERROR,
        ),
        (
            "LogStatusNotification",
            {"status": "PermissionDenied"},
            {},
            "Log: the server refused the upload.",
            Level.ERROR,
        ),
    ],
)
def test_what_stations_tell(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = told(action, request_, answer)
    assert (words.text, words.level) == (text, level)


@pytest.mark.parametrize(
    ("action", "request_", "answer", "text", "level"),
    [
        (
            "GetDiagnostics",
            {"location": "https://x"},
            {},
            "Asked to upload its diagnostics: there are none.",
            Level.WARNING,
        ),
    ],
)
def test_what_commands_came_to(
    action: str, request_: dict[str, Any], answer: dict[str, Any], text: str, level: Level
) -> None:
    words = asked(action, request_, answer)
    assert (words.text, words.level) == (text, level)


@pytest.mark.parametrize("version", VERSIONS_2)
def test_every_status_has_words(version: Version) -> None:
    assert speechless(version, requests=["GetLog"], messages=["LogStatusNotification"]) == []


def test_what_a_log_is_about_is_told() -> None:
    log = {"log": {"remoteLocation": "https://x"}, "logType": "SecurityLog", "requestId": 1}
    assert asked("GetLog", log, {"status": "Accepted"}).text == "Asked to upload its security log: it will."


@pytest.mark.parametrize("odd", [{"log": "x"}, {"logType": {}}, {}])
def test_odd_requests_have_words_too(odd: dict[str, Any]) -> None:
    assert asked("GetLog", odd, {"status": "Accepted"}).text.startswith("Asked to ")
