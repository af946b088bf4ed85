"""S17, S24: URLs with one-time credentials, and which locations a station may be told."""

import re
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

TOKEN_START: Final = "csmsf_"  # noqa: S105  # the mark by which one-time tokens are found and masked
USERNAME_CHARS: Final = 12
SECRET_CHARS: Final = 32
_TOKEN: Final = re.compile(rf"{TOKEN_START}([a-z0-9]{{{USERNAME_CHARS}}})([0-9a-f]{{{SECRET_CHARS}}})")
_USERNAME: Final = re.compile(
    rf"(?:{TOKEN_START}|://)(s[a-f0-9]{{{USERNAME_CHARS - 1}}})(?=[0-9a-f]{{{SECRET_CHARS}}}|:)"
)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS_MAX: Final = 120
_SCHEMES: Final = {"http": 80, "https": 443, "ftp": 21, "ftps": 990, "sftp": 22}
"""OCPP's FileTransferProtocols with their ports."""
_PRIVATE_NAMES: Final = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "home.arpa",
    "test",
    "invalid",
    "onion",
)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\]")
_ANY: Final = "*"


def token_of(username: str, secret: str) -> str:
    """Both credentials as one word of a URL's path."""
    return f"{TOKEN_START}{username}{secret}"


def credentials_in(token: str) -> tuple[str, str] | None:
    """User name and secret of such a word."""
    found = _TOKEN.fullmatch(token)
    return None if found is None else (found[1], found[2])


def upload_url(base: str, username: str, secret: str) -> str:
    """Where a station may put one file under any name; ends in a slash, because OCPP 1.6 calls it a directory."""
    if base.startswith("ftp://"):
        return f"ftp://{username}:{secret}@{base.removeprefix('ftp://')}/"
    return f"{base}/files/{token_of(username, secret)}/"


def download_url(base: str, username: str, secret: str, name: str) -> str:
    """Where a station may fetch one file."""
    return upload_url(base, username, secret) + quote(safe_name(name), safe="")


def username_in(location: str) -> str | None:
    """The user name of one of our own one-time URLs."""
    found = _USERNAME.search(location)
    return None if found is None else found[1]


def safe_name(name: str, otherwise: str = "file.bin") -> str:
    """A file name that no file system or header misunderstands."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _UNSAFE.sub("_", last).lstrip(".")[:_NAME_CHARS_MAX] or otherwise


def shown_location(location: str) -> str:
    """Scheme, host and port of a location: what may be shown of it."""
    parts = _split(location)
    if parts is None or not parts.hostname:
        return "(unreadable)"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def location_fault(location: str, own: Sequence[str], allowed: Collection[str]) -> str | None:
    """Why a station may not be told to upload to or fetch from that location, or None (ROBUSTNESS 40).

    `own` are the base URLs of our file server; `allowed` are host names, addresses, `*.domain`, or `*`: every public
    host.
    """
    parts = _split(location)
    if parts is None or not parts.hostname:
        return "this is no URL of a file server"
    if parts.scheme not in _SCHEMES:
        return f"the URL must begin with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
    if any(_is_same_server(parts, base) for base in own):
        return None
    host = parts.hostname.rstrip(".").lower()
    if any(_allows(pattern.rstrip(".").lower(), host) for pattern in allowed):
        return None
    return (
        f"{host[:100]} is neither our own file server nor among the allowed hosts: leave the upload or image to us "
        "(POST …/diagnosis, …/firmware-updates), or add the host to CSMS_FILE_ALLOWED_HOSTS"
    )


def _split(location: str) -> SplitResult | None:
    """The parts of a URL that every reader takes apart alike; None for one that they would not."""
    if _ODD.search(location) is not None:
        return None
    try:
        parts = urlsplit(location)
        _ = parts.port
    except ValueError:
        return None
    return None if parts.netloc.count("@") > 1 else parts


def _is_same_server(parts: SplitResult, base: str) -> bool:
    own = urlsplit(base)
    return (parts.scheme, parts.hostname, parts.port or _SCHEMES.get(parts.scheme)) == (
        own.scheme,
        own.hostname,
        own.port or _SCHEMES.get(own.scheme),
    )


def _allows(pattern: str, host: str) -> bool:
    if pattern == _ANY:
        return _is_public(host)
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern.strip("[]") == host


def _is_public(host: str) -> bool:
    """Whether a host can only mean a machine of the Internet; the station looks names up, so we cannot."""
    address = _address(host)
    if address is not None:
        return address.is_global and not address.is_multicast
    if "." not in host or any(host == name or host.endswith(f".{name}") for name in _PRIVATE_NAMES):
        return False
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is None  # 0x7f.1 and its like are addresses to many readers


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host)
    except ValueError:
        return None
    inner = (found.ipv4_mapped or found.sixtofour) if isinstance(found, IPv6Address) else None
    return inner or found
