"""P2: how keys and tokens look, how passwords are judged and hashed."""

import hashlib
import secrets
import string
from typing import Annotated, Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import StringConstraints

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$"
    ),
]
"""An address as people log in with it: small letters."""
KEY_START: Final = "csms_"
TOKEN_START: Final = "csmst_"  # noqa: S105  # how a token begins, not a token
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 256
GIVEN_KEY_CHARS_MIN: Final = 24
_DISTINCT_CHARS_MIN: Final = 5
_PREFIX_ALPHABET: Final = string.ascii_lowercase + string.digits
_PREFIX_CHARS: Final = 8

_COMMONEST: Final = frozenset(
    {
        "000000000000",
        "1234567890ab",
        "123456789012",
        "12345678910111",
        "1q2w3e4r5t6y",
        "1qaz2wsx3edc",
        "abc123456789",
        "abcdefghijkl",
        "administrator",
        "adminadminadmin",
        "changeme1234",
        "changemeplease",
        "charging1234",
        "chargepoint1",
        "chargingstation",
        "correcthorsebatterystaple",
        "iloveyou1234",
        "letmein12345",
        "password1234",
        "password12345",
        "password123456",
        "passwordpassword",
        "qwerty123456",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwertyuiopasdf",
        "welcome12345",
    }
)

_hasher = PasswordHash((Argon2Hasher(),))


def new_key() -> tuple[str, str]:
    """A fresh API key, `csms_<prefix>_<secret>`, and the prefix that may be shown."""
    prefix = "".join(secrets.choice(_PREFIX_ALPHABET) for _ in range(_PREFIX_CHARS))
    return f"{KEY_START}{prefix}_{secrets.token_urlsafe(32)}", prefix


def new_token() -> str:
    """A fresh login token."""
    return TOKEN_START + secrets.token_urlsafe(32)


def is_token(secret: str) -> bool:
    return secret.startswith(TOKEN_START)


def hash_of(secret: str) -> str:
    """SHA-256 in hex: keys have 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def prefix_of(secret: str) -> str:
    """What may be shown of a key that an operator chose: part of its hash, never of itself."""
    return hash_of(secret)[:_PREFIX_CHARS]


def password_fault(password: str, email: str = "") -> str | None:
    """Why this password is refused, or None.

    Length and a list of the commonest ones, as NIST SP 800-63B 3.1.1.2 advises; no rules about kinds of characters.
    """
    lowered = password.lower()
    if len(password) < PASSWORD_CHARS_MIN:
        return f"use at least {PASSWORD_CHARS_MIN} characters; three or four words that do not belong together are fine"
    if len(password) > PASSWORD_CHARS_MAX:
        return f"use at most {PASSWORD_CHARS_MAX} characters"
    if lowered in _COMMONEST or len(set(lowered)) < _DISTINCT_CHARS_MIN:
        return "this is one of the passwords that are tried first; choose another"
    name = email.partition("@")[0].lower()
    if len(name) >= _DISTINCT_CHARS_MIN and name in lowered:
        return "the password contains your e-mail address; choose another"
    return None


def hash_password(password: str) -> str:
    """Argon2id; takes tens of milliseconds, so call it in a thread."""
    return _hasher.hash(password)


def is_password(password: str, password_hash: str | None) -> bool:
    """Whether the password belongs to the hash; takes the same time where there is no hash (unknown user)."""
    if password_hash is None:
        _hasher.verify(password, _NOBODY)
        return False
    return _hasher.verify(password, password_hash)


_NOBODY: Final = _hasher.hash(secrets.token_hex(16))
