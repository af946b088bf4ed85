"""P6: takes secrets and personal marks out of what is logged or kept for auditors."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

HIDDEN: Final = "(hidden)"
_KEPT_CHARS: Final = 4
_DEPTH_MAX: Final = 8

_SECRET_NAME: Final = re.compile(
    r"pass(word|phrase|wd)|secret|hash|authorization|private_?key|api_?key|cookie|credential|simpin|(^|_)pin$"
    r"|^token$|(login|access|refresh|bearer)_?token|^vpn$",
    re.IGNORECASE,
)
_ID_TAG_NAME: Final = re.compile(r"id_?(tag|token)$", re.IGNORECASE)
_OWN_SECRET: Final = re.compile(r"\bcsms[tf]?_[A-Za-z0-9_-]{8,}")
_BEARER: Final = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(?<=://)([^/?#\s:@]*):([^/?#\s@]+)(?=@)")


def is_secret_name(name: str) -> bool:
    """Whether a column, field or setting of that name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def shortened(value: Any) -> str:
    """The start of an id tag: enough to compare two, too little to charge with it."""
    text = str(value)
    return f"{text[:_KEPT_CHARS]}…" if len(text) > _KEPT_CHARS else "…"


def redact(value: Any, name: str = "", *, keeps_id_tags: bool = False) -> Any:
    """A copy of a JSON-like value without secrets; `name` is that of the field that holds it.

    A mapping that names a setting (`{"key": "AuthorizationKey", "value": …}`, OCPP 1.6 ChangeConfiguration) loses the
    setting's value. Id tags are shortened unless they are to be kept.
    """
    return _redacted(value, name, keeps_id_tags, 0)


def _redacted(value: Any, name: str, keeps_id_tags: bool, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name) or depth > _DEPTH_MAX:
        return HIDDEN
    if isinstance(value, Mapping):
        return _redacted_fields(value, keeps_id_tags, depth)
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, name, keeps_id_tags, depth + 1) for item in value]
    if not keeps_id_tags and _ID_TAG_NAME.search(name):
        return shortened(value)
    return redacted_text(value) if isinstance(value, str) else value


def _redacted_fields(fields: Mapping[Any, Any], keeps_id_tags: bool, depth: int) -> dict[str, Any]:
    holds_secret = any(is_secret_name(text) for text in _setting_names(fields))
    return {
        str(key): HIDDEN
        if holds_secret and str(key).lower().endswith("value")
        else _redacted(item, _field_name(str(key), fields), keeps_id_tags, depth + 1)
        for key, item in fields.items()
    }


def _field_name(key: str, around: Mapping[Any, Any]) -> str:
    """2.x puts the id tag at `idToken.idToken` and its kind beside it; the kind is no secret."""
    return "" if key == "type" and "idToken" in around else key


def _setting_names(fields: Mapping[Any, Any]) -> Iterable[str]:
    """What a setting is called: 1.6 says `key`, 2.x `variable.name`."""
    variable = fields.get("variable")
    names = (fields.get("key"), variable.get("name") if isinstance(variable, Mapping) else None)
    return (name for name in names if isinstance(name, str))


def redacted_text(text: str) -> str:
    """Mask keys and tokens of ours, HTTP credentials and passwords in URLs."""
    if "csms" in text:
        text = _OWN_SECRET.sub(HIDDEN, text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1:{HIDDEN}", text)
    return _BEARER.sub(rf"\1 {HIDDEN}", text)
