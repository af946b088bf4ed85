"""B7: histories with a misbehaving meter, clock and line, against what really happened.

A charge is drawn: how long it drew which power. The station then tells of it as stations do; what the API shows must be
what happened, whatever was told in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.ocpp.versions import Version
from csms.store import Store
from tests.builders import CallingStation, connect, make_station

pytestmark = [pytest.mark.feature("S6", "B7"), pytest.mark.robustness(13, 33, 34)]

RUBBISH_WH = 900_000


class Meter(Enum):
    """What is wrong with the register."""

    RIGHT = "right"
    SPIKE = "shows rubbish once"
    DIP = "cannot be read once"
    RESET = "begins again"
    START_0 = "is not told with the start"
    BACKWARDS = "runs backwards once"


class Form(Enum):
    """How values are written."""

    WH = "Wh, unsaid"
    KWH = "kWh"
    COARSE = "kWh with one decimal"
    PHASES = "phase by phase"


class Clock(Enum):
    """What the station's clock shows."""

    RIGHT = timedelta()
    AHEAD = timedelta(hours=2)
    YEARS_AHEAD = timedelta(days=900)
    YEARS_BEHIND = timedelta(days=-1800)
    NEVER_SET = timedelta(days=-20_000)


@dataclass(frozen=True)
class Step:
    """A while of charging, its reading, and how often that is told."""

    minutes: int
    power_kw: int
    times_told: int
    does_reconnect: bool
    does_boot: bool

    @property
    def energy_wh(self) -> int:
        return self.power_kw * 1000 * self.minutes // 60


@dataclass(frozen=True)
class Charge:
    meter_wh: int
    steps: list[Step]
    meter: Meter
    form: Form
    clock: Clock
    is_clock_set: bool
    """In the middle of it."""
    fault_at: int

    @property
    def faulty(self) -> int:
        """Which reading the fault strikes."""
        return self.fault_at % len(self.steps)

    @property
    def truth_wh(self) -> list[int]:
        """What the register should show: at the start, and after each step."""
        shown = [self.meter_wh]
        for step in self.steps:
            shown.append(shown[-1] + step.energy_wh)
        return shown

    @property
    def can_be_told(self) -> bool:
        """Whether anybody could tell from the messages what happened."""
        if self.changes_clock and self.meter in (Meter.RESET, Meter.START_0, Meter.SPIKE):
            return False
        return self.meter is Meter.RIGHT or self.form is not Form.COARSE

    @property
    def changes_clock(self) -> bool:
        return self.is_clock_set and self.clock is not Clock.RIGHT

    def told_wh(self) -> list[int]:
        """What it says: at the start, after each step, and at the end, which is the last step's."""
        truth = [*self.truth_wh, self.truth_wh[-1]]
        place = self.faulty + 1
        match self.meter:
            case Meter.SPIKE:
                truth[place] += RUBBISH_WH
            case Meter.DIP:
                truth[place] = 0
            case Meter.RESET:
                truth = [*truth[:place], *(wh - truth[place - 1] for wh in truth[place:])]
            case Meter.START_0:
                truth[0] = 0
            case Meter.BACKWARDS:
                truth[place] -= 300
        return truth

    @property
    def energy_wh(self) -> int:
        """What an operator bills; what was charged before the first reading is not known without a start."""
        first = 1 if self.meter is Meter.START_0 else 0
        return self.truth_wh[-1] - self.truth_wh[first]

    @property
    def duration_s(self) -> int:
        return 60 * sum(step.minutes for step in self.steps)


steps = st.builds(
    Step,
    minutes=st.integers(1, 15),
    power_kw=st.integers(0, 150),
    times_told=st.integers(1, 2),
    does_reconnect=st.booleans(),
    does_boot=st.booleans(),
)
charges = st.builds(
    Charge,
    meter_wh=st.sampled_from([1_000_000, 1_234_567, 87_654_321]),
    steps=st.lists(steps, min_size=1, max_size=5),
    meter=st.sampled_from(Meter),
    form=st.sampled_from(Form),
    clock=st.sampled_from(Clock),
    is_clock_set=st.booleans(),
    fault_at=st.integers(0, 4),
).map(lambda one: one if one.can_be_told else replace(one, meter=Meter.RIGHT))


