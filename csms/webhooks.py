"""F2: deliver signed webhooks (Standard Webhooks 1.0), to public addresses unless a host is allowed by name."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

URL_LIMIT_CHARACTERS = 2000
RESPONSE_LIMIT_BYTES = 64 * 1024
REASON_LIMIT_CHARACTERS = 300
ADDRESSES_TRIED = 3
TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0
RESPONSE_TIMEOUT_S = 2.0
TOLERANCE_S = 300.0

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # no dot: it parts the signed text
_EVENT = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_SECRET_PREFIX = "whsec_"  # noqa: S105  the standard's mark of a secret in base64, not a secret
_GONE = 410
"""The one refusal that is meant for good (Standard Webhooks); others come from receivers being changed, too."""

IpAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[IpAddress]]]

_PLATFORM = frozenset({IPv4Address("168.63.129.16")})  # Azure's host services, on a public address
_UNICAST = IPv6Network("2000::/3")  # all that is routed on the Internet
_NAT64 = IPv6Network("64:ff9b::/96")
_RELAYS = IPv4Network("192.88.99.0/24")


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver answered with a 2xx status."""

    status: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Not delivered; `permanent` means that trying the same again is useless. The reason never shows the URL's path."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL whose host was resolved once; connect to these addresses and to no other."""

    url: httpx.URL
    addresses: list[IpAddress]


