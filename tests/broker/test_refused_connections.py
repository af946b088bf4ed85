"""B1, B10, S23: why a station does not get in, as the operator reads it over HTTP."""

import asyncio
import ssl
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from csms.config import Settings, UnknownStations
from tests.broker.conftest import Bench, eventually
from tests.broker.test_handshake import refusal
from tests.broker.test_tls import basic, failures, refused, with_password
from tests.broker.tls import Authorities, only_suite, only_tls_1_1

pytestmark = [pytest.mark.feature("B10", "S23"), pytest.mark.robustness(5)]


@pytest.fixture
def authorities(tmp_path: Any) -> Authorities:
    return Authorities(tmp_path)


@pytest.fixture
def unknown() -> UnknownStations:
    return UnknownStations.REFUSE


@pytest.fixture
def broker_settings(settings: Settings, authorities: Authorities) -> Settings:
    return authorities.settings(settings)


async def told(api: httpx.AsyncClient, count: int = 1, path: str = "/refused-connections", **query: Any) -> list[Any]:
    """That many refused connections, newest first."""

    async def are_there() -> list[Any] | None:
        items: list[Any] = (await api.get(f"/api/v1{path}", params=query)).json()["items"]
        return items if len(items) >= count else None

    return await eventually(are_there)  # type: ignore[no-any-return]


async def test_of_strangers_too(bench: Bench, api: httpx.AsyncClient) -> None:
    assert (await refusal(bench, "TYPO-1")).response.status_code == 404
    [row] = await told(api)
    assert (row["station_id"], row["cause"], row["http_status"]) == ("TYPO-1", "refused_unknown_station", 404)
    assert row["reason"] == "unknown station; register it first"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (only_tls_1_1, "it speaks no TLS 1.2 or newer (UNSUPPORTED_PROTOCOL)"),
        (
            lambda context: only_suite(context, "AES128-SHA"),
            "it has no cipher suite in common with this system (NO_SHARED_CIPHER)",
        ),
    ],
    ids=["old", "weak"],
)
async def test_where_tls_fails_nobody_knows_the_station(
    bench: Bench, authorities: Authorities, api: httpx.AsyncClient, make: Any, reason: str
) -> None:
    context: ssl.SSLContext = make(authorities.client())
    assert [await refused(bench, context) for _ in range(3)] == [0, 0, 0]
    [row] = await told(api, cause="refused_tls", remote_address="127.0.0.1")
    assert (row["station_id"], row["code"], row["reason"]) == (None, "1015", reason)
    assert not (await api.get("/api/v1/refused-connections", params={"remote_address": "192.0.2.1"})).json()["items"]
    odd = await api.get("/api/v1/refused-connections", params={"remote_address": "\0"})
    assert odd.status_code == 422


async def test_tls_on_the_plain_port(bench: Bench, authorities: Authorities, api: httpx.AsyncClient) -> None:
    before = failures("misplaced")
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        async with connect(f"wss://127.0.0.1:{bench.port}/ocpp/CS-1", ssl=authorities.client(), open_timeout=5):
            pass
    [row] = await told(api)
    assert (row["code"], row["cause"], row["closed_by"]) == ("1015", "refused_tls", "broker")
    assert row["reason"].startswith("it spoke TLS (wss://) to the port without TLS")
    assert failures("misplaced") == before + 1


async def test_it_is_put_down_to_the_only_station_of_that_address(
    bench: Bench, authorities: Authorities, api: httpx.AsyncClient
) -> None:
    await with_password(bench, remote_address="127.0.0.1")
    without_root = ssl.create_default_context()
    assert await refused(bench, without_root, additional_headers=basic()) == 0
    [row] = await told(api, path="/stations/CS-1/connection-history")
    assert (row["cause"], row["code"]) == ("refused_tls", "1015")
    assert "trust this system's certificate" in row["reason"]
    assert row["reason"].endswith("by the address it is this station")
    assert not (await api.get("/api/v1/stations/CS-1/security-events")).json()["items"]


async def test_it_is_put_down_to_nobody_where_several_share_the_address(
    bench: Bench, authorities: Authorities, api: httpx.AsyncClient
) -> None:
    for identity in ("CS-1", "CS-2"):
        await with_password(bench, identity=identity, remote_address="127.0.0.1")
    assert await refused(bench, only_tls_1_1(authorities.client())) == 0
    [row] = await told(api)
    assert row["station_id"] is None


async def test_what_opened_has_no_reason_and_is_not_listed(
    bench: Bench, authorities: Authorities, api: httpx.AsyncClient
) -> None:
    await with_password(bench, 1)
    async with bench.station(additional_headers=basic()):
        await bench.is_registered()
    await bench.closed()
    with pytest.raises(Exception, match="401"):
        async with bench.station(additional_headers=basic(password=b"x" * 16)):
            pass
    [row] = await told(api)
    assert (row["station_id"], row["reason"]) == ("CS-1", "the password is wrong")
    rows = await told(api, 2, path="/stations/CS-1/connection-history")
    assert [one["reason"] for one in rows] == ["the password is wrong", None]


async def test_a_path_with_control_characters_is_shown_without_them(bench: Bench, api: httpx.AsyncClient) -> None:
    """It would command the terminal of whoever reads the log, and PostgreSQL stores no NUL."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(
        b"GET /ocpp/\x1b[2J\0 HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
    writer.close()
    [row] = await told(api)
    assert row["station_id"] == "/ocpp/\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
