"""S1, B10: what a legal identity, password and position are."""

import re
from typing import Final

IDENTITY_PATTERN: Final = r"^[A-Za-z0-9*\-_=:+|@.]([A-Za-z0-9*\-_=:+|@. ]{0,46}[A-Za-z0-9*\-_=:+|@.])?$"
"""OCPP 2.0.1 identifierString, 48 characters at most, and blanks inside as OCPP-J 1.6 shows them (3.1.1)."""
_IDENTITY = re.compile(IDENTITY_PATTERN.removeprefix("^").removesuffix("$"))

KEY_BYTES_MIN: Final = 16
KEY_BYTES_MAX: Final = 20
"""A 1.6 AuthorizationKey: 16 to 20 bytes, 32 to 40 hexadecimal digits over OCPP."""
PASSWORD_CHARS_MIN: Final = 16
PASSWORD_CHARS_MAX: Final = 40
"""A 2.0.1 BasicAuthPassword."""
PASSWORD_21_CHARS_MAX: Final = 64
"""One of 2.1."""
PROFILES_WITH_PASSWORD: Final = (1, 2)
WITH_CERTIFICATE: Final = 3
_HEX_KEY = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,20}")
_DEGREES_MAX: Final = (90, 180)


def is_identity(text: str) -> bool:
    """Whether a station may have that identity; `.` and `..` would be lost on the way through a URL."""
    return _IDENTITY.fullmatch(text) is not None and text not in (".", "..")


def identity_fault(identity: str, security_profile: int) -> str | None:
    """Why a station of that security profile cannot have the identity, or None."""
    if not is_identity(identity):
        return "an identity has 1 to 48 letters, digits or * - _ = : + | @ . and blanks inside"
    if security_profile in PROFILES_WITH_PASSWORD and ":" in identity:
        return "an identity with a colon cannot log in with a password: HTTP Basic splits there"
    return None


def profile_warning(profile: int, *, has_tls: bool, has_client_tls: bool, has_authority: bool) -> str | None:
    """What keeps every station of that security profile out at present, or None."""
    if profile <= 1:
        return None
    if not has_tls:
        return (
            f"no broker has a TLS port, so the station cannot connect with security profile {profile}: "
            "set CSMS_BROKER_TLS_PORT (docs/operating.md)"
        )
    if profile == WITH_CERTIFICATE and not has_client_tls:
        return "a proxy that ends TLS hides stations' certificates: security profile 3 needs CSMS_BROKER_TLS_PORT"
    if profile == WITH_CERTIFICATE and not has_authority:
        return (
            "nobody is trusted to have issued stations' certificates, so the station cannot connect: make an authority "
            "(POST /api/v1/certificate-authority), or set CSMS_TLS_CLIENT_CA_FILES"
        )
    return None


def are_coordinates(latitude: float | None, longitude: float | None) -> bool:
    """Whether both are given, in range, and not (0, 0), which is what devices without a position report."""
    if latitude is None or longitude is None:
        return False
    return abs(latitude) <= _DEGREES_MAX[0] and abs(longitude) <= _DEGREES_MAX[1] and (latitude, longitude) != (0, 0)


def password_fault(password: str, protocol: str) -> str | None:
    """Why a station that speaks that subprotocol cannot have the password, or None (OCPP.md, section 7)."""
    if not password.isprintable():
        return "use printable characters"
    if protocol != "ocpp1.6":
        most = PASSWORD_21_CHARS_MAX if protocol == "ocpp2.1" else PASSWORD_CHARS_MAX
        is_right = PASSWORD_CHARS_MIN <= len(password) <= most
        return None if is_right else f"use {PASSWORD_CHARS_MIN} to {most} characters"
    if KEY_BYTES_MIN <= len(canonical_key(password.encode())) <= KEY_BYTES_MAX:
        return None
    sizes = f"{KEY_BYTES_MIN} to {KEY_BYTES_MAX}"
    return f"an OCPP 1.6 key has {sizes} bytes: as many characters, or twice as many hexadecimal digits"


def canonical_key(presented: bytes) -> bytes:
    """The bytes that a password means: stations send a 1.6 key as its bytes or as its hexadecimal text."""
    return bytes.fromhex(presented.decode()) if _HEX_KEY.fullmatch(presented) else presented


def key_digits(password: str) -> str:
    """The password as a 1.6 AuthorizationKey travels over OCPP: hexadecimal digits."""
    return password if _HEX_KEY.fullmatch(password.encode()) else password.encode().hex()
