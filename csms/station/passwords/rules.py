"""B10: what a request says of the password, what an answer decides, and which passwords hold meanwhile.

OCPP 1.6 security whitepaper A01; 2.0.1 A01. After Accepted only the new password holds, after a refusal only the old
one. Where nobody knows, both hold until the next login shows which one the station has.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Final

Payload = dict[str, Any]

AUTHORIZATION_KEY: Final = "AuthorizationKey"
BASIC_AUTH_PASSWORD: Final = "BasicAuthPassword"  # noqa: S105  # its name
"""The names of the setting in 1.6 and 2.x."""
_ACCEPTED: Final = "Accepted"
_RESTART: Final = "RebootRequired"
_REFUSALS: Final = frozenset(
    {
        "Rejected",
        "Failed",
        "NotSupported",
        "NotImplemented",
        "UnknownComponent",
        "UnknownVariable",
        "NotSupportedAttributeType",
    }
)


class ChangeState(StrEnum):
    """What became of a password that was sent."""

    SENDING = "sending"
    """On its way; both passwords hold."""
    ACCEPTED = "accepted"
    """The new one holds, alone."""
    REFUSED = "refused"
    """The station kept the old one."""
    NOT_SENT = "not_sent"
    """It never left; the old one holds."""
    UNKNOWN = "unknown"
    """No answer: both hold until the next login."""
    RESTART_NEEDED = "restart_needed"
    """Accepted, but in force later (after a restart): both hold until a login with the new one."""
    WAITING = "waiting"
    """Accepted, its first, by a station of profile 0: it may go on to come without, until it has come with it."""
    OVERTAKEN = "overtaken"
    """Another password was set or proved before this one was decided."""


TAKEN: Final = (ChangeState.RESTART_NEEDED, ChangeState.WAITING)
"""The station said that it has the new one, and is to show it."""
OPEN: Final = (ChangeState.SENDING, ChangeState.UNKNOWN, *TAKEN)
"""States in which the new password holds beside the old one."""


def names_password(action: str, payload: Payload) -> bool:
    """Whether the request sets the password with which the station logs in; the payload may be of any shape."""
    return any(True for _ in _values(action, payload))


def new_passwords(action: str, payload: Payload) -> list[str]:
    """The passwords that the request sets: one, in a request that makes sense."""
    return [value for value in _values(action, payload) if isinstance(value, str)]


def _values(action: str, payload: Payload) -> Iterator[Any]:
    if action == "ChangeConfiguration":
        if _is(payload.get("key"), AUTHORIZATION_KEY):
            yield payload.get("value")
    elif action == "SetVariables":
        listed = payload.get("setVariableData")
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and _is(_name_of(item), BASIC_AUTH_PASSWORD):
                yield item.get("attributeValue")
    elif action == "SetNetworkProfile":  # 2.1 only
        data = payload.get("connectionData")
        if isinstance(data, dict) and "basicAuthPassword" in data:
            yield data["basicAuthPassword"]


def _is(name: object, wanted: str) -> bool:
    return isinstance(name, str) and name.strip().casefold() == wanted.casefold()


def _name_of(item: Payload) -> object:
    variable = item.get("variable")
    return variable.get("name") if isinstance(variable, dict) else None


def verdict(action: str, answer: Payload) -> tuple[ChangeState, str]:
    """What the answer decides, and the station's own word. What is no word of the standard decides nothing."""
    status = _status(action, answer)
    if status in _REFUSALS:
        return ChangeState.REFUSED, status
    if status == _RESTART or (status == _ACCEPTED and action == "SetNetworkProfile"):
        return ChangeState.RESTART_NEEDED, status
    return (ChangeState.ACCEPTED if status == _ACCEPTED else ChangeState.UNKNOWN), status


def _status(action: str, answer: Payload) -> str:
    if action != "SetVariables":
        return str(answer.get("status"))[:50]
    listed = answer.get("setVariableResult")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and _is(_name_of(item), BASIC_AUTH_PASSWORD):
            return str(item.get("attributeStatus"))[:50]
    return "no result"


def change_request(password: str, *, is_16: bool) -> tuple[str, Payload]:
    """Action and payload that set the password: in 1.6 as hexadecimal digits, in 2.x as text."""
    if is_16:
        return "ChangeConfiguration", {"key": AUTHORIZATION_KEY, "value": password}
    item = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": BASIC_AUTH_PASSWORD},
        "attributeValue": password,
    }
    return "SetVariables", {"setVariableData": [item]}
