"""One WebSocket, as the broker needs it: whole texts handed on at once, sends that never wait.

The transport behind a small interface, so that a faster one can be tried: `deliver`, `send_text`,
`pause`, `resume`, `shut`. A text is delivered synchronously from `data_received`: no queue, no task switch
(PERFORMANCE: a third less CPU a message than `recv()`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from csms.trust import PresentedCertificate

if TYPE_CHECKING:
    from broker.admission import Admitted

log = structlog.get_logger(__name__)

FRAGMENTS_MAX = 1024
WRITE_BUFFER_BYTES_MAX = 1024 * 1024
EARLY_TEXTS_MAX = 64
"""Texts that arrive between the handshake and the connection's registration."""


class Socket(ServerConnection):
    """A station's WebSocket."""

    is_tls = False
    certificate: PresentedCertificate | None = None
    """The station's own, where there is TLS and it showed one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deliver: Callable[[str], None] | None = None
        self._early: list[str] = []
        self._fragments: list[bytes] = []
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

    def send_text(self, text: str) -> bool:
        """Send at once; False when the socket is closing or the station reads too slowly (then it is aborted)."""
        if self.protocol.state is not State.OPEN:
            return False
        if self.transport.get_write_buffer_size() > WRITE_BUFFER_BYTES_MAX:
            self.is_too_slow = True
            self.transport.abort()
            return False
        data = text.encode()
        try:
            self.protocol.send_text(data)
        except InvalidState:
            return False
        self.bytes_out += len(data)
        self.send_data()
        return True

    def pause(self) -> None:
        """Stop reading: TCP's back-pressure reaches the station."""
        if not self._is_paused and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()
