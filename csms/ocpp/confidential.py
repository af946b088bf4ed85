"""B1: takes passwords and keys out of payloads and texts before they are stored or logged (2.0.1 A01.FR.09)."""

import contextlib
import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

MASK: Final = "(hidden)"

_SECRET_NAME: Final = re.compile(r"authorizationkey|password|passphrase|secret|privatekey|simpin|vpnkey", re.IGNORECASE)
_VALUE_FIELDS: Final = frozenset({"value", "attributeValue", "actualValue", "data"})
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/?#\s:@]*):([^/?#\s]*)(?=@)")
_ONE_TIME: Final = re.compile(r"csmsf_[A-Za-z0-9]{16,}")
"""What stands in the path of our own one-time URLs."""
_MIN_SCRUBBED_CHARS: Final = 4

_ACTIONS: Final = frozenset(
    {
        "ChangeConfiguration",
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "GetConfiguration",
        "GetDiagnostics",
        "GetLog",
        "GetVariables",
        "LogStatusNotification",
        "NotifyCustomerInformation",
        "NotifyEvent",
        "NotifyReport",
        "PublishFirmware",
        "PublishFirmwareStatusNotification",
        "SecurityEventNotification",
        "SetNetworkProfile",
        "SetVariables",
        "SignedFirmwareStatusNotification",
        "SignedUpdateFirmware",
        "UpdateFirmware",
    }
)
_HINTS: Final = (
    "authorizationkey",
    "password",
    "passphrase",
    "secret",
    "privatekey",
    "simpin",
    "vpnkey",
    '"vpn"',
    "://",
    "csmsf_",
    '"generatedat"',
    "\\u",
)


def may_hold_secrets(action: str) -> bool:
    """Whether the messages of that action are searched for secrets at all."""
    return action in _ACTIONS


def redacted(action: str, payload: Any) -> Any:
    """Mask the secrets in a request or answer of ``action``; without any, return ``payload`` itself."""
    return _masked(payload, []) if action in _ACTIONS else payload


def secret_values(action: str, payload: Any) -> tuple[str, ...]:
    """List the secrets in a request of ``action``, to be scrubbed from whatever the peer answers."""
    found: list[str] = []
    if action in _ACTIONS:
        _masked(payload, found)
    return tuple(found)


def scrubbed(text: str, values: Iterable[str]) -> str:
    """Mask every occurrence of ``values`` in ``text``, also as JSON or another case spells them, or as hex."""
    for value in values:
        for form in _forms(value):
            text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
    return text


def _forms(value: str) -> list[str]:
    """How a station may repeat a secret: 1.6 sends keys in hex, and some stations tell them as text (A01)."""
    forms = {orjson.dumps(value).decode()[1:-1], value, value.encode().hex()}
    with contextlib.suppress(ValueError):  # UnicodeDecodeError is one
        forms.add(bytes.fromhex(value).decode())
    return sorted((form for form in forms if len(form) >= _MIN_SCRUBBED_CHARS), key=len, reverse=True)


def redacted_text(text: str, action: str | None = None) -> str:
    """Mask the secrets in a raw frame; without any, return ``text`` itself.

    ``action`` (known for an answer from its call) lets harmless frames pass at once. A text that speaks
    of a secret but is no JSON is cut off where it does.
    """
    if action is not None and action not in _ACTIONS:
        return text
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    try:
        frame = orjson.loads(text)
    except ValueError:
        return _cut_off(text)
    masked = _masked(frame, [])
    return text if masked is frame else orjson.dumps(masked).decode()


def _cut_off(text: str) -> str:
    found = _SECRET_NAME.search(text)
    text = text if found is None else text[: found.end()] + MASK
    return _ONE_TIME.sub(MASK, _PASSWORD_IN_URL.sub(rf"\1:{MASK}", text))


def _masked(value: Any, found: list[str], *, is_secret: bool = False) -> Any:
    """Rebuild ``value`` with its secrets masked; the same object when it has none.

    ``is_secret`` says that the setting around names a secret, so that its value fields are masked.
    """
    if isinstance(value, str):
        return _masked_text(value, found)
    if isinstance(value, list):
        items = [_masked(item, found, is_secret=is_secret) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    is_secret = is_secret or _names_secret(value) or _tells_of_customer(value)
    fields = {name: _masked_field(name, item, found, is_secret=is_secret) for name, item in value.items()}
    return fields if any(fields[name] is not item for name, item in value.items()) else value


def _masked_field(name: Any, item: Any, found: list[str], *, is_secret: bool) -> Any:
    if item is None or isinstance(item, bool):
        return item
    is_hidden = (is_secret and name in _VALUE_FIELDS) or (
        isinstance(name, str) and _SECRET_NAME.search(name) is not None
    )
    if is_hidden and not isinstance(item, dict | list):
        found.append(str(item))
        return MASK
    if name == "vpn" and isinstance(item, dict) and isinstance(item.get("key"), str):  # SetNetworkProfile
        found.append(item["key"])
        item = {**item, "key": MASK}
    return _masked(item, found, is_secret=is_secret)


def _names_secret(value: dict[Any, Any]) -> bool:
    """Whether a setting is a secret: 1.6 calls it by ``key``, 2.x by ``variable.name``."""
    variable = value.get("variable")
    names = (value.get("key"), variable.get("name") if isinstance(variable, dict) else None)
    return any(isinstance(name, str) and _SECRET_NAME.search(name) is not None for name in names)


def _tells_of_customer(value: dict[Any, Any]) -> bool:
    """Whether it is a NotifyCustomerInformation: personal data is kept where it can be deleted, not in raw frames."""
    return "generatedAt" in value and isinstance(value.get("data"), str)


def _masked_text(text: str, found: list[str]) -> str:
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(lambda match: _masked_url(match, found), text)
    if "csmsf_" in text:
        found.extend(_ONE_TIME.findall(text))
        text = _ONE_TIME.sub(MASK, text)
    return text


def _masked_url(match: re.Match[str], found: list[str]) -> str:
    found.append(match[2])
    return f"{match[1]}:{MASK}"
