"""B12: the same cases over the bus of one process and over NATS, then what only NATS can do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from csms.bus import Bus, BusUnavailable, Message, NoResponders, RequestFailed, Subscription, open_bus, subject_token
from csms.bus import nats as nats_module
from csms.bus.nats import NatsBus, read_address
from csms.bus.port import MESSAGE_LIMIT_BYTES, QUEUE_LIMIT_BYTES, QUEUE_LIMIT_MESSAGES, REQUEST_LIMIT
from csms.bus.subjects import check_subject, is_match
from tests.servers import NatsServer, nats_server, self_signed

pytestmark = pytest.mark.feature("B12")

DEADLINE_S = 10.0


@dataclass
class Pair:
    """Two ends of one bus: the same object in one process, two connections over NATS."""

    here: Bus
    there: Bus


class Heard:
    """A handler that keeps what it got and can be waited for."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    async def __call__(self, message: Message) -> None:
        self._queue.put_nowait(message)

    async def next(self) -> Message:
        async with asyncio.timeout(DEADLINE_S):
            return await self._queue.get()

    def is_silent(self) -> bool:
        return self._queue.empty()


async def reached(event: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await event.wait()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():  # noqa: ASYNC110  the condition is a question to a server: polled, with a deadline
            await asyncio.sleep(0.01)


async def has_dropped(subscription: Subscription, count: int) -> None:
    """Two subscribers of one connection get the same message one after the other, in any order."""

    async def enough() -> bool:
        return subscription.dropped >= count

    await eventually(enough)
    assert subscription.dropped == count


async def echo(data: bytes) -> bytes:
    return b"echo " + data


@asynccontextmanager
async def opened(url: str | None) -> AsyncIterator[Bus]:
    bus = open_bus(url)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture(scope="module")
def shared_nats() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture(params=["local", "nats"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    if request.param == "local":
        async with opened(None) as bus:
            yield Pair(bus, bus)
        return
    url = request.getfixturevalue("shared_nats").url
    async with opened(url) as here, opened(url) as there:
        yield Pair(here, there)


# --- news -------------------------------------------------------------------------------------------------------


async def test_a_subscriber_hears_what_is_published_after_it_subscribed(pair: Pair) -> None:
    heard = Heard()
    await pair.here.publish("news.one", b"before")
    with pytest.raises(NoResponders):  # by now the server has seen what this end published
        await pair.here.request("nobody", b"", timeout_s=DEADLINE_S)
    await pair.there.subscribe("news.one", heard)
    await pair.here.publish("news.one", b"after")
    assert await heard.next() == Message("news.one", b"after")


async def test_every_subscriber_hears_every_message(pair: Pair) -> None:
    all_heard = [Heard(), Heard(), Heard()]
    for heard in all_heard:
        await pair.there.subscribe("news", heard)
    await pair.here.publish("news", b"x")
    assert [(await heard.next()).data for heard in all_heard] == [b"x"] * 3


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("a.*.c", "a.b.c", "a.b.b.c"),
        ("*", "a", "a.b"),
        ("a.>", "a.b.c", "a"),
        (">", "a.b", None),
        ("a.*.>", "a.b.c.d", "a.b"),
        ("a.b", "a.b", "A.b"),
    ],
)
async def test_wildcards_mean_the_same_on_every_bus(pair: Pair, pattern: str, matching: str, other: str | None) -> None:
    heard, mark = Heard(), Heard()
    await pair.there.subscribe(pattern, heard)
    await pair.there.subscribe("the.end.mark", mark)
    if other is not None:
        assert not is_match(pattern, other)
        await pair.here.publish(other, b"other")
    await pair.here.publish(matching, b"matching")
    assert await heard.next() == Message(matching, b"matching")
    await pair.here.publish("the.end.mark", b"")
    await mark.next()
    assert pattern == ">" or heard.is_silent()


async def test_messages_of_one_publisher_keep_their_order(pair: Pair) -> None:
    heard = Heard()
    await pair.there.subscribe("count", heard)
    for number in range(2000):
        await pair.here.publish("count", b"%d" % number)
    assert [int((await heard.next()).data) for _ in range(2000)] == list(range(2000))


async def test_a_handler_that_raises_is_logged_and_hears_the_next_message(pair: Pair) -> None:
    heard = Heard()

    async def handler(message: Message) -> None:
        if message.data == b"bad":
            raise LookupError("no such thing")
        await heard(message)

    with capture_logs() as logs:
        await pair.there.subscribe("fragile", handler)
        await pair.here.publish("fragile", b"bad")
        await pair.here.publish("fragile", b"good")
        assert (await heard.next()).data == b"good"
    assert [entry["subject"] for entry in logs if entry["event"] == "bus handler failed"] == ["fragile"]


async def test_a_slow_subscriber_loses_messages_visibly_and_delays_nobody(pair: Pair) -> None:
    release, entered, quick = asyncio.Event(), asyncio.Event(), Heard()

    async def slow(_message: Message) -> None:
        entered.set()
        await release.wait()

    subscription = await pair.there.subscribe("flood", slow)
    await pair.there.subscribe("flood", quick)
    await pair.here.publish("flood", b"first")
    await reached(entered)
    for _ in range(QUEUE_LIMIT_MESSAGES + 5):
        await pair.here.publish("flood", b"more")
    for _ in range(QUEUE_LIMIT_MESSAGES + 6):
        await quick.next()
    await has_dropped(subscription, 5)
    release.set()


async def test_the_bytes_that_wait_for_a_slow_subscriber_are_limited(pair: Pair) -> None:
    release, entered, quick = asyncio.Event(), asyncio.Event(), Heard()

    async def slow(_message: Message) -> None:
        entered.set()
        await release.wait()

    subscription = await pair.there.subscribe("bulk", slow)
    await pair.there.subscribe("bulk", quick)
    await pair.here.publish("bulk", b"first")
    await reached(entered)
    await quick.next()
    for _ in range(QUEUE_LIMIT_BYTES // MESSAGE_LIMIT_BYTES + 2):
        await pair.here.publish("bulk", bytes(MESSAGE_LIMIT_BYTES))
        await quick.next()
    await has_dropped(subscription, 2)
    release.set()


async def test_a_message_over_the_limit_is_dropped_and_logged_not_raised(pair: Pair) -> None:
    heard = Heard()
    await pair.there.subscribe("size", heard)
    with capture_logs() as logs:
        await pair.here.publish("size", bytes(MESSAGE_LIMIT_BYTES + 1))
    await pair.here.publish("size", b"small")
    assert (await heard.next()).data == b"small"
    assert [(entry["event"], entry["reason"]) for entry in logs] == [("bus message dropped", "too large")]


async def test_a_closed_subscription_hears_nothing_more(pair: Pair) -> None:
    heard, mark = Heard(), Heard()
    subscription = await pair.there.subscribe("closing", heard)
    await pair.there.subscribe("mark", mark)
    await subscription.close()
    await subscription.close()
    await pair.here.publish("closing", b"late")
    await pair.here.publish("mark", b"")
    await mark.next()
    assert heard.is_silent()


async def test_a_handler_may_close_its_own_subscription(pair: Pair) -> None:
    closed = asyncio.Event()

    async def once(_message: Message) -> None:
        await subscription.close()
        closed.set()

    subscription = await pair.there.subscribe("once", once)
    await pair.here.publish("once", b"")
    await reached(closed)


async def test_closing_cancels_the_handler_in_progress(pair: Pair) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def stuck(_message: Message) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    subscription = await pair.there.subscribe("stuck", stuck)
    await pair.here.publish("stuck", b"")
    await reached(entered)
    await subscription.close()
    assert cancelled.is_set()


async def test_publishing_on_a_closed_bus_is_a_counted_loss(pair: Pair) -> None:
    await pair.here.close()
    with capture_logs() as logs:
        await pair.here.publish("news", b"x")
    assert [entry["reason"] for entry in logs if entry["event"] == "bus message dropped"] == ["not connected"]


# --- requests ---------------------------------------------------------------------------------------------------


async def test_a_request_brings_the_reply(pair: Pair) -> None:
    await pair.there.serve("echo", echo)
    assert await pair.here.request("echo", b"x", timeout_s=DEADLINE_S) == b"echo x"
    assert await pair.here.request("echo", b"", timeout_s=DEADLINE_S) == b"echo "


async def test_a_request_that_nobody_serves_fails_at_once(pair: Pair) -> None:
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(NoResponders):
            await pair.here.request("nobody", b"", timeout_s=1000)


async def test_a_closed_server_serves_no_more(pair: Pair) -> None:
    server = await pair.there.serve("echo", echo)
    await server.close()
    with pytest.raises(NoResponders):
        await pair.here.request("echo", b"x", timeout_s=DEADLINE_S)


async def test_a_subscriber_is_no_server(pair: Pair) -> None:
    served = []
    await pair.there.serve("ask", echo)

    async def note(message: Message) -> None:
        served.append(message)

    await pair.there.subscribe("other", note)
    await pair.here.request("ask", b"", timeout_s=DEADLINE_S)
    assert served == []


async def test_a_request_times_out_and_the_handler_goes_on(pair: Pair) -> None:
    release, finished = asyncio.Event(), asyncio.Event()

    async def slow(_data: bytes) -> bytes:
        await release.wait()
        finished.set()
        return b"late"

    await pair.there.serve("slow", slow)
    with pytest.raises(TimeoutError):
        await pair.here.request("slow", b"", timeout_s=0.05)
    release.set()
    await reached(finished)


async def test_requests_on_one_subject_run_at_once(pair: Pair) -> None:
    barrier = asyncio.Barrier(3)

    async def together(data: bytes) -> bytes:
        await barrier.wait()
        return data

    await pair.there.serve("together", together)
    requests = (pair.here.request("together", b"%d" % number, timeout_s=DEADLINE_S) for number in range(3))
    assert await asyncio.gather(*requests) == [b"0", b"1", b"2"]


async def test_a_server_that_raises_tells_the_asker_at_once(pair: Pair) -> None:
    async def broken(_data: bytes) -> bytes:
        raise LookupError("a secret of the server")

    await pair.there.serve("broken", broken)
    async with asyncio.timeout(DEADLINE_S):
        with capture_logs() as logs, pytest.raises(RequestFailed) as failure:
            await pair.here.request("broken", b"", timeout_s=1000)
    assert "secret" not in str(failure.value)
    assert [entry["event"] for entry in logs] == ["bus handler failed"]


async def test_an_answer_over_the_limit_tells_the_asker_at_once(pair: Pair) -> None:
    async def huge(_data: bytes) -> bytes:
        return bytes(MESSAGE_LIMIT_BYTES + 1)

    await pair.there.serve("huge", huge)
    with pytest.raises(RequestFailed, match="over the limit"):
        await pair.here.request("huge", b"", timeout_s=DEADLINE_S)


async def test_a_request_over_the_limit_is_refused_before_it_leaves(pair: Pair) -> None:
    with pytest.raises(ValueError, match="over the limit"):
        await pair.here.request("huge", bytes(MESSAGE_LIMIT_BYTES + 1), timeout_s=DEADLINE_S)


async def test_more_requests_at_once_than_the_limit_are_refused(pair: Pair) -> None:
    release, all_run = asyncio.Event(), asyncio.Barrier(REQUEST_LIMIT + 1)

    async def slow(data: bytes) -> bytes:
        await all_run.wait()
        await release.wait()
        return data

    server = await pair.there.serve("busy", slow)
    waiting = [asyncio.create_task(pair.here.request("busy", b"x", timeout_s=DEADLINE_S)) for _ in range(REQUEST_LIMIT)]
    await all_run.wait()
    with pytest.raises(RequestFailed, match="too many"):
        await pair.here.request("busy", b"x", timeout_s=DEADLINE_S)
    release.set()
    assert await asyncio.gather(*waiting) == [b"x"] * REQUEST_LIMIT
    assert server.dropped == 1


@pytest.mark.robustness(36)
async def test_one_of_several_servers_gets_each_request(pair: Pair) -> None:
    served: list[bytes] = []

    async def count(data: bytes) -> bytes:
        served.append(data)
        return data

    await pair.here.serve("shared", count)
    await pair.there.serve("shared", count)
    for number in range(20):
        await pair.here.request("shared", b"%d" % number, timeout_s=DEADLINE_S)
    assert served == [b"%d" % number for number in range(20)]


async def test_closing_a_server_lets_the_running_request_end(pair: Pair) -> None:
    release, entered = asyncio.Event(), asyncio.Event()

    async def slow(data: bytes) -> bytes:
        entered.set()
        await release.wait()
        return data

    server = await pair.there.serve("slow", slow)
    asked = asyncio.create_task(pair.here.request("slow", b"x", timeout_s=DEADLINE_S))
    await reached(entered)
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0)
    release.set()
    assert await asked == b"x"
    await closing


async def test_a_request_still_running_after_the_grace_fails_for_the_asker(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csms.bus.delivery.CLOSE_GRACE_S", 0.01)
    entered = asyncio.Event()

    async def stuck(_data: bytes) -> bytes:
        entered.set()
        await asyncio.Event().wait()
        return b"never"

    server = await pair.there.serve("stuck", stuck)
    asked = asyncio.create_task(pair.here.request("stuck", b"", timeout_s=1000))
    await reached(entered)
    await server.close()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(RequestFailed, match="closed"):
            await asked


async def test_a_handler_may_close_its_own_server(pair: Pair) -> None:
    async def once(data: bytes) -> bytes:
        await server.close()
        return data

    server = await pair.there.serve("once", once)
    assert await pair.here.request("once", b"x", timeout_s=DEADLINE_S) == b"x"


async def test_a_request_on_a_closed_bus_is_refused_at_once(pair: Pair) -> None:
    await pair.here.close()
    with pytest.raises(BusUnavailable):
        await pair.here.request("echo", b"", timeout_s=1000)


# --- subjects ---------------------------------------------------------------------------------------------------

BAD_SUBJECTS = [
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "a b",
    "a\r\nPUB x 0",
    "a\tb",
    "a*b",
    "a.>.b",
    "a\x00",
    "\ud800",
    "a" * 1001,
]


@pytest.mark.parametrize("subject", [*BAD_SUBJECTS, "*", "a.>"])
async def test_wrong_subjects_are_refused(pair: Pair, subject: str) -> None:
    with pytest.raises(ValueError, match="not a bus subject"):
        await pair.here.publish(subject, b"")
    with pytest.raises(ValueError, match="not a bus subject"):
        await pair.here.request(subject, b"", timeout_s=1)
    with pytest.raises(ValueError, match="not a bus subject"):
        await pair.here.serve(subject, echo)


@pytest.mark.parametrize("subject", BAD_SUBJECTS)
async def test_wrong_patterns_are_refused(pair: Pair, subject: str) -> None:
    with pytest.raises(ValueError, match="not a bus subject"):
        await pair.here.subscribe(subject, Heard())


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("CS-01_a", "CS-01_a"),
        ("RDAM 123", "RDAM=20123"),
        ("a.b", "a=2Eb"),
        (">", "=3E"),
        ("=", "=3D"),
        ("", "="),
        ("Ø", "=C3=98"),
    ],
)
def test_subject_tokens_are_readable(text: str, token: str) -> None:
    assert subject_token(text) == token


