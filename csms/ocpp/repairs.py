"""B8: named repairs of the breaches that real stations are known for, so that a lenient station is served.

One walk goes down payload and schema together and builds the repaired payload; the one it was given is
never changed, and what a repair takes out is still in the raw frame. Repairs named ``…_kept`` change
nothing: they excuse a value that its handlers can bear, because dropping it would say something else (an
unknown measurand dropped would mean energy; an id tag cut could be somebody else's).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import orjson

from csms.ocpp import schema, timestamps
from csms.ocpp.schema import Kind, Violation
from csms.ocpp.versions import Version

MAX_NOTED_REPAIRS: Final = 1000
"""Repairs listed for one payload; further ones are made but not listed."""
MAX_KEPT_ID_CHARS: Final = 255
_MAX_NUMBER_CHARS: Final = 32

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class AppliedRepair:
    """One repair: its name, and the JSON pointer to the field in the payload as it was sent."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """A payload after its repairs; ``remaining`` is the first breach that none could mend or excuse."""

    payload: Any
    applied: tuple[AppliedRepair, ...]
    remaining: Violation | None


class _Absent(Enum):
    """A value that the repaired payload leaves out."""

    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT

_ENUM_ALIASES: Final[Mapping[str, str]] = {
    "hz": "Hertz",
    "c": "Celsius",
    "°c": "Celsius",
    "f": "Fahrenheit",
    "°f": "Fahrenheit",
    "%": "Percent",
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "watt": "W",
    "watts": "W",
    "celcius": "Celsius",
    "kelvin": "K",
}
_ENUM_FALLBACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "errorCode": ("OtherError",),
    "reason": ("Other", "Unknown"),
    "stoppedReason": ("Other",),
}
_OPEN_ENUMS: Final = frozenset({"measurand", "unit", "phase", "location", "format", "context"})
_SAMPLE: Final = "sampledValue"
_OPEN_WORDS: Final = frozenset(
    {"chargingState", "connectorStatus", "operationMode", "preconditioningStatus", "triggerReason"}
)
"""Of 2.x: words that are shown or stored, but decide nothing that a handler could not bear."""
_ID_TOKENS: Final = frozenset({"additionalInfo", "groupIdToken", "idToken"})
_SPARED: Final = frozenset({("connectorId",), ("reason",), ("seqNo",), ("triggerReason",)})
"""Required fields of 2.x that its handlers can do without: what has happened must not be refused for want of them."""
_SIGNED: Final = "signedMeterValue"

# Cutting these would make another identity of them, or break a signature.
_IDENTITIES: Final = frozenset(
    {"idTag", "parentIdTag", "idToken", "groupIdToken", "transactionId", "emaid", "contractCertificateId"}
)
_INDIVISIBLE: Final = frozenset(
    {
        "certificate",
        "certificateChain",
        "csr",
        "encodingMethod",
        "exiRequest",
        "exiResponse",
        "ocspResult",
        "publicKey",
        "signedMeterData",
    }
)
_REGISTERS: Final = frozenset({"meterStart", "meterStop"})

_INTEGER: Final = re.compile(r"\s*([+-]?[0-9]{1,19})(?:[.,]0*)?\s*")
_DECIMAL: Final = re.compile(r"\s*[+-]?[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]{1,3})?\s*")
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def repair(version: Version, action: str, kind: Kind, payload: Any) -> Repaired:
    """Repair a payload that breaks its schema.

    Never raises for a known action whatever the payload, and never changes its argument. A payload that
    is valid comes back as it is. Raises LookupError for an action that the version does not have.
    """
    before = (AppliedRepair("null_payload", ""),) if payload is None else ()
    payload = {} if payload is None else payload
    breach = schema.check(version, action, kind, payload)
    if breach is None:
        return Repaired(payload, before, None)
    return repair_breach(version, action, kind, payload, breach=breach, before=before)


def repair_breach(
    version: Version,
    action: str,
    kind: Kind,
    payload: Any,
    *,
    breach: Violation,
    before: tuple[AppliedRepair, ...] = (),
) -> Repaired:
    """Repair a payload whose first ``breach`` is known, after the repairs ``before``."""
    walk = _Walk(version, before)
    mended = walk.fields(schema.source_of(version, action, kind), payload, ())
    if walk.violation is not None:
        return Repaired(payload, tuple(walk.applied), walk.violation)
    if not walk.applied:  # what no rule of the schema names (lone surrogates, endless depth) none excuses
        return Repaired(payload, (), breach)
    remaining = None if walk.has_kept else schema.check(version, action, kind, mended)
    return Repaired(mended, tuple(walk.applied), remaining)


class _Walk:
    """One way down a payload; each method returns the mended value, or ABSENT to leave it out."""

    def __init__(self, version: Version, before: tuple[AppliedRepair, ...]) -> None:
        self.version = version
        self.applied: list[AppliedRepair] = list(before)
        self.violation: Violation | None = None
        self.has_kept = False
        self._time = re.compile(schema.TIME_PATTERN[version])
        self._readers: Mapping[str, Callable[[Mapping[str, Any], Any, Path], Any]] = {
            "object": self.fields,
            "array": self.items,
            "string": self.text,
            "integer": self.integer,
            "number": self.number,
            "boolean": self.boolean,
        }

    def note(self, name: str, path: Path) -> None:
        self.has_kept = self.has_kept or name.endswith("_kept")
        if len(self.applied) < MAX_NOTED_REPAIRS:
            self.applied.append(AppliedRepair(name, schema.pointer(path)))

    def breach(self, path: Path, keyword: str, limit: Any = None) -> None:
        self.violation = self.violation or schema.violation(self.version, path, keyword, limit)

    def value(self, rules: Mapping[str, Any], value: Any, path: Path, *, is_required: bool) -> Any:
        read = self._readers.get(rules.get("type", ""))
        if read is None:  # any JSON is right, null included (DataTransfer.data of 2.x)
            return value
        if value is None:
            self.note("drop_null", path)
            return ABSENT
        if not is_required and _is_hollow(rules, value):
            self.note("drop_empty", path)
            return ABSENT
        return read(rules, value, path)

    def fields(self, rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return self.breach(path, "type", "object")
        properties: Mapping[str, Any] = rules.get("properties", {})
        required = frozenset(rules.get("required", ()))
        mended: dict[str, Any] = {}
        for name, item in self._named(rules, value, path):
            if name not in properties:
                mended[name] = item
                continue
            result = self.value(properties[name], item, (*path, name), is_required=name in required)
            if result is not ABSENT:
                mended[name] = result
        for name in sorted(required - mended.keys()):
            self._missing(properties.get(name, {}), (*path, name))
        return _with_lost_error_code(mended, value) if not path else mended

    def items(self, rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        if not isinstance(value, list):
            if not isinstance(value, dict) or rules.get("items", {}).get("type") != "object":
                return self.breach(path, "type", "array")
            self.note("list_from_item", path)
            value = [value]
        name = path[-1]
        mended = [
            result
            for index, item in enumerate(value)
            if not self._is_empty_sample(name, item, (*path, index))
            and (result := self.value(rules.get("items", {}), item, (*path, index), is_required=True)) is not ABSENT
        ]
        self._excuse(path, "empty_list_kept", is_so=len(mended) < rules.get("minItems", 0))
        self._excuse(path, "long_list_kept", is_so=len(mended) > rules.get("maxItems", math.inf))
        return mended

    def text(self, rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            value = self._text_from(value, path)
            if value is None:
                return self.breach(path, "type", "string")
        if "enum" in rules and value not in rules["enum"]:
            return self._enum(rules["enum"], value, path)
        if rules.get("format") == "date-time" and self._time.search(value) is None:
            return self._timestamp(value, path)
        if len(value) > rules.get("maxLength", math.inf):
            return self._long_text(value, rules["maxLength"], path)
        return value

    def integer(self, rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        number = value
        if isinstance(value, str):
            number = _integer_from(value, is_register=path[-1] in _REGISTERS)
            self._excuse(path, "number_from_text", is_so=number is not None)
        elif isinstance(value, float) and (value.is_integer() or path[-1] in _REGISTERS):
            number = _rounded(value)
            self._excuse(path, "integer_from_number", is_so=number is not None)
        if not isinstance(number, int) or isinstance(number, bool):
            return self.breach(path, "type", "integer")
        return self._in_range(rules, number, path, *schema.INTEGER_RANGE)

    def number(self, rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        number = value
        if isinstance(value, str):
            number = _decimal_from(value)
            self._excuse(path, "number_from_text", is_so=number is not None)
        if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
            return self.breach(path, "type", "number")
        self._excuse(path, "number_step_kept", is_so=_is_off_step(number, rules.get("multipleOf")))
        return self._in_range(rules, number, path, -math.inf, math.inf)

    def boolean(self, _rules: Mapping[str, Any], value: Any, path: Path) -> Any:
        if isinstance(value, bool):
            return value
        known = _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, str | int) else None
        if known is None:
            return self.breach(path, "type", "boolean")
        self.note("bool_from_text" if isinstance(value, str) else "bool_from_number", path)
        return known

    def _named(self, rules: Mapping[str, Any], value: dict[Any, Any], path: Path) -> list[tuple[Any, Any]]:
        """The fields to look at, misspelt names put right and unknown ones left out where none may be."""
        properties: Mapping[str, Any] = rules.get("properties", {})
        if rules.get("additionalProperties") is not False:
            return list(value.items())
        named: list[tuple[Any, Any]] = []
        taken = {name for name, item in value.items() if name in properties and item is not None}
        for name, item in value.items():
            right = name if name in properties else _spelt_like(str(name), properties.keys() - taken)
            if right is None:
                self.note("drop_unknown_field", (*path, str(name)))
                continue
            if right != name:
                self.note("field_spelling", (*path, str(name)))
                taken.add(right)
            named.append((right, item))
        return named

    def _missing(self, rules: Mapping[str, Any], path: Path) -> None:
        """Excuse a missing time: the handler takes the time of receipt."""
        if rules.get("format") == "date-time":
            self.note("missing_time_kept", path)
        elif self.version is not Version.V16 and (path in _SPARED or _SIGNED in path):
            self.note("missing_value_kept", path)
        else:
            self.breach(path, "required")

    def _is_empty_sample(self, name: str | int, item: Any, path: Path) -> bool:
        """Whether an item holds no reading: a sample without value, or meter values without a sample."""
        if not isinstance(item, dict):
            return False
        if name == _SAMPLE and item.get("value") in (None, ""):
            self.note("empty_sample", path)
            return True
        if name in {"meterValue", "transactionData"} and item.get(_SAMPLE) in (None, []):
            self.note("empty_sampled_value", path)
            return True
        return False

    def _excuse(self, path: Path, name: str, *, is_so: bool) -> None:
        if is_so:
            self.note(name, path)

    def _text_from(self, value: Any, path: Path) -> str | None:
        if isinstance(value, bool):
            self.note("text_from_bool", path)
            return "true" if value else "false"
        if isinstance(value, int | float):
            self.note("text_from_number", path)
            return str(value)
        if path == ("data",):  # DataTransfer of 1.6: vendors send JSON where its text belongs
            self.note("text_from_json", path)
            return _json_text(value)
        return None

    def _enum(self, options: list[str], value: str, path: Path) -> Any:
        name = path[-1]
        alias = _ENUM_ALIASES.get(value.strip().lower())
        right = alias if alias in options else _spelt_like(value, options)
        fallback = next((word for word in _ENUM_FALLBACKS.get(str(name), ()) if word in options), None)
        if right is not None:
            self.note("enum_spelling", path)
        elif (_SAMPLE in path and name in _OPEN_ENUMS) or self._is_open_word(path):
            self.note("unknown_value_kept", path)
            right = value
        elif fallback is not None:
            self.note("unknown_value", path)
            right = fallback
        else:
            self.breach(path, "enum", options)
        return right

    def _is_open_word(self, path: Path) -> bool:
        is_kind_of_token = path[-1] == "type" and not _ID_TOKENS.isdisjoint(path)
        return self.version is not Version.V16 and (path[-1] in _OPEN_WORDS or is_kind_of_token)

    def _timestamp(self, value: str, path: Path) -> str:
        reading = timestamps.read(value)
        if reading is None:
            self.note("unreadable_time_kept", path)
            return value
        self.note("timestamp_zone" if timestamps.Flag.NO_ZONE in reading.flags else "timestamp", path)
        return timestamps.write(reading.at)

    def _long_text(self, value: str, limit: int, path: Path) -> Any:
        name = path[-1]
        if name in _INDIVISIBLE or (name in _IDENTITIES and len(value) <= MAX_KEPT_ID_CHARS):
            self.note("long_text_kept", path)
            return value
        if name in _IDENTITIES:
            return self.breach(path, "maxLength", limit)
        self.note("cut_text", path)
        return value[:limit]

    def _in_range(self, rules: Mapping[str, Any], number: float, path: Path, lowest: float, highest: float) -> Any:
        minimum, maximum = rules.get("minimum", lowest), rules.get("maximum", highest)
        if number < minimum:
            return self.breach(path, "minimum", minimum)
        if number > maximum:
            return self.breach(path, "maximum", maximum)
        return number


def _is_hollow(rules: Mapping[str, Any], value: Any) -> bool:
    """Whether an optional field holds nothing and breaks its rules by that: it should have been left out."""
    if value == "":
        return "enum" in rules or "format" in rules or rules["type"] != "string"
    if value == {}:
        return bool(rules.get("required")) or rules["type"] != "object"
    return value == [] and (bool(rules.get("minItems")) or rules["type"] != "array")


def _with_lost_error_code(mended: dict[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the word of an error code that became OtherError (1.6 StatusNotification)."""
    was = original.get("errorCode")
    is_lost = mended.get("errorCode") == "OtherError" and isinstance(was, str) and _plain(was) != "othererror"
    if is_lost and not mended.get("vendorErrorCode"):
        mended["vendorErrorCode"] = str(was)[:50]
    return mended


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def _spelt_like(word: str, options: Any) -> str | None:
    """The one option that is the same but for case, blanks and punctuation."""
    plain = _plain(word[:64])
    found = [option for option in options if _plain(option) == plain] if plain else []
    return found[0] if len(found) == 1 else None


def _json_text(value: Any) -> str | None:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return None


def _integer_from(text: str, *, is_register: bool) -> int | None:
    match = _INTEGER.fullmatch(text) if len(text) <= _MAX_NUMBER_CHARS else None
    if match is not None:
        return int(match[1])
    decimal = _decimal_from(text) if is_register else None
    return None if decimal is None else _rounded(decimal)


def _decimal_from(text: str) -> float | None:
    if len(text) > _MAX_NUMBER_CHARS or _DECIMAL.fullmatch(text) is None:
        return None
    number = float(text.replace(",", "."))
    return number if math.isfinite(number) else None


def _rounded(number: float) -> int | None:
    """A meter register in whole Wh; other numbers come here only when they are whole already."""
    return round(number) if math.isfinite(number) else None


def _is_off_step(number: float, step: float | None) -> bool:
    if step is None:
        return False
    steps = number / step
    return not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9)
