"""The OpenAPI document: what the features declare, with every refusal described as a problem."""

import re
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
    _name_schemas(document)
    for path, method, operation in operations(document):
        operation["tags"] = operation.get("tags", [])[:1]  # the feature's, where a router names its own too
        _describe_refusals(path, method, operation)
        _describe_headers(document, path, method, operation)
        for describe in offered("api", "DESCRIBES"):
            describe(operation)
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every (path, method, operation) of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


_FEATURE: Final = re.compile(r"csms__[a-z]+__([a-z0-9_]+?)__(?:[a-z0-9_]+__)*([A-Z]\w*)")
"""What the framework calls a model whose name other features have too: its module and its name."""
_PAGE: Final = re.compile(r"(?:\w+__)?Page_\w+_")
_REF: Final = "#/components/schemas/"


def _name_schemas(document: dict[str, Any]) -> None:
    """Names that make good classes in generated clients: `TokensPolicy`, `StationListedPage`."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    names = {name: name for name in schemas}
    for name in schemas:
        found = _FEATURE.fullmatch(name)
        if found is not None:
            names[name] = "".join(word.capitalize() for word in found[1].split("_")) + found[2]
    for name, schema in schemas.items():
        if name.endswith(("-Input", "-Output")):
            plain = name.partition("-")[0]
            twins = (new for old, new in names.items() if old.endswith(f"__{plain}") and schemas[old] == schema)
            names[name] = next(twins, name.replace("-", ""))
    for name, schema in schemas.items():
        if _PAGE.match(name):
            item = schema["properties"]["items"]["items"]["$ref"].removeprefix(_REF)
            names[name] = f"{names[item]}Page"
    named: dict[str, Any] = {}
    for name, schema in schemas.items():
        if named.setdefault(names[name], schema) != schema:
            raise ValueError(f"two models are called {names[name]} in the document; rename one of them")
    document["components"]["schemas"] = named
    _rename_references(document, {_REF + name: _REF + new for name, new in names.items()})


def _rename_references(part: Any, names: dict[str, str]) -> None:
    if isinstance(part, dict):
        reference = part.get("$ref")
        if isinstance(reference, str):
            part["$ref"] = names.get(reference, reference)
        for one in part.values():
            _rename_references(one, names)
    elif isinstance(part, list):
        for one in part:
            _rename_references(one, names)


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


def _describe_headers(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    if "304" in responses:
        responses["200"].setdefault("headers", {}).setdefault("ETag", _header("send it back as If-None-Match"))
    items = [one for one in document["paths"] if one.startswith(f"{path}/{{") and one.endswith("}")]
    if method == "post" and "201" in responses and any("get" in document["paths"][one] for one in items):
        responses["201"].setdefault("headers", {})["Location"] = _header("the path under which it can be read")
    responses["429"].setdefault("headers", {})["Retry-After"] = _header("seconds to wait before the next try")


def _header(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string"}, "description": description}


def _as_problem(status: str, response: dict[str, Any]) -> None:
    response["description"] = response.get("description") or _WORDS.get(status, _WORDS["default"])
    if response["description"] == "Validation Error":
        response["description"] = _WORDS["422"]
    if response.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "").endswith("Readiness"):
        return
    response["content"] = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
