"""Every refusal and failure as `application/problem+json` (RFC 9457), rendered here and nowhere else."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csms.exceptions import CsmsError, Invalid, Unauthorized, Unavailable

log = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
TYPE_START: Final = "urn:csms:problem:"
KINDS: Final[dict[int, tuple[str, str]]] = {
    400: ("bad_request", "Bad Request"),
    401: ("unauthorized", "Unauthorized"),
    403: ("forbidden", "Forbidden"),
    404: ("not_found", "Not Found"),
    405: ("method_not_allowed", "Method Not Allowed"),
    409: ("conflict", "Conflict"),
    413: ("too_large", "Content Too Large"),
    422: ("invalid", "Unprocessable Content"),
    429: ("too_many", "Too Many Requests"),
    500: ("failure", "Internal Server Error"),
    503: ("unavailable", "Service Unavailable"),
}
"""Spelt out: the words of Python's HTTPStatus change with its version, those of an API must not."""
_ERRORS_MAX: Final = 50
_IN_PATHS: Final = "/:@!$&'()*+,;=~"
"""Beside letters, digits and -._ what a path may have as it is (RFC 3986 3.3); all else is written with %."""
_UNSTORABLE_TEXT: Final = frozenset({"22021", "22P05"})  # PostgreSQL: character not in repertoire, untranslatable
_UNSTORABLE_NUMBER: Final = frozenset({"22003", "22P02", "22000"})
_DATABASE_AWAY: Final = (
    "08",
    "53",
    "57",
    "58",
    "40",
)  # classes of SQLSTATE: connection, resources, shutdown, I/O, rollback

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What went wrong and what to do next (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "the kind of problem; stays the same over time"},
        "title": {"type": "string", "description": "the HTTP status in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what happened and what to do next"},
        "instance": {"type": "string", "description": "the path that was asked for"},
        "errors": {
            "type": "array",
            "description": "where the input is wrong",
            "items": {
                "type": "object",
                "required": ["place", "message"],
                "properties": {
                    "place": {"type": "string", "examples": ["body/limit", "query/cursor"]},
                    "message": {"type": "string"},
                },
            },
        },
        "error_id": {"type": "string", "description": "quote it when you report a failure of ours"},
        "retry_after_s": {"type": "integer", "description": "seconds to wait before the next try"},
    },
    "examples": [
        {
            "type": f"{TYPE_START}not_found",
            "title": "Not Found",
            "status": 404,
            "detail": "there is no station «CP-0001»; GET /api/v1/stations lists yours",
            "instance": "/api/v1/stations/CP-0001",
        }
    ],
}


def problem(
    request: Request, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any
) -> Response:
    """The response of that status; `extra` are further members."""
    kind, title = KINDS.get(status) or ("http_" + str(int(status)), HTTPStatus(status).phrase)
    content = {
        "type": TYPE_START + kind,
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": quote(request.scope.get("path", ""), safe=_IN_PATHS),
        **extra,
    }
    body = orjson.dumps(content, default=str)
    return Response(body, int(status), headers=headers, media_type=PROBLEM_JSON)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CsmsError)  # noqa: S101  # registered for this class only
    return refusal(request, error)


def refusal(request: Request, error: CsmsError) -> Response:
    """An expected refusal."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after_s"])
    extra = dict(error.extra)
    if error.place is not None:
        extra.setdefault("errors", [{"place": error.place, "message": error.detail}])
    return problem(request, error.status, error.detail, headers=headers, **extra)


async def _invalid(request: Request, error: Exception) -> Response:
    """Wrong input: each error with its place; never the input itself, it may hold a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class only
    errors = [
        {"place": "/".join(str(part) for part in one["loc"]), "message": one["msg"]}
        for one in error.errors()[:_ERRORS_MAX]
    ]
    detail = "the request is wrong in " + ("one place" if len(errors) == 1 else f"{len(errors)} places")
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, f"{detail}; see `errors`", errors=errors)


_HTTP_DETAILS: Final = {
    404: "there is nothing at this path; /docs lists what there is",
    405: "this method is not allowed here; see the header Allow, and /docs",
}


async def _http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown path, a wrong method, a body that cannot be read."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class only
    is_default = error.detail == HTTPStatus(error.status_code).phrase
    detail = _HTTP_DETAILS.get(error.status_code, error.detail) if is_default else error.detail
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed(request.scope))
    return problem(request, error.status_code, detail, headers=headers)


def _allowed(scope: Scope) -> list[str]:
    """All methods of the path: the framework names only those of one of the features that share it."""

    def is_there(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in scope["app"].routes)

    return [method for method in _METHODS if is_there(method)]


_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def install(app: FastAPI) -> None:
    """Let the app answer its errors as problems."""
    app.add_exception_handler(CsmsError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def translated(error: Exception) -> CsmsError | None:
    """What the database refused or could not do, in words for the client; None for a failure of ours."""
    if isinstance(error, PoolTimeout | ConnectionError):
        return _away()
    if isinstance(error, UnicodeEncodeError):
        return Invalid("the text holds characters that cannot be stored")
    if isinstance(error, OverflowError):
        return Invalid("a number is too large to be stored")
    state = _sqlstate(error)
    if state is not None:
        return _of_state(state)
    return _away() if isinstance(error, OperationalError | InterfaceError) else None


def _of_state(state: str) -> CsmsError | None:
    if state in _UNSTORABLE_TEXT:
        return Invalid("the text holds characters that cannot be stored, such as NUL")
    if state in _UNSTORABLE_NUMBER:
        return Invalid("a value is too large or of the wrong kind to be stored")
    return _away() if state.startswith(_DATABASE_AWAY) else None


def _sqlstate(error: Exception) -> str | None:
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None)
    return state if isinstance(state, str) else None


def _away() -> CsmsError:
    return Unavailable("the database cannot answer now; try again in a few seconds", retry_after_s=5)


class LastResort:
    """The outermost place for exceptions: 503 or 422 for the database's, 500 with an id and nothing else for ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            response = _failure(Request(scope), error)
            if has_started:
                raise
            await response(scope, receive, send)


def _failure(request: Request, error: Exception) -> Response:
    known = translated(error)
    if known is not None:
        log.warning("database refused", path=request.url.path, error=type(error).__name__, status=int(known.status))
        return refusal(request, known)
    error_id = secrets.token_hex(8)
    log.error("request failed", error_id=error_id, path=request.url.path, exc_info=error)
    detail = f"this is our fault; quote the error id {error_id} when you report it"
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail, error_id=error_id)
