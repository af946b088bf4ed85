"""B2, B7, B8: what a station may send over a real socket, and what it is answered."""

import asyncio
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlmodel import col, select
from websockets.asyncio.client import ClientConnection

from csms.calls import Answered, Disconnected, Expired, Offline, Order, Refused, TimedOut
from csms.config import Settings
from csms.ids import new_id
from csms.station.communication_logs import Frame
from csms.station.connections import close_left_open
from csms.station.information import Station
from tests.broker.conftest import DEADLINE_S, Bench, boot, call, eventually

HARMFUL = [
    '[2,"1",{},{}]',
    '[2,"1",[],{}]',
    "[" * 2000 + "]" * 2000,
    '[2,"1","Heartbeat",{"n":' + "9" * 5000 + "}]",
    "no json",
    "[]",
    "{}",
    '[2,"1"]',
    '[2,"1","Heartbeat",{},{},{}]',
    '[2,1,"Heartbeat",{}]',
    '[2,"","Heartbeat",{}]',
    '[2,"' + "x" * 37 + '","Heartbeat",{}]',
    '[2,"1","Heartbeat",{"a":NaN}]',
    '[2,"1","Heartbeat",{"a":1e400}]',
    '[2,"1","Heartbeat",{"a":"\\ud800"}]',
    '[2,"1","Heartbeat",{"a":"\\u0000"}]',
    '[3,"1",{}]',
    '[4,"1","GenericError","",{}]',
    '[7,"1"]',
]


async def recv(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))


async def order(bench: Bench, action: str, payload: dict[str, Any], timeout_s: float = 5.0) -> Any:
    """Call the station as the API does: over the bus."""
    wanted = Order(new_id(), action, payload, timeout_s)
    return await bench.broker.runtime.calls.call("CS-1", wanted)


@pytest.mark.feature("B2")
@pytest.mark.robustness(18, 19, 26)
@pytest.mark.parametrize("text", HARMFUL, ids=range(len(HARMFUL)))
async def test_no_frame_hurts_the_connection_or_a_neighbour(bench: Bench, text: str) -> None:
    async with bench.station() as client, bench.station("CS-2") as neighbour:
        await boot(client)
        await boot(neighbour)
        await client.send(text)
        assert (await call(client, "Heartbeat"))[0] == 3
        assert (await call(neighbour, "Heartbeat"))[0] == 3


@pytest.mark.robustness(15, 17)
@pytest.mark.parametrize(
    ("action", "word"),
    [("Reset", "NotSupported"), ("MadeUp", "NotImplemented"), ("GetConfiguration", "NotSupported")],
)
async def test_actions_that_are_not_for_us(bench: Bench, action: str, word: str) -> None:
    async with bench.station() as client:
        await boot(client)
        assert (await call(client, action, type="Soft", status="Idle"))[2] == word


@pytest.mark.feature("B8")
async def test_a_breach_is_repaired_and_written_down(bench: Bench) -> None:
    async with bench.station() as client:
        payload = {"chargePointVendor": "V" * 30, "chargePointModel": 12, "extra": True}
        assert (await call(client, "BootNotification", **payload))[2]["status"] == "Accepted"
        async with bench.store.reading() as work:
            frame = (await work.session.exec(select(Frame).where(Frame.action == "BootNotification"))).one()
    assert frame.repairs
    assert frame.violation
    assert "V" * 30 in (frame.request or "")


