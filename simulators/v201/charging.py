"""F5: what happens at the EVSEs of a simulated 2.x station: cars, tokens, transactions, defects (2.0.1, C, E, F)."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from csms.ocpp.timestamps import write as timestamp
from simulators.battery import Battery
from simulators.fault import Fault
from simulators.v201.events import Events
from simulators.v201.evse import ChargingState, Evse, IdToken, Transaction
from simulators.v201.metering import Metering
from simulators.v201.parts import Parts
from simulators.v201.status import Statuses

STOPPED_BY_FAULT = {
    "GroundFailure": "GroundFault",
    "OverCurrentFailure": "OvercurrentFault",
    "OverVoltage": "PowerQuality",
    "UnderVoltage": "PowerQuality",
    "EmergencyStop": "EmergencyStop",
}


class Gate(Protocol):
    """Who may charge here, as the authorisation knows it: its verdict is the token's group, or None for no."""

    async def admit(self, token: IdToken) -> "Verdict | None": ...

    def is_master(self, token: IdToken) -> bool: ...


class Verdict(Protocol):
    """A yes, and the group that the token belongs to."""

    @property
    def group(self) -> IdToken | None: ...


class Charging:
    """The EVSEs and everything that people, cars and defects do there.

    The public methods are what a customer or a technician does; they take effect at once, online or not.
    """

    def __init__(self, evses: dict[int, Evse], parts: Parts, gate: Gate) -> None:
        self.evses = evses
        self.events = Events(parts)
        self.statuses = Statuses(evses, parts)
        self.metering = Metering(evses, parts, self.events, self.look)
        self.on_ended: list[Callable[[Evse, Transaction], None]] = []
        self.adjust: Callable[[Evse], None] = lambda _evse: None  # charging profiles set the limit of a car
        self._parts = parts
        self._gate = gate
        self._woken = {number: asyncio.Event() for number in evses}

    @property
    def numbers(self) -> list[int]:
        """Where cars can be."""
        return list(self.evses)

    def is_charging(self, evse_id: int) -> bool:
        """Whether a driver who was let in charges here."""
        return self.evses[evse_id].is_charging

    # --- what a customer does

    def arrive(self, evse_id: int) -> None:
        """A car stops in the bay."""
        evse = self.evses[evse_id]
        evse.is_bay_occupied = True
        self.look(evse, "EVDetected")

    def depart(self, evse_id: int) -> None:
        """The car leaves the bay."""
        evse = self.evses[evse_id]
        evse.is_bay_occupied = False
        self.look(evse, "EVDeparted", "EVDisconnected")

    def plug_in(self, evse_id: int, battery: Battery, connector_id: int = 1) -> None:
        """Connect a car; it charges at once when a token was accepted before."""
        evse = self.evses[evse_id]
        if not evse.is_bay_occupied and self._has_bay_sensor():
            self.arrive(evse_id)
        evse.advance_to(self._parts.clock.monotonic())
        evse.battery, evse.used_connector = battery, connector_id
        self.adjust(evse)
        self.look(evse, "CablePluggedIn")

    def _has_bay_sensor(self) -> bool:
        model = self._parts.model
        return "ParkingBayOccupancy" in {*model.names("TxCtrlr.TxStartPoint"), *model.names("TxCtrlr.TxStopPoint")}

    def unplug(self, evse_id: int) -> Battery | None:
        """Take the cable out; ends the charge where the configuration says so (E09, E10)."""
        evse = self.evses[evse_id]
        evse.advance_to(self._parts.clock.monotonic())
        battery, evse.battery, evse.is_closed = evse.battery, None, False
        is_over = evse.transaction is not None and evse.transaction.stop_reason is not None
        if is_over or self._parts.model.flag("TxCtrlr.StopTxOnEVSideDisconnect"):
            evse.token = None
        self.look(evse, "EVCommunicationLost", "EVDisconnected")
        if evse.transaction is None:
            evse.token = None
            self.statuses.tell(evse)
        return battery

    async def present_tag(self, evse_id: int, text: str) -> bool:
        """Hold a card before the reader: starts a charge here, or stops the one that it may stop.

        False when the card is refused, or nothing can be started here.
        """
        return await self.present(evse_id, IdToken(text))

    async def present(self, evse_id: int, token: IdToken) -> bool:
        """As `present_tag`, with a token of any kind."""
        evse = self.evses[evse_id]
        if evse.is_charging:
            return await self._stop_by_token(evse, token)
        if not evse.can_start or self._gate.is_master(token):
            return False
        verdict = await self._gate.admit(token)
        if verdict is None or not evse.can_start or not self.may_use(evse, token, verdict.group):
            return False
        return await self.admit(evse_id, token, verdict.group, "Authorized")

    def may_use(self, evse: Evse, token: IdToken, group: IdToken | None) -> bool:
        """Whether no reservation, and no other driver's transaction, keeps this driver away."""
        running = evse.transaction
        if running is not None and running.token is not None and running.token.key != token.key:
            return False
        return evse.reservation is None or evse.reservation.is_for(token, group)

    async def admit(
        self, evse_id: int, token: IdToken, group: IdToken | None, trigger: str, remote_start_id: int | None = None
    ) -> bool:
        """Let a driver in who needs no (further) authorisation; waits for the car, up to EVConnectionTimeOut."""
        self.let_in(evse_id, token, group, trigger, remote_start_id)
        return await self.wait_for_car(self.evses[evse_id], token)

    def let_in(
        self, evse_id: int, token: IdToken, group: IdToken | None, trigger: str, remote_start_id: int | None = None
    ) -> None:
        """The driver may charge from now on."""
        evse = self.evses[evse_id]
        evse.token, evse.group, evse.is_denied = token, group, False
        if evse.transaction is not None:
            evse.transaction.stop_reason = None
        evse.remote_start_id = remote_start_id
        self.look(evse, trigger)

    async def wait_for_car(self, evse: Evse, token: IdToken) -> bool:
        """Whether the power path closed for this driver before EVConnectionTimeOut (E03.FR.05)."""
        clock, woken = self._parts.clock, self._woken[evse.evse_id]
        deadline_s = clock.monotonic() + self._parts.model.integer("TxCtrlr.EVConnectionTimeOut")
        while evse.token == token and not evse.is_closed:
            left_s = deadline_s - clock.monotonic()
            if left_s <= 0:
                self.withdraw(evse, "EVConnectTimeout", "Timeout")
                return False
            woken.clear()
            await clock.wait(woken, left_s)
        return evse.is_closed

    async def _stop_by_token(self, evse: Evse, token: IdToken) -> bool:
        if self._gate.is_master(token):
            verdict = await self._gate.admit(token)
            return verdict is not None and self.withdraw(evse, "StopAuthorized", "MasterPass", token)
        if evse.token is not None and token.key == evse.token.key:
            return self.withdraw(evse, "StopAuthorized", "Local", token)
        if evse.group is None:
            return False
        verdict = await self._gate.admit(token)  # a card of the same group may stop (C09)
        is_kin = verdict is not None and verdict.group == evse.group
        return is_kin and self.withdraw(evse, "StopAuthorized", "Local", token)

    def withdraw(self, evse: Evse, trigger: str, reason: str, token: IdToken | None = None) -> bool:
        """Nobody pays any more: the contactor opens, and the transaction ends where TxStopPoint says so."""
        if evse.token is None:
            return False
        evse.advance_to(self._parts.clock.monotonic())
        evse.token, evse.is_closed, evse.is_signed = None, False, False
        self.look(evse, trigger, reason, token)
        return True

    # --- what goes wrong

    def fail(self, evse_id: int, fault: Fault) -> None:
        """An EVSE (or with 0 the station) breaks; a charge on it ends."""
        for evse in self._affected(evse_id):
            self.stop(evse, "AbnormalCondition", STOPPED_BY_FAULT.get(fault.error_code, "Other"))
            evse.fault = fault
            self.statuses.tell(evse)
            self.statuses.tell_fault(evse, fault, is_cleared=False)

    def repair(self, evse_id: int) -> None:
        """The fault is gone."""
        for evse in self._affected(evse_id):
            if evse.fault is not None:
                fault, evse.fault = evse.fault, None
                self.statuses.tell_fault(evse, fault, is_cleared=True)
            self.look(evse, "AbnormalCondition")

    def _affected(self, evse_id: int) -> list[Evse]:
        return list(self.evses.values()) if evse_id == 0 else [self.evses[evse_id]]

    # --- transactions

    def find(self, transaction_id: str) -> Evse | None:
        """The EVSE that this transaction runs on."""
        running = (evse for evse in self.evses.values() if evse.transaction is not None)
        return next((one for one in running if one.transaction.transaction_id == transaction_id), None)  # type: ignore[union-attr]

    def stop(self, evse: Evse, trigger: str, reason: str) -> None:
        """End the transaction here, if there is one, whatever TxStopPoint says."""
        now_s = self._parts.clock.monotonic()
        evse.advance_to(now_s)
        evse.token, evse.is_closed, evse.is_signed = None, False, False
        if evse.transaction is not None:
            self._end(evse, evse.transaction, trigger, reason)
        evse.held = frozenset(evse.conditions())
        self._wake(evse)

    def stop_all(self, trigger: str, reason: str) -> None:
        """End every transaction, as a reset, a power loss or the end of the simulation does."""
        for evse in self.evses.values():
            self.stop(evse, trigger, reason)

    def deauthorize(self, transaction: Transaction) -> None:
        """The CSMS refused the token of a charge that already runs (C15, E05)."""
        evse, model = self.evses[transaction.evse_id], self._parts.model
        if evse.transaction is not transaction or evse.token is None:
            return
        spare_wh = model.integer("TxCtrlr.MaxEnergyOnInvalidId")
        if spare_wh > 0 and not evse.is_denied and transaction.limits.energy_wh is None:
            used_wh = evse.meter.energy_wh - transaction.meter_start_wh
            transaction.limits.energy_wh = used_wh + spare_wh
            return
        if model.flag("TxCtrlr.StopTxOnInvalidId"):
            self.withdraw(evse, "Deauthorized", "DeAuthorized")
            return
        evse.advance_to(self._parts.clock.monotonic())
        evse.is_denied, evse.is_closed = True, False
        self.look(evse, "Deauthorized")

    def look(self, evse: Evse, trigger: str, reason: str | None = None, token: IdToken | None = None) -> None:
        """Something about an EVSE changed: tell what follows from it, start or end what it starts or ends."""
        self._step(evse, trigger, reason, token)
        if evse.may_close and not evse.is_closed and not evse.is_denied:
            evse.advance_to(self._parts.clock.monotonic())
            evse.is_closed = True
            self._step(evse, "ChargingStateChanged", None, None)
            if evse.transaction is not None and self._parts.model.flag("SampledDataCtrlr.SignReadings"):
                evse.is_signed = True
                self._step(evse, "SignedDataReceived", None, None)
        self._wake(evse)

    def _step(self, evse: Evse, trigger: str, reason: str | None, token: IdToken | None) -> None:
        had, evse.held = evse.held, frozenset(evse.conditions())
        model, transaction = self._parts.model, evse.transaction
        self.statuses.tell(evse)
        if transaction is None:
            # A closed contactor without a transaction would give energy away: it starts one at the latest.
            if evse.is_closed or (evse.held - had) & set(model.names("TxCtrlr.TxStartPoint")):
                self._start(evse, trigger)
            return
        self._adopt(evse, transaction)
        if (had - evse.held) & set(model.names("TxCtrlr.TxStopPoint")):
            self._end(evse, transaction, trigger, transaction.stop_reason or reason or "StoppedByEV", token)
        elif trigger != "ChargingStateChanged" or evse.state is not transaction.told_state:
            transaction.stop_reason = transaction.stop_reason or reason
            signed = "SampledDataCtrlr.TxUpdatedMeasurands" if trigger == "SignedDataReceived" else None
            values = [] if signed is None else self.events.sample(evse, signed, "Transaction.Begin")
            self.events.tell(evse, transaction, "Updated", trigger, token=token, meter_values=values)
        self._note_charging(evse, transaction)

    def _start(self, evse: Evse, trigger: str) -> None:
        clock, now_s = self._parts.clock, self._parts.clock.monotonic()
        evse.advance_to(now_s)
        transaction = Transaction(
            f"{self._parts.rng.getrandbits(128):032x}",
            evse.evse_id,
            evse.used_connector,
            evse.meter.energy_wh,
            clock.now(),
            now_s,
            sampled_at_s=now_s,
            ended_sampled_at_s=now_s,
        )
        evse.transaction = transaction
        self._adopt(evse, transaction)
        self.adjust(evse)
        values = self.events.sample(evse, "SampledDataCtrlr.TxStartedMeasurands", "Transaction.Begin")
        self.events.tell(evse, transaction, "Started", trigger, meter_values=values)
        self.events.note(evse, transaction, "SampledDataCtrlr.TxEndedMeasurands", "Transaction.Begin")
        self.statuses.tell(evse)
        self._note_charging(evse, transaction)

    @staticmethod
    def _adopt(evse: Evse, transaction: Transaction) -> None:
        """The transaction takes over who pays for it, and the reservation that was made for it."""
        if evse.token is None:
            return
        transaction.token, transaction.group = evse.token, evse.group
        transaction.remote_start_id = evse.remote_start_id
        if evse.reservation is not None:
            transaction.reservation_id, evse.reservation = evse.reservation.reservation_id, None

    def _note_charging(self, evse: Evse, transaction: Transaction) -> None:
        if evse.is_closed and not transaction.has_charged and evse.transaction is transaction:
            transaction.has_charged = True
            self._parts.observer.charge_began()

    def _end(
        self, evse: Evse, transaction: Transaction, trigger: str, reason: str, token: IdToken | None = None
    ) -> None:
        evse.token, evse.is_closed, evse.is_signed, evse.is_denied = None, False, False, False
        last = self.events.sample(evse, "SampledDataCtrlr.TxEndedMeasurands", "Transaction.End")
        values = [*transaction.samples.samples, *last]
        self.events.tell(evse, transaction, "Ended", trigger, meter_values=values, stopped_reason=reason, token=token)
        evse.transaction = None
        if evse.is_change_scheduled:
            evse.is_operative, evse.is_change_scheduled = False, False
        if evse.battery is not None:
            evse.battery.limit_w = None
        evse.held = frozenset(evse.conditions())
        if transaction.has_charged:
            self._parts.observer.charge_ended(evse.meter.energy_wh - transaction.meter_start_wh)
        self.statuses.tell(evse)
        for follow in self.on_ended:
            follow(evse, transaction)

    def stop_remotely(self, evse: Evse) -> None:
        """The CSMS stops the transaction (F03): its driver pays no more; one that nobody paid for ends at once."""
        if not self.withdraw(evse, "RemoteStop", "Remote"):
            self.stop(evse, "RemoteStop", "Remote")

    # --- availability

    def set_operative(self, evse: Evse, connector_id: int | None, *, is_operative: bool) -> None:
        """Put an EVSE or one connector in or out of service; during a transaction that waits for its end (G03)."""
        if connector_id is not None:
            evse.connectors[connector_id].is_operative = is_operative
        elif evse.transaction is not None and not is_operative:
            evse.is_change_scheduled = True
        else:
            evse.is_operative, evse.is_change_scheduled = is_operative, False
            if not is_operative:
                evse.token = None
        self.look(evse, "ChargingStateChanged")

    # --- time

    async def run(self) -> None:
        """Let energy flow and send meter values, until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.metering.run_clock())
            for evse in self.evses.values():
                loops.create_task(self._run(evse))

    async def _run(self, evse: Evse) -> None:
        woken, clock = self._woken[evse.evse_id], self._parts.clock
        while True:
            woken.clear()
            if evse.transaction is None:
                await woken.wait()
                continue
            await clock.wait(woken, self.metering.next_step_s(evse, evse.transaction))
            self.adjust(evse)
            evse.advance_to(clock.monotonic())
            self._parts.on_values()
            self._check(evse)
            if evse.transaction is not None:
                self.metering.sample_when_due(evse, evse.transaction)

    def _check(self, evse: Evse) -> None:
        """The car is full, a limit is reached, the power came back: tell it."""
        transaction = evse.transaction
        if transaction is None:
            return
        if (reached := self.metering.limit_reached(evse, transaction)) is not None:
            self.withdraw(evse, *reached)
        elif evse.state is not transaction.told_state and transaction.told_state is not None:
            reason = "StoppedByEV" if evse.state is ChargingState.SUSPENDED_EV else None
            self.look(evse, "ChargingStateChanged", reason if self._ends_with_energy() else None)

    def _ends_with_energy(self) -> bool:
        return "EnergyTransfer" in self._parts.model.names("TxCtrlr.TxStopPoint")

    def wake(self) -> None:
        """Settings changed: look at everything anew."""
        for evse in self.evses.values():
            self._wake(evse)

    def _wake(self, evse: Evse) -> None:
        self._woken[evse.evse_id].set()
        self._parts.on_values()

    def ask_state(self, evse: Evse) -> None:
        """Tell the running transaction as it is now (TriggerMessage, F06)."""
        if evse.transaction is not None:
            evse.advance_to(self._parts.clock.monotonic())
            values = self.events.sample(evse, "SampledDataCtrlr.TxUpdatedMeasurands", "Trigger")
            self.events.tell(evse, evse.transaction, "Updated", "Trigger", meter_values=values)

    @property
    def now(self) -> str:
        """The time as messages write it."""
        return timestamp(self._parts.clock.now())
