"""Request ids, security headers, body limits and ETags, on the real app."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from csms.runtime import Runtime
from datasheet_api.app import create_app
from datasheet_api.middleware import is_known


async def test_etag_answers_304_until_something_changes(api: httpx.AsyncClient) -> None:
    first = await api.get("/api/v1/users")
    etag = first.headers["etag"]
    again = await api.get("/api/v1/users", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    user = {"email": "kari@example.com", "name": "Kari", "role": "user", "password": "granite otter plays cello"}
    assert (await api.post("/api/v1/users", json=user)).status_code == 201
    changed = await api.get("/api/v1/users", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize(
    ("header", "expected"),
    [('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('"b"', False), ("", False), ("W/", False)],
)
def test_if_none_match(header: str, expected: bool) -> None:
    assert is_known(header, 'W/"a"') is expected


async def test_refusals_have_no_etag(api: httpx.AsyncClient) -> None:
    assert "etag" not in (await api.get("/api/v1/keys/1")).headers


@pytest.mark.robustness(41)
async def test_browsers_are_told_to_run_nothing(api: httpx.AsyncClient) -> None:
    for path in ("/api/v1/keys", "/api/v1/nothing", "/health", "/"):
        headers = (await api.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("default-src 'none';")
        assert "unsafe" not in headers["content-security-policy"]


@pytest.mark.robustness(41)
async def test_stored_script_comes_back_as_json_text(api: httpx.AsyncClient) -> None:
    script = "<script>alert(1)</script>"
    made = await api.post("/api/v1/keys", json={"name": script})
    assert made.json()["name"] == script
    listed = await api.get("/api/v1/keys")
    assert listed.headers["content-type"] == "application/json"
    assert script in [item["name"] for item in listed.json()["items"]]


async def test_answers_of_the_api_are_not_kept_by_caches(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/keys")).headers["cache-control"] == "private, no-cache"
    assert (await api.post("/api/v1/keys", json={"name": "x"})).headers["cache-control"] == "no-store"


async def test_body_above_the_limit_is_refused(api: httpx.AsyncClient, runtime: Runtime) -> None:
    size = runtime.settings.body_bytes_max
    told = await api.post("/api/v1/keys", content=b"x" * (size + 1))
    assert (told.status_code, told.json()["type"]) == (413, "urn:csms:problem:too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // 1024 + 1):
            yield b"x" * 1024

    untold = await api.post("/api/v1/keys", content=chunks(), headers={"Content-Type": "application/json"})
    assert (untold.status_code, untold.json()["type"]) == (413, "urn:csms:problem:too_large")


async def test_request_id_is_taken_over_or_made(anonymous: httpx.AsyncClient) -> None:
    given = await anonymous.get("/health", headers={"X-Request-ID": "abc-123"})
    assert given.headers["x-request-id"] == "abc-123"
    for bad in ("a b", "x" * 65, ""):
        made = (await anonymous.get("/health", headers={"X-Request-ID": bad})).headers["x-request-id"]
        assert made != bad
        assert len(made) == 16


@pytest.mark.robustness(48)
async def test_access_log_tells_who_and_what_without_secrets_or_query(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await api.get("/api/v1/keys?cursor=DEADBEEF")
        await anonymous.post("/api/v1/login", json={"email": "kari@example.com", "password": "hunter2 hunter2"})
        await anonymous.get("/api/v1/keys", headers={"Authorization": "Bearer csms_abcdefgh_secretsecret"})
        await anonymous.get("/health")
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("GET", "/api/v1/keys", 422),
        ("POST", "/api/v1/login", 401),
        ("GET", "/api/v1/keys", 401),
    ]
    assert requests[0]["caller"].startswith("key ")
    assert all(len(line["request_id"]) == 16 for line in requests)
    for secret in ("DEADBEEF", "hunter2", "secretsecret"):
        assert secret not in str(lines)


@pytest.mark.feature("P6")
@pytest.mark.robustness(48)
async def test_metrics_count_routes_without_any_id(api: httpx.AsyncClient) -> None:
    await api.get("/api/v1/stations/CP-SECRET-NAME")
    told = (await api.get("/metrics")).text
    assert 'csms_api_request_seconds_count{method="GET",route="/api/v1/stations/{}",status="4xx"}' in told
    assert "CP-SECRET-NAME" not in told


async def test_feeds_may_be_read_from_any_web_page(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/feeds/nothing")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await anonymous.get("/health")).headers


async def test_https_is_remembered_where_users_come_by_https(runtime: Runtime) -> None:
    runtime.settings = runtime.settings.model_copy(update={"public_url": "https://csms.example"})
    transport = httpx.ASGITransport(app=create_app(runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        assert "max-age" in (await client.get("/health")).headers["strict-transport-security"]
