"""One WebSocket, as the broker needs it: whole texts handed on at once, sends that never wait.

The transport behind a small interface, so that another one can be tried: `deliver_to`, `send_text`,
`pause`, `resume`, `close`. A text is delivered synchronously from `data_received`: no queue, no task switch.

`websockets` does the handshake, and reads whatever is not plain: control frames, fragments, deflated and broken
frames. A text in one frame, which is what stations send, is taken here, and answers are framed here: that is most
of what a message costs in `websockets`.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

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
"""Texts that arrive between the handshake and the connection's registration."""

WHOLE_TEXT: Final = 0x81
"""A frame's first byte: the last of its message, no extension, text (RFC 6455, 5.2)."""
TLS_HELLO: Final = b"\x16\x03"
"""How TLS begins: a handshake record of some version 3 (RFC 8446, 5.1)."""
MASKED: Final = 0x80
SHORT, LONG = 126, 127
"""Lengths from here on stand in 2 bytes more, and in 8."""
SHORT_MAX: Final = 0xFFFF


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
        self._splits = False
        """Whether the bytes that come are split into frames here; the library gets whole ones then."""
        self._rest = bytearray()
        """The beginning of a frame."""
        self._rest_end = 0
        """How long `_rest` must be at least to hold all of it."""
        self._is_paused = False
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
        self.resume()

    # --- from the wire ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._splits:
            self._split(data)
            return
        is_handshake = self.request is None
        if is_handshake and self._on_tls is not None and data.startswith(TLS_HELLO):
            self._on_tls(self)
        self._leave_to_library(data)
        # A client that sends on before it is answered is left to the library: its frame may have begun.
        self._splits = is_handshake and self.request is not None and data.endswith(b"\r\n\r\n")

    def _split(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._rest_end:
                return
            data = bytes(self._rest)
            self._rest.clear()
        protocol, size, at = self.protocol, len(data), 0
        bytes_max = protocol.max_message_size or sys.maxsize
        while at < size:
            start, end = _payload(data, at)
            if end - start > bytes_max:
                self._splits = False  # the library refuses it before all of it has come
                self._leave_to_library(data[at:])
                return
            if end > size:
                self._rest += data[at:]
                self._rest_end = end - at
                return
            if (
                data[at] == WHOLE_TEXT
                and data[at + 1] & MASKED
                and protocol.current_size is None
                and protocol.state is State.OPEN
                and not protocol.extensions
            ):
                self._on_text(apply_mask(data[start:end], data[start - 4 : start]))
            else:
                self._leave_to_library(data[at:end])
            at = end

    def _leave_to_library(self, data: bytes) -> None:
        """It answers pings by itself, for whoever sends them and never reads a pong."""
        super().data_received(data)
        if self.transport.get_write_buffer_size() > WRITE_BUFFER_BYTES_MAX:
            self._abort_slow()

    def _abort_slow(self) -> None:
        self.is_too_slow = True
        self.transport.abort()

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
        if len(self._early) >= EARLY_TEXTS_MAX:
            self.pause()

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
        if self.transport.get_write_buffer_size() > WRITE_BUFFER_BYTES_MAX:
            self._abort_slow()
            return False
        data = text.encode()
        self.bytes_out += len(data)
        if self.protocol.extensions:
            self.protocol.send_text(data)
            self.send_data()
        else:
            self.transport.write(_head(len(data)) + data)
        return True

    # --- back-pressure ----------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading: TCP's back-pressure reaches the station."""
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()


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


def _head(length: int) -> bytes:
    """What goes before a text of so many bytes, in one frame that is not masked."""
    if length < SHORT:
        return bytes((WHOLE_TEXT, length))
    if length <= SHORT_MAX:
        return bytes((WHOLE_TEXT, SHORT)) + length.to_bytes(2)
    return bytes((WHOLE_TEXT, LONG)) + length.to_bytes(8)
