"""F5: reservations of a simulated 2.x station: made, kept, expired, taken away (2.0.1, H)."""

import asyncio

from simulators.life import LONGEST_WAIT_S
from simulators.v201.evse import Evse, Reservation, Status
from simulators.v201.parts import Parts
from simulators.v201.status import Statuses


class Reservations:
    """Each EVSE keeps its own; those of no certain EVSE lie on one that fits."""

    def __init__(self, evses: dict[int, Evse], parts: Parts, statuses: Statuses) -> None:
        self._evses = evses
        self._parts = parts
        self._statuses = statuses
        self._changed = asyncio.Event()
        statuses.on_change = self._changed.set

    def find(self, reservation_id: int) -> Evse | None:
        """Where a reservation lies."""
        held = (evse for evse in self._evses.values() if evse.reservation is not None)
        return next((one for one in held if one.reservation.reservation_id == reservation_id), None)  # type: ignore[union-attr]

    def check(self, wanted: Reservation) -> str:
        """ReserveNow's status (H01)."""
        if not self._parts.model.flag("ReservationCtrlr.Enabled"):
            return "Rejected"
        if wanted.evse_id is not None and wanted.evse_id not in self._evses:
            return "Rejected"
        if wanted.expires_at <= self._parts.clock.now():
            return "Rejected"
        states = [self._state(evse, wanted) for evse in self._candidates(wanted)]
        if Status.AVAILABLE in states:
            return "Accepted"
        refusals = {Status.FAULTED: "Faulted", Status.UNAVAILABLE: "Unavailable"}
        return refusals.get(states[0], "Occupied") if len(set(states)) == 1 else "Occupied"

    def _candidates(self, wanted: Reservation) -> list[Evse]:
        if (held := self.find(wanted.reservation_id)) is not None:
            return [held]  # H01.FR.02: the same id replaces
        return list(self._evses.values()) if wanted.evse_id is None else [self._evses[wanted.evse_id]]

    def _state(self, evse: Evse, wanted: Reservation) -> Status:
        fitting = {
            number for number, connector in evse.connectors.items() if wanted.connector_type in (None, connector.kind)
        }
        if not fitting:
            return Status.UNAVAILABLE
        if evse.reservation is not None and evse.reservation.reservation_id == wanted.reservation_id:
            return Status.AVAILABLE
        if evse.transaction is not None or evse.token is not None:
            return Status.OCCUPIED
        told = {evse.status_of(number) for number in fitting}
        return next(status for status in Status if status in told)

    def make(self, wanted: Reservation) -> None:
        """Keep an EVSE for one driver."""
        fitting = [evse for evse in self._candidates(wanted) if self._state(evse, wanted) is Status.AVAILABLE]
        if fitting:
            fitting[0].reservation = wanted
            self._statuses.tell(fitting[0])
            self._changed.set()

    def drop(self, evse: Evse, told: str | None) -> None:
        """The reservation is over; `told` Expired or Removed is reported (H04), a cancelled one is not."""
        reservation, evse.reservation = evse.reservation, None
        if reservation is None:
            return
        self._statuses.tell(evse)
        if told is not None:
            payload = {"reservationId": reservation.reservation_id, "reservationUpdateStatus": told}
            self._parts.report("ReservationStatusUpdate", payload, is_kept=True)

    def look(self) -> None:
        """Take away what is over, and what can no longer be kept (H04)."""
        for evse in self._evses.values():
            if evse.reservation is None:
                continue
            if evse.reservation.expires_at <= self._parts.clock.now():
                self.drop(evse, "Expired")
            elif evse.is_faulted or not evse.is_operative:
                self.drop(evse, "Removed")

    async def run(self) -> None:
        """Let reservations expire on time, until cancelled."""
        while True:
            self._changed.clear()
            now = self._parts.clock.now()
            ends = [evse.reservation.expires_at for evse in self._evses.values() if evse.reservation is not None]
            wait_s = (min(ends) - now).total_seconds() if ends else LONGEST_WAIT_S
            await self._parts.clock.wait(self._changed, max(0.0, wait_s))
            self.look()