@pytest.mark.feature("B8")
async def test_a_strict_station_is_refused_with_the_words_of_1_6(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        bench.broker.node.connections["CS-1"].set_leniency(is_lenient=False)
        answer = await call(client, "BootNotification", chargePointVendor="V", chargePointModel="M", extra=1)
        assert answer[0] == 4
        assert answer[2] in ("FormationViolation", "PropertyConstraintViolation")


@pytest.mark.ocpp("1.6 BootNotification")
@pytest.mark.feature("B6")
async def test_what_a_station_said_of_itself_is_on_its_row(bench: Bench) -> None:
    async with bench.station() as client:
        payload = {"chargePointVendor": "Acme", "chargePointModel": "X1", "firmwareVersion": "1.2", "iccid": "8931"}
        await call(client, "BootNotification", **payload)
        await call(client, "Heartbeat")
        async with bench.store.reading() as work:
            station = (await work.session.exec(select(Station))).one()
    assert (station.vendor, station.model, station.firmware_version, station.iccid) == ("Acme", "X1", "1.2", "8931")
    assert station.is_online
    assert station.last_heartbeat_at is not None
    assert station.last_boot_at is not None


@pytest.mark.ocpp("1.6 Heartbeat")
@pytest.mark.feature("B6")
async def test_answers_leave_in_the_order_of_the_calls(bench: Bench) -> None:
    """Some stations do not wait for an answer before the next call; each is stored and answered, in order."""
    async with bench.station() as client:
        await boot(client)
        for number in range(20):
            await client.send(json.dumps([2, f"m{number}", "Heartbeat", {}]))
        assert [(await recv(client))[1] for _ in range(20)] == [f"m{number}" for number in range(20)]
        async with bench.store.reading() as work:
            query = select(Frame.message_id).where(Frame.action == "Heartbeat").order_by(col(Frame.id))
            assert (await work.session.exec(query)).all() == [f"m{number}" for number in range(20)]


@pytest.mark.feature("B7")
async def test_a_repeated_frame_gets_the_same_answer_and_one_row(bench: Bench) -> None:
    text = json.dumps([2, "same", "DataTransfer", {"vendorId": "com.example", "data": "x"}])
    async with bench.station() as client:
        await boot(client)
        await client.send(text)
        first = await recv(client)
        await client.send(text)
        assert await recv(client) == first
        async with bench.store.reading() as work:
            rows = (await work.session.exec(select(Frame).where(Frame.action == "DataTransfer"))).all()
    assert len(rows) == 1


def answered_so_far() -> float:
    """What the metrics of this process say."""
    return REGISTRY.get_sample_value("csms_broker_commands_total", {"outcome": "Answered"}) or 0.0


@pytest.mark.feature("B3")
class TestCalls:
    async def test_the_station_answers(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            before = answered_so_far()
            waiting = asyncio.create_task(order(bench, "Reset", {"type": "Soft"}))
            frame = await recv(client)
            assert frame[0] == 2
            assert frame[2:] == ["Reset", {"type": "Soft"}]
            await client.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            assert await waiting == Answered({"status": "Accepted"})
            assert answered_so_far() == before + 1

    async def test_the_station_refuses(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            waiting = asyncio.create_task(order(bench, "ClearCache", {}))
            frame = await recv(client)
            await client.send(json.dumps([4, frame[1], "NotSupported", "no cache", {}]))
            assert await waiting == Refused("NotSupported", "no cache", {})

    @pytest.mark.robustness(21)
    async def test_no_answer_in_time_and_then_a_late_one(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            assert await order(bench, "ClearCache", {}, timeout_s=0.05) == TimedOut(0.05)
            late = await recv(client)
            await client.send(json.dumps([3, late[1], {"status": "Accepted"}]))
            waiting = asyncio.create_task(order(bench, "ClearCache", {}))
            frame = await recv(client)
            await client.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
            assert await waiting == Answered({"status": "Rejected"})

    @pytest.mark.robustness(24)
    async def test_offline(self, bench: Bench) -> None:
        assert isinstance(await order(bench, "ClearCache", {}), Offline)

    async def test_the_connection_ends_before_the_answer(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            waiting = asyncio.create_task(order(bench, "ClearCache", {}))
            await recv(client)
            client.transport.abort()
            assert isinstance(await waiting, Disconnected)

    @pytest.mark.robustness(23)
    async def test_one_call_at_a_time_each_with_its_own_answer(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            first = asyncio.create_task(order(bench, "ClearCache", {}))
            second = asyncio.create_task(order(bench, "Reset", {"type": "Hard"}))
            one = await recv(client)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recv(), 0.05)
            await client.send(json.dumps([3, one[1], {"status": "Accepted"}]))
            two = await recv(client)
            assert (one[2], two[2]) == ("ClearCache", "Reset")
            await client.send(json.dumps([3, two[1], {"status": "Rejected"}]))
            assert await first == Answered({"status": "Accepted"})
            assert await second == Answered({"status": "Rejected"})

    async def test_a_call_that_waits_never_blocks_what_the_station_sends(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            waiting = asyncio.create_task(order(bench, "ClearCache", {}))
            frame = await recv(client)
            assert (await call(client, "Heartbeat"))[0] == 3
            await client.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            assert isinstance(await waiting, Answered)

    @pytest.mark.robustness(24)
    async def test_a_call_whose_turn_does_not_come_is_never_sent(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            first = asyncio.create_task(order(bench, "ClearCache", {}, timeout_s=1))
            await recv(client)
            assert isinstance(await order(bench, "Reset", {"type": "Soft"}, timeout_s=0.05), Expired)
            assert isinstance(await first, TimedOut)
            assert (await call(client, "Heartbeat"))[0] == 3  # and no Reset came before it

    @pytest.mark.robustness(4, 24)
    async def test_a_call_whose_turn_never_came_was_not_sent(self, bench: Bench) -> None:
        """Whoever asked may ask again without fear: that is what `offline` says, and `disconnected` does not."""
        async with bench.station() as client:
            await boot(client)
            first = asyncio.create_task(order(bench, "ClearCache", {}))
            await recv(client)
            second = asyncio.create_task(order(bench, "Reset", {"type": "Hard"}))
            await asyncio.sleep(0)
            client.transport.abort()
            assert isinstance(await first, Disconnected)
            assert isinstance(await second, Offline)

    @pytest.mark.robustness(8)
    async def test_a_newer_connection_does_not_wait_for_calls_on_the_old_one(self, bench: Bench) -> None:
        async with bench.station() as old:
            await boot(old)
            waiting = asyncio.create_task(order(bench, "ClearCache", {}, timeout_s=60))
            await recv(old)
            old.transport.pause_reading()  # dead to us: it answers no ping
            async with bench.station() as new:
                assert (await call(new, "Heartbeat"))[0] == 3
                assert await waiting == Disconnected("a newer connection took over before the answer")
                again = asyncio.create_task(order(bench, "ClearCache", {}))
                frame = await recv(new)
                await new.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
                assert isinstance(await again, Answered)
            old.transport.abort()

    @pytest.mark.robustness(22)
    async def test_an_answer_of_another_station_is_never_matched(self, bench: Bench) -> None:
        async with bench.station() as client, bench.station("CS-2") as other:
            await boot(client)
            await boot(other)
            waiting = asyncio.create_task(order(bench, "ClearCache", {}))
            frame = await recv(client)
            await other.send(json.dumps([3, frame[1], {"status": "Rejected"}]))
            assert (await call(other, "Heartbeat"))[0] == 3
            await client.send(json.dumps([3, frame[1], {"status": "Accepted"}]))
            assert await waiting == Answered({"status": "Accepted"})


class TestQueue:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"commands_waiting_max": 1})

    @pytest.mark.robustness(24)
    async def test_a_full_queue_says_so_at_once(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            tasks = [asyncio.create_task(order(bench, "ClearCache", {}, timeout_s=2)) for _ in range(2)]
            await recv(client)
            assert isinstance(await order(bench, "ClearCache", {}), Expired)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class TestFlood:
    @pytest.fixture
    def broker_settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"calls_per_second_max": 50, "calls_burst_max": 10})

    async def test_a_station_that_sends_too_fast_is_slowed_and_loses_nothing(self, bench: Bench) -> None:
        async with bench.station() as client:
            await boot(client)
            for number in range(60):
                await client.send(json.dumps([2, f"m{number}", "Heartbeat", {}]))
            assert [(await recv(client))[1] for _ in range(60)] == [f"m{number}" for number in range(60)]


@pytest.mark.feature("B5")
async def test_what_a_dead_broker_left_open_is_closed_with_0001(bench: Bench) -> None:
    async with bench.station() as client:
        await boot(client)
        await bench.is_registered()
        async with bench.store.writing() as work:
            assert await close_left_open(work, ["node-1"]) == 1
        row = (await bench.history())[0]
        assert (row.code, row.closed_by, row.cause) == ("0001", "broker", "broker_rebooted")
        async with bench.store.reading() as work:
            assert not (await work.session.exec(select(Station))).one().is_online


@pytest.mark.robustness(41)
async def test_texts_of_stations_are_kept_as_they_are(bench: Bench) -> None:
    script = "<script>alert(1)</script>"
    async with bench.station() as client:
        await call(client, "BootNotification", chargePointVendor=script[:20], chargePointModel="M")

        async def stored() -> bool:
            async with bench.store.reading() as work:
                return (await work.session.exec(select(Station))).one().vendor == script[:20]

        await eventually(stored)
