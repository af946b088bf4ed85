"""F5: what a simulated 2.x station says of itself, and what it is built of."""

from dataclasses import dataclass, field
from typing import Any

from simulators.battery import Supply
from simulators.v201.evse import Connector, Evse


@dataclass(frozen=True, slots=True)
class Nameplate:
    """`connectors` counts the EVSEs (so that fleets of both versions are asked alike), each with `plugs_per_evse`."""

    vendor: str = "Simulated Charging"
    model: str = "AC Twin 22"
    serial_number: str = ""
    firmware_version: str = "2.1.0"
    connectors: int = 1
    plugs_per_evse: int = 1
    supply: Supply = field(default_factory=Supply.ac)

    def boot_payload(self, reason: str, firmware_version: str) -> dict[str, Any]:
        """BootNotification's payload (2.0.1 part 2, 1.8)."""
        serial = {"serialNumber": self.serial_number[:25]} if self.serial_number else {}
        station = {"model": self.model[:20], "vendorName": self.vendor[:50], "firmwareVersion": firmware_version[:50]}
        return {"reason": reason, "chargingStation": {**station, **serial}}

    @property
    def plug(self) -> str:
        """The kind of its connectors (ConnectorEnum)."""
        return "cCCS2" if self.supply.is_dc else "sType2"

    def evses(self) -> dict[int, Evse]:
        """The EVSEs as they leave the works."""
        return {
            number: Evse(
                number,
                self.supply,
                {plug: Connector(plug, self.plug) for plug in range(1, self.plugs_per_evse + 1)},
            )
            for number in range(1, self.connectors + 1)
        }
