"""F5: one EVSE of a simulated 2.x station; its states follow from facts, so none can contradict them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from simulators.battery import Battery, Supply
from simulators.fault import Fault
from simulators.meter import Measurement, Meter, SampleLog


class Status(StrEnum):
    """ConnectorStatusEnum (2.0.1 part 2, 3.27)."""

    AVAILABLE = "Available"
    OCCUPIED = "Occupied"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class ChargingState(StrEnum):
    """ChargingStateEnum (2.0.1 part 2, 3.17)."""

    CHARGING = "Charging"
    EV_CONNECTED = "EVConnected"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"
    IDLE = "Idle"


@dataclass(frozen=True, slots=True)
class IdToken:
    """An IdTokenType; tokens are compared without regard to case."""

    text: str
    kind: str = "ISO14443"

    @property
    def key(self) -> tuple[str, str]:
        """What is compared."""
        return self.text.lower(), self.kind

    def payload(self) -> dict[str, str]:
        """As it stands in messages."""
        return {"idToken": self.text, "type": self.kind}

    @classmethod
    def read(cls, payload: dict[str, Any]) -> "IdToken":
        """From a message."""
        return cls(payload["idToken"], payload["type"])


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who may charge here until when; `evse_id` None is any EVSE of the station."""

    reservation_id: int
    token: IdToken
    expires_at: datetime
    evse_id: int | None
    connector_type: str | None = None
    group: IdToken | None = None

    def is_for(self, token: IdToken, group: IdToken | None) -> bool:
        """Whether this driver is the one it is kept for."""
        return token.key == self.token.key or (self.group is not None and group is not None and group == self.group)


@dataclass(slots=True)
class Limits:
    """What ends a charge before its driver does; None where nothing does."""

    energy_wh: float | None = None
    time_s: float | None = None
    soc: float | None = None
    cost: float | None = None


@dataclass(slots=True, eq=False)
class Transaction:
    """One transaction; the station gives its id."""

    transaction_id: str
    evse_id: int
    connector_id: int
    meter_start_wh: int
    started_at: datetime
    started_at_s: float
    token: IdToken | None = None
    group: IdToken | None = None
    remote_start_id: int | None = None
    reservation_id: int | None = None
    seq_no: int = 0
    told_state: ChargingState | None = None
    told_token: IdToken | None = None
    told_evse: bool = False
    told_key: bool = False
    has_charged: bool = False
    charging_s: float = 0.0
    sampled_at_s: float = 0.0
    ended_sampled_at_s: float = 0.0
    stop_reason: str | None = None
    total_cost: float | None = None
    limits: Limits = field(default_factory=Limits)
    samples: SampleLog = field(default_factory=SampleLog)

    def next_seq_no(self) -> int:
        """Counts the events of this transaction from 0."""
        number, self.seq_no = self.seq_no, self.seq_no + 1
        return number


@dataclass(slots=True)
class Connector:
    """One socket or cable of an EVSE."""

    connector_id: int
    kind: str = "sType2"
    is_operative: bool = True
    fault: Fault | None = None


@dataclass(slots=True)
class Evse:
    """The facts of one EVSE: at most one of its connectors is used at a time."""

    evse_id: int
    supply: Supply
    connectors: dict[int, Connector]
    meter: Meter = field(default_factory=Meter)
    battery: Battery | None = None
    used_connector: int = 1
    token: IdToken | None = None
    group: IdToken | None = None
    remote_start_id: int | None = None
    transaction: Transaction | None = None
    reservation: Reservation | None = None
    is_bay_occupied: bool = False
    is_closed: bool = False
    is_signed: bool = False
    is_denied: bool = False
    is_operative: bool = True
    is_change_scheduled: bool = False
    is_resetting: bool = False
    fault: Fault | None = None
    held: frozenset[str] = frozenset()
    _advanced_at_s: float = 0.0

    @property
    def used(self) -> Connector:
        """The connector that is used, or was last."""
        return self.connectors[self.used_connector]

    @property
    def is_faulted(self) -> bool:
        """Whether nothing can be charged for a defect."""
        return self.fault is not None or self.used.fault is not None

    def status_of(self, connector_id: int) -> Status:
        """The one status that the facts allow."""
        connector = self.connectors[connector_id]
        if self.fault is not None or connector.fault is not None:
            return Status.FAULTED
        is_used = connector_id == self.used_connector
        is_taken = self.battery is not None
        if is_taken and is_used:
            return Status.OCCUPIED
        if self.is_resetting or is_taken or not self.is_operative or not connector.is_operative:
            return Status.UNAVAILABLE
        return Status.AVAILABLE if self.reservation is None else Status.RESERVED

    @property
    def status(self) -> Status:
        """The EVSE as a whole: that of the connector in use, else the best of all."""
        if self.battery is not None:
            return self.status_of(self.used_connector)
        told = {self.status_of(number) for number in self.connectors}
        return next(status for status in Status if status in told)

    @property
    def can_start(self) -> bool:
        """Whether a driver may be let in here: nothing wrong, nobody else."""
        is_whole = self.fault is None and any(self._is_usable(one) for one in self.connectors.values())
        return is_whole and self.is_operative and not self.is_resetting and self.token is None

    @staticmethod
    def _is_usable(connector: Connector) -> bool:
        return connector.is_operative and connector.fault is None

    @property
    def is_charging(self) -> bool:
        """Whether somebody who was let in charges, or could."""
        return self.transaction is not None and self.token is not None

    @property
    def may_close(self) -> bool:
        """Whether the contactor may close: a car, somebody who pays, and no defect."""
        return self.battery is not None and self.token is not None and not self.is_faulted

    @property
    def state(self) -> ChargingState:
        """The charging state of a transaction here."""
        if self.battery is None:
            return ChargingState.IDLE
        if self.is_denied and self.token is not None:
            return ChargingState.SUSPENDED_EVSE
        if not self.is_closed:
            return ChargingState.EV_CONNECTED
        if self.battery.limit_w is not None and self.battery.limit_w <= 0:
            return ChargingState.SUSPENDED_EVSE
        return ChargingState.SUSPENDED_EV if self.battery.is_full else ChargingState.CHARGING

    def conditions(self) -> Iterator[str]:
        """Which of the points at which a transaction can start or stop hold now (2.0.1 part 2, E, 2.6.4)."""
        if self.is_bay_occupied:
            yield "ParkingBayOccupancy"
        if self.battery is not None:
            yield "EVConnected"
        if self.token is not None:
            yield "Authorized"
        if self.is_signed:
            yield "DataSigned"
        if self.may_close:
            yield "PowerPathClosed"
        if self.is_closed and self.state is ChargingState.CHARGING:
            yield "EnergyTransfer"

    def advance_to(self, now_s: float) -> None:
        """Let the energy flow that flowed since the last call."""
        elapsed_s, self._advanced_at_s = now_s - self._advanced_at_s, now_s
        if self.battery is not None and self.state is ChargingState.CHARGING:
            self.meter.add(self.battery.advance(elapsed_s).energy_wh)
            if self.transaction is not None:
                self.transaction.charging_s += elapsed_s

    def measure(self) -> Measurement:
        """What the meter shows; no current flows unless the EVSE charges."""
        is_flowing = self.state is ChargingState.CHARGING
        return self.meter.measure(self.battery if is_flowing else None, self.supply.phases)
