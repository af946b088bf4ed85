"""B4, ROBUSTNESS 29: every way a connection can end, by a real client, and the history row that it leaves."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from broker.connection import StationConnection
from csms.config import Settings
from csms.station.connections import Cause, Connection
from tests.broker.conftest import Bench, boot, call, eventually

pytestmark = [pytest.mark.feature("B4"), pytest.mark.robustness(29)]

Act = Callable[[ClientConnection], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    name: str
    act: Act
    code: str
    closed_by: str
    cause: str
    received: int | None = None
    sent: int | None = None


def raw_frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    """A client's frame by hand (RFC 6455 5.2); the masking key is zero."""
    head = bytes([(0x80 if fin else 0) | opcode])
    mask = 0x80 if masked else 0
    size = bytes([mask | len(payload)]) if len(payload) < 126 else bytes([mask | 126]) + struct.pack("!H", len(payload))
    return head + size + (b"\0\0\0\0" if masked else b"") + payload


def writes(data: bytes) -> Act:
    async def act(client: ClientConnection) -> None:
        client.transport.write(data)

    return act


def closes(code: int, reason: str = "") -> Act:
    async def act(client: ClientConnection) -> None:
        await client.close(code, reason)

    return act


async def aborts(client: ClientConnection) -> None:
    client.transport.abort()


async def ends_the_stream(client: ClientConnection) -> None:
    client.transport.write_eof()


async def sends_much(client: ClientConnection) -> None:
    await client.send("x" * 300_000)


async def sends_many_fragments(client: ClientConnection) -> None:
    client.transport.write(raw_frame(1, b"", fin=False) + raw_frame(0, b"", fin=False) * 5000)


async def sends_bytes(client: ClientConnection) -> None:
    await client.send(b"\x01\x02")


async def floods_with_answers(client: ClientConnection) -> None:
    for number in range(200):
        await client.send(f'[3,"nobody-{number}",{{}}]')


CASES = [
    Case("closes 1000", closes(1000), "1000", "station", "station_closed", 1000, 1000),
    Case("closes 1001", closes(1001, "rebooting"), "1001", "station", "station_going_away", 1001, 1001),
    Case("closes with its own code", closes(4999), "4999", "station", "station_closed", 4999, 4999),
    Case("closes without a code", writes(raw_frame(8, b"")), "1000", "station", "station_closed", 1005, 1005),
    Case("drops the line", aborts, "1006", "network", "connection_lost"),
    Case("ends the stream", ends_the_stream, "1006", "network", "connection_lost"),
    Case("sends close code 1005", writes(raw_frame(8, b"\x03\xed")), "1002", "broker", "protocol_error", None, 1002),
    Case("sends close code 999", writes(raw_frame(8, b"\x03\xe7")), "1002", "broker", "protocol_error", None, 1002),
    Case("sends bad UTF-8", writes(raw_frame(1, b"\xff\xfe")), "1002", "broker", "protocol_error", None, 1007),
    Case("does not mask", writes(raw_frame(1, b"[]", masked=False)), "1002", "broker", "protocol_error", None, 1002),
    Case("uses a reserved opcode", writes(raw_frame(3, b"")), "1002", "broker", "protocol_error", None, 1002),
    Case("sends a binary frame", sends_bytes, "1002", "broker", "protocol_error", None, 1003),
    Case("sends a frame too big", sends_much, "1009", "broker", "frame_too_big", None, 1009),
    Case("sends endless fragments", sends_many_fragments, "1009", "broker", "frame_too_big", None, 1009),
    Case("floods with answers", floods_with_answers, "1008", "broker", "flood", None, 1008),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_history_says_how_a_connection_ended(bench: Bench, case: Case) -> None:
    async with bench.station() as client:
        await boot(client)
        with contextlib.suppress(ConnectionClosed):
            await case.act(client)
        row = await bench.closed()
    assert (row.code, row.closed_by, row.cause) == (case.code, case.closed_by, case.cause)
    if case.received is not None or row.code_received is not None:
        assert row.code_received in (case.received, case.sent)  # the peer echoes a code that we sent first
    assert row.code_sent == case.sent
    assert row.closed_at is not None
    assert row.closed_at >= row.opened_at
    assert row.messages_in >= 1
    assert row.bytes_in > 0
    assert row.bytes_out > 0
    assert row.protocol == "ocpp1.6"
    assert row.remote_address == "127.0.0.1"


class TestPing:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"ping_interval_s": 0.05, "ping_timeout_s": 0.05})

    @pytest.mark.robustness(28)
    async def test_a_station_that_answers_no_ping_is_closed(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            client.transport.pause_reading()
            row = await bench.closed()
            client.transport.abort()
        assert (row.code, row.closed_by, row.cause) == ("1006", "broker", "ping_timeout")
        assert row.code_sent == 1011


async def test_an_error_of_the_broker_is_1011(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)

        def fail(_text: str) -> None:
            raise RuntimeError("a bug")

        bench.broker.node.connections["CS-1"].socket.deliver_to(fail)
        await client.send("[]")
        row = await bench.closed()
    assert (row.code, row.closed_by, row.cause, row.code_sent) == ("1011", "broker", "broker_error", 1011)


async def test_a_close_that_cannot_be_judged_is_0000(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        held: StationConnection = bench.broker.node.connections["CS-1"]
        held.socket.protocol.close_rcvd = "not a close frame"  # type: ignore[assignment]
        client.transport.abort()
        row = await bench.closed()
    assert (row.code, row.closed_by, row.cause) == ("0000", "network", "unknown")


@pytest.mark.robustness(8)
async def test_a_newer_connection_of_a_dead_one_replaces_it(bench: Bench) -> None:
    async with bench.station() as old:
        await boot(old)
        old.transport.pause_reading()  # dead to us: it answers no ping
        async with bench.station() as new:
            assert (await call(new, "Heartbeat"))[0] == 3
            rows = await bench.history()
            assert rows[1].closed_at is None
            old.transport.resume_reading()
            with pytest.raises(ConnectionClosed) as closed:
                await old.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001

    async def first_closed() -> Connection | None:
        first = (await bench.history())[0]
        return first if first.closed_at else None

    first = await eventually(first_closed)
    assert (first.code, first.closed_by, first.cause) == ("4001", "broker", "replaced")


async def test_a_shutdown_closes_with_1001_and_closes_the_rows(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        stopping = asyncio.create_task(bench.broker.stop())
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        await stopping
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    row = (await bench.history())[0]
    assert (row.code, row.closed_by, row.cause) == ("1001", "broker", Cause.BROKER_SHUTDOWN)