@given(st.text(st.characters(), max_size=60))
def test_any_text_makes_a_token_of_its_own(text: str) -> None:
    token = subject_token(text)
    check_subject(f"station.{token}")
    assert "." not in token
    assert unquote(token.replace("=", "%") if text else "", errors="surrogatepass") == text


async def test_any_identity_reaches_its_own_server_only(pair: Pair) -> None:
    identities = ["a", "A", "a.b", "a b", "*", ">", "a%2Eb", "\x00", "\ud800", "Ø", ""]
    for identity in identities:

        async def answer(_data: bytes, identity: str = identity) -> bytes:
            return repr(identity).encode()

        await pair.there.serve(f"call.{subject_token(identity)}", answer)
    for identity in identities:
        reply = await pair.here.request(f"call.{subject_token(identity)}", b"", timeout_s=DEADLINE_S)
        assert reply == repr(identity).encode()


# --- NATS only --------------------------------------------------------------------------------------------------


async def answers(bus: Bus) -> bool:
    try:
        return await bus.request("echo", b"x", timeout_s=1) == b"echo x"
    except (NoResponders, TimeoutError):
        return False


@pytest.mark.robustness(36)
async def test_after_a_crash_of_the_server_everything_works_again() -> None:
    with nats_server() as server:
        async with opened(server.url) as here, opened(server.url) as there:
            heard = Heard()
            await there.serve("echo", echo)
            await there.subscribe("news.*", heard)
            server.kill()
            await eventually(lambda: _is_unavailable(here))
            await here.publish("news.lost", b"lost")
            server.start()
            await eventually(lambda: answers(here))
            await here.publish("news.kept", b"kept")
            assert await heard.next() == Message("news.kept", b"kept")


