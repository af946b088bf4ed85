import pytest

from simulators.garbage import GARBAGE
from simulators.v16 import Fault, Status, Timing, settled
from tests.simulators.scripted_csms import refuse
from tests.simulators.station_bench import bench, car

pytestmark = pytest.mark.feature("F5")


async def test_a_charge_begun_and_ended_offline_is_told_later_with_its_own_times() -> None:
    async with bench() as b:
        assert await b.station.authorize("TAG-1")
        b.station.go_offline(3_600)
        await b.csms.until(lambda: b.csms.closes)
        assert b.csms.closes[0][0] == 1006
        await settled(b.station)
        await b.wait(60)
        b.station.charging.plug_in(1, car())
        assert await b.station.charging.present_tag(1, "TAG-1")
        await b.wait(600)
        assert await b.station.charging.present_tag(1, "TAG-1")
        b.station.charging.unplug(1)
        await b.wait(3_600)

        told = b.csms.received[b.csms.actions().index("Authorize") + 1 :]
        actions = [call.action for call in told if call.action != "Heartbeat"]
        assert actions == ["StartTransaction", *["MeterValues"] * 10, "StopTransaction"]
        start, stop = told[0].payload, told[11].payload
        assert (start["timestamp"], stop["timestamp"]) == ("2026-03-01T12:01:00.000Z", "2026-03-01T12:11:00.000Z")
        assert {call.payload["transactionId"] for call in told[1:12]} == {1001}
        assert len(b.csms.payloads("BootNotification")) == 1


async def test_a_state_that_changed_offline_is_told_after_the_reconnect_and_no_other() -> None:
    async with bench() as b:
        b.station.go_offline(100)
        await b.csms.until(lambda: b.csms.closes)
        before = len(b.csms.payloads("StatusNotification"))
        b.station.charging.plug_in(1, car())
        await b.wait(200)
        told = b.csms.payloads("StatusNotification")[before:]
        assert [(payload["connectorId"], payload["status"]) for payload in told] == [(1, "Preparing")]


async def test_offline_only_known_tags_charge_unless_told_otherwise() -> None:
    async with bench() as b:
        assert await b.station.authorize("KNOWN")
        b.station.go_offline(1_000)
        await b.csms.until(lambda: b.csms.closes)
        await settled(b.station)
        assert await b.station.authorize("KNOWN")
        assert not await b.station.authorize("STRANGER")
        b.station.configuration.change("AllowOfflineTxForUnknownId", "true")
        b.station.configuration.change("LocalAuthorizeOffline", "false")
        assert await b.station.authorize("STRANGER")
        assert not await b.station.authorize("KNOWN")


async def test_a_refused_transaction_message_is_tried_again_by_the_configuration_and_holds_back_the_next() -> None:
    configuration = {"TransactionMessageAttempts": "3", "TransactionMessageRetryInterval": "10"}
    async with bench(configuration=configuration) as b:
        b.csms.answers["StartTransaction"] = refuse
        b.station.charging.plug_in(1, car())
        assert await b.station.charging.present_tag(1, "TAG-1")
        await settled(b.station)
        assert b.csms.actions("StatusNotification")[-1] == "StartTransaction"
        assert b.csms.statuses(1)[-1] == "Charging"
        await b.wait(10)
        assert len(b.csms.payloads("StartTransaction")) == 2
        await b.wait(19)
        assert len(b.csms.payloads("StartTransaction")) == 2
        del b.csms.answers["StartTransaction"]
        await b.wait(60)
        starts = b.csms.payloads("StartTransaction")
        assert starts == [starts[0]] * 3
        assert b.csms.payloads("MeterValues")[0]["transactionId"] == 1001


async def test_after_the_last_attempt_a_start_is_given_up_and_its_stop_has_no_id() -> None:
    configuration = {"TransactionMessageAttempts": "1"}
    async with bench({"answers": {"StartTransaction": refuse}}, configuration=configuration) as b:
        b.station.charging.plug_in(1, car())
        assert await b.station.charging.present_tag(1, "TAG-1")
        await b.wait(60)
        assert "transactionId" not in b.csms.payloads("MeterValues")[0]
        b.station.charging.unplug(1)
        stop = await b.csms.expect("StopTransaction")
        assert (stop["transactionId"], stop["reason"]) == (-1, "EVDisconnected")


async def test_a_lost_answer_makes_the_message_come_twice() -> None:
    async with bench() as b:
        b.csms.answers["StartTransaction"] = lambda _: None
        b.station.charging.plug_in(1, car())
        assert await b.station.charging.present_tag(1, "TAG-1")
        await b.csms.expect("StartTransaction")
        del b.csms.answers["StartTransaction"]
        b.station.drop_connection()
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(30)
        starts = b.csms.payloads("StartTransaction")
        assert starts == [starts[0]] * 2


