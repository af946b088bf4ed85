"""F5: one connector of a simulated 1.6 station; its status follows from facts, so none can contradict them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from simulators.battery import Battery, Supply
from simulators.fault import Fault
from simulators.meter import Measurement, Meter, SampleLog


class Status(StrEnum):
    """ChargePointStatus (OCPP 1.6, 7.7)."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who may charge here until when."""

    reservation_id: int
    id_tag: str
    expires_at: datetime


@dataclass(slots=True, eq=False)
class Transaction:
    """One charge. `transaction_id` is the CSMS's, None until its answer came."""

    connector_id: int
    id_tag: str
    meter_start_wh: int
    started_at: datetime
    sampled_at_s: float
    transaction_id: int | None = None
    samples: SampleLog = field(default_factory=SampleLog)


@dataclass(slots=True)
class Connector:
    """The facts of one connector; connector 0 is the station as a whole and never has a car."""

    connector_id: int
    supply: Supply
    meter: Meter = field(default_factory=Meter)
    battery: Battery | None = None
    authorized_tag: str | None = None
    transaction: Transaction | None = None
    reservation: Reservation | None = None
    fault: Fault | None = None
    is_operative: bool = True
    is_change_scheduled: bool = False
    is_suspended: bool = False
    has_finished: bool = False
    _advanced_at_s: float = 0.0

    @property
    def status(self) -> Status:
        """The one status that the facts allow."""
        if self.fault is not None:
            return Status.FAULTED
        if self.transaction is not None:
            return self._charging_status()
        if not self.is_operative:
            return Status.UNAVAILABLE
        if self.battery is not None:
            return Status.FINISHING if self.has_finished else Status.PREPARING
        if self.authorized_tag is not None:
            return Status.PREPARING
        return Status.AVAILABLE if self.reservation is None else Status.RESERVED

    def _charging_status(self) -> Status:
        if self.is_suspended or (self.battery is not None and self.battery.offered_w <= 0):
            return Status.SUSPENDED_EVSE
        if self.battery is None or self.battery.is_full:
            return Status.SUSPENDED_EV
        return Status.CHARGING

    @property
    def can_start(self) -> bool:
        """Whether a charge may begin here: nothing wrong, nothing running."""
        return self.fault is None and self.is_operative and self.transaction is None

    @property
    def is_ready(self) -> bool:
        """Whether everything for a charge is there: a car and a tag."""
        return self.can_start and self.battery is not None and self.authorized_tag is not None

    def advance_to(self, now_s: float) -> None:
        """Let the energy flow that flowed since the last call."""
        elapsed_s, self._advanced_at_s = now_s - self._advanced_at_s, now_s
        if self.battery is not None and self.status is Status.CHARGING:
            self.meter.add(self.battery.advance(elapsed_s).energy_wh)

    def measure(self) -> Measurement:
        """What the meter shows; no current flows unless the connector charges."""
        is_flowing = self.status is Status.CHARGING
        return self.meter.measure(self.battery if is_flowing else None, self.supply.phases)

    def begin(self, id_tag: str, now_s: float, started_at: datetime) -> Transaction:
        """Close the contactor: a transaction begins at the present register."""
        self._advanced_at_s = now_s
        self.transaction = Transaction(self.connector_id, id_tag, self.meter.energy_wh, started_at, now_s)
        self.authorized_tag = self.reservation = None
        self.has_finished = self.is_suspended = False
        return self.transaction

    def end(self, now_s: float) -> Transaction | None:
        """Open the contactor; the transaction that ended, None when there was none."""
        self.advance_to(now_s)
        ended, self.transaction = self.transaction, None
        self.has_finished, self.is_suspended = ended is not None, False
        if self.is_change_scheduled:
            self.is_operative, self.is_change_scheduled = False, False
        return ended

    def plug_in(self, battery: Battery, now_s: float) -> None:
        """Connect a car."""
        self.advance_to(now_s)
        self.battery, self.has_finished = battery, False

    def unplug(self, now_s: float) -> Battery | None:
        """Take the cable out; the battery that left."""
        self.advance_to(now_s)
        battery, self.battery, self.has_finished = self.battery, None, False
        return battery
