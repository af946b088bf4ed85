"""F5: a simulated OCPP 2.0.1 and 2.1 station: what its versions add to the life of a station."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import Any

from csms.ocpp.versions import Version
from simulators import firmware, logs
from simulators.boot import Timing
from simulators.clock import Clock
from simulators.files import Files, Words
from simulators.life import StationLife
from simulators.messages import Message
from simulators.v201 import commands, live
from simulators.v201.authorization import Authorization
from simulators.v201.charging import Charging
from simulators.v201.customers import Customers
from simulators.v201.device_model import DeviceModel, SetResult, Variable
from simulators.v201.displays import Displays
from simulators.v201.evse import Evse, IdToken, Transaction
from simulators.v201.monitoring import Monitors
from simulators.v201.nameplate import Nameplate
from simulators.v201.network import Network
from simulators.v201.parts import Parts
from simulators.v201.reservations import Reservations
from simulators.v201.smart_charging import Profiles
from simulators.wire import Answered, Endpoint, Observer, Payload, Reply

EVSE_RESET_S = 5.0


class Station(StationLife):
    """One station. `run()` lives its life until `stop()` or `finish()`; `charging` is where its customers act."""

    def __init__(
        self,
        endpoint: Endpoint,
        nameplate: Nameplate | None = None,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        observer: Observer | None = None,
        variables: Mapping[str, str] | None = None,
        timing: Timing | None = None,
    ) -> None:
        """`variables` are set as by the maker, as in `{"TxCtrlr.TxStartPoint": "EVConnected"}`."""
        super().__init__(endpoint, clock=clock, rng=rng, observer=observer, timing=timing)
        self.nameplate = nameplate or Nameplate()
        self.firmware_version = self.nameplate.firmware_version
        self.boot_reason = "PowerUp"
        evses = self.nameplate.evses()
        self.model = DeviceModel({number: len(evse.connectors) for number, evse in evses.items()}, variables)
        self.parts = Parts(self.model, self.clock, self.messages, self.observer, self.rng, lambda: self.is_online)
        self.authorization = Authorization(self.parts, self.send)
        self.charging = Charging(evses, self.parts, self.authorization)
        self.reservations = Reservations(evses, self.parts, self.charging.statuses)
        self.profiles = Profiles(self.charging, self.parts)
        self.charging.on_ended.append(self._reset_when_idle)
        self.displays = Displays(self.charging, self.parts)
        self.customers = Customers(self.authorization, self.charging)
        self._waiting_resets: set[int | None] = set()
        self._offline_since_s = self.clock.monotonic()
        self.network = Network(self)
        self.files = Files(self, Words(self._tell_firmware, self._tell_log))
        live.bind(self)
        self.monitors = Monitors(self.parts, evses, self.charging.statuses.event_ids)

    # --- the words of 2.x

    @property
    def version(self) -> Version:
        """What was agreed on, or would be asked for first."""
        return Version(self.endpoint.subprotocols[0]) if self._wire is None else self._wire.version

    @property
    def heartbeat_s(self) -> float:
        return float(self.model.integer("OCPPCommCtrlr.HeartbeatInterval"))

    @property
    def ping_interval_s(self) -> float:
        return float(self.model.integer("OCPPCommCtrlr.WebSocketPingInterval"))

    @property
    def backoff(self) -> tuple[float, float, int]:
        integer = self.model.integer
        return (
            float(integer("OCPPCommCtrlr.RetryBackOffWaitMinimum")),
            float(integer("OCPPCommCtrlr.RetryBackOffRandomRange")),
            integer("OCPPCommCtrlr.RetryBackOffRepeatTimes"),
        )

    @property
    def attempts(self) -> tuple[int, int]:
        integer = self.model.integer
        return (
            integer("OCPPCommCtrlr.MessageAttempts[TransactionEvent]"),
            integer("OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]"),
        )

    def boot_payload(self) -> Payload:
        return self.nameplate.boot_payload(self.boot_reason, self.firmware_version)

    def _note_heartbeat(self, interval_s: int) -> None:
        self.model.change("OCPPCommCtrlr.HeartbeatInterval", str(interval_s))

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.charging.run())
            group.create_task(self.reservations.run())
            group.create_task(self.monitors.run())

    def _begin_reports(self, *, is_boot: bool) -> None:
        self.note("the CSMS accepted the station" if is_boot else "connected again")
        away_s = self.clock.monotonic() - self._offline_since_s
        is_long = away_s > self.model.integer("OCPPCommCtrlr.OfflineThreshold")  # B04.FR.01
        self.charging.statuses.tell_all(is_boot=is_boot, is_all=is_long)
        if is_boot:
            self.tell_security("StartupOfTheDevice", f"boot: {self.boot_reason}")
            self.files.booted()

    def _end_reports(self) -> None:
        self.note("the connection ended")
        self._offline_since_s = self.clock.monotonic()
        self.charging.statuses.is_reporting = False

    def _delivered(self, message: Message) -> None:
        if message.action == "StatusNotification":
            self.charging.statuses.delivered(message.payload)

    def _accepts(self, message: Message, payload: Payload) -> bool:
        """Takes from the answer to a TransactionEvent what the CSMS thinks of the token, and what the charge costs."""
        transaction = message.transaction
        if not isinstance(transaction, Transaction):
            return True
        cost = payload.get("totalCost")
        if isinstance(cost, int | float):
            transaction.total_cost = float(cost)
        self._limit(transaction, payload.get("transactionLimit"))
        token = message.payload.get("idToken")
        if token is not None and "idTokenInfo" in payload:
            info = self.authorization.learn(IdToken.read(token), payload["idTokenInfo"])
            if info.get("status") != "Accepted":
                self.charging.deauthorize(transaction)
        return True

    def _limit(self, transaction: Transaction, told: Any) -> None:
        """2.1: what ends this charge before its driver does (E16)."""
        if isinstance(told, dict):
            names = {"maxEnergy": "energy_wh", "maxTime": "time_s", "maxSoC": "soc", "maxCost": "cost"}
            for name in names.keys() & told.keys():
                setattr(transaction.limits, names[name], float(told[name]))
            self.charging.wake()

    def _stop_charges(self, reason: str) -> None:
        self.charging.stop_all("StopAuthorized" if reason == "Local" else "AbnormalCondition", reason)

    def _note_reboot(self, reason: str) -> None:
        self.note(f"reboot: {reason}")
        self.boot_reason = reason
        self.model.reboot()
        self.network.succeeded()
        self.network.use()
        self._waiting_resets.clear()

    def _on_call(self, action: str, payload: Payload) -> Reply:
        return commands.answer(self, action, payload)

    def _used_endpoint(self) -> Endpoint:
        return self.network.endpoint()

    def _note_connect(self, *, is_connected: bool) -> None:
        super()._note_connect(is_connected=is_connected)
        if is_connected:
            self.network.succeeded()
        else:
            self.network.failed()

    def count_certificates(self) -> None:
        """Let the device model tell how many certificates are installed."""
        self.model.change("SecurityCtrlr.CertificateEntries", str(len(self.certificates.roots)))

    # --- what the station does on demand

    def _tell_firmware(self, order: firmware.Order, status: str) -> None:
        self.parts.report("FirmwareStatusNotification", _with_request(status, order.request_id))

    def _tell_log(self, order: logs.Order, status: str) -> None:
        self.parts.report("LogStatusNotification", _with_request(status, order.request_id))

    async def send_each(self, action: str, payloads: Iterable[Payload]) -> None:
        """Send pages in order; when one is not taken the rest stays behind."""
        for payload in payloads:
            if not isinstance(await self.send(action, payload), Answered):
                return

    def set_variable(self, asked: Payload) -> SetResult:
        """Change one attribute as SetVariables asks."""
        return self.network.check_priority(asked) or self.model.set(asked)

    def changed(self, variables: Iterable[Variable]) -> None:
        """Wake whoever waits by the old value of a variable."""
        for variable in variables:
            self.note(f"{variable.component}.{variable.name} was set")
            self.network.changed(variable)
            if variable.name == "HeartbeatInterval":
                self.heartbeat_changed.set()
            elif variable.component == "AlignedDataCtrlr":
                self.charging.metering.aligned_changed.set()
        self.charging.wake()

    # --- restarts

    def is_busy_charging(self) -> bool:
        return any(evse.is_charging for evse in self.charging.evses.values())

    def is_charging(self, evse_id: int | None) -> bool:
        """Whether a transaction runs on this EVSE, or on any."""
        evses = self.charging.evses
        wanted = evses.values() if evse_id is None else [evses[evse_id]]
        return any(evse.transaction is not None for evse in wanted)

    def allows_reset(self, evse_id: int) -> bool:
        """Whether this EVSE can be restarted on its own (B11.FR.09)."""
        return self.model.variable("EVSE.AllowReset", evse_id).actual == "true"

    def reset(self, evse_id: int | None, *, is_later: bool) -> None:
        """Restart the station or one EVSE, now or when nobody charges there any more."""
        if is_later:
            self._waiting_resets.add(evse_id)
        elif evse_id is not None:
            self.spawn(self._reset_evse(self.charging.evses[evse_id]))
        else:
            self._reset("RemoteReset")

    def _reset(self, reason: str) -> None:
        self.charging.stop_all("ResetCommand", "ImmediateReset")
        self.tell_security("ResetOrReboot", reason)
        self.spawn(self._restart(reason, is_at_once=False))

    def _reset_when_idle(self, evse: Evse, _transaction: Transaction) -> None:
        if evse.evse_id in self._waiting_resets:
            self._waiting_resets.discard(evse.evse_id)
            self.spawn(self._reset_evse(evse))
        if None in self._waiting_resets and not self.is_charging(None):
            self._waiting_resets.clear()
            self._reset("ScheduledReset")

    async def _reset_evse(self, evse: Evse) -> None:
        self.charging.stop(evse, "ResetCommand", "ImmediateReset")
        evse.is_resetting = True
        self.charging.statuses.tell(evse)
        await self.clock.sleep(EVSE_RESET_S)
        evse.is_resetting = False
        self.charging.statuses.tell(evse)


def _with_request(status: str, request_id: int | None) -> Payload:
    return {"status": status, **({} if request_id is None else {"requestId": request_id})}
