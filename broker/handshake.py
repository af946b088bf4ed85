"""What a handshake says, read by the rules: identity, subprotocols, credentials (OCPP.md sections 4, 5, 7). Pure."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from csms.station.information import is_identity

PATH = "/ocpp/"
PATH_CHARS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """HTTP Basic: the password is bytes (a 1.6 AuthorizationKey need not be text)."""

    username: str
    password: bytes


def identity_of(path: str) -> str | None:
    """The station's identity from the request path, percent-decoded once; None if there is none that is legal."""
    path = path.partition("?")[0]
    if not path.startswith(PATH):
        return None
    try:
        identity = unquote_to_bytes(path[len(PATH) :]).decode()
    except UnicodeDecodeError:
        return None
    return identity if is_identity(identity) else None


def shown_path(path: str) -> str:
    """The start of a request path, as a line and a database can bear it."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in path[:PATH_CHARS_SHOWN])


def subprotocols_of(headers: Sequence[str]) -> list[str]:
    """The offered subprotocols in the station's order; headers may be repeated (RFC 6455 11.3.4)."""
    return [name.strip() for header in headers for name in header.split(",") if name.strip()]


def credentials_of(authorization: str | None) -> Credentials | None:
    """HTTP Basic credentials (RFC 7617), split at the first colon; None if absent or unreadable."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(username.decode("utf-8", "replace"), password) if colon else None


PLAIN_PROFILES = frozenset({0, 1})


def profile_in_use(
    allowed: frozenset[int], *, is_tls: bool, shows_certificate: bool, has_credentials: bool
) -> int | None:
    """Which of the security profiles that a station may use this connection is; None: another (A00.FR.002)."""
    if not is_tls:
        plain = allowed & PLAIN_PROFILES
        if len(plain) > 1:  # while it is raised from 0 to 1
            return int(has_credentials)
        return next(iter(plain), None)
    if 3 in allowed and (shows_certificate or 2 not in allowed):  # noqa: PLR2004  # the standard's numbers
        return 3
    return 2 if 2 in allowed else None  # noqa: PLR2004
