"""B1, B2, B6: stations of OCPP 2.0.1 and 2.1 over a real socket: boot, states, what may come before acceptance."""

import asyncio
import json
from typing import Any

import pytest
from sqlmodel import col, select
from websockets.asyncio.client import ClientConnection

from csms.calls import Answered, Order
from csms.config import UnknownStations
from csms.ids import new_id
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Registration
from csms.station.charge_logs import ChargeEvent, ChargeLog
from csms.station.charge_points import ChargePoint, Connector
from csms.station.communication_logs import Frame
from csms.station.information import Station, stations_by_identity
from csms.station.information.service import set_registration
from tests.broker.conftest import DEADLINE_S, Bench, call, eventually

pytestmark = [pytest.mark.feature("B1", "B2", "B6"), pytest.mark.parametrize("version", VERSIONS_2)]
MODEM = {"iccid": "89310410106543789301", "imsi": "310410123456789"}


async def boot(client: ClientConnection, reason: str = "PowerUp", **more: Any) -> list[Any]:
    station = {"model": "M2", "vendorName": "V2", **more}
    return await call(client, "BootNotification", chargingStation=station, reason=reason)


async def stored(bench: Bench) -> Station:
    async with bench.store.reading() as work:
        return (await stations_by_identity(work, ["CS-1"]))["CS-1"]


@pytest.mark.ocpp("2.x BootNotification", "2.x Heartbeat")
@pytest.mark.octt("TC_B_01_CSMS")
async def test_a_station_boots_and_its_datasheet_knows_it(bench: Bench, version: Version) -> None:
    async with bench.station(subprotocols=[version]) as client:
        told = {"serialNumber": "SN-7", "firmwareVersion": "2.4.1", "modem": MODEM}
        answer = await boot(client, **told)
        assert answer[0] == 3
        assert list(answer[2]) == ["currentTime", "interval", "status"]
        assert answer[2]["status"] == "Accepted"
        assert answer[2]["currentTime"].endswith("Z")
        assert list((await call(client, "Heartbeat"))[2]) == ["currentTime"]
        station = await stored(bench)
    assert (station.vendor, station.model, station.serial_number) == ("V2", "M2", "SN-7")
    assert (station.firmware_version, station.iccid, station.imsi) == ("2.4.1", MODEM["iccid"], MODEM["imsi"])
    assert (station.boot_reason, station.protocol) == ("PowerUp", version)
    assert station.last_boot_at is not None
    assert station.last_heartbeat_at is not None


@pytest.mark.ocpp("2.x StatusNotification")
async def test_connectors_and_their_evse_have_states(bench: Bench, version: Version) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        for connector, word in ((1, "Available"), (2, "Available"), (1, "Occupied"), (2, "Unavailable")):
            status = {"timestamp": "2026-01-01T10:00:00Z", "connectorStatus": word, "evseId": 1}
            assert (await call(client, "StatusNotification", **status, connectorId=connector))[2] == {}
        async with bench.store.reading() as work:
            point = (await work.session.exec(select(ChargePoint))).one()
            plugs = (await work.session.exec(select(Connector).order_by(col(Connector.number)))).all()
    assert (point.number, point.status, point.status_word, point.is_announced) == (1, "occupied", "Occupied", True)
    assert [(plug.number, plug.status) for plug in plugs] == [(1, "occupied"), (2, "unavailable")]


