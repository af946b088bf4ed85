"""B1: one OCPP-J text to one value and back; no text whatever makes it raise (OCPP-J 1.6, 4)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from csms.ocpp import timestamps
from csms.ocpp.errors import MAX_DESCRIPTION_CHARS, ErrorKind, word
from csms.ocpp.versions import Version

MAX_MESSAGE_ID_CHARS: Final = 36
MAX_FRAME_CHARS: Final = 256 * 1024
MAX_DEPTH: Final = 64
"""Deepest nesting taken, customData and DataTransfer included; safely below Python's recursion limit."""
UNREADABLE_ID: Final = "-1"
"""The id of an answer to a call whose own id cannot be used (2.0.1 part 4, 4.2.3)."""

CALL: Final = 2
CALLRESULT: Final = 3
CALLERROR: Final = 4
CALLRESULTERROR: Final = 5
SEND: Final = 6


@dataclass(slots=True)
class Call:
    """``[2, message_id, action, payload]``; ``had_null`` tells a payload of null, read as ``{}``."""

    message_id: str
    action: str
    payload: dict[str, Any]
    text: str
    had_null: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """``[3, message_id, payload]``: the answer to a call of ours."""

    message_id: str
    payload: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Error:
    """``[4, message_id, code, description, details]``: the refusal of a call of ours."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class ResultError:
    """``[5, message_id, code, description, details]``: our answer was no good to the peer (2.1 only)."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Send:
    """``[6, message_id, action, payload]``: a message that is never answered (2.1 only)."""

    message_id: str
    action: str
    payload: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A text that is no frame.

    ``message_id`` is what an answer carries (``"-1"`` when the call's own cannot be used), or the id of
    the answer that is no good, or None. ``answerable`` is true only for what is, or in 2.x may be, a
    CALL: a CALLRESULT or CALLERROR is never answered with a CALLERROR.
    """

    message_id: str | None
    kind: ErrorKind
    description: str
    text: str
    answerable: bool
    message_type: int | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message type that the version does not have: its payload is ignored (OCPP-J 1.6, 4.1.3)."""

    message_type: int
    message_id: str | None
    text: str


Frame = Call | Result | Error | ResultError | Send | Malformed | Unknown


def parse(text: str, version: Version, *, max_chars: int = MAX_FRAME_CHARS) -> Frame:
    """Read one WebSocket text message. Never raises; whatever is wrong comes back as ``Malformed``."""
    if len(text) > max_chars:
        return _unreadable(text, version, f"longer than {max_chars} characters")
    try:
        frame = orjson.loads(text)
    except ValueError as error:
        return _unreadable(text, version, str(error))
    if type(frame) is not list or not frame or type(frame[0]) is not int:
        return _shapeless(text, version, "not an array that starts with a message type number")
    read = _READERS[version].get(frame[0])
    if read is None:
        return Unknown(frame[0], _usable_id(frame), text)
    return _trouble(frame, text) or read(frame, text)


def call_text(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    """The text of a CALL: compact JSON, keys in the order given, datetimes as ``…Z``."""
    return _compact([CALL, message_id, action, payload])


def result_text(message_id: str, payload: Mapping[str, Any]) -> str:
    """The text of a CALLRESULT."""
    return _compact([CALLRESULT, message_id, payload])


def error_text(
    message_id: str,
    kind: ErrorKind,
    description: str = "",
    details: Mapping[str, Any] | None = None,
    version: Version = Version.V16,
) -> str:
    """The text of a CALLERROR in the words of ``version``; the description is cut to 255 characters."""
    description = description[:MAX_DESCRIPTION_CHARS]
    return _compact([CALLERROR, message_id, word(kind, version), description, details or {}])


def result_error_text(
    message_id: str, kind: ErrorKind, description: str = "", details: Mapping[str, Any] | None = None
) -> str:
    """The text of a CALLRESULTERROR (2.1 only): the peer's answer could not be used."""
    description = description[:MAX_DESCRIPTION_CHARS]
    return _compact([CALLRESULTERROR, message_id, word(kind, Version.V21), description, details or {}])


def send_text(message_id: str, action: str, payload: Mapping[str, Any]) -> str:
    """The text of a SEND (2.1 only)."""
    return _compact([SEND, message_id, action, payload])


def _compact(frame: list[Any]) -> str:
    return orjson.dumps(frame, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _plain(value: object) -> Any:
    """What orjson cannot write itself: times in the one form that every station reads, and mappings."""
    if isinstance(value, datetime):
        return timestamps.write(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _trouble(frame: list[Any], text: str) -> Malformed | None:
    """What orjson takes but neither PostgreSQL nor recursion survives."""
    # PostgreSQL refuses NUL in text and jsonb. The escape is the only way JSON can spell it; few texts have any.
    if "\\" in text and "\\u0000" in text and _has_nul(frame):
        return _malformed(frame, text, ErrorKind.PROPERTY_CONSTRAINT, "holds a NUL character")
    # Each level has an opening bracket, so few brackets prove a shallow frame without a walk.
    if text.count("{") + text.count("[") > MAX_DEPTH and _is_deep(frame):
        return _malformed(frame, text, ErrorKind.FORMATION, f"nested deeper than {MAX_DEPTH} levels")
    return None


def _read_call(frame: list[Any], text: str) -> Frame:
    return _read_request(frame, text, Call)


def _read_send(frame: list[Any], text: str) -> Frame:
    return _read_request(frame, text, Send)


def _read_request(frame: list[Any], text: str, make: Callable[[str, str, dict[str, Any], str], Frame]) -> Frame:
    if len(frame) != 4:  # noqa: PLR2004 type, id, action, payload
        return _malformed(frame, text, ErrorKind.RPC_FRAMEWORK, "a call has four elements")
    _, message_id, action, payload = frame
    if type(message_id) is not str or not 0 < len(message_id) <= MAX_MESSAGE_ID_CHARS:
        return _malformed(frame, text, ErrorKind.RPC_FRAMEWORK, "the message id is a text of 1 to 36 characters")
    if type(action) is not str:
        return _malformed(frame, text, ErrorKind.RPC_FRAMEWORK, "the action is a text")
    if type(payload) is dict:
        return make(message_id, action, payload, text)
    if payload is None:
        return Call(message_id, action, {}, text, had_null=True) if make is Call else make(message_id, action, {}, text)
    return _malformed(frame, text, ErrorKind.TYPE_CONSTRAINT, "the payload is an object")


def _read_result(frame: list[Any], text: str) -> Frame:
    message_id = _usable_id(frame)
    if message_id is None or len(frame) != 3:  # noqa: PLR2004 type, id, payload
        return _malformed(frame, text, ErrorKind.RPC_FRAMEWORK, "an answer has three elements and a message id")
    payload = {} if frame[2] is None else frame[2]
    if type(payload) is not dict:
        return _malformed(frame, text, ErrorKind.TYPE_CONSTRAINT, "the payload is an object")
    return Result(message_id, payload, text)


def _read_error(frame: list[Any], text: str) -> Frame:
    return _read_refusal(frame, text, Error)


def _read_result_error(frame: list[Any], text: str) -> Frame:
    return _read_refusal(frame, text, ResultError)


def _read_refusal(frame: list[Any], text: str, make: Callable[[str, str, str, dict[str, Any], str], Frame]) -> Frame:
    """Take what is there: a refusal without description or details still settles a call."""
    message_id = _usable_id(frame)
    if message_id is None or len(frame) > 5:  # noqa: PLR2004 type, id, code, description, details
        return _malformed(frame, text, ErrorKind.RPC_FRAMEWORK, "an error has five elements and a message id")
    code, description, details = (*frame[2:], None, None, None)[:3]
    return make(
        message_id,
        code if isinstance(code, str) else word(ErrorKind.GENERIC, Version.V16),
        description if isinstance(description, str) else _as_text(description),
        details if isinstance(details, dict) else {"details": details} if details else {},
        text,
    )


def _as_text(value: Any) -> str:
    return "" if value is None else orjson.dumps(value).decode()


def _usable_id(frame: list[Any]) -> str | None:
    message_id = frame[1] if len(frame) > 1 else None
    if type(message_id) is not str or not 0 < len(message_id) <= MAX_MESSAGE_ID_CHARS:
        return None
    return None if "\0" in message_id else message_id


def _malformed(frame: list[Any], text: str, kind: ErrorKind, description: str) -> Malformed:
    """A frame of a known type whose rest is wrong."""
    message_id, is_call = _usable_id(frame), frame[0] == CALL
    action = frame[2] if is_call and len(frame) > 2 and type(frame[2]) is str else None  # noqa: PLR2004 the action
    return Malformed(
        message_id=message_id or (UNREADABLE_ID if is_call else None),
        kind=kind,
        description=description,
        text=text,
        answerable=is_call,
        message_type=frame[0],
        action=action,
    )


# The start of a frame whose rest is no JSON: enough to tell the station which of its calls it was.
_START: Final = re.compile(
    r'\s*\[\s*([0-9]{1,3})\s*,\s*"([^"\\\x00-\x1f]{1,36})"(?:\s*,\s*"([^"\\\x00-\x1f]{1,64})"\s*,)?'
)
_TYPE: Final = re.compile(r"\s*\[\s*([0-9]{1,3})\s*,")


def _unreadable(text: str, version: Version, reason: str) -> Malformed:
    """What orjson refuses: no JSON, NaN, infinite numbers, lone surrogates, raw control characters, depth."""
    head = text[:256]
    start = _START.match(head)
    if start is None or not start[2].isprintable():
        type_only = _TYPE.match(head)
        if type_only is not None and int(type_only[1]) != CALL:
            return Malformed(None, ErrorKind.FORMATION, reason, text, answerable=False, message_type=int(type_only[1]))
        return _shapeless(text, version, reason)
    message_type = int(start[1])
    return Malformed(
        message_id=start[2],
        kind=ErrorKind.FORMATION,
        description=reason,
        text=text,
        answerable=message_type == CALL,
        message_type=message_type,
        action=start[3] if message_type == CALL else None,
    )


def _shapeless(text: str, version: Version, description: str) -> Malformed:
    """No frame at all: 2.x answers with id "-1"; 1.6 has no such id, so the text is dropped."""
    has_answer = version is not Version.V16
    return Malformed(
        message_id=UNREADABLE_ID if has_answer else None,
        kind=ErrorKind.RPC_FRAMEWORK,
        description=description,
        text=text,
        answerable=has_answer,
    )


def _has_nul(value: Any) -> bool:
    """Whether a text or key anywhere holds NUL (an escaped backslash before u0000 is none)."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\0" in item:
                return True
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
    return False


def _is_deep(frame: list[Any]) -> bool:
    level: list[Any] = [frame]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if type(item) is dict else item)
            if type(child) in (dict, list)
        ]
        if not level:
            return False
    return True


_Reader = Callable[[list[Any], str], Frame]
_READERS_1: Final[Mapping[int, _Reader]] = {CALL: _read_call, CALLRESULT: _read_result, CALLERROR: _read_error}
_READERS: Final[Mapping[Version, Mapping[int, _Reader]]] = {
    Version.V16: _READERS_1,
    Version.V201: _READERS_1,
    Version.V21: {**_READERS_1, CALLRESULTERROR: _read_result_error, SEND: _read_send},
}
