"""B1: frames are taken out of the stream of bytes, however the network cuts it."""

import asyncio
import base64
import json
from collections.abc import Iterator
from itertools import count

import pytest
from websockets.frames import Frame, Opcode

from broker.socket import WRITE_BUFFER_BYTES_MAX
from csms.config import Settings
from tests.broker.conftest import DEADLINE_S, Bench, boot

pytestmark = pytest.mark.feature("B1")

HEAVY = "x" * 70_000
"""Its frame's length stands in eight bytes."""
LIGHT = "x" * 300
"""Its frame's length stands in two bytes."""


@pytest.fixture
def broker_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"deflate": True})


def heartbeat(message_id: str) -> bytes:
    return json.dumps([2, message_id, "Heartbeat", {}]).encode()


def transfer(message_id: str, data: str) -> bytes:
    return json.dumps([2, message_id, "DataTransfer", {"vendorId": "V", "data": data}]).encode()


def framed(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """As a client sends it, masked."""
    return Frame(opcode, payload, fin).serialize(mask=True)


def request_of(identity: str) -> bytes:
    """The request of a handshake, by hand."""
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET /ocpp/{identity} HTTP/1.1\r\nHost: csms\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    ).encode()


def stream() -> bytes:
    """Calls 1 to 6, whole and in fragments, with control frames between and within them."""
    fourth = heartbeat("4")
    return b"".join(
        [
            framed(heartbeat("1")),
            framed(transfer("2", LIGHT)),
            framed(b"are you there?", Opcode.PING),
            framed(transfer("3", HEAVY)),
            framed(fourth[:7], fin=False),
            framed(b"", Opcode.PING),
            framed(fourth[7:9], Opcode.CONT, fin=False),
            framed(fourth[9:], Opcode.CONT),
            framed(b"nobody asked", Opcode.PONG),
            framed(heartbeat("5")),
            framed(heartbeat("6")),
        ]
    )


def pieces(data: bytes, sizes: tuple[int, ...]) -> Iterator[bytes]:
    at = 0
    for number in count():
        size = sizes[number % len(sizes)]
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


@pytest.mark.parametrize("sizes", [(1,), (2,), (3, 1), (7, 5, 6), (1000,), (65_536,), (1_000_000,)], ids=str)
@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_however_the_stream_is_cut_every_call_is_answered_once(
    bench: Bench, sizes: tuple[int, ...], compression: str | None
) -> None:
    async with bench.station(compression=compression) as client:
        await boot(client)
        socket = bench.broker.node.connections["CS-1"].socket
        for piece in pieces(stream(), sizes):
            socket.data_received(piece)  # as the network would hand it over
        for number in range(1, 7):
            answer = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
            assert answer[:2] == [3, str(number)]


async def test_a_frame_that_is_too_long_is_refused_before_it_has_come(bench: Bench, broker_settings: Settings) -> None:
    async with bench.station() as client:
        await boot(client)
        socket = bench.broker.node.connections["CS-1"].socket
        whole = framed(b"x" * (broker_settings.frame_bytes_max + 1))
        socket.data_received(framed(heartbeat("1")) + whole[:14])
        await client.wait_closed()
        assert client.close_code == 1009


async def test_a_station_that_sends_on_before_it_is_answered_loses_nothing(bench: Bench) -> None:
    """Its first frames come in one segment with its request."""
    told = b'[2,"0","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port)
    data = framed(told) + framed(heartbeat("1")) + framed(heartbeat("2"))
    writer.write(request_of("CS-1") + data[:-3])
    async with asyncio.timeout(DEADLINE_S):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(data[-3:])
        for message_id in ("0", "1", "2"):
            assert f'[3,"{message_id}",'.encode() in await reader.readuntil(b"}]")
    writer.close()
    await writer.wait_closed()


async def test_a_station_that_pings_and_never_reads_costs_little_memory(bench: Bench) -> None:
    """Pongs are sent by the library; without a limit they would pile up here until the machine has no memory left."""
    async with bench.station() as client:
        await boot(client)
        client.transport.pause_reading()
        socket = bench.broker.node.connections["CS-1"].socket
        pings = framed(b"p" * 125, Opcode.PING) * 1000
        for _ in range(200):  # 25 MB: more than the network takes over
            if not socket.transport.is_reading():
                break
            socket.data_received(pings)
        assert not socket.transport.is_reading()
        assert socket.transport.get_write_buffer_size() < 2 * WRITE_BUFFER_BYTES_MAX
        client.transport.abort()
