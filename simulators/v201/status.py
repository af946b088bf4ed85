"""F5: what a simulated 2.x station tells of its connectors: StatusNotification, NotifyEvent for defects (G01, N07)."""

import itertools
from collections.abc import Callable
from typing import Any

from csms.ocpp.timestamps import write as timestamp
from simulators.fault import Fault
from simulators.v201.evse import Evse, Status
from simulators.v201.parts import Parts

Place = tuple[int, int]


class Statuses:
    """Remembers what the CSMS was told, so that it hears every change once."""

    def __init__(self, evses: dict[int, Evse], parts: Parts) -> None:
        self.is_reporting = False
        self.event_ids = itertools.count(1)
        self.on_change: Callable[[], None] = lambda: None
        self._evses = evses
        self._parts = parts
        self._delivered: dict[Place, str] = {}
        self._told: dict[Place, str] = {}

    def tell(self, evse: Evse) -> None:
        """Report what changed at the connectors of an EVSE."""
        self.on_change()
        for number in evse.connectors:
            status = evse.status_of(number)
            if self.is_reporting and self._told.get((evse.evse_id, number)) != status:
                self._told[evse.evse_id, number] = status
                self._parts.report("StatusNotification", self.payload(evse, number))

    def payload(self, evse: Evse, connector_id: int) -> dict[str, Any]:
        """StatusNotification's payload for this moment."""
        return {
            "timestamp": timestamp(self._parts.clock.now()),
            "connectorStatus": str(evse.status_of(connector_id)),
            "evseId": evse.evse_id,
            "connectorId": connector_id,
        }

    def tell_all(self, *, is_boot: bool, is_all: bool) -> None:
        """Tell every status after a boot (B01.FR.05) or a long absence, else those that the CSMS does not know yet."""
        self.is_reporting = True
        self._told = {} if is_boot or is_all else dict(self._delivered)
        for evse in self._evses.values():
            self.tell(evse)
            if is_boot and evse.fault is not None:
                self.tell_fault(evse, evse.fault, is_cleared=False)

    def delivered(self, payload: dict[str, Any]) -> None:
        """The CSMS took a StatusNotification."""
        self._delivered[payload["evseId"], payload["connectorId"]] = payload["connectorStatus"]

    def tell_fault(self, evse: Evse, fault: Fault, *, is_cleared: bool) -> None:
        """A defect comes or goes: a hard-wired event on the EVSE's Problem (N07)."""
        code = {"techCode": fault.vendor_error_code or fault.error_code}
        event = {
            "eventId": next(self.event_ids),
            "timestamp": timestamp(self._parts.clock.now()),
            "trigger": "Alerting",
            "actualValue": "false" if is_cleared else "true",
            **code,
            **({"techInfo": fault.info} if fault.info else {}),
            "cleared": is_cleared,
            "component": {"name": "EVSE", "evse": {"id": evse.evse_id}},
            "eventNotificationType": "HardWiredNotification",
            "variable": {"name": "Problem"},
        }
        now = timestamp(self._parts.clock.now())
        payload = {"generatedAt": now, "seqNo": 0, "tbc": False, "eventData": [event]}
        self._parts.report("NotifyEvent", payload, is_kept=True)

    def overall(self) -> Status:
        """The station as a whole: the best of its EVSEs."""
        told = {evse.status for evse in self._evses.values()}
        return next(status for status in Status if status in told)