async def _is_unavailable(bus: Bus) -> bool:
    try:
        await bus.request("nobody", b"", timeout_s=0.2)
    except BusUnavailable:
        return True
    except (NoResponders, TimeoutError):
        return False
    return False


async def test_subscriptions_made_while_the_server_is_away_work_later() -> None:
    with nats_server() as server:
        async with opened(server.url) as here, opened(server.url) as there:
            server.kill()
            await eventually(lambda: _is_unavailable(there))
            gone = await there.serve("gone", echo)
            await there.serve("echo", echo)
            await gone.close()
            server.start()
            await eventually(lambda: answers(here))
            with pytest.raises(NoResponders):
                await here.request("gone", b"", timeout_s=DEADLINE_S)


async def test_a_login_refused_for_a_while_is_tried_for_ever() -> None:
    """The server closes with an authorization error, after which the client alone would give up."""
    with nats_server(user="csms", password="old") as server:
        url = server.url.replace("//", "//csms:old@")
        async with opened(url) as here, opened(url) as there:
            await there.serve("echo", echo)
            server.set_password("new")
            await eventually(lambda: _is_unavailable(here))
            await eventually(lambda: _is_unavailable(there))
            server.set_password("old")
            await eventually(lambda: answers(here))


async def test_publishing_to_a_frozen_server_never_waits_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_module, "PING_INTERVAL_S", 1)
    with nats_server() as server:
        async with opened(server.url) as here, opened(server.url) as there:
            await there.serve("echo", echo)
            server.pause()
            with capture_logs() as logs:
                async with asyncio.timeout(DEADLINE_S):
                    for _ in range(64):
                        await here.publish("bulk", bytes(MESSAGE_LIMIT_BYTES))
            assert {entry["reason"] for entry in logs if entry["event"] == "bus message dropped"} == {"slow server"}
            server.resume()
            await eventually(lambda: answers(here))


