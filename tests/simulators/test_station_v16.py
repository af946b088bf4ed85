import asyncio

import pytest

from simulators.v16 import BootStatus, Nameplate, Status, settled
from tests.simulators.scripted_csms import boot
from tests.simulators.station_bench import bench, car

pytestmark = pytest.mark.feature("F5")


async def test_it_boots_reports_every_connector_and_beats_by_the_interval_of_the_answer() -> None:
    nameplate = Nameplate(vendor="Acme", model="Twin", serial_number="SN-7", connectors=2)
    async with bench({"heartbeat_interval_s": 120}, nameplate=nameplate) as b:
        assert b.csms.received[0].payload == {
            "chargePointModel": "Twin",
            "chargePointSerialNumber": "SN-7",
            "chargePointVendor": "Acme",
            "firmwareVersion": "1.4.2",
        }
        assert [(p["connectorId"], p["status"], p["errorCode"]) for p in b.csms.payloads("StatusNotification")] == [
            (0, "Available", "NoError"),
            (1, "Available", "NoError"),
            (2, "Available", "NoError"),
        ]
        await b.wait(119)
        assert b.csms.payloads("Heartbeat") == []
        await b.wait(241)
        assert len(b.csms.payloads("Heartbeat")) == 3


async def test_a_charge_follows_the_battery_and_the_meter_tells_it() -> None:
    async with bench() as b:
        transaction_id = await b.charge(soc=0.5, target_soc=0.6)
        assert b.csms.payloads("Authorize") == [{"idTag": "TAG-1"}]
        await b.wait(2 * 3600)
        assert b.status() is Status.SUSPENDED_EV
        assert await b.station.charging.present_tag(1, "TAG-1")
        b.station.charging.unplug(1)
        await settled(b.station)

        assert b.csms.statuses(1) == [
            "Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Available",
        ]  # fmt: skip
        (start,), (stop,) = b.csms.payloads("StartTransaction"), b.csms.payloads("StopTransaction")
        assert start["meterStart"] == 0
        assert stop["transactionId"] == transaction_id
        assert stop["reason"] == "Local"
        assert stop["idTag"] == "TAG-1"
        assert stop["meterStop"] == pytest.approx(7_500 / 0.9, abs=2)
        meter_values = b.csms.payloads("MeterValues")
        assert len(meter_values) == 120
        assert {payload["transactionId"] for payload in meter_values} == {transaction_id}
        register = [int(payload["meterValue"][0]["sampledValue"][0]["value"]) for payload in meter_values]
        assert register == sorted(register)
        assert register[9] == pytest.approx(11_000 / 6, rel=0.03)
        order = b.csms.actions("Heartbeat", "StatusNotification", "MeterValues")
        assert order == ["BootNotification", "Authorize", "StartTransaction", "StopTransaction"]


@pytest.mark.parametrize("answer", ["Pending", "Rejected"])
async def test_it_says_nothing_but_boot_until_accepted(answer: str) -> None:
    async with bench({"answers": {"BootNotification": lambda _: boot(answer, 40)}}) as b:
        assert b.station.boot_status == answer
        b.station.charging.plug_in(1, car())
        await b.wait(90)
        assert b.csms.actions() == ["BootNotification"] * 3
        del b.csms.answers["BootNotification"]
        await b.wait(40)
        assert b.station.boot_status is BootStatus.ACCEPTED
        assert b.csms.statuses(1) == ["Preparing"]


async def test_boot_can_be_triggered_while_pending() -> None:
    async with bench({"answers": {"BootNotification": lambda _: boot("Pending", 4_000)}}) as b:
        del b.csms.answers["BootNotification"]
        assert await b.csms.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == {"status": "Accepted"}
        await b.csms.until(lambda: b.station.boot_status is BootStatus.ACCEPTED)
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "T", "connectorId": 1}) == {"status": "Accepted"}


async def test_a_refused_tag_does_not_charge() -> None:
    refusal = {"Authorize": lambda _: {"idTagInfo": {"status": "Blocked"}}}
    async with bench({"answers": refusal}) as b:
        b.station.charging.plug_in(1, car())
        assert not await b.station.charging.present_tag(1, "TAG-1")
        assert b.status() is Status.PREPARING
        await settled(b.station)
        assert b.csms.payloads("StartTransaction") == []


async def test_a_tag_waits_for_the_car_but_not_for_ever() -> None:
    async with bench() as b:
        waiting = asyncio.create_task(b.station.charging.present_tag(1, "TAG-1"))
        await b.csms.expect("Authorize")
        await b.wait(59)
        assert b.status() is Status.PREPARING
        await b.wait(2)
        assert await waiting is False
        assert b.status() is Status.AVAILABLE


async def test_only_the_tag_that_began_a_charge_ends_it() -> None:
    async with bench() as b:
        await b.charge()
        assert not await b.station.charging.present_tag(1, "TAG-2")
        assert b.status() is Status.CHARGING
