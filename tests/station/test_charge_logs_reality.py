"""S6, B7: what operators are shown of charges whose stations, meters and clocks misbehave."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.charge_logs.jobs import close_zombies
from csms.store import Store
from tests.builders import CallingStation, connect, make_station

pytestmark = pytest.mark.feature("S6", "B7")
THOUSANDS_OF_DAYS = timedelta(days=3000)


@dataclass
class Told:
    """A station that tells of charges, and what the API then shows."""

    api: httpx.AsyncClient
    clock: FixedClock
    calling: CallingStation
    events: int = 0

    def at(self, ago: timedelta = timedelta()) -> str:
        return write(self.clock() - ago)

    async def start(self, meter_wh: int = 1000) -> int:
        answer = await self.calling.call(
            "StartTransaction", connectorId=1, idTag="TAG", timestamp=self.at(), meterStart=meter_wh
        )
        return int(answer["transactionId"])

    async def measure(self, transaction_id: int, *values: dict[str, Any], at: str | None = None) -> None:
        value = {"timestamp": at or self.at(), "sampledValue": list(values)}
        await self.calling.call("MeterValues", connectorId=1, transactionId=transaction_id, meterValue=[value])

    async def stop(self, transaction_id: int, meter_wh: int) -> None:
        await self.calling.call(
            "StopTransaction", transactionId=transaction_id, timestamp=self.at(), meterStop=meter_wh
        )

    async def event(self, kind: str, transaction_id: str, *values: dict[str, Any], **more: Any) -> None:
        """Of 2.x; `more` are fields of the payload."""
        payload: dict[str, Any] = {
            "eventType": kind,
            "timestamp": self.at(),
            "triggerReason": "MeterValuePeriodic",
            "seqNo": self.events,
            "transactionInfo": {"transactionId": transaction_id},
            "evse": {"id": 1, "connectorId": 1},
            **more,
        }
        self.events += 1
        if values:
            payload["meterValue"] = [{"timestamp": payload["timestamp"], "sampledValue": list(values)}]
        await self.calling.call("TransactionEvent", **payload)

    async def shown(self, path: str, **query: Any) -> Any:
        identity = self.calling.connected.identity
        answer = await self.api.get(f"/api/v1/stations/{identity}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def logs(self) -> list[dict[str, Any]]:
        """Oldest first."""
        items: list[dict[str, Any]] = (await self.shown("charge-logs", sort="started_at"))["items"]
        return items

    async def log(self) -> dict[str, Any]:
        [only] = await self.logs()
        return only


@pytest.fixture
async def told(api: httpx.AsyncClient, store: Store, clock: FixedClock) -> Told:
    return Told(api, clock, await connect(store, await make_station(store, is_demo=True)))


@pytest.fixture(params=VERSIONS_2)
async def told_2(request: pytest.FixtureRequest, api: httpx.AsyncClient, store: Store, clock: FixedClock) -> Told:
    version: Version = request.param
    return Told(api, clock, await connect(store, await make_station(store, is_demo=True), version))


def register(wh: float, **more: Any) -> dict[str, Any]:
    return {"value": str(wh), **more}


class TestRegisters:
    @pytest.mark.parametrize(
        ("start_wh", "readings", "stop_wh", "energy_wh", "flags"),
        [
            (1000, [2000, 900_000, 3000, 4000], 5000, 4000, ["meter_implausible"]),
            (1000, [900_000, 900_100, 2000, 4000], 5000, 4000, ["meter_implausible"]),
            (501_000, [502_000, 900_000, 503_000], 505_000, 4000, ["meter_implausible"]),
            (1000, [2000, 3000, 900_000], 5000, 4000, ["meter_implausible"]),
            (0, [501_000, 502_000, 503_000], 504_000, 3000, ["meter_implausible"]),
            (0, [1000, 2000, 3000], 4000, 4000, []),
            (1000, [2000, 902_000, 903_000], 904_000, 903_000, ["meter_implausible"]),
            (0, [], 504_000, 504_000, ["meter_implausible"]),
            (501_000, [502_000, 503_000, 100, 1100], 2100, 2000 + 2100, ["meter_reset"]),
        ],
        ids=[
            "shows rubbish once",
            "shows rubbish at first",
            "shows rubbish below twice its height",
            "shows rubbish at last",
            "start is 0 whatever the meter shows",
            "counts each charge from 0",
            "jumps for good",
            "start is 0 and nothing was measured",
            "begins again",
        ],
    )
    async def test_no_energy_is_billed_that_cannot_have_flowed(  # noqa: PLR0917  # the parts of a case
        self, told: Told, start_wh: int, readings: Sequence[int], stop_wh: int, energy_wh: int, flags: list[str]
    ) -> None:
        transaction_id = await told.start(start_wh)
        for wh in readings:
            told.clock.advance(minutes=2)
            await told.measure(transaction_id, register(wh))
        told.clock.advance(minutes=2)
        await told.stop(transaction_id, stop_wh)
        log = await told.log()
        assert (log["energy_wh"], log["flags"]) == (energy_wh, flags)
        curve = await told.shown(f"charge-logs/{log['id']}/meter-curve")
        assert all(point["energy_wh"] is None or point["energy_wh"] <= energy_wh for point in curve["points"])

    async def test_a_register_of_0_at_the_start_is_seen_while_it_charges(self, told: Told) -> None:
        transaction_id = await told.start(0)
        for wh in (501_000, 502_000):
            told.clock.advance(minutes=1)
            await told.measure(transaction_id, register(wh))
        assert (await told.log())["energy_wh"] == 1000
        told.clock.advance(hours=3)  # now even the whole register could have been charged
        await told.stop(transaction_id, 504_000)
        assert (await told.log())["energy_wh"] == 3000

    async def test_phases_in_both_notations_count_once(self, told: Told) -> None:
        transaction_id = await told.start(900)
        told.clock.advance(minutes=10)
        notations = ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N")
        await told.measure(transaction_id, *(register(500, phase=phase) for phase in notations))
        assert (await told.log())["energy_wh"] == 600


@pytest.mark.robustness(34)
class TestClocks:
    async def test_a_value_from_the_future_does_not_stop_the_count(self, told: Told) -> None:
        transaction_id = await told.start(1000)
        told.clock.advance(minutes=1)
        future = told.at(-THOUSANDS_OF_DAYS)
        for _ in range(2):  # repeated, it is still one sample
            await told.measure(transaction_id, register(2000), at=future)
        for wh in (3000, 4000):
            told.clock.advance(minutes=1)
            await told.measure(transaction_id, register(wh))
        log = await told.log()
        assert (log["energy_wh"], log["last_sample_at"]) == (3000, told.at().replace(".000", ""))
        assert len((await told.shown(f"charge-logs/{log['id']}/meter-values"))["items"]) == 3
        curve = (await told.shown(f"charge-logs/{log['id']}/meter-curve"))["points"]
        assert [point["energy_wh"] for point in curve] == [1000, 2000, 3000]

    async def test_an_estimated_end_is_not_in_the_future(self, told: Told, runtime: Runtime) -> None:
        transaction_id = await told.start(1000)
        told.clock.advance(minutes=5)
        await told.measure(transaction_id, register(2000))
        await told.measure(transaction_id, register(2500), at=told.at(-THOUSANDS_OF_DAYS))
        await told.calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
        told.clock.advance(minutes=20)
        await close_zombies(runtime)
        log = await told.log()
        assert (log["state"], log["energy_wh"], log["duration_s"]) == ("estimated_end", 1500, 300)

    async def test_values_from_before_a_charge_do_not_take_its_own_with_them(self, told: Told) -> None:
        told.clock.advance(minutes=10)
        await told.start(1000)
        values = [
            {"timestamp": write(told.clock() + timedelta(minutes=minute)), "sampledValue": [register(wh)]}
            for minute, wh in ((-1, 990), (0, 1000), (1, 1500))
        ]
        told.clock.advance(minutes=1)
        await told.calling.call("MeterValues", connectorId=1, meterValue=values)
        log = await told.log()
        own = await told.shown(f"charge-logs/{log['id']}/meter-values")
        assert [sample["energy_wh"] for sample in own["items"]] == [1000, 1500]
        assert len((await told.shown("meter-values"))["items"]) == 3


@pytest.mark.ocpp("2.x TransactionEvent")
class TestEvents:
    async def test_the_register_at_the_begin_may_come_with_the_end(self, told_2: Told) -> None:
        await told_2.event("Started", "T")
        told_2.clock.advance(minutes=10)
        begin = {"value": 1000.0, "context": "Transaction.Begin"}
        await told_2.event("Ended", "T", {"value": 5000.0, "context": "Transaction.End"}, begin)
        log = await told_2.log()
        assert (log["meter_start_wh"], log["meter_stop_wh"], log["energy_wh"]) == (1000, 5000, 4000)

    @pytest.mark.parametrize("meter_wh", [501_000, 87_000_000])
    async def test_a_start_of_0_on_a_meter_that_shows_more(self, told_2: Told, meter_wh: int) -> None:
        await told_2.event("Started", "T", {"value": 0.0})
        for kind in ("Updated", "Updated", "Ended"):
            told_2.clock.advance(minutes=2)
            meter_wh += 1000
            await told_2.event(kind, "T", {"value": float(meter_wh)})
        log = await told_2.log()
        assert (log["energy_wh"], log["flags"]) == (2000, ["meter_implausible"])

    async def test_a_register_that_comes_after_an_end_without_one(self, told_2: Told) -> None:
        await told_2.event("Started", "T", {"value": 1000.0}, seqNo=0)
        told_2.clock.advance(minutes=10)
        await told_2.event("Ended", "T", seqNo=2)
        late = told_2.at(timedelta(minutes=1))
        await told_2.event("Updated", "T", {"value": 2500.0}, seqNo=1, timestamp=late)
        log = await told_2.log()
        assert (log["meter_stop_wh"], log["energy_wh"], log["state"]) == (2500, 1500, "finished")

    @pytest.mark.ocpp("2.x BootNotification")
    async def test_an_id_used_again_after_a_boot_is_another_charge(self, told_2: Told) -> None:
        await told_2.event("Started", "1", {"value": 1000.0}, seqNo=0)
        told_2.clock.advance(minutes=5)
        await told_2.event("Updated", "1", {"value": 1500.0}, seqNo=1)
        station = {"vendorName": "V", "model": "M"}
        await told_2.calling.call("BootNotification", chargingStation=station, reason="PowerUp")
        told_2.clock.advance(hours=1)
        await told_2.event("Started", "1", {"value": 9000.0}, seqNo=0)
        told_2.clock.advance(minutes=5)
        await told_2.event("Ended", "1", {"value": 9700.0}, seqNo=1)
        first, second = await told_2.logs()
        assert (first["state"], first["energy_wh"]) == ("estimated_end", 500)
        assert (second["state"], second["energy_wh"]) == ("finished", 700)
        assert second["flags"] == ["id_used_again"]

    async def test_a_charge_ends_when_another_goes_on_in_its_place(self, told_2: Told, runtime: Runtime) -> None:
        await told_2.event("Started", "A", {"value": 1000.0})
        told_2.clock.advance(minutes=5)
        await told_2.event("Updated", "A", {"value": 2000.0})
        told_2.clock.advance(hours=1)
        await told_2.event("Updated", "B", {"value": 5000.0})  # A's end and B's start were lost
        told_2.clock.advance(minutes=20)
        await close_zombies(runtime)
        first, second = await told_2.logs()
        assert (first["state"], first["energy_wh"], first["duration_s"]) == ("estimated_end", 1000, 300)
        assert second["state"] == "running"

    async def test_what_an_operator_corrected_stays(self, told_2: Told) -> None:
        told_2.clock.advance(minutes=30)
        ago = {minutes: told_2.at(timedelta(minutes=minutes)) for minutes in (10, 20, 28, 29)}
        await told_2.event("Updated", "A", {"value": 2000.0}, seqNo=1, timestamp=ago[20])
        await told_2.event("Ended", "A", {"value": 3000.0}, seqNo=2, timestamp=ago[10])
        path = f"/api/v1/stations/{told_2.calling.connected.identity}/charge-logs/{(await told_2.log())['id']}"
        right = {"reason": "seen on site", "started_at": ago[28], "meter_start_wh": 500, "token": "CARD"}
        before = (await told_2.api.patch(path, json=right)).json()
        token = {"idToken": "OTHER", "type": "ISO14443"}
        await told_2.event("Started", "A", {"value": 1000.0}, seqNo=0, timestamp=ago[29], idToken=token)
        after = await told_2.log()
        names = ("started_at", "meter_start_wh", "energy_wh", "duration_s", "token", "holder")
        assert {name: after[name] for name in names} == {name: before[name] for name in names}
        assert after["missing_events"] == before["missing_events"]


async def test_rows_as_csv_come_in_the_order_of_the_pages(told: Told) -> None:
    """Also those of one moment."""
    for connector in (1, 2, 3):
        await told.calling.call(
            "StartTransaction", connectorId=connector, idTag="TAG", timestamp=told.at(), meterStart=0
        )
    page = (await told.api.get("/api/v1/charge-logs")).json()["items"]
    text = (await told.api.get("/api/v1/charge-logs", params={"format": "csv"})).text
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == [log["id"] for log in page]
