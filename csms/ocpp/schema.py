"""B2, B8: compiled schemas: where a payload breaks its schema, and what the standard calls that."""

import copy
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import jsonschema_rs
import orjson

from csms.ocpp.actions import ACTIONS
from csms.ocpp.errors import ErrorKind
from csms.ocpp.versions import Version

Kind = Literal["request", "response"]

INTEGER_RANGE: Final = (-(2**63), 2**63 - 1)
"""Integers taken: what a database's widest integer holds. The schemas of 1.6 set no bounds."""

# XML Schema's dateTime, which 1.6 points to (3.12), leaves the zone open; RFC 3339 (2.x) demands one.
_DATE_TIME: Final = (
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]+)?"
)
_ZONE: Final = "(Z|[+-][0-9]{2}:[0-9]{2})"
TIME_PATTERN: Final[Mapping[Version, str]] = {
    Version.V16: f"{_DATE_TIME}{_ZONE}?$",
    Version.V201: f"{_DATE_TIME}{_ZONE}$",
    Version.V21: f"{_DATE_TIME}{_ZONE}$",
}

_FOLDERS: Final[Mapping[Version, str]] = {Version.V16: "v16", Version.V201: "v201", Version.V21: "v21"}
_NOISE: Final = frozenset({"$schema", "$id", "id", "comment", "javaType", "definitions"})
_MAX_NAME_CHARS: Final = 64

# Missing in the package: the one message of 2.1 that is never answered (2.1 part 2, N15).
_NOTIFY_PERIODIC_EVENT_STREAM: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id", "pending", "basetime", "data"],
    "properties": {
        "id": {"type": "integer", "minimum": 0},
        "pending": {"type": "integer", "minimum": 0},
        "basetime": {"type": "string", "format": "date-time"},
        "data": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["t", "v"],
                "properties": {
                    "t": {"type": "number"},
                    "v": {"type": "string", "maxLength": 2500},
                    "customData": {"$ref": "#/definitions/CustomDataType"},
                },
            },
        },
        "customData": {"$ref": "#/definitions/CustomDataType"},
    },
    "definitions": {
        "CustomDataType": {
            "type": "object",
            "required": ["vendorId"],
            "properties": {"vendorId": {"type": "string", "maxLength": 255}},
        }
    },
}