async def test_a_command_that_did_not_leave_never_fires_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_module, "PING_INTERVAL_S", 1)
    fired: list[bytes] = []

    async def fire(data: bytes) -> bytes:
        fired.append(data)
        return data

    with nats_server() as server:
        async with opened(server.url) as here:
            server.pause()
            for _ in range(64):  # fill the socket, so that the command waits in our own memory
                await here.publish("bulk", bytes(MESSAGE_LIMIT_BYTES // 8))
            with pytest.raises(TimeoutError):
                await here.request("fire", b"old", timeout_s=0.05)
            server.kill()
            await eventually(lambda: _is_unavailable(here))
            server.start()
            async with opened(server.url) as there:
                await there.serve("fire", fire)
                await there.serve("echo", echo)
                await eventually(lambda: answers(here))
                assert await here.request("fire", b"new", timeout_s=DEADLINE_S) == b"new"
                assert fired == [b"new"]


async def test_no_server_at_start_is_told_within_the_time_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_module, "START_TIMEOUT_S", 0.2)
    with nats_server() as server:
        url = server.url
    with capture_logs() as logs, pytest.raises(BusUnavailable, match="no connection to nats:"):
        await open_bus(url).start()
    assert [entry["event"] for entry in logs] == ["the bus cannot be reached or complains; trying on"]


PASSWORD = "s3cret:/@,%"
QUOTED = "s3cret%3A%2F%40%2C%25"


@pytest.mark.robustness(48)
async def test_the_password_logs_in_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with nats_server(user="csms", password=PASSWORD) as server, capture_logs() as logs:
        good = server.url.replace("//", f"//csms:{QUOTED}@")
        async with opened(good) as bus:
            await bus.serve("echo", echo)
            assert await answers(bus)
            shown = repr(bus)
        monkeypatch.setattr(nats_module, "START_TIMEOUT_S", 0.5)
        wrong = open_bus(server.url.replace("//", "//csms:wr0ng@"))
        with pytest.raises(BusUnavailable) as refused:
            await wrong.start()
    assert isinstance(wrong, NatsBus)
    everything = f"{logs} {shown} {refused.value} {wrong!r} {read_address(good)!r}"
    assert "s3cret" not in everything
    assert "wr0ng" not in everything


async def test_tls_is_checked_and_encrypts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_module, "START_TIMEOUT_S", 1.0)
    tls = self_signed(tmp_path)
    with nats_server(tls=tls) as server:
        with pytest.raises(BusUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await open_bus(server.url).start()
        monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
        monkeypatch.setattr(nats_module, "START_TIMEOUT_S", DEADLINE_S)
        async with opened(server.url) as bus:
            await bus.serve("echo", echo)
            assert await answers(bus)


async def test_a_tls_url_never_logs_in_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_module, "START_TIMEOUT_S", 0.5)
    with (
        nats_server(user="csms", password="pass") as server,
        pytest.raises(BusUnavailable, match="secure connection required"),
    ):
        await open_bus(server.url.replace("nats://", "tls://csms:pass@")).start()


def test_an_address_is_taken_apart() -> None:
    address = read_address(f"nats://csms:{QUOTED}@one:4223,two,[::1]:4224")
    assert address.servers == ("nats://one:4223", "nats://two:4222", "nats://[::1]:4224")
    assert (address.user, address.password, address.token) == ("csms", PASSWORD, None)
    assert read_address("tls://t0ken@one").token == "t0ken"
    assert read_address("tls://one").is_tls


@pytest.mark.parametrize("url", ["", "nats://", "one:4222", "http://one", "nats://u:s3cret@one:port", "nats://[::1"])
def test_a_wrong_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="not a bus URL") as refused:
        open_bus(url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None