def sign(*, secret: str, delivery_id: str, timestamp: datetime, body: bytes) -> str:
    """The `webhook-signature` header: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.

    A secret that starts with `whsec_` is base64 after that; any other is taken as UTF-8.
    """
    signed = f"{delivery_id}.{int(timestamp.timestamp())}.".encode() + body
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(
    headers: Mapping[str, str], body: bytes, *, secret: str, now: datetime, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Whether a received webhook is genuine and not older (or newer) than the tolerance; header names in lower case."""
    seconds = headers.get("webhook-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,11}", seconds):
        return False
    timestamp = datetime.fromtimestamp(int(seconds), now.tzinfo)
    if abs(now - timestamp) > timedelta(seconds=tolerance_s):
        return False
    delivery_id = headers.get("webhook-id", "")
    if not _ID.fullmatch(delivery_id):
        return False
    expected = sign(secret=secret, delivery_id=delivery_id, timestamp=timestamp, body=body).encode()
    # Several signatures stand side by side while a secret is changed.
    given = headers.get("webhook-signature", "").encode("utf-8", "replace").split(b" ")
    return any(hmac.compare_digest(expected, signature) for signature in given)


def _key(secret: str) -> bytes:
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook secret that starts with whsec_ must go on in base64") from None


def open_client() -> httpx.AsyncClient:
    """A client for deliveries: no redirects, no proxies from the environment, no cookies from one host to another."""
    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=TIMEOUT_S,
    )


async def deliver(
    client: httpx.AsyncClient,
    url: str,
    body: bytes,
    *,
    secret: str,
    delivery_id: str,
    event: str,
    timestamp: datetime,
    allowed_hosts: Collection[str] = (),
    timeout_s: float = TIMEOUT_S,
    resolve: Resolve | None = None,
) -> Sent | Failed:
    """POST the JSON body once, signed; at most `timeout_s` from name look-up to the end of the answer.

    `delivery_id` stays the same over retries, so that receivers can drop repeats. ValueError for an id or event
    outside letters, digits, `_` and `-` (events also `.`).
    """
    if not _ID.fullmatch(delivery_id) or not _EVENT.fullmatch(event):
        raise ValueError("a delivery id or event has characters that cannot be signed or sent")
    headers = {
        "content-type": "application/json",
        "user-agent": "csms-webhooks/1",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": sign(secret=secret, delivery_id=delivery_id, timestamp=timestamp, body=body),
        "webhook-event": event,
    }
    try:
        async with asyncio.timeout(timeout_s):
            found = await find_destination(url, allowed_hosts, resolve)
            return found if isinstance(found, Failed) else await _post(client, found, headers, body)
    except TimeoutError:
        return Failed(f"no answer within {timeout_s:g} s", permanent=False)


async def is_allowed(url: str, allowed_hosts: Collection[str] = (), resolve: Resolve | None = None) -> bool:
    """Whether we may connect to the URL now; ask `find_destination` for the reason."""
    return isinstance(await find_destination(url, allowed_hosts, resolve), Destination)


async def find_destination(
    url: str, allowed_hosts: Collection[str] = (), resolve: Resolve | None = None
) -> Destination | Failed:
    """Look the host up once and refuse it if any of its addresses is private, unless the host is allowed by name.

    Allowed hosts are names or addresses as in the URL, without port, names outside ASCII as `xn--…`.
    Connect to the addresses found and do not look up again: the answer may have changed (DNS rebinding).
    """
    try:
        parsed = _parse(url)
    except ValueError as error:
        return Failed(str(error), permanent=True)
    host = _plain(_raw_host(parsed))
    try:
        addresses = await (resolve or look_up)(host, parsed.port or {"http": 80, "https": 443}[parsed.scheme])
    except OSError as error:
        return Failed(f"{host}: name not found ({error.strerror})", permanent=False)
    except UnicodeError:  # a label over 63 characters
        return Failed(f"{host[:80]}: not a host name", permanent=True)
    if not addresses:
        return Failed(f"{host}: name without address", permanent=False)
    if host not in {_plain(name) for name in allowed_hosts} and not all(map(is_public, addresses)):
        return Failed(f"{host} has an address that is not public and is not among the allowed hosts", permanent=True)
    return Destination(parsed, addresses)


def _parse(url: str) -> httpx.URL:
    if len(url) > URL_LIMIT_CHARACTERS:
        raise ValueError(f"the URL has over {URL_LIMIT_CHARACTERS} characters")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("not a URL") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("the URL must be https://host… or http://host…")
    if parsed.port is not None and not 0 < parsed.port < 65536:  # noqa: PLR2004  TCP's ports
        raise ValueError("the URL's port must be 1 to 65535")
    if parsed.userinfo:
        raise ValueError("the URL must not hold a user name or password")
    return parsed


def _raw_host(url: httpx.URL) -> str:
    """The host in ASCII, as it goes into DNS and TLS."""
    return url.raw_host.decode("ascii").strip("[]")


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


async def look_up(host: str, port: int) -> list[IpAddress]:
    """The addresses of a host, as the system's resolver tells them; it also knows numbers such as 0x7f.1."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(entry[4][0]) for entry in found))


def is_public(address: IpAddress) -> bool:
    """Whether the address belongs to the Internet: not private, local, multicast or a cloud's own."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address not in _PLATFORM and address not in _RELAYS
    inner = _inner(address)
    return is_public(inner) if inner is not None else address in _UNICAST and address.is_global


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, NAT64 or 6to4 address leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


async def _post(
    client: httpx.AsyncClient, destination: Destination, headers: dict[str, str], body: bytes
) -> Sent | Failed:
    """Try the addresses in turn until one can be connected to."""
    outcome = Failed("no connection", permanent=False)
    for address in destination.addresses[:ADDRESSES_TRIED]:
        try:
            return await _post_to(client, destination.url, address, headers, body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            outcome = Failed(f"no connection: {error or 'timeout'}"[:REASON_LIMIT_CHARACTERS], permanent=False)
        except httpx.HTTPError as error:
            reason = f"{type(error).__name__}: {error}"[:REASON_LIMIT_CHARACTERS]
            return Failed(reason, permanent=False)
    return outcome


async def _post_to(
    client: httpx.AsyncClient, url: httpx.URL, address: IpAddress, headers: dict[str, str], body: bytes
) -> Sent | Failed:
    """POST to one address; the certificate is still checked against the host's name."""
    timeout = httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    request = httpx.Request(  # not the client's build_request, which would add its cookies
        "POST",
        url.copy_with(host=str(address)),
        # Connections are pooled by address, and another host's may have the same: so each is used once.
        headers=headers | {"host": url.netloc.decode("ascii"), "connection": "close"},
        content=body,
        extensions={"sni_hostname": _raw_host(url), "timeout": timeout.as_dict()},
    )
    response = await client.send(request, stream=True, auth=None, follow_redirects=False)
    try:
        await _read_some(response)
    finally:
        await response.aclose()
    return _outcome(response.status_code)


async def _read_some(response: httpx.Response) -> None:
    """Let the receiver finish a short answer; nobody reads it, and a long or slow one is cut: its status has come."""
    size = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            async for chunk in response.aiter_raw():  # raw: a small packed answer must not unfold to a large one
                size += len(chunk)
                if size > RESPONSE_LIMIT_BYTES:
                    return


def _outcome(status: int) -> Sent | Failed:
    if httpx.codes.is_success(status):
        return Sent(status)
    if httpx.codes.is_redirect(status):
        return Failed(f"HTTP {status}: redirects are not followed; give the final address", permanent=True)
    return Failed(f"HTTP {status}", permanent=status == _GONE)
