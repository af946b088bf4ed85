"""B7, B11: a station goes to another broker process while a call of it is still on its way into the database.

The two processes have a database in common and, here, nothing else: nobody tells the first that it was left.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlmodel import col, select
from websockets.asyncio.client import ClientConnection

from broker.dispatch import Dispatcher, Noted
from broker.server import Broker
from csms.clock import FixedClock
from csms.config import Settings, UnknownStations
from csms.ocpp.timestamps import write
from csms.ocpp.versions import VERSIONS_2, Version
from csms.outbox import Event
from csms.runtime import Runtime, open_runtime
from csms.station.charge_logs import ChargeEvent, ChargeLog, ChargeState, MeterSample
from csms.station.information import Station, hashes_for
from csms.store import Owner, Store, Work
from csms.store.writers import Writer
from tests.broker.conftest import DEADLINE_S, Bench, boot, call, eventually
from tests.broker.scripted import basic
from tests.builders import make_station

KEY = b"0123456789abcdef"
"""With a password the newer connection is let in at once."""

pytestmark = [
    pytest.mark.feature("B7", "B11"),
    pytest.mark.robustness(33, 36),
    pytest.mark.parametrize("database_kind", ["postgresql"]),  # on SQLite there is one broker process
]


class SlowWriter:
    """A database that takes its time: batches wait at the door until it is opened."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.door = asyncio.Event()
        self.door.set()
        self.waiting = 0

    async def write(self, works: Sequence[Work]) -> None:
        self.waiting += 1
        await self.door.wait()
        self.waiting -= 1
        await self._writer.write(works)

    async def close(self) -> None:
        await self._writer.close()


@dataclass
class Two:
    """Two broker processes; the writer of the first can be slowed down."""

    first: Bench
    second: Bench
    slow: SlowWriter
    clock: FixedClock

    async def held_back(self, client: ClientConnection, action: str, payload: dict[str, Any]) -> None:
        """The station sends a call to the first, whose rows are noted, but not written yet."""
        self.slow.door.clear()
        await client.send(json.dumps([2, "held back", action, payload]))

        async def is_waiting() -> bool:
            return self.slow.waiting > 0

        await eventually(is_waiting)

    async def let_through(self, client: ClientConnection) -> list[Any]:
        """The first's database goes on; returns what that call is answered."""
        self.slow.door.set()
        while True:
            frame: list[Any] = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
            if frame[1] == "held back":
                return frame

    async def rows(self, table: type[Any]) -> list[Any]:
        async with self.first.store.reading() as work:
            return list((await work.session.exec(select(table).order_by(col(table.id)))).all())

    async def events(self, kind: str) -> int:
        return sum(event.kind == kind for event in await self.rows(Event))


@pytest.fixture
async def two(runtime: Runtime, broker_settings: Settings, clock: FixedClock) -> AsyncIterator[Two]:
    slow = SlowWriter(runtime.store.writer)
    runtime.store.writer = slow
    settings = broker_settings.model_copy(update={"node_name": "node-2"})
    other = await open_runtime(settings, clock=clock)
    first = Broker(replace(runtime, settings=broker_settings), unknown=UnknownStations.REFUSE)
    second = Broker(other, unknown=UnknownStations.REFUSE)
    hashes = hashes_for(KEY, runtime.secret_key, is_generated=True)
    await make_station(runtime.store, identity="CS-1", security_profile=1, password_hashes=hashes, is_demo=True)
    yield Two(
        Bench(first, await first.start(), runtime.store), Bench(second, await second.start(), other.store), slow, clock
    )
    slow.door.set()
    await first.stop()
    await second.stop()
    await other.close()


def connected(bench: Bench, version: Version = Version.V16) -> Any:
    protocol = {Version.V16: "ocpp1.6", Version.V201: "ocpp2.0.1", Version.V21: "ocpp2.1"}[version]
    return bench.station(additional_headers=basic("CS-1", KEY), subprotocols=[protocol])


def start(two: Two) -> dict[str, Any]:
    return {"connectorId": 1, "idTag": "TAG", "timestamp": write(two.clock()), "meterStart": 1000}


def values(two: Two, transaction_id: int, register_wh: int) -> dict[str, Any]:
    value = {"timestamp": write(two.clock()), "sampledValue": [{"value": str(register_wh)}]}
    return {"connectorId": 1, "transactionId": transaction_id, "meterValue": [value]}


def stop(two: Two, transaction_id: int, meter_stop_wh: int) -> dict[str, Any]:
    at = write(two.clock())
    data = [{"timestamp": at, "sampledValue": [{"value": str(meter_stop_wh)}]}]
    return {"transactionId": transaction_id, "timestamp": at, "meterStop": meter_stop_wh, "transactionData": data}


