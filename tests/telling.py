"""What operators read of an exchange with a station."""

from collections.abc import Sequence
from typing import Any, Literal

from csms.ocpp.schema import schema_of
from csms.ocpp.versions import Version
from csms.station.logs import Exchange, describe
from csms.wording import Words


def told(action: str, request: dict[str, Any], answer: dict[str, Any] | None = None) -> Words:
    """Of a station's message."""
    return describe(Exchange(action, from_station=True, outcome="answered", request=request, answer=answer or {}))


def asked(action: str, request: dict[str, Any], answer: dict[str, Any] | None = None) -> Words:
    """Of a request of ours."""
    return describe(Exchange(action, from_station=False, outcome="answered", request=request, answer=answer or {}))


def statuses_of(version: Version, action: str, kind: Literal["request", "response"]) -> list[str]:
    """Every `status` that the standard has there."""
    schema = schema_of(version, action, kind)
    status = schema["properties"]["status"]
    found = schema["definitions"][status["$ref"].rpartition("/")[2]] if "$ref" in status else status
    assert found["enum"]
    return list(found["enum"])


def speechless(version: Version, requests: Sequence[str] = (), messages: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The statuses of answers to our requests, and of stations' messages, that have no words of their own."""
    answers = {(action, status) for action in requests for status in statuses_of(version, action, "response")}
    reports = {(action, status) for action in messages for status in statuses_of(version, action, "request")}
    texts = {(action, status): asked(action, {}, {"status": status}).text for action, status in answers}
    texts |= {(action, status): told(action, {"status": status}).text for action, status in reports}
    return [place for place, text in texts.items() if "«" in text or f"do {place[0]}" in text]
