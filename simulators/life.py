"""F5: the life that stations of every version share: connect, boot, beat, deliver, lose the line and come back."""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Any

from csms.ocpp.timestamps import write as timestamp
from simulators.boot import BootStatus, Timing
from simulators.certificates import CertificateStore
from simulators.clock import Clock, RunningClock
from simulators.garbage import GARBAGE
from simulators.logs import SECURITY, Line
from simulators.messages import Message, Messages
from simulators.wire import (
    Answered,
    ConnectError,
    Disconnected,
    Endpoint,
    Observer,
    Outcome,
    Payload,
    Refused,
    Reply,
    TimedOut,
    Wire,
)

MAX_UNANSWERED = 3
MAX_JOURNAL_LINES = 2_000
LONGEST_WAIT_S = 86_400.0
FINISH_TIMEOUT_S = 10.0


class StationLife(ABC):
    """One station on its line. `run()` lives its life until `stop()` or `finish()`; a version fills in the words."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.clock = clock or RunningClock()
        self.rng = rng or random.Random(endpoint.identity)
        self.observer = observer or Observer()
        self.timing = timing or Timing()
        self.messages = Messages()
        self.boot_status = BootStatus.UNKNOWN
        self.heartbeat_changed = asyncio.Event()
        self.boot_asked = asyncio.Event()
        self.has_connected = False
        self.firmware_version = ""
        self.certificates = CertificateStore()
        self._journal: deque[Line] = deque(maxlen=MAX_JOURNAL_LINES)
        self._wire: Wire | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed_connects = 0
        self._unanswered = 0
        self._away_until_s = 0.0
        self._is_connecting = True
        self._on_network = 0

    # --- what a version fills in

    @property
    @abstractmethod
    def heartbeat_s(self) -> float:
        """Simulated seconds between heartbeats, 0 for (nearly) never."""

    @property
    @abstractmethod
    def ping_interval_s(self) -> float:
        """Real seconds between WebSocket pings, 0 for none."""

    @property
    def backoff(self) -> tuple[float, float, int]:
        """The shortest wait before the next connection, the luck added to it, and how often it doubles."""
        return self.timing.backoff_minimum_s, self.timing.backoff_random_s, self.timing.backoff_doublings

    @property
    @abstractmethod
    def attempts(self) -> tuple[int, int]:
        """How often a message is tried, and the seconds between the first tries."""

    @abstractmethod
    def boot_payload(self) -> Payload:
        """BootNotification's payload."""

    @abstractmethod
    def _note_heartbeat(self, interval_s: int) -> None:
        """The CSMS gave a heartbeat interval with the boot."""

    @abstractmethod
    async def _live(self) -> None:
        """What goes on beside the line, for the length of the station's life."""

    @abstractmethod
    def _begin_reports(self, *, is_boot: bool) -> None:
        """The station is online: tell what the CSMS does not know."""

    @abstractmethod
    def _end_reports(self) -> None:
        """The line is gone."""

    @abstractmethod
    def _accepts(self, message: Message, payload: Payload) -> bool:
        """Whether the answer to a queued message can be used, and what follows from it."""

    @abstractmethod
    def _delivered(self, message: Message) -> None:
        """The CSMS took a queued message."""

    @abstractmethod
    def _on_call(self, action: str, payload: Payload) -> Reply:
        """The answer to a call of the CSMS."""

    @abstractmethod
    def _stop_charges(self, reason: str) -> None:
        """End every charge: Local, or PowerLoss."""

    @abstractmethod
    def _note_reboot(self, reason: str) -> None:
        """The station starts anew with its next connection; the reason in the words of 2.x's BootNotification."""

    @abstractmethod
    def is_busy_charging(self) -> bool:
        """Whether somebody charges, so that a restart has to wait."""

    # --- what the station writes down

    @property
    def identity(self) -> str:
        """As whom it connects."""
        return self.endpoint.identity

    @property
    def log_lines(self) -> list[Line]:
        """The journal so far, which GetLog and GetDiagnostics upload."""
        return list(self._journal)

    def note(self, what: str) -> None:
        """Write a line into the journal."""
        self._journal.append((self.clock.now(), what))

    def tell_security(self, kind: str, info: str = "") -> None:
        """Report a security event; it waits for the CSMS if need be (1.6 security; 2.0.1, A04)."""
        self.note(f"{SECURITY} {kind} {info}".rstrip())
        more = {"techInfo": info[:255]} if info else {}
        payload = {"type": kind, "timestamp": timestamp(self.clock.now()), **more}
        self.messages.put(Message("SecurityEventNotification", payload, is_kept=True))

    def _used_endpoint(self) -> Endpoint:
        """Where to connect next."""
        return self.endpoint

    def _note_connect(self, *, is_connected: bool) -> None:
        """A try to connect came to its end."""
        self.note("connected" if is_connected else "no connection")

    # --- what holds now

    @property
    def is_online(self) -> bool:
        """Connected and accepted by the CSMS."""
        return self._wire is not None and self.boot_status is BootStatus.ACCEPTED

    @property
    def is_busy(self) -> bool:
        """Whether something is under way on the network: a handshake, a call, a close, a file, or a message to send."""
        if self._on_network:
            return True
        if self._wire is None:
            return self._is_connecting
        can_deliver = self.is_online and self.messages.next(self.clock.monotonic()) is not None
        return self._wire.is_waiting or self._wire.is_ending or can_deliver

    @contextlib.contextmanager
    def on_network(self) -> Iterator[None]:
        """Mark something beside the line that takes real time: a file on its way, a key being made."""
        self._on_network += 1
        try:
            yield
        finally:
            self._on_network -= 1

    # --- life

    async def run(self) -> None:
        """Connect, and connect again, until stopped."""
        self.spawn(self._live())
        try:
            while not self._stopping.is_set():
                await self._connect_once()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and end `run()`; charges are left as they are, as when a station is scrapped."""
        self._stopping.set()
        self._hurry.set()
        if self._wire is not None:
            self.spawn(self._wire.close(code, reason))

    async def finish(self, timeout_s: float = FINISH_TIMEOUT_S) -> int:
        """End charges, deliver what waits (up to `timeout_s` real seconds), stop; how many messages stayed behind.

        A station that is offline comes back at once for it.
        """
        self._stop_charges("Local")
        self._away_until_s = 0.0
        self._hurry.set()
        with contextlib.suppress(TimeoutError):  # the count below tells
            async with asyncio.timeout(timeout_s):
                await self.messages.drained.wait()
        self.stop()
        return self.messages.transaction_count

    def spawn(self, work: Any) -> None:
        """Run something beside the station's own loops, no longer than the station lives."""
        self.begin(work)

    def begin(self, work: Any) -> asyncio.Task[Any]:
        """As `spawn`, for what may have to be called off."""
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect_once(self) -> None:
        if (away_s := self._away_until_s - self.clock.monotonic()) > 0:
            await self._pause(away_s)
            return
        wire = await self._open()
        if wire is None:
            await self._back_off()
            return
        if self._stopping.is_set():
            await wire.close()
            return
        await self._converse(wire)
        if not self._stopping.is_set() and self._away_until_s <= self.clock.monotonic():
            await self._back_off()

    async def _open(self) -> Wire | None:
        self._is_connecting = True
        try:
            endpoint = self._used_endpoint()
            wire = await Wire.open(endpoint, self._on_call, self.observer, ping_interval_s=self.ping_interval_s)
        except ConnectError as error:
            self.observer.connect_failed(error.reason)
            self._note_connect(is_connected=False)
            return None
        else:
            self._note_connect(is_connected=True)
            return wire
        finally:
            self._is_connecting = False

    async def _back_off(self) -> None:
        """Wait as OCPP-J 2.0.1 5.3 has it, which 1.6 stations do too: a minimum, doubled some times, and some luck."""
        minimum_s, random_s, doublings = self.backoff
        doubled = min(self._failed_connects, doublings)
        self._failed_connects += 1
        await self._pause(minimum_s * 2**doubled + self.rng.uniform(0.0, random_s))

    async def _pause(self, seconds: float) -> None:
        """Wait before the next connection, unless somebody is in a hurry; that holds for one try."""
        await self.clock.wait(self._hurry, seconds)
        self._hurry.clear()

    async def _converse(self, wire: Wire) -> None:
        self._wire, self._unanswered, self.has_connected = wire, 0, True
        self.observer.connected()
        code: int | None = None
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._work(wire))
                code = await wire.serve()
                work.cancel()
        finally:
            wire.abort()  # does nothing after a close, and frees the socket when this task is cancelled
            self._wire = None
            self._end_reports()
            self.messages.drop_reports()
            self.observer.disconnected(code)

    async def _work(self, wire: Wire) -> None:
        is_boot = self.boot_status is not BootStatus.ACCEPTED
        if is_boot:
            await self._boot(wire)
        self._failed_connects = 0
        self._begin_reports(is_boot=is_boot)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(wire))
            group.create_task(self._deliver(wire))

    # --- boot and heartbeats

    async def _boot(self, wire: Wire) -> None:
        """Ask until accepted (OCPP 1.6, 4.2; 2.0.1, B01 to B03); the CSMS says how long to wait."""
        while True:
            self.boot_asked.clear()
            wait_s = await self._boot_once(wire)
            if self.boot_status is BootStatus.ACCEPTED:
                return
            await self.clock.wait(self.boot_asked, wait_s)

    async def _boot_once(self, wire: Wire) -> float:
        outcome = await self._call(wire, "BootNotification", self.boot_payload())
        match outcome:
            case Answered(
                payload={"status": "Accepted" | "Pending" | "Rejected" as status, "interval": int(interval_s)}
            ):
                self.boot_status = BootStatus(status)
                if status == "Accepted" and interval_s > 0:
                    self._note_heartbeat(interval_s)
                return min(float(interval_s), LONGEST_WAIT_S) if interval_s > 0 else self.timing.boot_retry_s
            case _:
                return self.timing.boot_retry_s

    async def _beat(self, wire: Wire) -> None:
        while True:
            self.heartbeat_changed.clear()
            if not await self.clock.wait(self.heartbeat_changed, self.heartbeat_s or LONGEST_WAIT_S):
                await self._call(wire, "Heartbeat", {})

    # --- calls

    async def _call(self, wire: Wire, action: str, payload: Payload) -> Outcome:
        outcome = await wire.call(action, payload, self.timing.call_timeout_s)
        self._unanswered = self._unanswered + 1 if isinstance(outcome, TimedOut) else 0
        if self._unanswered >= MAX_UNANSWERED:
            wire.abort()  # a dead link that TCP has not noticed: connect anew rather than give up messages
        return outcome

    async def send(self, action: str, payload: Payload) -> Outcome:
        """Make any call now, for tests and for TriggerMessage; Disconnected when offline."""
        return Disconnected() if self._wire is None else await self._call(self._wire, action, payload)

    async def _deliver(self, wire: Wire) -> None:
        while self.is_online:
            self.messages.added.clear()
            now_s = self.clock.monotonic()
            message = self.messages.next(now_s)
            if message is None:
                due_s = self.messages.due_in_s(now_s)
                await self.clock.wait(self.messages.added, LONGEST_WAIT_S if due_s is None else due_s)
                continue
            outcome = await self._call(wire, message.action, message.filled())
            if isinstance(outcome, Disconnected):
                return  # the message stays and is sent again: the CSMS must recognise it
            self._settle(message, outcome)

    def _settle(self, message: Message, outcome: Answered | Refused | TimedOut) -> None:
        match outcome:
            case Answered(payload) if self._accepts(message, payload):
                self.messages.done(message)
                self._delivered(message)
            case Answered() | Refused() | TimedOut():
                if self.messages.failed(message, self.clock.monotonic(), *self.attempts):
                    self.observer.lost(message.action)

    # --- restarts

    def start_firmware(self, version: str) -> None:
        """Boot again with other firmware."""
        self.firmware_version = version
        self.spawn(self._restart("FirmwareUpdate", is_at_once=False))

    def _leave(self, away_s: float, reason: str) -> None:
        """Be gone for a while and come back booting."""
        self._away_until_s = self.clock.monotonic() + away_s
        self.boot_status = BootStatus.UNKNOWN
        self._note_reboot(reason)

    async def _restart(self, reason: str, *, is_at_once: bool) -> None:
        """Close the line and boot again; unless at once, what waits is delivered first."""
        if not is_at_once:
            if self.is_online:
                await self.clock.wait(self.messages.drained, self.timing.reboot_s)
            self._leave(self.timing.reboot_s, reason)
        if self._wire is not None:
            await self._wire.close(1001, "rebooting")

    async def reconnect(self, away_s: float, reason: str) -> None:
        """Close the line properly and connect again soon, without a boot."""
        self._away_until_s = self.clock.monotonic() + away_s
        self._failed_connects = 0
        if self._wire is not None:
            await self._wire.close(1000, reason)

    # --- faults on demand

    def drop_connection(self) -> None:
        """The link breaks without a goodbye; the station comes back after its back-off, without a new boot."""
        if self._wire is not None:
            self._wire.abort()

    def go_offline(self, seconds: float) -> None:
        """The link breaks and stays broken for so long."""
        self._away_until_s = self.clock.monotonic() + seconds
        self.drop_connection()

    def lose_power(self, seconds: float) -> None:
        """Power fails: charges end, the line is dead; the station boots when power returns."""
        self._stop_charges("PowerLoss")
        self._leave(seconds, "PowerUp")
        self.drop_connection()

    async def send_garbage(self, text: str | None = None) -> None:
        """Send something that is no OCPP, any of `GARBAGE` by default; a sound CSMS shrugs and goes on."""
        if self._wire is not None:
            await self._wire.send_text(self.rng.choice(GARBAGE) if text is None else text)
