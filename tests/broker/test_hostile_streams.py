"""B1, promise 6: whatever one station sends, or does not read, the others go on and nothing piles up."""

import asyncio
import json

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Close, Opcode

from broker.connection import StationConnection
from broker.socket import EARLY_TEXTS_MAX, OTHER_FRAMES_BURST, WRITE_BUFFER_BYTES_MAX
from csms.config import Settings
from csms.station.connections import Cause
from tests.broker.conftest import DEADLINE_S, Bench, boot, eventually
from tests.broker.test_socket import framed, heartbeat, request_of

pytestmark = [pytest.mark.feature("B1"), pytest.mark.robustness(27)]

BURST = 10
FRAMES = 5000


@pytest.fixture
def broker_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"calls_burst_max": BURST, "close_timeout_s": 0.3})


async def held(bench: Bench) -> StationConnection:
    await bench.is_registered()
    return bench.broker.node.connections["CS-1"]


def stop_reading(client: ClientConnection) -> None:
    """As a process that stands still: its system takes what there is room for, and it answers nothing."""
    client.transport.pause_reading()


async def fill(connection: StationConnection, bytes_min: int) -> None:
    """Send texts until so many bytes wait here, because nobody reads them over there."""
    transport = connection.socket.transport
    while transport.get_write_buffer_size() < bytes_min:
        assert connection.socket.send_text("x" * 16_384)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "text", [b"", b"[2,", b'[2,"1","Nope",{}]', b'[3,"nobody",{}]', heartbeat("1")], ids=lambda text: text.decode()[:12]
)
async def test_texts_that_come_in_one_piece_are_taken_no_faster_than_the_rate(bench: Bench, text: bytes) -> None:
    async with bench.station() as client:
        await boot(client)
        connection = await held(bench)
        connection.socket.data_received(framed(text) * FRAMES)
        assert connection.messages_in <= BURST + 1
        assert not connection.socket.transport.is_reading()


async def test_a_long_frame_counts_as_several(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        connection = await held(bench)
        before = connection.messages_in
        connection.socket.data_received(framed(b"[2," + b" " * 200_000) * 5)
        assert connection.messages_in == before + 1


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_pings_and_pongs_are_limited_too_and_answered_in_the_end(bench: Bench, opcode: Opcode) -> None:
    async with bench.station() as client:
        await boot(client)
        socket = (await held(bench)).socket
        socket.data_received(framed(b"", opcode) * (OTHER_FRAMES_BURST - 1))
        assert socket.transport.is_reading()
        socket.data_received(framed(b"", opcode) * 20 + framed(heartbeat("after all")))
        assert not socket.transport.is_reading()
        answer = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
        assert answer[:2] == [3, "after all"]
        assert socket.transport.is_reading()


async def test_empty_fragments_are_limited_as_well(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        socket = (await held(bench)).socket
        message = framed(b"[", fin=False) + framed(b"", Opcode.CONT, fin=False) * 500 + framed(b"]", Opcode.CONT)
        socket.data_received(message * 20)
        assert not socket.transport.is_reading()


async def test_answers_to_pings_do_not_pile_up_for_a_station_that_does_not_read(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        connection = await held(bench)
        stop_reading(client)
        await fill(connection, WRITE_BUFFER_BYTES_MAX - 16_384)
        connection.socket.data_received(framed(b"x" * 125, Opcode.PING) * OTHER_FRAMES_BURST)
        row = await bench.closed()
        client.transport.abort()
    assert (row.closed_by, row.cause) == ("broker", Cause.SLOW_READER)


class TestPing:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"ping_interval_s": 0.2, "ping_timeout_s": 0.2, "close_timeout_s": 0.2})

    @pytest.mark.robustness(28)
    async def test_a_ping_is_missed_also_where_much_waits_to_be_sent(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            connection = await held(bench)
            stop_reading(client)
            await fill(connection, 128 * 1024)
            row = await bench.closed()
            client.transport.abort()
        assert (row.code, row.closed_by, row.cause) == ("1006", "broker", "ping_timeout")


@pytest.mark.robustness(29)
@pytest.mark.parametrize("waiting", [0, 128 * 1024])
async def test_a_close_of_ours_ends_in_time_whatever_the_station_does(bench: Bench, waiting: int) -> None:
    async with bench.station() as client:
        await boot(client)
        connection = await held(bench)
        stop_reading(client)
        await fill(connection, waiting)
        connection.shut(4002, "disconnected by an operator", Cause.OPERATOR_DISCONNECT)
        row = await bench.closed()
        client.transport.abort()
    assert (row.code, row.closed_by, row.cause) == ("4002", "broker", Cause.OPERATOR_DISCONNECT)


@pytest.mark.robustness(29)
@pytest.mark.parametrize(
    ("data", "code", "closed_by"),
    [
        (framed(Close(1000, "bye").serialize(), Opcode.CLOSE), "1000", "station"),
        (framed(b"\x01", Opcode.BINARY), "1002", "broker"),
    ],
    ids=["close", "error"],
)
async def test_a_station_that_leaves_its_line_open_is_gone_in_time(
    bench: Bench, data: bytes, code: str, closed_by: str
) -> None:
    """It sends its close frame, or one that fails the connection, and never ends the TCP connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    writer.write(request_of("CS-1"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    await held(bench)
    writer.write(data)
    row = await bench.closed()
    assert (row.code, row.closed_by) == (code, closed_by)
    writer.close()


@pytest.mark.robustness(29)
async def test_a_station_that_ends_its_half_and_does_not_read_is_gone_in_time(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        connection = await held(bench)
        stop_reading(client)
        await fill(connection, 128 * 1024)
        client.transport.write_eof()
        row = await bench.closed()
        client.transport.abort()
    assert (row.code, row.cause) == ("1006", "connection_lost")


async def test_what_comes_before_the_handshake_is_answered_waits_in_the_line(bench: Bench) -> None:
    """A ping must not be answered before the request, and nobody fills the memory without having been let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    early = framed(b"first", Opcode.PING) + framed(heartbeat("1")) * (2 * EARLY_TEXTS_MAX)
    writer.write(request_of("CS-1") + early)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)).startswith(b"HTTP/1.1 101")
    assert await asyncio.wait_for(reader.readexactly(7), DEADLINE_S) == b"\x8a\x05first"
    connection = await held(bench)

    async def all_taken() -> bool:
        return connection.messages_in == 2 * EARLY_TEXTS_MAX

    await eventually(all_taken)
    writer.close()
