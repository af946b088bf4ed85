import base64
from http import HTTPStatus
from typing import Any

import pytest

from simulators.v16 import Fault, Nameplate, Status, settled
from tests.simulators.scripted_csms import boot
from tests.simulators.station_bench import bench, car

pytestmark = pytest.mark.feature("F5")

ACCEPTED = {"status": "Accepted"}
REJECTED = {"status": "Rejected"}


async def test_a_changed_heartbeat_interval_counts_at_once() -> None:
    async with bench({"heartbeat_interval_s": 3_600}) as b:
        change = {"key": "HeartbeatInterval", "value": "10"}
        assert await b.csms.call("ChangeConfiguration", change) == ACCEPTED
        await b.wait(31)
        assert len(b.csms.payloads("Heartbeat")) == 3
        (read,) = (await b.csms.call("GetConfiguration", {"key": ["HeartbeatInterval"]}))["configurationKey"]
        assert read == {"key": "HeartbeatInterval", "readonly": False, "value": "10"}


async def test_changed_sampling_counts_in_the_running_charge() -> None:
    async with bench() as b:
        await b.charge()
        change = {"key": "MeterValueSampleInterval", "value": "5"}
        assert await b.csms.call("ChangeConfiguration", change) == ACCEPTED
        change = {"key": "MeterValuesSampledData", "value": "Power.Active.Import"}
        assert await b.csms.call("ChangeConfiguration", change) == ACCEPTED
        await b.wait(20)
        sampled = [payload["meterValue"][0]["sampledValue"] for payload in b.csms.payloads("MeterValues")]
        assert [[value["measurand"] for value in values] for values in sampled] == [["Power.Active.Import"]] * 4


async def test_clock_aligned_values_come_at_the_quarter_hours_also_without_a_charge() -> None:
    async with bench() as b:
        await b.wait(100)
        change = {"key": "ClockAlignedDataInterval", "value": "900"}
        assert await b.csms.call("ChangeConfiguration", change) == ACCEPTED
        await b.wait(3_600)
        sent = [payload["meterValue"][0] for payload in b.csms.payloads("MeterValues")]
        assert [value["timestamp"][11:19] for value in sent] == ["12:15:00", "12:30:00", "12:45:00", "13:00:00"]
        assert {value["sampledValue"][0]["context"] for value in sent} == {"Sample.Clock"}


async def test_a_new_password_is_used_with_a_new_connection_as_raw_bytes() -> None:
    key = "00ff0123456789abcdef0123456789abcdef0123"
    async with bench(password=b"first password") as b:
        assert await b.csms.call("ChangeConfiguration", {"key": "AuthorizationKey", "value": key}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(30)
        assert len(b.csms.payloads("BootNotification")) == 1
        sent = [base64.b64decode((header or "").removeprefix("Basic ")) for header in b.csms.authorizations]
        assert sent == [b"CP-1:first password", b"CP-1:" + bytes.fromhex(key)]


async def test_configuration_that_needs_a_reboot_says_so() -> None:
    async with bench() as b:
        change = {"key": "WebSocketPingInterval", "value": "7"}
        assert await b.csms.call("ChangeConfiguration", change) == {"status": "RebootRequired"}
        assert b.station.configuration.integer("WebSocketPingInterval") == 60
        assert await b.csms.call("Reset", {"type": "Hard"}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        assert b.station.configuration.integer("WebSocketPingInterval") == 7


async def test_remote_start_waits_for_a_car_and_remote_stop_ends_the_charge() -> None:
    async with bench() as b:
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP", "connectorId": 1}) == ACCEPTED
        await settled(b.station)
        assert b.status() is Status.PREPARING
        b.station.charging.plug_in(1, car())
        start = await b.csms.expect("StartTransaction")
        assert start["idTag"] == "APP"
        assert b.csms.payloads("Authorize") == []
        await settled(b.station)
        assert await b.csms.call("RemoteStopTransaction", {"transactionId": 4_711}) == REJECTED
        assert await b.csms.call("RemoteStopTransaction", {"transactionId": 1001}) == ACCEPTED
        stop = await b.csms.expect("StopTransaction")
        assert (stop["transactionId"], stop["reason"]) == (1001, "Remote")
        assert b.status() is Status.FINISHING


async def test_remote_start_authorises_first_when_told_to() -> None:
    configuration = {"AuthorizeRemoteTxRequests": "true"}
    async with bench(configuration=configuration) as b:
        b.station.charging.plug_in(1, car())
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP"}) == ACCEPTED
        assert await b.csms.expect("Authorize") == {"idTag": "APP"}
        await b.csms.expect("StartTransaction")


async def test_remote_start_prefers_the_connector_with_a_car_and_is_refused_where_nothing_can_start() -> None:
    async with bench(nameplate=Nameplate(connectors=2)) as b:
        b.station.charging.plug_in(2, car())
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP"}) == ACCEPTED
        assert (await b.csms.expect("StartTransaction"))["connectorId"] == 2
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP", "connectorId": 2}) == REJECTED
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP", "connectorId": 3}) == REJECTED
        b.station.charging.fail(1, Fault())
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "APP"}) == REJECTED