async def test_a_dead_link_is_given_up_after_some_unanswered_calls() -> None:
    silent = {"Heartbeat": lambda _: None}
    timing = Timing(call_timeout_s=0.05)
    async with bench({"answers": silent, "heartbeat_interval_s": 60}, timing=timing) as b:
        await b.wait(200)
        await b.csms.until(lambda: b.csms.closes)
        assert b.csms.closes[0][0] == 1006
        assert len(b.csms.payloads("Heartbeat")) >= 3


async def test_a_tag_refused_after_the_fact_ends_the_charge_or_suspends_it() -> None:
    blocked = {"StartTransaction": lambda _: {"idTagInfo": {"status": "Blocked"}, "transactionId": 9}}
    async with bench({"answers": blocked}) as b:
        b.station.charging.plug_in(1, car())
        await b.station.charging.present_tag(1, "TAG-1")
        assert (await b.csms.expect("StopTransaction"))["reason"] == "DeAuthorized"
        b.station.configuration.change("StopTransactionOnInvalidId", "false")
        await b.station.charging.present_tag(1, "TAG-1")
        await settled(b.station)
        assert b.status() is Status.SUSPENDED_EVSE
        shown = b.station.charging.connectors[1].meter.energy_wh
        await b.wait(600)
        assert b.station.charging.connectors[1].meter.energy_wh == shown


async def test_pulling_the_cable_may_leave_the_charge_open() -> None:
    async with bench(configuration={"StopTransactionOnEVSideDisconnect": "false"}) as b:
        await b.charge()
        battery = b.station.charging.unplug(1)
        assert battery is not None
        assert b.status() is Status.SUSPENDED_EV
        b.station.charging.plug_in(1, battery)
        assert b.status() is Status.CHARGING
        await settled(b.station)
        assert b.csms.payloads("StopTransaction") == []


async def test_a_power_cut_ends_the_charge_at_its_moment_and_the_station_boots_when_power_returns() -> None:
    async with bench() as b:
        await b.charge()
        await b.wait(90)
        b.station.lose_power(300)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(400)
        assert len(b.csms.payloads("BootNotification")) == 2
        (stop,) = b.csms.payloads("StopTransaction")
        assert (stop["reason"], stop["timestamp"]) == ("PowerLoss", "2026-03-01T12:01:30.000Z")


async def test_a_defect_ends_the_charge_is_told_with_the_makers_code_and_is_mended() -> None:
    async with bench() as b:
        await b.charge()
        b.station.charging.fail(1, Fault("GroundFailure", "RCD-31", "residual current"))
        await settled(b.station)
        fault = b.csms.payloads("StatusNotification")[-1]
        assert (fault["status"], fault["errorCode"], fault["vendorErrorCode"], fault["info"]) == (
            "Faulted", "GroundFailure", "RCD-31", "residual current",
        )  # fmt: skip
        assert len(b.csms.payloads("StopTransaction")) == 1
        b.station.charging.repair(1)
        await settled(b.station)
        mended = b.csms.payloads("StatusNotification")[-1]
        assert (mended["status"], mended["errorCode"]) == ("Finishing", "NoError")


async def test_a_defect_of_the_station_is_one_of_all_its_connectors() -> None:
    async with bench() as b:
        b.station.charging.fail(0, Fault("InternalError"))
        await settled(b.station)
        assert (b.csms.statuses(0)[-1], b.csms.statuses(1)[-1]) == ("Faulted", "Faulted")


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_sent_as_it_is_and_the_station_goes_on(garbage: str) -> None:
    async with bench() as b:
        await b.station.send_garbage(garbage)
        await b.csms.until(lambda: b.csms.strays)
        assert b.csms.strays == [garbage]
        assert await b.csms.call("ClearCache", {}) == {"status": "Accepted"}


async def test_transaction_data_holds_begin_samples_and_end() -> None:
    async with bench(configuration={"StopTxnSampledData": "Energy.Active.Import.Register"}) as b:
        await b.charge()
        await b.wait(180)
        b.station.charging.unplug(1)
        stop = await b.csms.expect("StopTransaction")
        contexts = [sample["sampledValue"][0]["context"] for sample in stop["transactionData"]]
        assert contexts == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]


async def test_finishing_brings_an_offline_station_back_to_deliver() -> None:
    async with bench() as b:
        await b.charge()
        b.station.go_offline(10_000)
        await b.csms.until(lambda: b.csms.closes)
        await settled(b.station)
        assert await b.station.finish() == 0
        assert b.csms.payloads("StopTransaction")[0]["reason"] == "Local"
        await b.csms.until(lambda: len(b.csms.closes) == 2)
        assert b.csms.closes[1][0] == 1000


async def test_a_csms_that_speaks_no_ocpp_is_left_with_1002() -> None:
    async with bench({"speaks_ocpp": False}) as b:
        await b.csms.until(lambda: b.csms.closes)
        assert b.csms.closes == [(1002, "no subprotocol agreed")]
        assert not b.station.is_online
