"""One WebSocket, as the broker needs it: whole texts handed on at once, sends that never wait.

The transport behind a small interface, so that another one can be tried: `deliver_to`, `send_text`,
`pause`, `resume`, `close`. A text is delivered synchronously from `data_received`: no queue, no task switch.

A pause holds from the next frame on, also where thousands have come in one piece: no station has the loop for itself.

`websockets` does the handshake, and reads whatever is not plain: control frames, fragments, deflated and broken
frames. A text in one frame, which is what stations send, is taken here, and answers are framed here: that is most
of what a message costs in `websockets`.
"""

import asyncio
import sys
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from broker.limits import TokenBucket
from csms.trust import PresentedCertificate

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which it was not compiled
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from broker.admission import Admitted

log = structlog.get_logger(__name__)

FRAGMENTS_MAX = 1024
WRITE_BUFFER_BYTES_MAX = 1024 * 1024
EARLY_TEXTS_MAX = 64
EARLY_CHARS_MAX = 64 * 1024
"""Texts that arrive between the handshake and the connection's registration."""
OTHER_FRAMES_PER_S = 100
OTHER_FRAMES_BURST = 1000
"""Frames that are no whole text: pings, pongs, fragments. What they cost is the loop's time for all others."""

WHOLE_TEXT: Final = 0x81
"""A frame's first byte: the last of its message, no extension, text (RFC 6455, 5.2)."""
HEAD_END: Final = b"\r\n\r\n"
"""How the head of the request ends (RFC 9112, 2.1); what follows are frames."""
TLS_HELLO: Final = b"\x16\x03"
"""How TLS begins: a handshake record of some version 3 (RFC 8446, 5.1)."""
MASKED: Final = 0x80
OPCODE: Final = 0x0F
OPCODES: Final = frozenset(Opcode)
SHORT, LONG = 126, 127
"""Lengths from here on stand in 2 bytes more, and in 8."""
SHORT_MAX: Final = 0xFFFF


class Pause(Enum):
    """Why nothing is read at the moment."""

    HANDSHAKE = "the request is not answered yet"
    EARLY = "much has come before the connection is registered"
    OTHER_FRAMES = "too many pings, pongs or fragments"
    CALLS = "the connection has more than it may"


