"""P6: what is logged has no secrets in it, whatever is handed to the logger."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from csms.config import Settings
from csms.platform.operations import is_secret_name, redact, redacted_text
from csms.platform.operations.logs import configure_logs, formatter

SECRETS = ("hunter2", "csms_abcdefgh_Zm9vYmFyYmF6", "csmst_Zm9vYmFyYmF6cXV4", "DEADBEEF01020304", "c2VjcmV0OnBhc3M=")


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What the root logger writes; logging is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    others = {
        name: (logger.handlers, logger.level, logger.propagate)
        for name, logger in logging.Logger.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    stream = io.StringIO()
    yield stream
    root.handlers, root.level = handlers, level
    for name, (old_handlers, old_level, propagate) in others.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = old_handlers, propagate
        logger.setLevel(old_level)
    structlog.reset_defaults()


def configured(stream: io.StringIO, kind: str) -> Any:
    configure_logs(Settings.model_validate({"log_format": kind}))
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    return structlog.get_logger("tests.logs")


def everything_secret(log: Any) -> None:
    """Hand secrets to the log in every way there is."""
    log.info("login", password="hunter2", authorization="Bearer csms_abcdefgh_Zm9vYmFyYmF6", token="hunter2")
    log.info("call", payload={"key": "AuthorizationKey", "value": "hunter2"}, idTag="DEADBEEF01020304")
    log.info("call", payload={"idToken": {"idToken": "DEADBEEF01020304", "type": "ISO14443"}})
    log.info("deep", a=[{"b": {"password_hash": "hunter2", "list": [{"secret": "hunter2"}]}}])
    log.info("in the text: csmst_Zm9vYmFyYmF6cXV4 and Basic c2VjcmV0OnBhc3M=")
    log.info("url", url="ftp://user:hunter2@example.com/firmware")
    logging.getLogger("other").warning("standard library: %s", "Bearer c2VjcmV0OnBhc3M=")
    try:
        fail("postgresql://csms:hunter2@db/csms")
    except RuntimeError:
        log.exception("failed")


def fail(reason: str) -> None:
    raise RuntimeError(reason)


@pytest.mark.feature("P6")
@pytest.mark.robustness(48)
@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_secret_gets_into_a_line(output: io.StringIO, kind: str) -> None:
    everything_secret(configured(output, kind))
    told = output.getvalue()
    assert "RuntimeError" in told
    assert "ISO14443" in told
    assert "DEAD…" in told or "DEAD\\u2026" in told
    for secret in SECRETS:
        assert secret not in told


@pytest.mark.feature("P6")
def test_json_lines_are_json_with_level_time_and_logger(output: io.StringIO) -> None:
    log = configured(output, "json")
    log.warning("several\nlines", number=1)
    [line] = output.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["logger"], told["number"]) == (
        "several\nlines",
        "warning",
        "tests.logs",
        1,
    )
    assert told["timestamp"].endswith("Z")


def test_a_client_cannot_write_lines_of_its_own(output: io.StringIO) -> None:
    configured(output, "text").info("request", path="/x\n2026-01-01 [error] forged")
    assert len(output.getvalue().splitlines()) == 1


def test_other_libraries_speak_only_when_something_is_wrong(output: io.StringIO) -> None:
    configured(output, "json")
    logging.getLogger("uvicorn.access").info("GET /api/v1/x?key=hunter2")
    logging.getLogger("httpx").info("HTTP Request: POST https://example.com/hook?token=hunter2")
    logging.getLogger("uvicorn.error").error("real trouble")
    assert [json.loads(line)["event"] for line in output.getvalue().splitlines()] == ["real trouble"]


def test_debug_lines_are_left_out_by_default(output: io.StringIO) -> None:
    configured(output, "json").debug("noise")
    assert output.getvalue() == ""


def test_formatter_serves_lines_of_the_standard_library() -> None:
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "hello %s", ("Bearer c2VjcmV0OnBhc3M=",), None)
    assert json.loads(formatter("json").format(record))["event"] == "hello Bearer (hidden)"


SECRET_NAMES = (
    "password smtp_password password_hashes secret_hash AuthorizationKey authorization token access_token apiKey"
    " private_key Set-Cookie passphrase simPin pin"
)
PLAIN_NAMES = "name pinned spinning idTag id_token station tokens keyed at"


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES.split())
def test_names_that_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_redaction_keeps_what_is_harmless() -> None:
    harmless = {"a": 1, "b": [True, None, 1.5], "key": "HeartbeatInterval", "value": "300", "url": "https://x/y"}
    assert redact(harmless) == harmless
    assert redacted_text("a text about csms and tokens") == "a text about csms and tokens"


def test_redaction_ends_in_deep_and_looped_values() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    assert "(hidden)" in json.dumps(redact(loop))


@pytest.mark.feature("P6")
@pytest.mark.parametrize("kind", ["text", "json"])
def test_no_stranger_forges_a_line_or_commands_a_terminal(output: io.StringIO, kind: str) -> None:
    log = configured(output, kind)
    log.info("refused", path="/ocpp/\x1b[2J\x9b31m\r\n2026-01-01 [info] all is well", listed=["\x1b[2J\n"])
    logging.getLogger("other").warning("standard library: %s", "\x1b[2J\nforged \udcff")
    try:
        fail("\x1b[2J")
    except RuntimeError:
        log.exception("failed")
    text = output.getvalue()
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert not [line for line in text.splitlines() if line.startswith(("2026-01-01", "forged"))]
    assert r"\x1b[2J" in text or r"\u001b[2J" in text
