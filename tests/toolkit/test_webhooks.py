"""F2: webhooks to a real HTTP server: signed, bounded in time and size, and only to where they may go."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.webhooks import (
    RESPONSE_LIMIT_BYTES,
    Destination,
    Failed,
    IpAddress,
    Sent,
    deliver,
    find_destination,
    is_allowed,
    is_public,
    look_up,
    open_client,
    sign,
    verify,
)
from tests.servers import Answer, HttpReceiver, free_port, http_receiver, self_signed

pytestmark = pytest.mark.feature("F2")

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALLOWED = ("127.0.0.1", "localhost")


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with http_receiver() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client() as opened:
        yield opened


async def send(client: httpx.AsyncClient, url: str, **fields: Any) -> Sent | Failed:
    values: dict[str, Any] = {"secret": SECRET, "delivery_id": "msg_1", "event": "error.raised", "timestamp": NOW}
    return await deliver(client, url, b'{"a": 1}', **({"allowed_hosts": ALLOWED} | values | fields))


class Names:
    """A resolver that knows what it is told, and counts the questions."""

    def __init__(self, *addresses: str) -> None:
        self.asked: list[tuple[str, int]] = []
        self._addresses = [ip_address(address) for address in addresses]

    async def __call__(self, host: str, port: int) -> list[IpAddress]:
        self.asked.append((host, port))
        return list(self._addresses)


class Recorder(httpx.AsyncBaseTransport):
    """Keeps the requests and refuses the connections to the given addresses."""

    def __init__(self, *unreachable: str) -> None:
        self.requests: list[httpx.Request] = []
        self._unreachable = unreachable

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self._unreachable:
            raise httpx.ConnectError("refused")
        return httpx.Response(204, stream=httpx.ByteStream(b""))


# --- the request ------------------------------------------------------------------------------------------------


async def test_a_delivery_is_signed_and_named(client: httpx.AsyncClient, receiver: HttpReceiver) -> None:
    assert await send(client, f"{receiver.url}/hooks?site=1") == Sent(200)
    [request] = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hooks?site=1", b'{"a": 1}')
    assert request.headers["host"] == receiver.url.removeprefix("http://")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["webhook-event"] == "error.raised"
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert verify(request.headers, request.body, secret=SECRET, now=NOW)


@pytest.mark.parametrize("field", ["delivery_id", "event"])
@pytest.mark.parametrize("text", ["", "a b", "a\r\nx: y", "a" * 129, "é"])
async def test_an_id_or_event_that_could_inject_is_refused(client: httpx.AsyncClient, field: str, text: str) -> None:
    with pytest.raises(ValueError, match="delivery id or event"):
        await send(client, "http://127.0.0.1:1/", **{field: text})


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Sent(200)),
        (204, Sent(204)),
        (302, Failed("HTTP 302: redirects are not followed; give the final address", permanent=True)),
        (400, Failed("HTTP 400", permanent=False)),
        (404, Failed("HTTP 404", permanent=False)),
        (410, Failed("HTTP 410", permanent=True)),
        (408, Failed("HTTP 408", permanent=False)),
        (429, Failed("HTTP 429", permanent=False)),
        (500, Failed("HTTP 500", permanent=False)),
        (503, Failed("HTTP 503", permanent=False)),
    ],
)
async def test_statuses_are_told_apart(
    client: httpx.AsyncClient, receiver: HttpReceiver, status: int, outcome: Sent | Failed
) -> None:
    receiver.answer(Answer(status, body=b""))
    assert await send(client, receiver.url) == outcome


async def test_redirects_are_not_followed(client: httpx.AsyncClient, receiver: HttpReceiver) -> None:
    receiver.answer(Answer(307, headers={"Location": f"{receiver.url}/elsewhere"}))
    assert isinstance(await send(client, receiver.url), Failed)
    assert len(receiver.requests) == 1


async def test_no_cookie_and_no_connection_is_kept_between_deliveries(
    client: httpx.AsyncClient, receiver: HttpReceiver
) -> None:
    receiver.answer(Answer(200, headers={"Set-Cookie": "who=tenant-1; Path=/"}))
    await send(client, receiver.url)
    await send(client, receiver.url)
    first, second = receiver.requests
    assert "cookie" not in second.headers
    assert first.headers["connection"] == second.headers["connection"] == "close"
    assert list(client.cookies.jar) == []


# --- limits -----------------------------------------------------------------------------------------------------


async def test_an_answer_that_does_not_come_is_given_up_in_time(
    client: httpx.AsyncClient, receiver: HttpReceiver
) -> None:
    receiver.answer(Answer(hangs=True))
    async with asyncio.timeout(10):
        assert await send(client, receiver.url, timeout_s=0.2) == Failed("no answer within 0.2 s", permanent=False)


async def test_a_name_look_up_counts_in_the_time(client: httpx.AsyncClient) -> None:
    async def never(_host: str, _port: int) -> list[IpAddress]:
        await asyncio.Event().wait()
        return []

    outcome = await send(client, "http://slow.example/", timeout_s=0.05, resolve=never)
    assert outcome == Failed("no answer within 0.05 s", permanent=False)


async def test_an_endless_answer_is_cut() -> None:
    sent_bytes = 0
    cut = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(bytes(16 * 1024))
                await writer.drain()
                sent_bytes += 16 * 1024
        except ConnectionError:
            cut.set()
        finally:
            writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server, open_client() as client:
        port = server.sockets[0].getsockname()[1]
        assert await send(client, f"http://127.0.0.1:{port}/") == Sent(200)
        async with asyncio.timeout(10):
            await cut.wait()
    assert sent_bytes >= RESPONSE_LIMIT_BYTES


@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "never ends"])
async def test_the_status_counts_whatever_becomes_of_the_body(client: httpx.AsyncClient, *, is_cut: bool) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")
        await writer.drain()
        if not is_cut:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await send(client, url) == Sent(200)


async def test_nobody_listening_is_a_temporary_failure(client: httpx.AsyncClient) -> None:
    outcome = await send(client, f"http://127.0.0.1:{free_port()}/hidden-path")
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert outcome.reason.startswith("no connection")
    assert "hidden-path" not in outcome.reason


async def test_a_server_that_speaks_no_http_is_a_temporary_failure(client: httpx.AsyncClient) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"220 smtp.example ready\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        outcome = await send(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


# --- where it may go --------------------------------------------------------------------------------------------

PRIVATE = [
    "http://127.0.0.1/",
    "http://127.8.9.10/",
    "http://localhost/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[ff02::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[::127.0.0.1]/",
]


@pytest.mark.robustness(40)
@pytest.mark.parametrize("url", PRIVATE)
async def test_addresses_that_are_not_public_are_refused(client: httpx.AsyncClient, url: str) -> None:
    outcome = await send(client, url, allowed_hosts=())
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert not await is_allowed(url)


@pytest.mark.robustness(40)
async def test_a_private_receiver_gets_nothing_until_its_host_is_allowed(
    client: httpx.AsyncClient, receiver: HttpReceiver
) -> None:
    refused = await send(client, receiver.url, allowed_hosts=["10.0.0.5"])
    assert isinstance(refused, Failed)
    assert receiver.requests == []
    assert await send(client, receiver.url, allowed_hosts=["127.0.0.1"]) == Sent(200)
    assert await is_allowed(receiver.url, ["127.0.0.1"])


@pytest.mark.robustness(40)
@pytest.mark.parametrize("url", ["http://Hooks.Corp.Example./x", "http://hooks.corp.example:8080/x"])
async def test_hosts_are_allowed_by_name_whatever_their_case_and_port(url: str) -> None:
    names = Names("10.1.2.3")
    assert await is_allowed(url, ["HOOKS.corp.example"], names)
    assert not await is_allowed(url, ["corp.example"], names)


@pytest.mark.robustness(40)
async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    assert not await is_allowed("https://mixed.example/", (), Names("93.184.216.34", "10.0.0.1"))
    assert await is_allowed("https://plain.example/", (), Names("93.184.216.34", "2606:2800:220:1::1"))


@pytest.mark.robustness(40)
async def test_the_name_is_looked_up_once_and_the_checked_address_is_used() -> None:
    names, recorder = Names("93.184.216.34"), Recorder()
    async with httpx.AsyncClient(transport=recorder) as client:
        outcome = await send(client, "https://rebind.example:8443/x", allowed_hosts=(), resolve=names)
    assert outcome == Sent(204)
    [request] = recorder.requests
    assert names.asked == [("rebind.example", 8443)]
    assert request.url == "https://93.184.216.34:8443/x"
    assert request.headers["host"] == "rebind.example:8443"
    assert request.extensions["sni_hostname"] == "rebind.example"


async def test_names_outside_ascii_are_looked_up_in_their_own_encoding() -> None:
    names, recorder = Names("93.184.216.34"), Recorder()
    async with httpx.AsyncClient(transport=recorder) as client:
        await send(client, "https://straße.example/", resolve=names)
    assert names.asked == [("xn--strae-oqa.example", 443)]
    assert recorder.requests[0].headers["host"] == "xn--strae-oqa.example"


async def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    names, recorder = Names("2606:2800:220:1::1", "93.184.216.34"), Recorder("2606:2800:220:1::1")
    async with httpx.AsyncClient(transport=recorder) as client:
        assert await send(client, "https://two.example/", resolve=names) == Sent(204)
    assert [request.url.host for request in recorder.requests] == ["2606:2800:220:1::1", "93.184.216.34"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "http:///x",
        "http://user:pass@hooks.example/",
        "http://hooks.example:99999/",
        "http://hooks.example:0/",
        "http://hooks.example/\n",
        "http://\ud800.example/",
        f"http://{'a' * 64}.example/",
        "http://hooks.example/" + "a" * 2000,
    ],
)
async def test_what_is_no_plain_web_address_is_refused_for_good(client: httpx.AsyncClient, url: str) -> None:
    outcome = await send(client, url, resolve=None)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "pass@" not in outcome.reason


@given(st.text())
def test_no_text_whatever_makes_the_check_raise(text: str) -> None:
    for url in (text, f"http://{text}", f"https://a.example/{text}"):
        found = asyncio.run(find_destination(url, (), Names("93.184.216.34")))
        assert isinstance(found, (Destination, Failed))


async def test_an_unknown_name_is_a_temporary_failure(client: httpx.AsyncClient) -> None:
    outcome = await send(client, "http://nowhere.invalid/")  # RFC 6761 6.4: never resolves
    assert isinstance(outcome, Failed)
    assert not outcome.permanent


async def test_the_system_resolver_is_asked_for_every_address() -> None:
    assert ip_address("127.0.0.1") in await look_up("localhost", 80)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("192.88.99.1", False),
        ("192.0.2.1", False),
        ("240.0.0.1", False),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("::ffff:93.184.216.34", True),
        ("2001::1", False),
        ("4000::1", False),
    ],
)
def test_public_addresses_are_those_of_the_internet(address: str, expected: bool) -> None:
    assert is_public(ip_address(address)) is expected


# --- TLS --------------------------------------------------------------------------------------------------------


async def test_the_certificate_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=tls[0])
    with http_receiver(tls=tls) as receiver:
        port = httpx.URL(receiver.url).port
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            right = await send(client, f"https://localhost:{port}/", resolve=Names("127.0.0.1"))
            wrong = await send(
                client,
                f"https://other.example:{port}/",
                allowed_hosts=["other.example"],
                resolve=Names("127.0.0.1"),
            )
    assert right == Sent(200)
    assert isinstance(wrong, Failed)
    assert "CERTIFICATE_VERIFY_FAILED" in wrong.reason
    assert len(receiver.requests) == 1


# --- signatures -------------------------------------------------------------------------------------------------


def signed(**fields: str) -> dict[str, str]:
    signature = sign(secret=SECRET, delivery_id="msg_1", timestamp=NOW, body=b"body")
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": signature,
    } | fields


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the Standard Webhooks specification's own test suite."""
    signature = sign(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_genuine_delivery_is_known_and_a_changed_one_is_not() -> None:
    assert verify(signed(), b"body", secret=SECRET, now=NOW)
    assert not verify(signed(), b"body2", secret=SECRET, now=NOW)
    assert not verify(signed(), b"body", secret="another", now=NOW)
    assert not verify(signed(**{"webhook-id": "msg_2"}), b"body", secret=SECRET, now=NOW)
    assert not verify(signed(**{"webhook-timestamp": "1"}), b"body", secret=SECRET, now=NOW)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_delivery_without_one_of_the_headers_is_not_genuine(missing: str) -> None:
    headers = signed()
    del headers[missing]
    assert not verify(headers, b"body", secret=SECRET, now=NOW)


@pytest.mark.parametrize(("late_s", "is_in_time"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_old_and_future_deliveries_are_refused(late_s: int, is_in_time: bool) -> None:
    assert verify(signed(), b"body", secret=SECRET, now=NOW + timedelta(seconds=late_s)) is is_in_time


def test_one_of_several_signatures_is_enough() -> None:
    both = f"v1,AAAA {signed()['webhook-signature']} v2,BBBB"
    assert verify(signed(**{"webhook-signature": both}), b"body", secret=SECRET, now=NOW)


@given(st.text(st.characters()), st.text(st.characters()), st.text(st.characters()))
def test_no_headers_make_the_check_raise(delivery_id: str, timestamp: str, signature: str) -> None:
    headers = {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    assert not verify(headers, b"body", secret=SECRET, now=NOW)


def test_a_secret_in_broken_base64_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="base64") as refused:
        sign(secret="whsec_***", delivery_id="a", timestamp=NOW, body=b"")
    assert "***" not in str(refused.value)


def test_a_plain_secret_is_its_own_key() -> None:
    plain = sign(secret="abc", delivery_id="a", timestamp=NOW, body=b"")
    assert plain == sign(secret="whsec_YWJj", delivery_id="a", timestamp=NOW, body=b"")