# OCPP-J 1.6, table 7; 2.0.1 part 4, table 10: the words' own definitions.
_KINDS: Final[Mapping[str, ErrorKind]] = {
    "type": ErrorKind.TYPE_CONSTRAINT,
    "required": ErrorKind.OCCURRENCE_CONSTRAINT,
    "minItems": ErrorKind.OCCURRENCE_CONSTRAINT,
    "maxItems": ErrorKind.OCCURRENCE_CONSTRAINT,
}
_NOUNS: Final[Mapping[str, str]] = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_MESSAGES: Final[Mapping[str, str]] = {
    "type": "must be {limit}",
    "required": "is missing",
    "additionalProperties": "is no field of this message",
    "enum": "must be one of {limit}",
    "maxLength": "is longer than {limit} characters",
    "minItems": "has fewer than {limit} items",
    "maxItems": "has more than {limit} items",
    "minimum": "is below {limit}",
    "maximum": "is above {limit}",
    "multipleOf": "must be a multiple of {limit}",
    "pattern": "must be a time such as 2026-01-01T00:00:00.000Z",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of a schema.

    ``place`` is a JSON pointer (RFC 6901) to the field, also to a missing or unknown one; ``""`` is the
    payload itself. ``message`` says what the field must be and never repeats its value, so that it may
    be logged even where the value is a secret.
    """

    place: str
    kind: ErrorKind
    message: str

    def __str__(self) -> str:
        return f"{self.place or 'payload'}: {self.message}"


_UNWRITABLE: Final = Violation("", ErrorKind.FORMATION, "cannot be written as JSON without NUL characters")


def check(version: Version, action: str, kind: Kind, payload: Any) -> Violation | None:
    """Find a payload's first breach of its schema, or None. Raises LookupError for an unknown action.

    What no frame or database can hold (lone surrogates, NUL, endless nesting) is a breach as well.
    """
    validator = validator_of(version, action, kind)
    try:
        validator.validate(payload)
    except jsonschema_rs.ValidationError as error:
        return _violation_of(version, error)
    except (ValueError, TypeError):  # nested beyond the validator's limit, or keys that are no text
        return _UNWRITABLE
    return None if _is_writable(payload) else _UNWRITABLE


def schema_of(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    """Copy a payload's JSON Schema, complete in itself: no ``$ref``, so that it fits into any document."""
    return copy.deepcopy(source_of(version, action, kind))


@cache
def validator_of(version: Version, action: str, kind: Kind) -> jsonschema_rs.Draft4Validator:
    """Compile a schema at its first use. Raises LookupError for an action the version does not have.

    Draft 4 for every version: it calls 1.0 no integer, and a float must not reach an integer column.
    """
    strict = _strict(source_of(version, action, kind), TIME_PATTERN[version])
    return jsonschema_rs.Draft4Validator(strict, validate_formats=False, mask="(hidden)")


@cache
def source_of(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    """Load a payload's schema, shared by all callers: read it, never change it."""
    known = ACTIONS[version].get(action)
    if known is None or (known.is_sent and kind == "response"):
        raise LookupError(f"{version} has no {kind} of {action}")
    source = _NOTIFY_PERIODIC_EVENT_STREAM if known.is_sent else _shipped(version, action, kind)
    inlined: dict[str, Any] = _inlined(source, source.get("definitions", {}))
    return inlined


def violation(version: Version, path: Iterable[str | int], keyword: str, limit: Any = None) -> Violation:
    """Name a breach by the schema keyword broken; ``limit`` is the keyword's value (a length, a type, …)."""
    return Violation(pointer(path), _kind(version, keyword), _message(keyword, limit))


def pointer(path: Iterable[str | int]) -> str:
    """Write a JSON pointer; overlong names, which only a peer can have made up, are cut."""
    parts = (str(part)[:_MAX_NAME_CHARS].replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts)


def _shipped(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    suffix = "Response" if kind == "response" else "" if version is Version.V16 else "Request"
    path = _package() / _FOLDERS[version] / "schemas" / f"{action}{suffix}.json"
    schema: dict[str, Any] = orjson.loads(path.read_text(encoding="utf-8-sig"))
    return schema


@cache
def _package() -> Path:
    """Find the folder of the ``ocpp`` package without running its code, which we do not need."""
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.submodule_search_locations is None:
        raise RuntimeError("the package ocpp, which ships the schemas, is not installed")
    return Path(spec.submodule_search_locations[0])


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Put definitions where they are used (none refers to itself) and drop what validates nothing."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    result = {key: _inlined(value, definitions) for key, value in schema.items() if key not in _NOISE}
    if "properties" in schema:  # names of fields, not keywords: nothing is noise here
        result["properties"] = {key: _inlined(value, definitions) for key, value in schema["properties"].items()}
    return result


def _strict(schema: Any, time_pattern: str) -> Any:
    """Add what the schemas leave open: the range of integers, and the form of times.

    Times are checked by a pattern, since the validator's own ``date-time`` also refuses what XML Schema
    allows. Other formats are not checked at all.
    """
    if isinstance(schema, list):
        return [_strict(item, time_pattern) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value, time_pattern) for key, value in schema.items()}
    if result.get("type") == "integer":
        lowest, highest = INTEGER_RANGE
        result = {"minimum": lowest, "maximum": highest} | result
    if result.get("format") == "date-time":
        result["pattern"] = time_pattern
    return result


def _violation_of(version: Version, error: jsonschema_rs.ValidationError) -> Violation:
    keyword, path, detail = error.kind.name, list(error.instance_path), error.kind
    if keyword == "required":
        return violation(version, [*path, str(getattr(detail, "property", ""))], keyword)
    if keyword == "additionalProperties":
        return violation(version, [*path, *getattr(detail, "unexpected", [])[:1]], keyword)
    if keyword == "type":
        return violation(version, path, keyword, (getattr(detail, "types", None) or [None])[0])
    if keyword == "enum":
        return violation(version, path, keyword, getattr(detail, "options", []))
    return violation(version, path, keyword, getattr(detail, "limit", getattr(detail, "multiple_of", None)))


def _is_writable(payload: Any) -> bool:
    try:
        text = orjson.dumps(payload)
    except TypeError:
        return False
    return b"\\u0000" not in text.replace(b"\\\\", b"")  # an escaped backslash before u0000 is no NUL


def _kind(version: Version, keyword: str) -> ErrorKind:
    if keyword == "additionalProperties":
        # "not conform the PDU structure" belongs to FormationViolation in 1.6, to ProtocolError in 2.x.
        return ErrorKind.FORMATION if version is Version.V16 else ErrorKind.PROTOCOL
    return _KINDS.get(keyword, ErrorKind.PROPERTY_CONSTRAINT)


def _message(keyword: str, limit: Any) -> str:
    if keyword == "type":
        limit = _NOUNS.get(str(limit), limit)
    elif keyword == "enum":
        limit = ", ".join(map(str, limit))
    return _MESSAGES.get(keyword, f"breaks the rule {keyword!r}").replace("{limit}", str(limit))