async def test_out_of_service_waits_for_the_end_of_the_charge() -> None:
    async with bench() as b:
        transaction_id = await b.charge()
        inoperative = {"connectorId": 1, "type": "Inoperative"}
        assert await b.csms.call("ChangeAvailability", inoperative) == {"status": "Scheduled"}
        assert b.status() is Status.CHARGING
        await b.csms.call("RemoteStopTransaction", {"transactionId": transaction_id})
        await settled(b.station)
        assert b.csms.statuses(1)[-1] == "Unavailable"
        b.station.charging.unplug(1)
        assert not await b.station.charging.present_tag(1, "TAG-1")
        assert await b.csms.call("ChangeAvailability", {"connectorId": 1, "type": "Operative"}) == ACCEPTED
        await settled(b.station)
        assert b.csms.statuses(1)[-1] == "Available"


async def test_the_whole_station_goes_out_of_service() -> None:
    async with bench(nameplate=Nameplate(connectors=2)) as b:
        assert await b.csms.call("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}) == ACCEPTED
        await settled(b.station)
        assert [b.csms.statuses(number)[-1] for number in (0, 1, 2)] == ["Unavailable"] * 3
        assert await b.csms.call("ChangeAvailability", {"connectorId": 9, "type": "Inoperative"}) == REJECTED


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_a_reset_ends_charges_goes_away_and_boots_again(kind: str, reason: str) -> None:
    async with bench() as b:
        await b.charge()
        await b.wait(120)
        assert await b.csms.call("Reset", {"type": kind}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        assert b.csms.closes == [(1001, "rebooting")]
        assert len(b.csms.payloads("StopTransaction")) == (1 if kind == "Soft" else 0)
        await b.wait(60)
        assert len(b.csms.payloads("BootNotification")) == 2
        (stop,) = b.csms.payloads("StopTransaction")
        assert stop["reason"] == reason
        assert stop["meterStop"] > 0


async def test_unlocking_ends_the_charge() -> None:
    async with bench() as b:
        await b.charge()
        assert await b.csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "Unlocked"}
        assert (await b.csms.expect("StopTransaction"))["reason"] == "UnlockCommand"
        assert await b.csms.call("UnlockConnector", {"connectorId": 5}) == {"status": "NotSupported"}
        b.station.charging.fail(1, Fault("ConnectorLockFailure"))
        assert await b.csms.call("UnlockConnector", {"connectorId": 1}) == {"status": "UnlockFailed"}


async def test_a_reserved_connector_is_for_its_tag_only_and_only_for_a_while() -> None:
    async with bench() as b:
        reserve = {"connectorId": 1, "expiryDate": "2026-03-01T12:30:00Z", "idTag": "VIP", "reservationId": 5}
        assert await b.csms.call("ReserveNow", reserve) == ACCEPTED
        await settled(b.station)
        assert b.csms.statuses(1)[-1] == "Reserved"
        assert not await b.station.charging.present_tag(1, "TAG-1")
        assert await b.csms.call("RemoteStartTransaction", {"idTag": "TAG-1", "connectorId": 1}) == REJECTED
        assert await b.csms.call("ReserveNow", {**reserve, "reservationId": 6}) == {"status": "Occupied"}
        assert await b.csms.call("CancelReservation", {"reservationId": 6}) == REJECTED
        assert await b.csms.call("CancelReservation", {"reservationId": 5}) == ACCEPTED
        assert b.status() is Status.AVAILABLE
        assert await b.csms.call("ReserveNow", reserve) == ACCEPTED
        await b.charge(tag="VIP")
        assert b.csms.payloads("StartTransaction")[0]["reservationId"] == 5


async def test_an_expired_reservation_holds_nobody_back() -> None:
    async with bench() as b:
        reserve = {"connectorId": 1, "expiryDate": "2026-03-01T12:30:00Z", "idTag": "VIP", "reservationId": 5}
        assert await b.csms.call("ReserveNow", reserve) == ACCEPTED
        await b.wait(1_801)
        await b.charge(tag="TAG-1")
        assert "reservationId" not in b.csms.payloads("StartTransaction")[0]


async def test_a_cleared_cache_forgets_tags() -> None:
    configuration = {"LocalPreAuthorize": "true"}
    async with bench(configuration=configuration) as b:
        assert await b.station.authorize("TAG-1")
        assert await b.station.authorize("TAG-1")
        assert len(b.csms.payloads("Authorize")) == 1
        assert await b.csms.call("ClearCache", {}) == ACCEPTED
        assert await b.station.authorize("TAG-1")
        assert len(b.csms.payloads("Authorize")) == 2


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"vendorId": "Other"}, {"status": "UnknownVendorId"}),
        ({"vendorId": "Simulated Charging", "messageId": "Dance"}, {"status": "UnknownMessageId"}),
        ({"vendorId": "Simulated Charging", "messageId": "Echo", "data": "x"}, {"status": "Accepted", "data": "x"}),
    ],
)
async def test_data_transfer_knows_its_own_vendor(payload: dict[str, Any], answer: dict[str, Any]) -> None:
    async with bench() as b:
        assert await b.csms.call("DataTransfer", payload) == answer


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("Heartbeat", "Heartbeat"),
        ("StatusNotification", "StatusNotification"),
        ("MeterValues", "MeterValues"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
    ],
)
async def test_every_message_can_be_triggered(message: str, action: str) -> None:
    async with bench() as b:
        before = len(b.csms.payloads(action))
        assert await b.csms.call("TriggerMessage", {"requestedMessage": message, "connectorId": 1}) == ACCEPTED
        payload = await b.csms.expect(action, before + 1)
        assert payload.get("connectorId", 1) == 1