class TestInTheMiddleOfACharge:
    async def test_a_start_is_one_charge(self, two: Two) -> None:
        async with connected(two.first) as old:
            await boot(old)
            await two.held_back(old, "StartTransaction", start(two))
            async with connected(two.second) as new:
                again = await call(new, "StartTransaction", **start(two))
                assert (await two.let_through(old))[0] == 4, "the old process acknowledged what it had no right to keep"
                assert (await call(new, "StartTransaction", **start(two)))[2] == again[2]
        [log] = await two.rows(ChargeLog)
        assert int(log.transaction_id) == again[2]["transactionId"]
        assert await two.events("charge_started") == 1

    async def test_a_start_without_time_is_one_charge(self, two: Two) -> None:
        told = start(two) | {"timestamp": "soon"}
        async with connected(two.first) as old:
            await boot(old)
            await two.held_back(old, "StartTransaction", told)
            async with connected(two.second) as new:
                again = await call(new, "StartTransaction", **told)
                await two.let_through(old)
        [log] = await two.rows(ChargeLog)
        assert int(log.transaction_id) == again[2]["transactionId"]

    @pytest.mark.parametrize("is_told_first", [True, False])
    async def test_a_stop_ends_it_once(self, two: Two, is_told_first: bool) -> None:
        async with connected(two.first) as old:
            await boot(old)
            number = (await call(old, "StartTransaction", **start(two)))[2]["transactionId"]
            two.clock.advance(minutes=10)
            told = stop(two, number, 5000)
            await two.held_back(old, "StopTransaction", told)
            async with connected(two.second) as new:
                if is_told_first:
                    assert (await call(new, "StopTransaction", **told))[0] == 3
                await two.let_through(old)
                assert (await call(new, "StopTransaction", **told))[0] == 3
        [log] = await two.rows(ChargeLog)
        assert (log.state, log.energy_wh, log.duration_s) == (ChargeState.FINISHED, 4000, 600)
        assert len(await two.rows(MeterSample)) == 1
        assert await two.events("charge_stopped") == 1, "whoever bills would bill it twice"

    async def test_old_values_change_no_ended_charge(self, two: Two) -> None:
        async with connected(two.first) as old:
            await boot(old)
            number = (await call(old, "StartTransaction", **start(two)))[2]["transactionId"]
            two.clock.advance(minutes=10)
            await two.held_back(old, "MeterValues", values(two, number, 2000))
            async with connected(two.second) as new:
                two.clock.advance(minutes=10)
                assert (await call(new, "StopTransaction", **stop(two, number, 5000)))[0] == 3
                assert (await two.let_through(old))[0] == 4
        [log] = await two.rows(ChargeLog)
        assert (log.state, log.energy_wh) == (ChargeState.FINISHED, 4000)


@pytest.mark.ocpp("2.x TransactionEvent")
@pytest.mark.parametrize("version", VERSIONS_2)
async def test_events_of_a_transaction_come_once(two: Two, version: Version) -> None:
    def event(kind: str, seq_no: int, register_wh: float) -> dict[str, Any]:
        return {
            "eventType": kind,
            "timestamp": write(two.clock()),
            "triggerReason": "MeterValuePeriodic",
            "seqNo": seq_no,
            "transactionInfo": {"transactionId": "T-1"},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": write(two.clock()), "sampledValue": [{"value": register_wh}]}],
        }

    async with connected(two.first, version) as old:
        await boot(old, version)
        await call(old, "TransactionEvent", **event("Started", 0, 1000))
        two.clock.advance(minutes=10)
        ended = event("Ended", 1, 5000)
        await two.held_back(old, "TransactionEvent", ended)
        async with connected(two.second, version) as new:
            assert (await call(new, "TransactionEvent", **ended))[0] == 3
            assert (await two.let_through(old))[0] == 4
            assert (await call(new, "TransactionEvent", **ended))[0] == 3
    [log] = await two.rows(ChargeLog)
    assert (log.state, log.energy_wh, log.missing_events) == (ChargeState.FINISHED, 4000, None)
    assert [row.seq_no for row in await two.rows(ChargeEvent)] == [0, 1]
    assert len(await two.rows(MeterSample)) == 2
    assert await two.events("charge_stopped") == 1


async def test_only_the_calls_of_that_station_are_not_kept(store: Store) -> None:
    """What other stations said in the same batch is."""
    left, stayed = await make_station(store, fence=2), await make_station(store, fence=1)
    dispatcher = Dispatcher(store)

    def say(station: Station) -> Noted:
        async def fill(work: Work) -> None:
            work.owner = Owner(station.id, 1)
            work.change(Station, station.id, meter_type="said")

        return Noted(fill)

    pieces = [say(left), say(stayed), say(left), say(stayed)]
    for piece in pieces:
        dispatcher.submit(piece)
    dispatcher.start()
    assert [await piece.done for piece in pieces] == [False, True, False, True]
    await dispatcher.stop()
    async with store.reading() as work:
        rows = (await work.session.exec(select(Station).order_by(col(Station.id)))).all()
    assert [row.meter_type for row in rows] == [None, "said"]
