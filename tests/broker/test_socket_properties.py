"""B1: our own splitting of the stream says and answers what `websockets` alone does, however the bytes are cut."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.frames import CTRL_OPCODES, Frame, Opcode
from websockets.server import ServerProtocol

from broker.socket import Socket
from tests.broker.test_socket import request_of

pytestmark = pytest.mark.feature("B1")

BYTES_MAX = 300
"""So small that frames of every form of length may be too long."""


class LibrarySocket(Socket):
    """The same, but all splitting is the library's."""

    def data_received(self, data: bytes) -> None:
        ServerConnection.data_received(self, data)


class Wire(asyncio.Transport):
    """Remembers what is written; nobody is at its other end."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.has_ended = False

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.has_ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def abort(self) -> None: ...


@dataclass
class Seen:
    """What becomes of a stream."""

    texts: list[str] = field(default_factory=list)
    written: bytes = b""
    has_ended: bool = False
    close: tuple[int, str] | None = None
    state: str = ""
    bytes_in: int = 0


class _Hosts:
    """Just enough of a server for one connection."""

    def __init__(self) -> None:
        self.handler_tasks: set[asyncio.Task[None]] = set()

    async def handler(self, connection: ServerConnection) -> None: ...


async def _watch(make: type[Socket], chunks: list[bytes]) -> Seen:
    protocol = ServerProtocol(max_size=BYTES_MAX)
    socket = make(protocol, cast("Any", _Hosts()), ping_interval=None, close_timeout=None)
    wire, seen = Wire(), Seen()
    socket.connection_made(wire)
    socket.data_received(request_of("CS-1"))
    assert socket.request is not None
    protocol.send_response(protocol.accept(socket.request))
    socket.send_data()
    wire.written.clear()
    socket.deliver_to(seen.texts.append)
    for chunk in chunks:
        socket.data_received(chunk)
    seen.written, seen.has_ended, seen.bytes_in = bytes(wire.written), wire.has_ended, socket.bytes_in
    seen.state = protocol.state.name
    seen.close = (protocol.close_sent.code, protocol.close_sent.reason) if protocol.close_sent else None
    return seen


def frame(opcode: Opcode, payload: bytes, *, fin: bool, odd: Callable[[bytes], bytes]) -> bytes:
    payload = payload[:125] if opcode in CTRL_OPCODES else payload
    return odd(Frame(opcode, payload, fin or opcode in CTRL_OPCODES).serialize(mask=True))


def _as_it_is(data: bytes) -> bytes:
    return data


def _with_reserved_bit(data: bytes) -> bytes:
    return bytes([data[0] | 0x40]) + data[1:]


def _unmasked(data: bytes) -> bytes:
    return bytes([data[0], data[1] & 0x7F]) + data[2:]


def _wordy_length(data: bytes) -> bytes:
    """A short length in eight bytes, which a station should not do."""
    length = data[1] & 0x7F
    return data if length > 125 else bytes([data[0], 0x80 | 127]) + length.to_bytes(8, "big") + data[2:]


TEXTS = st.one_of(st.text(max_size=40).map(str.encode), st.just("ü" * 90).map(str.encode), st.binary(max_size=6))
PAYLOADS = st.one_of(TEXTS, st.integers(100, 320).map(lambda size: b"x" * size))
WHOLE = st.builds(frame, st.just(Opcode.TEXT), PAYLOADS, fin=st.just(True), odd=st.just(_as_it_is))  # type: ignore[arg-type]
CONTROL = st.builds(
    frame,
    st.sampled_from([Opcode.PING, Opcode.PONG]),
    st.binary(max_size=125),
    fin=st.just(True),
    odd=st.just(_as_it_is),  # type: ignore[arg-type]
)
ANY = st.builds(
    frame,
    st.sampled_from(list(Opcode)),
    TEXTS,
    fin=st.booleans(),
    odd=st.sampled_from([_as_it_is, _as_it_is, _with_reserved_bit, _unmasked, _wordy_length]),
)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A text in several frames, cut anywhere (also within a character), with control frames between."""
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    data = b""
    for number, part in enumerate(parts):
        opcode = Opcode.CONT if number else Opcode.TEXT
        data += Frame(opcode, part, number == len(parts) - 1).serialize(mask=True)
        data += draw(st.one_of(st.just(b""), CONTROL))
    return data


STREAMS = st.lists(st.one_of(WHOLE, WHOLE, CONTROL, fragmented(), ANY), max_size=8).map(b"".join)


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    data = draw(st.one_of(STREAMS, STREAMS, st.binary(max_size=60)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return data, [piece for piece in pieces if piece]


@settings(max_examples=300, deadline=None)
@given(cut_streams())
def test_a_stream_means_the_same_as_to_the_library(stream: tuple[bytes, list[bytes]]) -> None:
    data, chunks = stream

    async def both() -> tuple[Seen, Seen]:
        single = [data[at : at + 1] for at in range(len(data))]  # so that it does not read on behind an error
        return await _watch(Socket, chunks), await _watch(LibrarySocket, single)

    ours, library = asyncio.run(both())
    assert ours == library
