"""B7: what a TransactionEvent of 2.x says."""

from dataclasses import dataclass
from typing import Any, Final

from csms.station.charge_logs.model import EventKind
from csms.station.charge_logs.rules import Flag, Moment
from csms.station.charge_logs.service.ending import Columns
from csms.station.tokens import TokenKind

ENERGY_FLOWS: Final = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
_STOPS: Final = frozenset({"StopAuthorized"})
"""What makes a station send the token of who stops."""


@dataclass(slots=True, eq=False)
class TransactionEvent:
    """What a TransactionEventRequest says."""

    transaction_id: str
    kind: EventKind
    seq_no: int
    moment: Moment
    key: str
    trigger: str | None
    charging_state: str | None
    is_offline: bool
    charge_point_number: int | None
    connector_number: int | None
    token: tuple[str, TokenKind | None] | None
    meter_values: object
    stopped_reason: str | None
    columns: Columns
    """Of the charge log, as told."""
    whole: dict[str, Any]
    """What else is told of the transaction: merged into the charge log's details."""
    details: dict[str, Any] | None
    is_21: bool = False

    @property
    def is_live(self) -> bool:
        """It has just happened."""
        return Flag.OFFLINE not in self.moment.flags and Flag.CLOCK_SUSPECT not in self.moment.flags

    @property
    def shows_stopper(self) -> bool:
        return self.kind is EventKind.ENDED or self.trigger in _STOPS
