"""The OpenAPI document: what the features declare, with every refusal described as a problem."""

from collections.abc import Iterator
from typing import Any, Final

from csms.features import features, offered
from datasheet_api.problems import PROBLEM_JSON, PROBLEM_SCHEMA

METHODS: Final = ("get", "post", "put", "patch", "delete")

DESCRIPTION: Final = """\
Everything about your charging stations: what they are, what they do now, what happened to them, and commands to them.

**Credentials.** Send `Authorization: Bearer <key>`. An administrator makes keys at `POST /api/v1/keys`; people log in
at `POST /api/v1/login`. A key belongs to one organisation; what belongs to others does not exist for it (404).

**Lists** come in pages: ask for the next one with `cursor=<next_cursor>` until `next_cursor` is null.

**Polling** is cheap: answers to GET have an `ETag`; send it back as `If-None-Match` and get 304 while nothing changed.

**Refusals** are `application/problem+json` (RFC 9457): `detail` says what to do next, `errors`
where the input is wrong.

**Times** are ISO 8601 in UTC. **Ids** are digits in a string; a station's `station_id` is its OCPP identity.
"""

_WORDS: Final = {
    "401": "No valid key or token",
    "403": "Your role or your key does not allow it",
    "404": "There is no such thing, or it is not yours",
    "409": "The state of the thing forbids it now",
    "413": "The body is too large",
    "422": "The input is wrong; `errors` says where",
    "429": "Too many requests; `Retry-After` says how long to wait",
    "default": "Any other refusal or failure",
}


def tags() -> list[dict[str, str]]:
    """One tag for each feature with routes; its description is the feature's first sentence."""
    return [
        {"name": tag_of(feature.name), "description": feature.title} for feature in features() if "api" in feature.parts
    ]


def tag_of(feature_name: str) -> str:
    return feature_name.replace("_", " ")


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Say in the document what holds for every operation: its tag, its refusals, its 304; and what features add."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path, method, operation in operations(document):
        operation["tags"] = operation.get("tags", [])[:1]  # the feature's, where a router names its own too
        _describe_refusals(path, method, operation)
        for describe in offered("api", "DESCRIBES"):
            describe(operation)
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (path, method, operation) of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _describe_refusals(path: str, method: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    wanted = ["422", "429", "default"]
    if operation.get("security"):
        wanted += ["401", "403"]
    if "{" in path:
        wanted.append("404")
    if "requestBody" in operation:
        wanted.append("413")
    for status in wanted:
        responses.setdefault(status, {})
    for status, response in responses.items():
        if status == "default" or status[0] in "45":
            _as_problem(status, response)
    if method == "get" and "application/json" in responses.get("200", {}).get("content", {}):
        responses.setdefault("304", {"description": "Not changed since the ETag in `If-None-Match`"})


def _as_problem(status: str, response: dict[str, Any]) -> None:
    response["description"] = response.get("description") or _WORDS.get(status, _WORDS["default"])
    if response["description"] == "Validation Error":
        response["description"] = _WORDS["422"]
    if response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").endswith("Readiness"):
        return
    response["content"] = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
