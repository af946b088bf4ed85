"""F5: what happens at the connectors of a simulated 1.6 station: cars, tags, transactions, meter values, faults."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from csms.ocpp.timestamps import write as timestamp
from simulators.battery import Battery, Supply
from simulators.clock import Clock
from simulators.fault import Fault
from simulators.messages import Message, Messages
from simulators.meter import SampledValue, sampled_values
from simulators.v16.configuration import Configuration
from simulators.v16.connector import Connector, Reservation, Status, Transaction
from simulators.wire import Observer

UNSAMPLED_STEP_S = 60.0  # how often an unsampled charge looks whether its car is full
SECONDS_PER_DAY = 86_400

Authorize = Callable[[str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a station is assembled from, shared by its halves."""

    configuration: Configuration
    clock: Clock
    messages: Messages
    observer: Observer


class Charging:
    """The connectors and everything that people, cars and meters do there.

    The public methods are what a customer or a technician does; they take effect at once, online or not.
    """

    def __init__(self, supply: Supply, connectors: int, parts: Parts, authorize: Authorize) -> None:
        self.station = Connector(0, supply)
        self.connectors = {number: Connector(number, supply) for number in range(1, connectors + 1)}
        self.is_reporting = False
        self._parts = parts
        self._authorize = authorize
        self._woken = {number: asyncio.Event() for number in self.connectors}
        self._delivered: dict[int, tuple[str, str]] = {}
        self._reported: dict[int, tuple[str, str]] = {}
        self.aligned_changed = asyncio.Event()
        self.adjust: Callable[[Connector], None] = lambda _connector: None  # charging profiles set a car's limit
        self.until_profile_s: Callable[[Connector], float] = lambda _connector: UNSAMPLED_STEP_S
        self.on_ended: Callable[[Transaction], None] = lambda _transaction: None

    @property
    def numbers(self) -> list[int]:
        """Where cars can be."""
        return list(self.connectors)

    def is_charging(self, connector_id: int) -> bool:
        """Whether a transaction runs here."""
        return self.connectors[connector_id].transaction is not None

    # --- what a customer does

    def plug_in(self, connector_id: int, battery: Battery) -> None:
        """Connect a car; it charges at once when a tag was accepted before."""
        connector = self.connectors[connector_id]
        connector.plug_in(battery, self._parts.clock.monotonic())
        self.changed(connector)

    async def present_tag(self, connector_id: int, id_tag: str) -> bool:
        """Hold a tag before the reader: starts a charge here, or stops the one that this tag began.

        False when the tag is refused, or nothing can be started here.
        """
        connector = self.connectors[connector_id]
        if connector.transaction is not None:
            return self._stop_by_tag(connector, connector.transaction, id_tag)
        if not self.may_start(connector, id_tag) or not await self._authorize(id_tag):
            return False
        return await self.admit(connector_id, id_tag)

    async def admit(self, connector_id: int, id_tag: str) -> bool:
        """Let a tag charge here that needs no (further) authorisation; waits for the car, up to ConnectionTimeOut."""
        connector = self.connectors[connector_id]
        if not connector.can_start:
            return False  # something happened while the CSMS was asked
        connector.authorized_tag, connector.has_finished = id_tag, False
        self.changed(connector)
        if connector.transaction is not None:
            return True
        return await self._await_car(connector, id_tag)

    async def _await_car(self, connector: Connector, id_tag: str) -> bool:
        deadline_s = self._parts.clock.monotonic() + self._parts.configuration.integer("ConnectionTimeOut")
        woken = self._woken[connector.connector_id]
        while connector.authorized_tag == id_tag:
            left_s = deadline_s - self._parts.clock.monotonic()
            if left_s <= 0:
                connector.authorized_tag = None
                self.changed(connector)
                return False
            woken.clear()
            await self._parts.clock.wait(woken, left_s)
        return connector.transaction is not None

    def unplug(self, connector_id: int) -> Battery | None:
        """Take the cable out; ends the charge when the configuration says so (StopTransactionOnEVSideDisconnect)."""
        connector = self.connectors[connector_id]
        battery = connector.unplug(self._parts.clock.monotonic())
        if self._parts.configuration.flag("StopTransactionOnEVSideDisconnect"):
            self.stop(connector, "EVDisconnected")
            connector.has_finished = False
        self.changed(connector)
        return battery

    # --- what goes wrong

    def fail(self, connector_id: int, fault: Fault) -> None:
        """A connector (or with 0 the station) breaks; a charge on it ends."""
        for connector in self._affected(connector_id):
            if connector.connector_id:
                self.stop(connector, "Other")
            connector.fault = fault
            connector.authorized_tag = None
            self.changed(connector)

    def repair(self, connector_id: int) -> None:
        """The fault is gone."""
        for connector in self._affected(connector_id):
            connector.fault = None
            self.changed(connector)

    def _affected(self, connector_id: int) -> list[Connector]:
        if connector_id == 0:
            return [self.station, *self.connectors.values()]
        return [self.connectors[connector_id]]

    # --- transactions

    def stop(self, connector: Connector, reason: str, id_tag: str | None = None) -> None:
        """End the charge on this connector, if there is one, and queue its StopTransaction."""
        transaction = connector.end(self._parts.clock.monotonic())
        if transaction is None:
            return
        now = timestamp(self._parts.clock.now())
        self._log_sample(transaction, self._sample(connector, "StopTxnSampledData", "Transaction.End"))
        payload: dict[str, Any] = {} if id_tag is None else {"idTag": id_tag}
        payload |= {"meterStop": connector.meter.energy_wh, "timestamp": now, "transactionId": None, "reason": reason}
        if transaction.samples.samples:
            payload["transactionData"] = transaction.samples.samples
        self._parts.messages.add("StopTransaction", payload, transaction)
        self._parts.observer.charge_ended(connector.meter.energy_wh - transaction.meter_start_wh)
        if connector.battery is not None:
            connector.battery.limit_w = None
        self.on_ended(transaction)
        self.changed(connector)

    def stop_all(self, reason: str) -> None:
        """End every charge, as a reset, a power loss or the end of the simulation does."""
        for connector in self.connectors.values():
            self.stop(connector, reason)

    def find(self, transaction_id: int) -> Connector | None:
        """The connector that this transaction runs on."""
        return next(
            (
                connector
                for connector in self.connectors.values()
                if connector.transaction is not None and connector.transaction.transaction_id == transaction_id
            ),
            None,
        )

    def deauthorize(self, transaction: Transaction) -> None:
        """The CSMS refused the tag of a charge that already runs (OCPP 1.6, 4.8)."""
        connector = self.connectors[transaction.connector_id]
        if connector.transaction is not transaction:
            return
        if self._parts.configuration.flag("StopTransactionOnInvalidId"):
            self.stop(connector, "DeAuthorized")
        else:
            connector.advance_to(self._parts.clock.monotonic())
            connector.is_suspended = True
            self.changed(connector)

    def _stop_by_tag(self, connector: Connector, transaction: Transaction, id_tag: str) -> bool:
        if transaction.id_tag != id_tag:
            return False
        self.stop(connector, "Local", id_tag)
        return True

    def may_start(self, connector: Connector, id_tag: str) -> bool:
        """Whether a charge with this tag may begin here: nothing in the way, and not reserved for another."""
        self.forget_expired(connector)
        is_reserved = connector.reservation is not None and connector.reservation.id_tag != id_tag
        return connector.can_start and not is_reserved

    def _start(self, connector: Connector, id_tag: str) -> None:
        parts, reservation = self._parts, connector.reservation
        transaction = connector.begin(id_tag, parts.clock.monotonic(), parts.clock.now())
        payload = {
            "connectorId": connector.connector_id,
            "idTag": id_tag,
            "meterStart": transaction.meter_start_wh,
            **({} if reservation is None else {"reservationId": reservation.reservation_id}),
            "timestamp": timestamp(transaction.started_at),
        }
        parts.messages.add("StartTransaction", payload, transaction)
        self.adjust(connector)
        self._log_sample(transaction, self._sample(connector, "StopTxnSampledData", "Transaction.Begin"))
        parts.observer.charge_began()

    # --- availability and reservations

    def set_operative(self, connector: Connector, *, is_operative: bool) -> bool:
        """Put a connector in or out of service; False when that waits for the end of its charge."""
        if connector.transaction is not None and not is_operative:
            connector.is_change_scheduled = True
            return False
        connector.is_operative, connector.is_change_scheduled = is_operative, False
        if not is_operative:
            connector.authorized_tag = None
        self.changed(connector)
        return True

    def reserve(self, connector: Connector, reservation: Reservation | None) -> None:
        """Keep a connector for one tag, or with None for all again."""
        connector.reservation = reservation
        self.changed(connector)

    def forget_expired(self, connector: Connector) -> None:
        """Drop a reservation whose time is over."""
        if connector.reservation is not None and connector.reservation.expires_at <= self._parts.clock.now():
            self.reserve(connector, None)

    # --- reports

    def changed(self, connector: Connector) -> None:
        """Something about a connector changed: start what is ready, wake who waits, report the status."""
        if connector.is_ready and connector.authorized_tag is not None:
            # A real station tells Preparing before it charges, however short that was.
            self._report(connector, Status.PREPARING)
            self._start(connector, connector.authorized_tag)
        if connector.connector_id:
            self._woken[connector.connector_id].set()
        self._report(connector, connector.status)

    def report_all(self, *, is_boot: bool) -> None:
        """Tell the CSMS every status after a boot, after a mere reconnect those that it does not know yet."""
        self.is_reporting = True
        self._reported = {} if is_boot else dict(self._delivered)
        for connector in (self.station, *self.connectors.values()):
            self._report(connector, connector.status)

    def delivered(self, message: Message) -> None:
        """The CSMS took a report."""
        if message.action == "StatusNotification":
            told = message.payload
            self._delivered[told["connectorId"]] = (told["status"], told["errorCode"])

    def _report(self, connector: Connector, status: Status) -> None:
        payload = self.status_payload(connector, status)
        told = (payload["status"], payload["errorCode"])
        if not self.is_reporting or self._reported.get(connector.connector_id) == told:
            return
        self._reported[connector.connector_id] = told
        self._parts.messages.add("StatusNotification", payload)

    def status_payload(self, connector: Connector, status: Status | None = None) -> dict[str, Any]:
        """StatusNotification's payload (OCPP 1.6, 6.47) for this moment."""
        fault = connector.fault or Fault("NoError")
        payload = {
            "connectorId": connector.connector_id,
            "errorCode": fault.error_code,
            "info": fault.info,
            "status": str(status or connector.status),
            "timestamp": timestamp(self._parts.clock.now()),
            "vendorErrorCode": fault.vendor_error_code,
        }
        return {key: value for key, value in payload.items() if value != ""}

    # --- meter values

    async def run(self) -> None:
        """Let energy flow and send meter values, until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._sample_by_clock())
            for connector in self.connectors.values():
                loops.create_task(self._run_connector(connector))

    async def _run_connector(self, connector: Connector) -> None:
        woken, clock = self._woken[connector.connector_id], self._parts.clock
        while True:
            woken.clear()
            if connector.transaction is None:
                await woken.wait()
                continue
            step_s = min(self._next_step_s(connector.transaction), self.until_profile_s(connector))
            await clock.wait(woken, step_s)
            connector.advance_to(clock.monotonic())
            self.adjust(connector)
            self._report(connector, connector.status)
            if connector.transaction is not None:
                self._sample_when_due(connector, connector.transaction)

    def _next_step_s(self, transaction: Transaction) -> float:
        interval_s = self._parts.configuration.integer("MeterValueSampleInterval")
        if interval_s == 0:
            return UNSAMPLED_STEP_S
        due_s = transaction.sampled_at_s + interval_s - self._parts.clock.monotonic()
        return min(UNSAMPLED_STEP_S, max(0.0, due_s))

    def _sample_when_due(self, connector: Connector, transaction: Transaction) -> None:
        now_s = self._parts.clock.monotonic()
        interval_s = self._parts.configuration.integer("MeterValueSampleInterval")
        if interval_s == 0 or now_s < transaction.sampled_at_s + interval_s - 1e-6:
            return
        transaction.sampled_at_s = now_s
        self.send_sample(connector, "MeterValuesSampledData", "Sample.Periodic")
        self._log_sample(transaction, self._sample(connector, "StopTxnSampledData", "Sample.Periodic"))

    async def _sample_by_clock(self) -> None:
        """Clock-aligned values: at every multiple of the interval since midnight, also without a charge."""
        clock = self._parts.clock
        while True:
            self.aligned_changed.clear()
            interval_s = self._parts.configuration.integer("ClockAlignedDataInterval")
            if interval_s == 0:
                await self.aligned_changed.wait()
                continue
            if await clock.wait(self.aligned_changed, self._until_aligned_s(interval_s)):
                continue
            for connector in self.connectors.values():
                connector.advance_to(clock.monotonic())
                self.send_sample(connector, "MeterValuesAlignedData", "Sample.Clock")
                if connector.transaction is not None:
                    aligned = self._sample(connector, "StopTxnAlignedData", "Sample.Clock")
                    self._log_sample(connector.transaction, aligned)

    def _until_aligned_s(self, interval_s: int) -> float:
        into_interval_s = self._parts.clock.now().timestamp() % SECONDS_PER_DAY % interval_s
        left_s = interval_s - into_interval_s
        # Timers may fire a little early: what is nearly there has just been sampled.
        return left_s + interval_s if left_s < 0.05 * interval_s else left_s

    def send_sample(self, connector: Connector, measurands_key: str, context: str) -> None:
        """Queue a MeterValues; outside a transaction it is a report, lost when offline."""
        message = self.meter_values(connector, measurands_key, context)
        if message is not None and (message.transaction is not None or self.is_reporting):
            self._parts.messages.add(message.action, message.payload, message.transaction)

    def meter_values(self, connector: Connector, measurands_key: str, context: str) -> Message | None:
        """A MeterValues for this moment, None when the configured measurands have no value here."""
        sample = self._sample(connector, measurands_key, context)
        if sample is None:
            return None
        payload: dict[str, Any] = {"connectorId": connector.connector_id}
        if connector.transaction is not None:
            payload["transactionId"] = None
        return Message("MeterValues", {**payload, "meterValue": [sample]}, connector.transaction)

    def _sample(self, connector: Connector, measurands_key: str, context: str) -> dict[str, Any] | None:
        names = self._parts.configuration.names(measurands_key)
        values: list[SampledValue] = sampled_values(connector.measure(), names, context)
        if not values:
            return None
        return {"timestamp": timestamp(self._parts.clock.now()), "sampledValue": values}

    @staticmethod
    def _log_sample(transaction: Transaction, sample: dict[str, Any] | None) -> None:
        if sample is not None:
            transaction.samples.add(sample)