def values(form: Form, wh: int) -> list[dict[str, Any]]:
    match form:
        case Form.WH:
            return [{"value": wh}]
        case Form.KWH:
            return [{"value": wh / 1000, "unit": "kWh"}]
        case Form.COARSE:
            return [{"value": wh // 100 / 10, "unit": "kWh"}]
    third = wh // 3
    parts = {"L1": third, "L2": third, "L3": wh - 2 * third}
    return [{"value": part, "phase": phase} for phase, part in parts.items()]


def in_words_of(version: Version, sampled: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if version is Version.V16:
        return [{**one, "value": str(one["value"])} for one in sampled]
    return [
        {name: value for name, value in one.items() if name != "unit"}
        | ({"unitOfMeasure": {"unit": one["unit"]}} if "unit" in one else {})
        for one in sampled
    ]


@dataclass
class Teller:
    """A station that tells of one charge in its version's messages."""

    version: Version
    form: Form
    calling: CallingStation
    transaction_id: Any = "T"
    events: int = 0

    async def start(self, at: str, wh: int) -> None:
        if self.version is not Version.V16:
            await self._event("Started", at, wh)
            return
        answer = await self.calling.call("StartTransaction", connectorId=1, idTag="TAG", timestamp=at, meterStart=wh)
        self.transaction_id = answer["transactionId"]

    async def measure(self, at: str, wh: int, times: int) -> None:
        for _ in range(times):
            if self.version is Version.V16:
                await self.calling.call("MeterValues", **self.meter_values(at, wh))
            else:
                await self._event("Updated", at, wh)
        self.events += 1

    def meter_values(self, at: str, wh: int) -> dict[str, Any]:
        value = {"timestamp": at, "sampledValue": in_words_of(Version.V16, values(self.form, wh))}
        return {"connectorId": 1, "transactionId": self.transaction_id, "meterValue": [value]}

    async def stop(self, at: str, wh: int) -> None:
        if self.version is Version.V16:
            stop = {"transactionId": self.transaction_id, "timestamp": at, "meterStop": wh}
            await self.calling.call("StopTransaction", **stop)
        else:
            await self._event("Ended", at, wh)

    async def boot(self) -> None:
        if self.version is Version.V16:
            await self.calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        else:
            station = {"vendorName": "V", "model": "M"}
            await self.calling.call("BootNotification", chargingStation=station, reason="PowerUp")

    async def _event(self, kind: str, at: str, wh: int) -> None:
        number = {"Started": 0, "Ended": self.events + 1}.get(kind, self.events + 1)
        await self.calling.call(
            "TransactionEvent",
            eventType=kind,
            timestamp=at,
            triggerReason="MeterValuePeriodic",
            seqNo=number,
            transactionInfo={"transactionId": self.transaction_id},
            evse={"id": 1, "connectorId": 1},
            meterValue=[{"timestamp": at, "sampledValue": in_words_of(self.version, values(self.form, wh))}],
        )


def station_times(charge: Charge, begin: datetime) -> Iterator[str]:
    """What the station's clock shows at the start and after each step."""
    at = begin
    yield write(at + charge.clock.value)
    for place, step in enumerate(charge.steps):
        at += timedelta(minutes=step.minutes)
        is_set = charge.is_clock_set and place >= len(charge.steps) // 2
        yield write(at if is_set else at + charge.clock.value)


@pytest.mark.ocpp("1.6 StartTransaction", "1.6 MeterValues", "1.6 StopTransaction", "2.x TransactionEvent")
@pytest.mark.parametrize("version", Version)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(charge=charges)
async def test_what_is_shown_is_what_happened(
    api: httpx.AsyncClient, store: Store, clock: FixedClock, version: Version, charge: Charge
) -> None:
    station = await make_station(store, is_demo=True)
    neighbour = await connect(store, await make_station(store, is_demo=True))
    teller = Teller(version, charge.form, await connect(store, station, version))
    times = list(station_times(charge, clock()))
    told = charge.told_wh()
    await teller.start(times[0], told[0])
    for place, step in enumerate(charge.steps, 1):
        clock.advance(minutes=step.minutes)
        if step.does_boot:
            await teller.boot()
        if step.does_reconnect:
            teller.calling = await connect(store, station, version)
        await teller.measure(times[place], told[place], step.times_told)
        if version is Version.V16:
            await neighbour.call("MeterValues", **teller.meter_values(times[place], told[place] + 77_000))
    for _ in range(2):
        await teller.stop(times[-1], told[-1])
    path = f"/api/v1/stations/{station.identity}"
    [log] = (await api.get(f"{path}/charge-logs")).json()["items"]
    assert log["state"] == "finished"
    assert log["duration_s"] == charge.duration_s
    assert abs(log["energy_wh"] - charge.energy_wh) <= (100 if charge.form is Form.COARSE else 0)
    assert not (await api.get(f"{path}/unmatched-stops")).json()["items"]
    check_flags(charge, set(log["flags"]))
    samples = (await api.get(f"{path}/charge-logs/{log['id']}/meter-values")).json()["items"]
    readings = [*zip(times, told, strict=False), (times[-1], told[-1])]
    assert len(samples) == len(set(readings[1:-1] if version is Version.V16 else readings))


def check_flags(charge: Charge, flags: set[str]) -> None:
    """What went wrong is said, and nothing else."""
    expected = {"clock_suspect"} if charge.clock is not Clock.RIGHT else set()
    register = flags - expected
    if charge.clock is Clock.RIGHT:
        assert "clock_suspect" not in flags
    else:
        assert expected <= flags
    if charge.changes_clock:
        return  # the readings are in two orders, and may look odd in both
    match charge.meter:
        case Meter.RIGHT:
            assert not register
        case Meter.SPIKE:
            assert register == {"meter_implausible"}
        case Meter.DIP:
            assert register <= {"meter_backwards", "meter_reset"}
            assert register
        case Meter.RESET:
            assert register == {"meter_reset"}
        case Meter.START_0:
            assert register == {"meter_implausible"}
        case Meter.BACKWARDS:
            assert register <= {"meter_backwards"}
