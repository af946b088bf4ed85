"""A 2.x station, a scripted CSMS and a clock moved by hand, ready to be tried."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from csms.ocpp.versions import Version
from simulators.clock import ManualClock
from simulators.v201 import Station, Status, pass_time, running_station, settled
from simulators.v201.evse import Evse
from tests.simulators.scripted_csms import ScriptedCsms, scripted_csms
from tests.simulators.station_bench import car

BOTH = (Version.V201, Version.V21)
ACCEPTED = {"status": "Accepted"}
EVENTLESS = ("TransactionEvent", "StatusNotification", "SecurityEventNotification", "BootNotification")


class Bench201:
    """A station, its CSMS and the clock they share."""

    def __init__(self, csms: ScriptedCsms, station: Station, clock: ManualClock) -> None:
        self.csms = csms
        self.station = station
        self.clock = clock

    @property
    def evse(self) -> Evse:
        return self.station.charging.evses[1]

    def status(self, evse_id: int = 1) -> Status:
        return self.station.charging.evses[evse_id].status

    def statuses(self, evse_id: int = 1, connector_id: int = 1) -> list[str]:
        return [
            told["connectorStatus"]
            for told in self.csms.payloads("StatusNotification")
            if (told["evseId"], told["connectorId"]) == (evse_id, connector_id)
        ]

    async def wait(self, seconds: float) -> None:
        await pass_time(self.station, self.clock, seconds)

    async def charge(self, evse_id: int = 1, soc: float = 0.3, target_soc: float = 1.0, token: str = "04AB") -> str:
        """Plug in, present a card; the id of the transaction that runs then."""
        self.station.charging.plug_in(evse_id, car(soc, target_soc))
        assert await self.station.charging.present_tag(evse_id, token)
        await settled(self.station)
        transaction = self.station.charging.evses[evse_id].transaction
        assert transaction is not None
        return transaction.transaction_id

    async def set(self, component: str, variable: str, value: str, instance: str | None = None) -> str:
        """SetVariables for one variable; its status."""
        named = {"name": variable, **({} if instance is None else {"instance": instance})}
        asked = {"component": {"name": component}, "variable": named, "attributeValue": value}
        (result,) = (await self.csms.call("SetVariables", {"setVariableData": [asked]}))["setVariableResult"]
        return str(result["attributeStatus"])

    async def get(self, component: str, variable: str, **more: Any) -> tuple[str, str | None]:
        asked = {"component": {"name": component, **more}, "variable": {"name": variable}}
        (result,) = (await self.csms.call("GetVariables", {"getVariableData": [asked]}))["getVariableResult"]
        return result["attributeStatus"], result.get("attributeValue")


@contextlib.asynccontextmanager
async def bench201(csms_options: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Bench201]:
    clock = ManualClock()
    async with (
        scripted_csms(**(csms_options or {})) as csms,
        running_station(csms.url, clock=clock, **options) as station,
    ):
        await settled(station)
        yield Bench201(csms, station, clock)
