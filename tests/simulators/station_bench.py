"""A station, a scripted CSMS and a clock moved by hand, ready to be tried."""

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from simulators.battery import CARS, Battery, Supply
from simulators.clock import ManualClock
from simulators.v16 import Station, Status, pass_time, running_station, settled
from tests.simulators.scripted_csms import ScriptedCsms, scripted_csms

SALOON = CARS[3]


def car(soc: float = 0.3, target_soc: float = 1.0, supply: Supply | None = None) -> Battery:
    return Battery(SALOON, supply or Supply.ac(), soc=soc, target_soc=target_soc)


def dice(seed: int) -> random.Random:
    return random.Random(seed)


class Bench:
    """A station, its CSMS and the clock they share."""

    def __init__(self, csms: ScriptedCsms, station: Station, clock: ManualClock) -> None:
        self.csms = csms
        self.station = station
        self.clock = clock

    def status(self) -> Status:
        return self.station.charging.connectors[1].status

    async def wait(self, seconds: float) -> None:
        await pass_time(self.station, self.clock, seconds)

    async def charge(self, soc: float = 0.3, target_soc: float = 1.0, tag: str = "TAG-1") -> int:
        self.station.charging.plug_in(1, car(soc, target_soc))
        assert await self.station.charging.present_tag(1, tag)
        await settled(self.station)
        transaction = self.station.charging.connectors[1].transaction
        assert transaction is not None
        assert transaction.transaction_id is not None
        return transaction.transaction_id


@contextlib.asynccontextmanager
async def bench(csms_options: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Bench]:
    clock = ManualClock()
    async with (
        scripted_csms(**(csms_options or {})) as csms,
        running_station(csms.url, clock=clock, **options) as station,
    ):
        await settled(station)
        yield Bench(csms, station, clock)
