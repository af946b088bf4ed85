"""F5: some or some hundreds of simulated stations in one process, with their drivers, until told to end."""

import asyncio
import random
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from csms.ocpp.versions import Version
from simulators import v16, v201
from simulators.clock import Clock, RunningClock
from simulators.counters import Counters
from simulators.driver import Driver, Habits, Mischief, Station, supply_for
from simulators.wire import Endpoint

DEFAULT_URL = "ws://127.0.0.1:9000/ocpp"
MAX_STATIONS = 5_000
FINISH_TIMEOUT_S = 15.0
PROTOCOLS = {
    "1.6": (Version.V16,),
    "2.0.1": (Version.V201,),
    "2.1": (Version.V21, Version.V201),
}
"""What a station of each version offers, what it likes best first."""
_VENDORS = (("Simulated Charging", "Twin"), ("Northlight", "NL Post"), ("Voltaire", "V-Wall"), ("Ampersand", "A 2"))


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What to simulate. `kind` is ac1, ac3, dc or mix; `starts_per_s` and `duration_s` are in real time.

    Stations are named by prefix and number, a single one may have its own `identity`. `versions` (of `PROTOCOLS`) are
    dealt out in turn. Raises ValueError.
    """

    url: str = DEFAULT_URL
    count: int = 1
    prefix: str = "SIM-"
    identity: str | None = None
    password: str | None = field(default=None, repr=False)
    connectors: int = 2
    kind: str = "mix"
    versions: tuple[str, ...] = ("1.6",)
    speed: float = 1.0
    behind_s: float = 0.0
    seed: int = 1
    habits: Habits = field(default_factory=Habits)
    duration_s: float | None = None
    charges: int | None = None
    starts_per_s: float = 100.0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_STATIONS:
            raise ValueError(f"Simulate 1 to {MAX_STATIONS} stations in one process, not {self.count}.")
        if not self.versions or any(version not in PROTOCOLS for version in self.versions):
            raise ValueError(f"Stations speak {', '.join(PROTOCOLS)}, not {', '.join(self.versions) or 'nothing'}.")
        if self.identity is not None and self.count != 1:
            raise ValueError("An identity is for one station; for several give a prefix.")
        if urlsplit(self.url).scheme not in ("ws", "wss") or not urlsplit(self.url).hostname:
            raise ValueError(f"The URL of a CSMS looks like {DEFAULT_URL}, not {self.url}.")


class Fleet:
    """The stations of one plan. The same plan and seed roll the same dice."""

    def __init__(self, plan: FleetPlan, clock: Clock | None = None) -> None:
        self.plan = plan
        self.counters = Counters()
        self.clock = clock or RunningClock(plan.speed, plan.behind_s)
        self.stations = [self._station(number) for number in range(1, plan.count + 1)]
        self.undelivered = 0
        self._over = asyncio.Event()
        self._began_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Real seconds since the start."""
        return time.monotonic() - self._began_s

    @property
    def is_over(self) -> bool:
        """Whether the end has begun: stations finish their charges and close."""
        return self._over.is_set()

    def stop(self) -> None:
        """Begin the end: no new cars, charges are stopped and delivered, connections are closed with 1000."""
        self._over.set()

    async def run(self) -> dict[str, Any]:
        """Simulate until duration, number of charges or `stop()`; the final report."""
        self._began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(self._live(number)) for number in range(len(self.stations))]
            await self._until_over()
            left = await asyncio.gather(*(station.finish(FINISH_TIMEOUT_S) for station in self.stations))
            self.undelivered = sum(left)
            await asyncio.wait(lives, timeout=FINISH_TIMEOUT_S)
            for life in lives:
                life.cancel()
        return self.report()

    def report(self) -> dict[str, Any]:
        """The counts so far, and whether all is well (`is_sound`)."""
        took_s = max(self.elapsed_s, 1e-9)
        never = sum(not station.has_connected for station in self.stations)
        problems = self.counters.errors + self.undelivered + never
        return {
            "stations": len(self.stations),
            "stations_never_connected": never,
            "seconds": round(took_s, 1),
            "calls_per_s": round(self.counters.answered.total() / took_s, 1),
            **self.counters.report(),
            "transaction_messages_undelivered": self.undelivered,
            "is_sound": problems == 0,
        }

    def _station(self, number: int) -> Station:
        plan = self.plan
        identity = plan.identity or f"{plan.prefix}{number:04d}"
        making = random.Random(identity)  # hardware stays what it is, whatever is lived with it
        vendor, model = making.choice(_VENDORS)
        supply = supply_for(plan.kind, making)
        kind = f"{model} {supply.max_power_w / 1000:.0f}"
        serial = f"{making.randrange(10**8):08d}"
        rng = random.Random(f"{plan.seed}/{number}")
        password = None if plan.password is None else plan.password.encode()
        protocols = PROTOCOLS[plan.versions[(number - 1) % len(plan.versions)]]
        endpoint = Endpoint(plan.url, identity, password, protocols, plan.tls)
        if Version.V16 in protocols:
            plate = v16.Nameplate(vendor, kind, serial, connectors=plan.connectors, supply=supply)
            return v16.Station(endpoint, plate, clock=self.clock, rng=rng, observer=self.counters)
        plate_2 = v201.Nameplate(vendor, kind, serial, connectors=plan.connectors, supply=supply)
        return v201.Station(endpoint, plate_2, clock=self.clock, rng=rng, observer=self.counters)

    async def _live(self, number: int) -> None:
        """One station with all its people; they stay at home once the end has begun."""
        await asyncio.sleep(number / self.plan.starts_per_s)
        if self.is_over:
            return
        station = self.stations[number]
        async with asyncio.TaskGroup() as people:
            crowd = [people.create_task(work) for work in self._crowd(station)]
            life = people.create_task(station.run())
            await self._over.wait()
            for one in crowd:
                one.cancel()
            await life

    def _crowd(self, station: Station) -> list[Any]:
        habits = self.plan.habits
        crowd = [
            Driver(
                station, number, habits, random.Random(f"{self.plan.seed}/{station.endpoint.identity}/{number}")
            ).run()
            for number in station.charging.numbers
        ]
        if habits.faults_per_hour > 0:
            rng = random.Random(f"{self.plan.seed}/{station.endpoint.identity}/mischief")
            crowd.append(Mischief(station, habits, rng).run())
        return crowd

    async def _until_over(self) -> None:
        try:
            async with asyncio.timeout(self.plan.duration_s):
                while not self.is_over and not self._has_enough():
                    self.counters.charge_done.clear()
                    await self._wait_for_news()
        except TimeoutError:
            pass  # the duration is one of the ways to end
        self.stop()

    def _has_enough(self) -> bool:
        return self.plan.charges is not None and self.counters.charges >= self.plan.charges

    async def _wait_for_news(self) -> None:
        news = [asyncio.ensure_future(event.wait()) for event in (self._over, self.counters.charge_done)]
        try:
            await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in news:
                one.cancel()