class Socket(ServerConnection):
    """A station's WebSocket."""

    is_tls = False
    certificate: PresentedCertificate | None = None
    """The station's own, where there is TLS and it showed one."""

    def __init__(self, *args: Any, on_tls: Callable[["Socket"], None] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_tls = on_tls
        """Told where a station begins with TLS, which is not spoken here."""
        self._deliver: Callable[[str], None] | None = None
        self._early: list[str] = []
        self._fragments: list[bytes] = []
        self._early_chars = 0
        self._splits = False
        """Whether the bytes that come are split into frames here; the library gets whole ones then."""
        self._rest = bytearray()
        """The beginning of a frame, or frames that wait for the end of a pause; of a request's head its last bytes."""
        self._rest_end = 0
        """How long `_rest` must be at least to hold all of its first frame."""
        self._pauses: set[Pause] = set()
        self._other_frames = TokenBucket(OTHER_FRAMES_PER_S, OTHER_FRAMES_BURST)
        self._ending: asyncio.TimerHandle | None = None
        """Aborts a connection whose other side does not end it."""
        self.is_too_slow = False
        """Aborted because the station does not read what it is sent."""
        self.bytes_in = 0
        self.bytes_out = 0
        self.admitted: Admitted | None = None
        """Set by the handshake."""

    def deliver_to(self, deliver: Callable[[str], None]) -> None:
        """Hand every text to that function from now on, first those that came early."""
        self._deliver = deliver
        early, self._early = self._early, []
        for text in early:
            self._hand_on(text)
        self._go_on(Pause.EARLY)

    # --- from the wire ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._splits:
            self._split(data)
        elif self.request is None:
            self._read_head(data)
        else:
            super().data_received(data)

    def _read_head(self, data: bytes) -> None:
        """The request is the library's; a client that sends on before it is answered waits."""
        if self._on_tls is not None and data.startswith(TLS_HELLO):
            self._on_tls(self)
        before = len(self._rest)
        self._rest += data
        end = self._rest.find(HEAD_END)
        if end < 0:
            del self._rest[: -len(HEAD_END) + 1]
            super().data_received(data)
            return
        self._rest.clear()
        size = end + len(HEAD_END) - before
        super().data_received(data[:size])
        if self.request is not None:
            self._splits = True
            self._pauses.add(Pause.HANDSHAKE)
            self._split(data[size:])

    def _split(self, data: bytes) -> None:
        """Take the frames out of the bytes; where there is a pause, the rest of them waits."""
        if self._rest or self._pauses:
            self._rest += data
            if len(self._rest) < self._rest_end or self._pauses:
                self._stop_reading()
                return
            data = bytes(self._rest)
            self._rest.clear()
        self._rest_end = 0
        protocol, size, at = self.protocol, len(data), 0
        bytes_max = protocol.max_message_size or sys.maxsize
        while at < size:
            if self._pauses:
                self._rest += data[at:]
                return
            start, end = _payload(data, at)
            if end > size:
                if end - start > bytes_max - (protocol.current_size or 0) or not _may_be_right(data, at):
                    self._splits = False  # the library refuses it before all of it has come
                    super().data_received(data[at:])
                    return
                self._rest += data[at:]
                self._rest_end = end - at
                return
            if (
                data[at] == WHOLE_TEXT
                and data[at + 1] & MASKED
                and end - start <= bytes_max
                and protocol.current_size is None
                and protocol.state is State.OPEN
                and not protocol.extensions
            ):
                self._on_text(apply_mask(data[start:end], data[start - 4 : start]))
            else:
                super().data_received(data[at:end])
                self._count_other_frame()
            at = end

    def _count_other_frame(self) -> None:
        if not self._other_frames.take():
            self._hold(Pause.OTHER_FRAMES)
            self.loop.call_later(self._other_frames.wait_s(), self._go_on, Pause.OTHER_FRAMES)

    def eof_received(self) -> None:
        super().eof_received()
        self._expect_end()  # asyncio closes, but not before everything is sent

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest.clear()
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        if self.request is None or not isinstance(event, Frame) or event.opcode is Opcode.PONG:
            super().process_event(event)
        elif event.opcode is Opcode.TEXT or event.opcode is Opcode.CONT:
            self._on_data(event)
        elif event.opcode is Opcode.BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "OCPP-J sends text frames")

    def _on_data(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if not frame.fin or self._fragments:
            self._fragments.append(data)
            if len(self._fragments) > FRAGMENTS_MAX:
                self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
                return
            if not frame.fin:
                return
            data = b"".join(self._fragments)
            self._fragments = []
        self._on_text(data)

    def _on_text(self, data: bytes) -> None:
        self.bytes_in += len(data)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a text frame must be UTF-8")
            return
        self._hand_on(text)

    def _hand_on(self, text: str) -> None:
        if self._deliver is None:
            self._keep(text)
            return
        try:
            self._deliver(text)
        except Exception:  # our own fault: it must cost this connection only, and be seen in its history
            log.exception("a frame could not be processed")
            self._fail(CloseCode.INTERNAL_ERROR, "unexpected error in the central system")

    def _keep(self, text: str) -> None:
        self._early.append(text)
        self._early_chars += len(text)
        if len(self._early) >= EARLY_TEXTS_MAX or self._early_chars >= EARLY_CHARS_MAX:
            self._hold(Pause.EARLY)

    def _fail(self, code: CloseCode, reason: str) -> None:
        """Fail the connection (RFC 6455 7.1.7): a close frame, then the end."""
        self._fragments = []
        self.protocol.fail(code, reason)
        self.send_data()

    # --- onto the wire ----------------------------------------------------------------------------------------

    def send_text(self, text: str) -> bool:
        """Send at once; False when the socket is closing or the station reads too slowly (then it is aborted)."""
        if self.protocol.state is not State.OPEN:
            return False
        if self._is_overfull():
            return False
        data = text.encode()
        self.bytes_out += len(data)
        if self.protocol.extensions:
            self.protocol.send_text(data)
            self.send_data()
        else:
            self.transport.write(_head(len(data)) + data)
        return True

    def send_data(self) -> None:
        """What the library has to send, pongs too: they must not pile up either."""
        super().send_data()
        if not self._is_overfull() and self.protocol.close_expected():
            self._expect_end()
        if self.protocol.state is not State.CONNECTING or self.protocol.eof_sent:  # the request is answered
            self._go_on(Pause.HANDSHAKE)

    async def drain(self) -> None:
        """Never wait for a station to read: pings would not be sent, nor missed then, and closes would not end."""
        if self.transport.is_closing():
            await asyncio.sleep(0)

    def _is_overfull(self) -> bool:
        """Whether more waits than a station that reads would leave; then the connection is aborted."""
        if self.transport.get_write_buffer_size() <= WRITE_BUFFER_BYTES_MAX:
            return False
        self.is_too_slow = True
        self.transport.abort()
        return True

    def _expect_end(self) -> None:
        """Let the other side end the connection, for a while."""
        if self._ending is None and self.close_timeout is not None:
            self._ending = self.loop.call_later(self.close_timeout, self.transport.abort)

    # --- back-pressure ----------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Read no further frame: TCP's back-pressure reaches the station."""
        self._hold(Pause.CALLS)

    def resume(self) -> None:
        self._go_on(Pause.CALLS)

    def _hold(self, why: Pause) -> None:
        self._pauses.add(why)
        self._stop_reading()

    def _stop_reading(self) -> None:
        if self._pauses and not self.transport.is_closing():
            self.transport.pause_reading()

    def _go_on(self, why: Pause) -> None:
        if why not in self._pauses:
            return
        self._pauses.remove(why)
        if not self._pauses and not self.transport.is_closing():
            self.transport.resume_reading()
            if self._rest:
                self._split(b"")


def _payload(data: bytes, at: int) -> tuple[int, int]:
    """Where the payload of the frame at `at` begins and ends (RFC 6455, 5.2).

    Beyond the end of `data`: not all of the frame has come, and at least that much is wanted.
    """
    start = at + 2
    if start > len(data):
        return start, start
    second = data[at + 1]
    length = second & ~MASKED
    if length >= SHORT:
        lengths_at, start = start, start + (2 if length == SHORT else 8)
        if start > len(data):
            return start, start
        length = int.from_bytes(data[lengths_at:start])
    if second & MASKED:
        start += 4
    return start, start + length


def _may_be_right(data: bytes, at: int) -> bool:
    """Whether the frame at `at` is masked and of a known kind, as far as it has come."""
    return at + 1 >= len(data) or (data[at + 1] & MASKED != 0 and data[at] & OPCODE in OPCODES)


def _head(length: int) -> bytes:
    """What goes before a text of so many bytes, in one frame that is not masked."""
    if length < SHORT:
        return bytes((WHOLE_TEXT, length))
    if length <= SHORT_MAX:
        return bytes((WHOLE_TEXT, SHORT)) + length.to_bytes(2)
    return bytes((WHOLE_TEXT, LONG)) + length.to_bytes(8)
