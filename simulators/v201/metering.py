"""F5: when a simulated 2.x station measures: by interval, by the clock, at limits (2.0.1, J)."""

import asyncio
from collections.abc import Callable

from simulators.v201.events import Events
from simulators.v201.evse import Evse, Transaction
from simulators.v201.parts import Parts

STEP_S = 60.0  # how often a charge looks whether its car is full
SECONDS_PER_DAY = 86_400
SAMPLED, ALIGNED = "SampledDataCtrlr", "AlignedDataCtrlr"


class Metering:
    """Periodic and clock-aligned values of all EVSEs, and the limits that a charge runs into."""

    def __init__(self, evses: dict[int, Evse], parts: Parts, events: Events, look: Callable[[Evse, str], None]) -> None:
        self.aligned_changed = asyncio.Event()
        self.until_profile_s: Callable[[Evse], float] = lambda _evse: STEP_S  # when the profiles' limit next changes
        self._evses = evses
        self._parts = parts
        self._events = events
        self._look = look

    def next_step_s(self, evse: Evse, transaction: Transaction) -> float:
        """Simulated seconds until something may have to be done for this charge."""
        now_s = self._parts.clock.monotonic()
        waits = [STEP_S, self.until_profile_s(evse)]
        for variable, sampled_at_s in (
            ("TxUpdatedInterval", transaction.sampled_at_s),
            ("TxEndedInterval", transaction.ended_sampled_at_s),
        ):
            if interval_s := self._parts.model.integer(f"{SAMPLED}.{variable}"):
                waits.append(sampled_at_s + interval_s - now_s)
        return max(0.0, min([*waits, *self._until_limits(evse, transaction, now_s)]))

    @staticmethod
    def _until_limits(evse: Evse, transaction: Transaction, now_s: float) -> list[float]:
        waits, limits = [], transaction.limits
        if limits.time_s is not None:
            waits.append(max(0.01, transaction.started_at_s + limits.time_s - now_s))
        if limits.energy_wh is not None and evse.battery is not None and evse.battery.power_w > 0:
            left_wh = limits.energy_wh - (evse.meter.register_wh - transaction.meter_start_wh)
            waits.append(max(0.1, left_wh * 3600.0 / evse.battery.power_w))
        return waits

    def limit_reached(self, evse: Evse, transaction: Transaction) -> tuple[str, str] | None:
        """Trigger and reason of the limit that this charge has run into, None as long as there is none."""
        limits, now_s = transaction.limits, self._parts.clock.monotonic()
        if limits.energy_wh is not None and evse.meter.register_wh - transaction.meter_start_wh >= limits.energy_wh:
            return "EnergyLimitReached", "EnergyLimitReached"
        if limits.time_s is not None and now_s - transaction.started_at_s >= limits.time_s:
            return "TimeLimitReached", "TimeLimitReached"
        if limits.cost is not None and (transaction.total_cost or 0.0) >= limits.cost:
            return "CostLimitReached", "LocalOutOfCredit"
        if limits.soc is not None and evse.battery is not None and evse.battery.soc * 100 >= limits.soc:
            return "SoCLimitReached", "SOCLimitReached"
        return None

    def sample_when_due(self, evse: Evse, transaction: Transaction) -> None:
        """Send a periodic value, and keep one for the last event, when their time has come."""
        now_s, model = self._parts.clock.monotonic(), self._parts.model
        interval_s = model.integer(f"{SAMPLED}.TxUpdatedInterval")
        if interval_s and model.flag(f"{SAMPLED}.Enabled") and now_s >= transaction.sampled_at_s + interval_s - 1e-6:
            transaction.sampled_at_s = now_s
            values = self._events.sample(evse, f"{SAMPLED}.TxUpdatedMeasurands", "Sample.Periodic")
            self._events.tell(evse, transaction, "Updated", "MeterValuePeriodic", meter_values=values)
        interval_s = model.integer(f"{SAMPLED}.TxEndedInterval")
        if interval_s and now_s >= transaction.ended_sampled_at_s + interval_s - 1e-6:
            transaction.ended_sampled_at_s = now_s
            self._events.note(evse, transaction, f"{SAMPLED}.TxEndedMeasurands", "Sample.Periodic")

    async def run_clock(self) -> None:
        """Clock-aligned values: at every multiple of the interval since midnight, also without a charge (J01, J02)."""
        clock = self._parts.clock
        while True:
            self.aligned_changed.clear()
            model = self._parts.model
            interval_s = model.integer(f"{ALIGNED}.Interval") if model.flag(f"{ALIGNED}.Enabled") else 0
            if interval_s == 0:
                await self.aligned_changed.wait()
                continue
            if await clock.wait(self.aligned_changed, self._until_aligned_s(interval_s)):
                continue
            for evse in self._evses.values():
                evse.advance_to(clock.monotonic())
                self._sample_aligned(evse)

    def _sample_aligned(self, evse: Evse) -> None:
        transaction, model = evse.transaction, self._parts.model
        if transaction is None:
            self.send_values(evse, f"{ALIGNED}.Measurands", "Sample.Clock")
            return
        if not model.flag(f"{ALIGNED}.SendDuringIdle"):
            values = self._events.sample(evse, f"{ALIGNED}.Measurands", "Sample.Clock")
            self._events.tell(evse, transaction, "Updated", "MeterValueClock", meter_values=values)
        if model.integer(f"{ALIGNED}.TxEndedInterval"):
            self._events.note(evse, transaction, f"{ALIGNED}.TxEndedMeasurands", "Sample.Clock")

    def send_values(self, evse: Evse, variable: str, context: str) -> None:
        """A MeterValues outside any transaction; lost when offline."""
        values = self._events.sample(evse, variable, context)
        if values:
            self._parts.report("MeterValues", {"evseId": evse.evse_id, "meterValue": values})

    def _until_aligned_s(self, interval_s: int) -> float:
        into_interval_s = self._parts.clock.now().timestamp() % SECONDS_PER_DAY % interval_s
        left_s = interval_s - into_interval_s
        # Timers may fire a little early: what is nearly there has just been sampled.
        return left_s + interval_s if left_s < 0.05 * interval_s else left_s
