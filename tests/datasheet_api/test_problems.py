"""Every refusal and failure is `application/problem+json` that says what to do next and gives nothing away."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import StreamingResponse

from csms.exceptions import Conflict, CsmsError, Forbidden, Invalid, NotFound, TooMany, Unauthorized, Unavailable
from csms.runtime import Runtime
from datasheet_api.app import create_app


@pytest.fixture
def app(runtime: Runtime) -> FastAPI:
    """One of its own: these tests add routes to it."""
    return create_app(runtime)


MEMBERS = {"type", "title", "status", "detail", "instance"}


class UnstorableError(Exception):
    """As asyncpg tells of it: with an SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("secret detail")
        self.sqlstate = sqlstate


def raising(app: FastAPI, error: Exception) -> None:
    async def boom() -> None:
        raise error

    app.add_api_route("/boom", boom)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (NotFound("gone"), 404, "not_found"),
        (Conflict("busy"), 409, "conflict"),
        (Forbidden("no"), 403, "forbidden"),
        (Unauthorized("who"), 401, "unauthorized"),
        (Invalid("bad", place="body/name"), 422, "invalid"),
        (TooMany("slow", retry_after_s=7), 429, "too_many"),
        (Unavailable("later"), 503, "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_refusal_of_a_service_is_a_problem(
    app: FastAPI, anonymous: httpx.AsyncClient, error: CsmsError, status: int, kind: str
) -> None:
    raising(app, error)
    answer = await anonymous.get("/boom")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) >= MEMBERS
    assert (body["type"], body["status"]) == (f"urn:csms:problem:{kind}", status)
    assert (body["detail"], body["instance"]) == (error.detail, "/boom")


async def test_headers_of_refusals(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    raising(app, TooMany("slow", retry_after_s=7))
    assert (await anonymous.get("/boom")).headers["retry-after"] == "7"
    assert (await anonymous.get("/api/v1/me")).headers["www-authenticate"] == "Bearer"


async def test_wrong_input_is_told_with_its_place_and_never_repeated(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/users", json={"email": "x", "password": "hunter2 hunter2", "surprise": 1})
    body = answer.json()
    assert (answer.status_code, body["title"]) == (422, "Unprocessable Content")
    assert {one["place"] for one in body["errors"]} == {"body/email", "body/name", "body/surprise"}
    assert "hunter2" not in answer.text


async def test_place_of_a_service_is_told(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    raising(app, Invalid("bad", place="body/name"))
    assert (await anonymous.get("/boom")).json()["errors"] == [{"place": "body/name", "message": "bad"}]


async def test_unknown_path_and_wrong_method(anonymous: httpx.AsyncClient) -> None:
    missing = await anonymous.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:csms:problem:not_found")
    wrong = await anonymous.put("/api/v1/keys")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "urn:csms:problem:method_not_allowed")
    assert "allow" in wrong.headers


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[1,2", b'"text"', b"null"])
async def test_a_body_that_is_no_json_object_is_the_clients_fault(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/api/v1/keys", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_failure_of_ours_has_an_id_and_leaks_nothing(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    raising(app, RuntimeError("password=hunter2 at /srv/csms/secret.py"))
    answer = await anonymous.get("/boom")
    body = answer.json()
    assert (answer.status_code, body["type"]) == (500, "urn:csms:problem:failure")
    assert len(body["error_id"]) == 16
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert "x-request-id" in answer.headers


@pytest.mark.robustness(31, 32)
@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT secret", {}, Exception("disk I/O error")),
        PoolTimeout("QueuePool limit"),
        ConnectionRefusedError(111, "Connection refused"),
        DBAPIError("SELECT secret", {}, UnstorableError("53300")),
        DBAPIError("SELECT secret", {}, UnstorableError("57P01")),
    ],
    ids=["operational", "pool", "refused", "too many connections", "shutdown"],
)
async def test_database_away_is_503(app: FastAPI, anonymous: httpx.AsyncClient, error: Exception) -> None:
    raising(app, error)
    answer = await anonymous.get("/boom")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret" not in answer.text


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("INSERT", {}, UnstorableError("22021")),
        DBAPIError("INSERT", {}, UnstorableError("22003")),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
    ids=["nul", "range", "overflow", "surrogate"],
)
async def test_what_cannot_be_stored_is_the_clients_fault(
    app: FastAPI, anonymous: httpx.AsyncClient, error: Exception
) -> None:
    raising(app, error)
    assert (await anonymous.get("/boom")).status_code == 422


async def test_failure_in_the_middle_of_a_stream_cuts_it(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        raise RuntimeError("half way")

    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    app.add_api_route("/stream", stream)
    with pytest.raises(RuntimeError, match="half way"):
        await anonymous.get("/stream")


@pytest.mark.robustness(26)
@pytest.mark.parametrize("url", ["/api/v1/audit-log?actor=%00", "/api/v1/stations/a%00b", "/api/v1/keys?x=a%00b"])
async def test_nul_in_path_or_query_is_the_clients_fault(api: httpx.AsyncClient, url: str) -> None:
    assert (await api.get(url)).status_code == 422


@pytest.mark.robustness(26)
@pytest.mark.parametrize(
    "body", [rb'{"name": "a\u0000b"}', rb'{"name": "\ud800"}', b'{"name": NaN}', b'{"name": 1e400}']
)
async def test_json_that_cannot_be_stored_is_the_clients_fault(api: httpx.AsyncClient, body: bytes) -> None:
    answer = await api.post("/api/v1/keys", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