@pytest.mark.ocpp("1.6 Heartbeat")
async def test_a_station_may_come_back_with_another_version(bench: Bench, version: Version) -> None:
    async with bench.station(subprotocols=["ocpp1.6"]) as client:
        await call(client, "BootNotification", chargePointVendor="V", chargePointModel="M", meterType="EM")
        await call(client, "StatusNotification", connectorId=1, errorCode="NoError", status="Preparing")
    await bench.closed()
    async with bench.station(subprotocols=[version]) as client:
        await boot(client, "FirmwareUpdate")
        status = {"timestamp": "2026-01-01T10:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        assert (await call(client, "StatusNotification", **status))[0] == 3
        station = await stored(bench)
        async with bench.store.reading() as work:
            point = (await work.session.exec(select(ChargePoint))).one()
    assert (station.protocol, station.model, station.meter_type) == (version, "M2", "EM")
    assert (point.number, point.status) == (1, "available")


@pytest.mark.robustness(15, 17)
@pytest.mark.parametrize(
    ("action", "code"), [("Reset", "NotSupported"), ("StartTransaction", "NotImplemented"), ("X", "NotImplemented")]
)
async def test_what_no_station_calls_is_refused_in_the_words_of_2(
    bench: Bench, version: Version, action: str, code: str
) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        answer = await call(client, action)
        assert (answer[0], answer[2]) == (4, code)
        assert (await call(client, "Heartbeat"))[0] == 3


class TestBeforeAcceptance:
    @pytest.fixture
    def unknown(self) -> UnknownStations:
        return UnknownStations.HOLD

    @pytest.mark.robustness(16)
    @pytest.mark.octt("TC_B_02_CSMS", "TC_B_30_CSMS")
    async def test_nothing_but_a_boot_is_answered(self, bench: Bench, version: Version) -> None:
        async with bench.station(subprotocols=[version]) as client:
            pending = (await boot(client))[2]
            assert pending["status"] == "Pending"
            assert 0 < pending["interval"] <= 300
            refused = await call(client, "Heartbeat")
            assert (refused[0], refused[2]) == (4, "SecurityError")
            async with bench.store.writing() as work:
                set_registration(work, (await stations_by_identity(work, ["CS-1"]))["CS-1"], Registration.ACCEPTED)
            connection = bench.broker.node.connections["CS-1"]

            async def is_accepted() -> bool:
                return connection.station.registration is Registration.ACCEPTED

            await eventually(is_accepted)
            assert (await boot(client, "Triggered"))[2]["status"] == "Accepted"
            assert (await call(client, "Heartbeat"))[0] == 3

    @pytest.mark.octt("TC_B_31_CSMS")
    async def test_what_we_asked_for_is_answered(self, bench: Bench, version: Version) -> None:
        async with bench.station(subprotocols=[version]) as client:
            await boot(client)
            trigger = {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}
            wanted = Order(new_id(), "TriggerMessage", trigger, 5.0)
            asking = asyncio.create_task(bench.broker.runtime.calls.call("CS-1", wanted))
            sent = json.loads(await asyncio.wait_for(client.recv(), DEADLINE_S))
            await client.send(json.dumps([3, sent[1], {"status": "Accepted"}]))
            assert await asking == Answered({"status": "Accepted"})
            status = {"timestamp": "2026-01-01T10:00:00Z", "connectorStatus": "Available", "evseId": 1}
            assert (await call(client, "StatusNotification", **status, connectorId=1))[0] == 3
            assert (await call(client, "Heartbeat"))[2] == "SecurityError"


@pytest.mark.ocpp("2.x StatusNotification", "2.x TransactionEvent")
@pytest.mark.octt("TC_P_03_CSMS")
async def test_a_vendors_own_data_is_borne_at_every_level(bench: Bench, version: Version) -> None:
    custom = {"vendorId": "com.example", "someKey": {"HTTPPort": [80, "2"]}}
    status = {"timestamp": "2026-01-01T10:00:00Z", "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    started = {
        "eventType": "Started",
        "timestamp": "2026-01-01T10:00:00Z",
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "T-1", "customData": custom},
        "evse": {"id": 1, "connectorId": 1, "customData": custom},
    }
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        assert (await call(client, "StatusNotification", **status, customData=custom))[2] == {}
        assert (await call(client, "TransactionEvent", **started, customData=custom))[2] == {}
    async with bench.store.reading() as work:
        assert (await work.session.exec(select(ChargeLog))).one().transaction_id == "T-1"
        frames = (await work.session.exec(select(Frame).where(Frame.action == "TransactionEvent"))).all()
    assert [json.loads(frame.request or "[]")[3]["customData"] for frame in frames] == [custom]


async def test_every_exchange_is_in_the_communication_log(bench: Bench, version: Version) -> None:
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        async with bench.store.reading() as work:
            frame = (await work.session.exec(select(Frame).where(Frame.action == "BootNotification"))).one()
    assert frame.request is not None
    assert "PowerUp" in frame.request
    assert "Accepted" in (frame.answer or "")


@pytest.mark.feature("B7", "B8")
@pytest.mark.ocpp("2.x TransactionEvent", "2.x MeterValues")
@pytest.mark.robustness(33)
async def test_an_odd_transaction_over_the_wire_is_kept_once(bench: Bench, version: Version) -> None:
    """Unknown words, a missing number, text for a number, a time without zone, a reconnect without a boot."""
    started = {
        "eventType": "Started",
        "timestamp": "2026-01-01T00:00:00",
        "triggerReason": "VendorButton",
        "seqNo": "0",
        "transactionInfo": {"transactionId": "T-1", "chargingState": "Napping"},
        "evse": {"id": 1},
        "meterValue": [{"timestamp": "2026-01-01T00:00:00", "sampledValue": [{"value": "1000.0"}]}],
        "vendorField": {"x": 1},
    }
    values = [{"timestamp": "2026-01-01T00:05:00Z", "sampledValue": [{"value": 1400, "unitOfMeasure": {"unit": "Wh"}}]}]
    ended = {
        "eventType": "Ended",
        "timestamp": "2026-01-01T00:10:00Z",
        "triggerReason": "EVDeparted",
        "transactionInfo": {"transactionId": "T-1", "stoppedReason": "Whim"},
        "meterValue": [{"timestamp": "2026-01-01T00:10:00Z", "sampledValue": [{"value": 2000.0}]}],
    }
    async with bench.station(subprotocols=[version]) as client:
        await boot(client)
        assert (await call(client, "TransactionEvent", **started))[0] == 3
    await bench.closed()
    async with bench.station(subprotocols=[version]) as client:
        assert (await call(client, "TransactionEvent", **started))[0] == 3
        assert (await call(client, "MeterValues", evseId=1, meterValue=values))[2] == {}
        for _ in range(2):
            assert (await call(client, "TransactionEvent", **ended))[2] == {}
    async with bench.store.reading() as work:
        (log,) = (await work.session.exec(select(ChargeLog))).all()
        events = (await work.session.exec(select(ChargeEvent))).all()
    assert (log.state, log.energy_wh, log.stop_reason) == ("finished", 1000, "Other")
    assert [one.trigger_reason for one in events] == ["VendorButton", "EVDeparted"]
