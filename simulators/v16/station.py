"""F5: a simulated OCPP 1.6 station: connects, boots, beats, delivers, survives being offline, obeys the CSMS."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from simulators.battery import Supply
from simulators.clock import Clock, RunningClock
from simulators.v16 import commands
from simulators.v16.charging import Charging, Parts
from simulators.v16.configuration import Configuration
from simulators.v16.messages import Message, Messages
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

MAX_CACHED_TAGS = 1_000
MAX_UNANSWERED = 3
LONGEST_WAIT_S = 86_400.0
FINISH_TIMEOUT_S = 10.0

GARBAGE = (
    "this is no JSON",
    "[]",
    '{"2":"not an array"}',
    '[2,"garbage-1"]',
    '[2,"garbage-2",{},{}]',
    '[2,"garbage-3","Heartbeat",[]]',
    '[3,"nobody-asked",{}]',
    '[4,"nobody-asked","GenericError","",{}]',
    '[9,"unknown-type",{}]',
    "[" * 2_000,
)


class BootStatus(StrEnum):
    """RegistrationStatus (OCPP 1.6, 7.36), and the state before the first answer."""

    UNKNOWN = "Unknown"
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What the station says of itself at boot, and what it is built of."""

    vendor: str = "Simulated Charging"
    model: str = "AC Twin 11"
    serial_number: str = ""
    firmware_version: str = "1.4.2"
    connectors: int = 1
    supply: Supply = field(default_factory=Supply.ac)

    def boot_payload(self) -> Payload:
        """BootNotification's payload (OCPP 1.6, 6.3)."""
        serial = {"chargePointSerialNumber": self.serial_number[:25]} if self.serial_number else {}
        return {
            "chargePointModel": self.model[:20],
            **serial,
            "chargePointVendor": self.vendor[:20],
            "firmwareVersion": self.firmware_version[:50],
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits that no configuration key holds; simulated seconds but for `call_timeout_s`, which is real."""

    call_timeout_s: float = 30.0
    boot_retry_s: float = 60.0
    reboot_s: float = 30.0
    backoff_minimum_s: float = 10.0
    backoff_random_s: float = 10.0
    backoff_doublings: int = 5


class Station:
    """One station. `run()` lives its life until `stop()` or `finish()`; `charging` is where its customers act."""

    def __init__(
        self,
        endpoint: Endpoint,
        nameplate: Nameplate | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        configuration: Mapping[str, str] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.nameplate = nameplate or Nameplate()
        self.clock = clock or RunningClock()
        self.rng = rng or random.Random(endpoint.identity)
        self.observer = observer or Observer()
        self.timing = timing or Timing()
        built = {"NumberOfConnectors": str(self.nameplate.connectors)}
        self.configuration = Configuration({**built, **(configuration or {})})
        self.messages = Messages()
        self.boot_status = BootStatus.UNKNOWN
        self.heartbeat_changed = asyncio.Event()
        self.boot_asked = asyncio.Event()
        self.cached_tags: dict[str, bool] = {}
        parts = Parts(self.configuration, self.clock, self.messages, self.observer)
        self.charging = Charging(self.nameplate.supply, self.nameplate.connectors, parts, self.authorize)
        self._wire: Wire | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failed_connects = 0
        self._unanswered = 0
        self._away_until_s = 0.0
        self._is_connecting = True
        self.has_connected = False

    @property
    def is_online(self) -> bool:
        """Connected and accepted by the CSMS."""
        return self._wire is not None and self.boot_status is BootStatus.ACCEPTED

    @property
    def is_busy(self) -> bool:
        """Whether something is under way on the network: a handshake, a call, a close, or a message that may leave."""
        if self._wire is None:
            return self._is_connecting
        can_deliver = self.is_online and self.messages.next(self.clock.monotonic()) is not None
        return self._wire.is_waiting or self._wire.is_ending or can_deliver

    # --- life

    async def run(self) -> None:
        """Connect, and connect again, until stopped."""
        self.spawn(self.charging.run())
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
        self.charging.stop_all("Local")
        self._away_until_s = 0.0
        self._hurry.set()
        with contextlib.suppress(TimeoutError):  # the count below tells
            async with asyncio.timeout(timeout_s):
                await self.messages.drained.wait()
        self.stop()
        return self.messages.transaction_count

    def spawn(self, work: Any) -> None:
        """Run something beside the station's own loops, no longer than the station lives."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
        ping_interval_s = self.configuration.integer("WebSocketPingInterval")
        self._is_connecting = True
        try:
            return await Wire.open(self.endpoint, self._on_call, self.observer, ping_interval_s=ping_interval_s)
        except ConnectError as error:
            self.observer.connect_failed(error.reason)
            return None
        finally:
            self._is_connecting = False

    async def _back_off(self) -> None:
        """Wait as OCPP-J 2.0.1 5.3 has it, which 1.6 stations do too: a minimum, doubled some times, and some luck."""
        doublings = min(self._failed_connects, self.timing.backoff_doublings)
        self._failed_connects += 1
        wait_s = self.timing.backoff_minimum_s * 2**doublings + self.rng.uniform(0.0, self.timing.backoff_random_s)
        await self._pause(wait_s)

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
            self.charging.is_reporting = False
            self.messages.drop_reports()
            self.observer.disconnected(code)

    async def _work(self, wire: Wire) -> None:
        is_boot = self.boot_status is not BootStatus.ACCEPTED
        if is_boot:
            await self._boot(wire)
        self._failed_connects = 0
        self.charging.report_all(is_boot=is_boot)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(wire))
            group.create_task(self._deliver(wire))

    # --- boot and heartbeats

    async def _boot(self, wire: Wire) -> None:
        """Ask until accepted (OCPP 1.6, 4.2); the CSMS says how long to wait."""
        while True:
            self.boot_asked.clear()
            wait_s = await self._boot_once(wire)
            if self.boot_status is BootStatus.ACCEPTED:
                return
            await self.clock.wait(self.boot_asked, wait_s)

    async def _boot_once(self, wire: Wire) -> float:
        outcome = await self._call(wire, "BootNotification", self.nameplate.boot_payload())
        match outcome:
            case Answered(
                payload={"status": "Accepted" | "Pending" | "Rejected" as status, "interval": int(interval_s)}
            ):
                self.boot_status = BootStatus(status)
                if status == "Accepted" and interval_s > 0:
                    self.configuration.change("HeartbeatInterval", str(interval_s))
                return min(float(interval_s), LONGEST_WAIT_S) if interval_s > 0 else self.timing.boot_retry_s
            case _:
                return self.timing.boot_retry_s

    async def _beat(self, wire: Wire) -> None:
        while True:
            self.heartbeat_changed.clear()
            interval_s = float(self.configuration.integer("HeartbeatInterval"))
            if not await self.clock.wait(self.heartbeat_changed, interval_s or LONGEST_WAIT_S):
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
                self.charging.delivered(message)
            case Answered() | Refused() | TimedOut():
                configuration = self.configuration
                is_lost = self.messages.failed(
                    message,
                    self.clock.monotonic(),
                    configuration.integer("TransactionMessageAttempts"),
                    configuration.integer("TransactionMessageRetryInterval"),
                )
                if is_lost:
                    self.observer.lost(message.action)

    def _accepts(self, message: Message, payload: Payload) -> bool:
        """Whether the answer can be used; takes the transaction id and the word on the tag from it."""
        transaction = message.transaction
        if message.action != "StartTransaction" or transaction is None:
            return True
        transaction_id = payload.get("transactionId")
        if not isinstance(transaction_id, int):
            return False
        transaction.transaction_id = transaction_id
        if not self._learn(transaction.id_tag, payload):
            self.charging.deauthorize(transaction)
        return True

    # --- authorisation

    async def authorize(self, id_tag: str) -> bool:
        """Whether this tag may charge: by the cache, the CSMS, or the rules for being offline (OCPP 1.6, 3.5)."""
        is_known = self.cached_tags.get(id_tag, False)
        if is_known and self.configuration.flag("LocalPreAuthorize"):
            return True
        wire = self._wire if self.is_online else None
        outcome = Disconnected() if wire is None else await self._call(wire, "Authorize", {"idTag": id_tag})
        match outcome:
            case Answered(payload):
                return self._learn(id_tag, payload)
            case Refused():
                return False
            case _:
                return self._trusts_offline(id_tag)

    def _trusts_offline(self, id_tag: str) -> bool:
        if id_tag in self.cached_tags:
            return self.cached_tags[id_tag] and self.configuration.flag("LocalAuthorizeOffline")
        return self.configuration.flag("AllowOfflineTxForUnknownId")

    def _learn(self, id_tag: str, payload: Payload) -> bool:
        info = payload.get("idTagInfo")
        is_accepted = isinstance(info, dict) and info.get("status") == "Accepted"
        if self.configuration.flag("AuthorizationCacheEnabled"):
            self.cached_tags.pop(id_tag, None)
            self.cached_tags[id_tag] = is_accepted
            if len(self.cached_tags) > MAX_CACHED_TAGS:
                del self.cached_tags[next(iter(self.cached_tags))]
        return is_accepted

    # --- commands

    def _on_call(self, action: str, payload: Payload) -> Reply:
        return commands.answer(self, action, payload)

    def change_password(self, key: bytes) -> None:
        """Use another Basic password from the next connection on."""
        self.endpoint = replace(self.endpoint, password=key)

    def reset(self, *, is_hard: bool) -> None:
        """Restart: charges end with the right reason, the line is closed, the station boots again (OCPP 1.6, 5.14)."""
        self.charging.stop_all("HardReset" if is_hard else "SoftReset")
        if is_hard:
            self._leave(self.timing.reboot_s)  # at once: the StopTransactions follow after the boot
        self.spawn(self._reset(is_hard=is_hard))

    async def _reset(self, *, is_hard: bool) -> None:
        if not is_hard:
            if self.is_online:
                await self.clock.wait(self.messages.drained, self.timing.reboot_s)
            self._leave(self.timing.reboot_s)
        if self._wire is not None:
            await self._wire.close(1001, "rebooting")

    def _leave(self, away_s: float) -> None:
        """Be gone for a while and come back booting."""
        self._away_until_s = self.clock.monotonic() + away_s
        self.boot_status = BootStatus.UNKNOWN
        self.configuration.reboot()

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
        self.charging.stop_all("PowerLoss")
        self._leave(seconds)
        self.drop_connection()

    async def send_garbage(self, text: str | None = None) -> None:
        """Send something that is no OCPP, any of `GARBAGE` by default; a sound CSMS shrugs and goes on."""
        if self._wire is not None:
            await self._wire.send_text(self.rng.choice(GARBAGE) if text is None else text)
