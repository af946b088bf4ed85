"""What every request goes through: its id, the access log, headers, the body's limit, ETags, streams that end."""

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csms.platform import audit
from csms.platform.operations.metrics import API_REQUEST_S, API_REQUESTS_OPEN
from datasheet_api.problems import problem

log = structlog.get_logger(__name__)

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
API_ROOT: Final = "/api/v1"
QUIET_PATHS: Final = frozenset({"/health", "/ready", "/metrics"})
"""Asked every few seconds by machines; logged only when they fail."""
ETAG_BYTES_MAX: Final = 1024 * 1024
_HTTP_ERROR: Final = 400
_JSON_TYPES: Final = ("application/json", "application/geo+json")

API_CSP: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class RequestContext:
    """Gives each request an id, tells the audit log what is asked, and writes one line and one number at its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started_at = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            audit.acting(f"{scope['method']} {quote(scope['path'])}"),
            API_REQUESTS_OPEN.track_inprogress(),
        ):
            try:
                await self._app(scope, receive, answer)
            finally:
                _note(scope, status, time.perf_counter() - started_at)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _note(scope: Scope, status: int, duration_s: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    API_REQUEST_S.labels(method, route_of(scope), f"{status // 100}xx").observe(duration_s)
    if scope["path"] in QUIET_PATHS and status < _HTTP_ERROR:
        return
    caller = scope.get("state", {}).get("caller")
    log.info(
        "request",
        method=scope["method"],
        path=quote(scope["path"]),  # never the query: it may hold id tags
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        caller=None if caller is None else f"{caller.kind} {caller.id}",
        remote_address=scope["client"][0] if scope.get("client") else None,
    )


_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def route_of(scope: Scope) -> str:
    """The route's template, such as `/api/v1/stations/{station_id}`: never the path itself, which has ids in it."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    if path is None:
        return "none"
    template = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
    # The framework tells a route without the prefix under which its router is mounted.
    is_short = scope["path"].startswith(f"{API_ROOT}/") and not template.startswith(f"{API_ROOT}/")
    return API_ROOT + template if is_short else template


class SecurityHeaders:
    """What browsers are told: sniff nothing, run nothing, embed nowhere; feeds may be read from any web page."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(MutableHeaders(scope=message), scope)
            await send(message)

        await self._app(scope, receive, answer)

    def _add(self, headers: MutableHeaders, scope: Scope) -> None:
        path: str = scope["path"]
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"
        headers.setdefault("Content-Security-Policy", DOCS_CSP if path.startswith("/docs") else API_CSP)
        if self._is_https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if path.startswith("/feeds/"):
            headers["Access-Control-Allow-Origin"] = "*"
        if path.startswith("/api/"):
            # With an ETag a list is asked for again cheaply; other answers (a new key) are kept nowhere.
            headers.setdefault("Cache-Control", "private, no-cache" if scope["method"] == "GET" else "no-store")
            headers.add_vary_header("Authorization")


class BodyLimit:
    """Refuses bodies above a size (413): at once where the length is told, else when the limit is passed.

    `streamed` are the paths of routes that stream files and have limits of their own.
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int, streamed: Sequence[re.Pattern[str]] = ()) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(path.fullmatch(scope["path"]) for path in self._streamed):
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > self._bytes_max:
            await problem(Request(scope), 413, self._detail)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._bytes_max:
                raise HTTPException(413, self._detail)
            return message

        await self._app(scope, counted, send)

    @property
    def _detail(self) -> str:
        return f"a body may have at most {self._bytes_max} bytes; send less at a time"


class NoNul:
    """Refuses the character NUL in a path or query: PostgreSQL stores no text with it, so nothing can match."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or _NUL.search(scope["query_string"]) is not None):
            await problem(Request(scope), 422, "leave out the character NUL (%00)")(scope, receive, send)
            return
        await self._app(scope, receive, send)


_NUL: Final = re.compile(rb"%00|\0")


class ETags:
    """Gives JSON answers to GET a weak ETag of their body, and answers 304 to who has it already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Held(Headers(scope=scope).get("if-none-match"), send))


class _Held:
    """Holds an answer back until its body is whole, unless it is a stream, large, or has an ETag of its own."""

    def __init__(self, known: str | None, send: Send) -> None:
        self._known = known
        self._send = send
        self._start: MutableMapping[str, Any] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_have_etag(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            await self._finish(self._start, message)

    async def _finish(self, start: MutableMapping[str, Any], message: Message) -> None:
        self._start = None
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False) and len(body) <= ETAG_BYTES_MAX:
            etag = f'W/"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
            headers = MutableHeaders(scope=start)
            headers["ETag"] = etag
            if self._known is not None and is_known(self._known, etag):
                start["status"] = 304
                del headers["content-length"]
                message = {**message, "body": b""}
        await self._send(start)
        await self._send(message)


def _may_have_etag(message: Message) -> bool:
    headers = Headers(raw=message["headers"])
    is_json = headers.get("content-type", "").partition(";")[0] in _JSON_TYPES
    return message["status"] == 200 and is_json and "etag" not in headers  # noqa: PLR2004  # HTTP's OK


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client has this body already; weak comparison (RFC 9110 8.8.3.2)."""
    known = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in ("*", etag.removeprefix("W/")) for one in known)


class Locations:
    """Tells where what was made can be read (RFC 9110 15.3.2): a 201 whose thing has a path below gets `Location`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def answer(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 201:  # noqa: PLR2004  # HTTP's Created
                start = message
                return
            if start is not None:
                _locate(MutableHeaders(scope=start), scope, message.get("body", b""))
                await send(start)
                start = None
            await send(message)

        await self._app(scope, receive, answer)


def _locate(headers: MutableHeaders, scope: Scope, body: bytes) -> None:
    made = orjson.loads(body) if headers.get("content-type") == "application/json" else None
    parameter = ITEM_PARAMETERS.get(route_of(scope), "id")
    if isinstance(made, dict) and parameter in made and "location" not in headers:
        path = f"{quote(scope['path'])}/{quote(str(made[parameter]), safe='')}"
        if _is_readable(scope, unquote(path)):
            headers["Location"] = path


ITEM_PARAMETERS: Final = {f"{API_ROOT}/stations": "station_id", f"{API_ROOT}/stations/{{}}/charge-points": "number"}
"""By what the things of a list are asked for where it is not their id."""


def _is_readable(scope: Scope, path: str) -> bool:
    asked = {**scope, "method": "GET", "path": path}
    return any(route.matches(asked)[0] is Match.FULL for route in scope["app"].routes)


class Streams:
    """Ends the streams that are open when the server stops: their clients come back elsewhere and resume."""

    def __init__(self, app: ASGIApp, *, stopping: Callable[[], asyncio.Event]) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        stopping = self._stopping()
        is_open = False

        async def answer(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        async def receive_or_stop() -> Message:
            return await _first(receive, stopping)

        await self._app(scope, receive_or_stop, answer)
        if is_open and stopping.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _first(receive: Receive, stopping: asyncio.Event) -> Message:
    """The next message of the client, or its disconnection as soon as the server stops."""
    news = asyncio.ensure_future(receive())
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((news, stop), return_when=asyncio.FIRST_COMPLETED)
        return news.result() if news.done() else {"type": "http.disconnect"}
    finally:
        for task in (news, stop):
            task.cancel()