async def test_what_cannot_be_triggered_is_refused() -> None:
    async with bench() as b:
        wanted = {"requestedMessage": "LogStatusNotification"}
        assert await b.csms.call("TriggerMessage", wanted) == {"status": "NotImplemented"}
        assert await b.csms.call("TriggerMessage", {"requestedMessage": "Heartbeat", "connectorId": 9}) == REJECTED


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        pytest.param("MakeCoffee", {}, "NotImplemented", id="unknown action"),
        pytest.param("BootNotification", {}, "NotSupported", id="not for stations"),
        pytest.param("Reset", {}, "OccurenceConstraintViolation", id="field missing"),
        pytest.param("Reset", {"type": 5}, "TypeConstraintViolation", id="field of wrong type"),
        pytest.param("Reset", {"type": "Gentle"}, "PropertyConstraintViolation", id="value unknown"),
        pytest.param("RemoteStartTransaction", {"idTag": "T" * 21}, "PropertyConstraintViolation", id="tag too long"),
        pytest.param("UnlockConnector", {"connectorId": "1"}, "TypeConstraintViolation", id="number as text"),
        pytest.param("GetConfiguration", {"key": "all"}, "TypeConstraintViolation", id="no list"),
        pytest.param("GetConfiguration", {"key": ["k"] * 51}, "OccurenceConstraintViolation", id="too many keys"),
        pytest.param(
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "soon", "idTag": "T", "reservationId": 1},
            "FormationViolation",
            id="no date",
        ),
    ],
)
async def test_calls_that_make_no_sense_get_a_callerror(action: str, payload: dict[str, Any], code: str) -> None:
    async with bench() as b:
        assert await b.csms.call(action, payload) == {"error": code}
        assert await b.csms.call("ClearCache", {}) == ACCEPTED


async def test_a_rejected_station_obeys_nothing() -> None:
    async with bench({"answers": {"BootNotification": lambda _: boot("Rejected", 60)}}) as b:
        assert await b.csms.call("ClearCache", {}) == {"error": "SecurityError"}


async def test_commands_are_answered_while_a_call_of_the_station_waits() -> None:
    async with bench({"answers": {"Authorize": lambda _: None}}) as b:
        b.station.spawn(b.station.authorize("TAG-1"))
        await b.csms.expect("Authorize")
        assert await b.csms.call("ClearCache", {}) == ACCEPTED


async def test_a_refused_handshake_is_tried_again_with_growing_waits() -> None:
    async with bench({"refuse_with": HTTPStatus.UNAUTHORIZED}) as b:
        assert len(b.csms.authorizations) == 1
        await b.wait(10)
        assert len(b.csms.authorizations) == 1
        await b.wait(11)
        assert len(b.csms.authorizations) == 2
        await b.wait(8)
        assert len(b.csms.authorizations) == 2
        b.csms.refuse_with = None
        await b.wait(22)
        assert b.station.is_online
