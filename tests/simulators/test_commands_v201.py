from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.v201 import Fault, IdToken, Nameplate, Status, settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, bench201
from tests.simulators.scripted_csms import boot
from tests.simulators.station_bench import car

pytestmark = pytest.mark.feature("F5")

REJECTED = {"status": "Rejected"}
TOKEN = {"idToken": "04AB", "type": "ISO14443"}


# --- boot


async def test_a_boot_tells_why_and_every_status_and_beats_as_told() -> None:
    nameplate = Nameplate(connectors=2, plugs_per_evse=2, serial_number="S-1")
    async with bench201({"heartbeat_interval_s": 60}, nameplate=nameplate) as b:
        (told,) = b.csms.payloads("BootNotification")
        assert told["reason"] == "PowerUp"
        assert told["chargingStation"]["serialNumber"] == "S-1"
        places = [(one["evseId"], one["connectorId"]) for one in b.csms.payloads("StatusNotification")]
        assert places == [(1, 1), (1, 2), (2, 1), (2, 2)]
        assert b.csms.payloads("SecurityEventNotification")[0]["type"] == "StartupOfTheDevice"
        await b.wait(185)
        assert len(b.csms.payloads("Heartbeat")) == 3


async def test_both_versions_are_offered_in_order() -> None:
    async with bench201({"enabled": (Version.V16, Version.V201)}, versions=(Version.V21, Version.V201)) as b:
        assert b.csms.versions == {"CS-1": Version.V201}
        assert b.station.version is Version.V201


async def test_a_pending_station_answers_reports_and_nothing_else_until_a_triggered_boot() -> None:
    async with bench201({"answers": {"BootNotification": lambda _: boot("Pending", 3_600)}}) as b:
        assert await b.csms.call("ClearCache", {}) == {"error": "SecurityError"}
        assert await b.csms.call("GetBaseReport", {"requestId": 1, "reportBase": "SummaryInventory"}) == ACCEPTED
        await b.csms.expect("NotifyReport")
        del b.csms.answers["BootNotification"]
        assert await b.csms.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == ACCEPTED
        assert (await b.csms.expect("BootNotification", 2))["reason"] == "Triggered"
        await settled(b.station)
        assert b.station.is_online
        assert await b.csms.call("TriggerMessage", {"requestedMessage": "BootNotification"}) == REJECTED


# --- variables and reports


@pytest.mark.parametrize(
    ("component", "variable", "value", "status"),
    [
        ("OCPPCommCtrlr", "HeartbeatInterval", "30", "Accepted"),
        ("ocppcommctrlr", "heartbeatinterval", "30", "Accepted"),
        ("OCPPCommCtrlr", "HeartbeatInterval", "0", "Rejected"),
        ("OCPPCommCtrlr", "HeartbeatInterval", "soon", "Rejected"),
        ("OCPPCommCtrlr", "WebSocketPingInterval", "7", "RebootRequired"),
        ("TxCtrlr", "TxStartPoint", "EVConnected,DataSigned", "Accepted"),
        ("TxCtrlr", "TxStartPoint", "EVConnected,EVConnected", "Rejected"),
        ("TxCtrlr", "TxStartPoint", "FullMoon", "Rejected"),
        ("ChargingStation", "Model", "Other", "Rejected"),
        ("TxCtrlr", "Coffee", "1", "UnknownVariable"),
        ("CoffeeCtrlr", "Strength", "1", "UnknownComponent"),
    ],
)
async def test_variables_are_set_as_their_characteristics_allow(
    component: str, variable: str, value: str, status: str
) -> None:
    async with bench201() as b:
        assert await b.set(component, variable, value) == status


async def test_a_changed_heartbeat_interval_counts_at_once_and_another_after_a_reboot() -> None:
    async with bench201({"heartbeat_interval_s": 3_600}) as b:
        assert await b.set("OCPPCommCtrlr", "HeartbeatInterval", "10") == "Accepted"
        await b.wait(31)
        assert len(b.csms.payloads("Heartbeat")) == 3
        assert await b.set("OCPPCommCtrlr", "WebSocketPingInterval", "7") == "RebootRequired"
        assert b.station.ping_interval_s == 60
        assert await b.csms.call("Reset", {"type": "Immediate"}) == ACCEPTED
        await b.csms.until(lambda: b.csms.closes)
        assert b.station.ping_interval_s == 7
        await b.wait(60)
        assert b.csms.payloads("BootNotification")[-1]["reason"] == "RemoteReset"


async def test_variables_tell_what_happens_now() -> None:
    async with bench201() as b:
        assert await b.get("EVSE", "AvailabilityState", evse={"id": 1}) == ("Accepted", "Available")
        await b.charge()
        await b.wait(60)
        assert await b.get("EVSE", "AvailabilityState", evse={"id": 1}) == ("Accepted", "Occupied")
        status, power = await b.get("EVSE", "Power", evse={"id": 1})
        assert (status, power) == ("Accepted", "11000")
        assert await b.get("EVSE", "Power") == ("UnknownComponent", None)
        assert await b.get("SecurityCtrlr", "BasicAuthPassword") == ("Rejected", None)
        asked = {"component": {"name": "TxCtrlr"}, "variable": {"name": "TxStartPoint"}, "attributeType": "Target"}
        answer = await b.csms.call("GetVariables", {"getVariableData": [asked]})
        assert answer["getVariableResult"][0]["attributeStatus"] == "NotSupportedAttributeType"
        assert await b.csms.call("GetVariables", {"getVariableData": [asked] * 51}) == {
            "error": "OccurrenceConstraintViolation"
        }


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("base", ["FullInventory", "ConfigurationInventory", "SummaryInventory"])
async def test_base_reports_come_in_bounded_pages(base: str, version: Version) -> None:
    async with bench201(versions=(version,), nameplate=Nameplate(connectors=2)) as b:
        assert await b.csms.call("GetBaseReport", {"requestId": 5, "reportBase": base}) == ACCEPTED
        await settled(b.station)
        told = b.csms.payloads("NotifyReport")
        assert [one["seqNo"] for one in told] == list(range(len(told)))
        assert [one["tbc"] for one in told] == [True] * (len(told) - 1) + [False]
        assert {one["requestId"] for one in told} == {5}
        assert all(len(str(one)) < 17_000 for one in told)
        listed = [item for one in told for item in one["reportData"]]
        names = {f"{item['component']['name']}.{item['variable']['name']}" for item in listed}
        assert ("ChargingStation.Model" in names) == (base == "FullInventory")
        assert ("TxCtrlr.TxStartPoint" in names) == (base != "SummaryInventory")
        assert ("EVSE.AvailabilityState" in names) == (base != "ConfigurationInventory")
        if base == "FullInventory":
            assert len(told) > 2
            assert len(listed) == len(list(b.station.model))
            secret = next(one for one in listed if one["variable"]["name"] == "BasicAuthPassword")
            assert "value" not in secret["variableAttribute"][0]


async def test_custom_reports_by_component_variable_and_state() -> None:
    async with bench201(nameplate=Nameplate(connectors=2)) as b:
        wanted = [{"component": {"name": "EVSE"}, "variable": {"name": "Power"}}]
        assert await b.csms.call("GetReport", {"requestId": 1, "componentVariable": wanted}) == ACCEPTED
        told = await b.csms.expect("NotifyReport")
        assert [one["component"]["evse"]["id"] for one in told["reportData"]] == [1, 2]
        b.station.charging.fail(2, Fault())
        report = {"requestId": 2, "componentCriteria": ["Problem"]}
        assert await b.csms.call("GetReport", report) == ACCEPTED
        told = await b.csms.expect("NotifyReport", 2)
        assert {one["component"]["evse"]["id"] for one in told["reportData"]} == {2}
        nothing = [{"component": {"name": "Coffee"}}]
        answer = await b.csms.call("GetReport", {"requestId": 3, "componentVariable": nothing})
        assert answer == {"status": "EmptyResultSet"}


# --- availability, unlocking, restarts


async def test_out_of_service_waits_for_the_end_of_the_charge() -> None:
    async with bench201(nameplate=Nameplate(connectors=2)) as b:
        await b.charge()
        change = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
        assert await b.csms.call("ChangeAvailability", change) == {"status": "Scheduled"}
        assert b.status() is Status.OCCUPIED
        assert await b.csms.call("ChangeAvailability", {**change, "evse": {"id": 2}}) == ACCEPTED
        assert await b.station.charging.present_tag(1, "04AB")
        b.station.charging.unplug(1)
        await settled(b.station)
        assert (b.statuses(1)[-1], b.statuses(2)[-1]) == ("Unavailable", "Unavailable")
        assert await b.csms.call("ChangeAvailability", {"operationalStatus": "Operative"}) == ACCEPTED
        await settled(b.station)
        assert (b.statuses(1)[-1], b.statuses(2)[-1]) == ("Available", "Available")
        answer = await b.csms.call("ChangeAvailability", {**change, "evse": {"id": 3}})
        assert answer["status"] == "Rejected"


async def test_unlocking_is_refused_while_somebody_charges() -> None:
    async with bench201(variables={"TxCtrlr.TxStopPoint": "EVConnected"}) as b:
        place = {"evseId": 1, "connectorId": 1}
        await b.charge()
        assert await b.csms.call("UnlockConnector", place) == {"status": "OngoingAuthorizedTransaction"}
        assert await b.station.charging.present_tag(1, "04AB")
        assert await b.csms.call("UnlockConnector", place) == {"status": "Unlocked"}
        await settled(b.station)
        assert b.csms.triggers()[-2:] == ["StopAuthorized", "UnlockCommand"]
        assert await b.csms.call("UnlockConnector", {**place, "connectorId": 2}) == {"status": "UnknownConnector"}
        b.station.charging.fail(1, Fault("ConnectorLockFailure"))
        assert await b.csms.call("UnlockConnector", place) == {"status": "UnlockFailed"}


async def test_a_reset_ends_charges_or_waits_for_them() -> None:
    async with bench201() as b:
        await b.charge()
        assert await b.csms.call("Reset", {"type": "OnIdle"}) == {"status": "Scheduled"}
        assert b.station.is_online
        assert await b.station.charging.present_tag(1, "04AB")
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(60)
        assert [one["reason"] for one in b.csms.payloads("BootNotification")] == ["PowerUp", "ScheduledReset"]
        assert b.csms.events("Ended")[0]["triggerReason"] == "StopAuthorized"
        b.station.charging.unplug(1)
        await b.charge()
        assert await b.csms.call("Reset", {"type": "Immediate"}) == ACCEPTED
        await b.csms.until(lambda: len(b.csms.closes) == 2)
        await b.wait(60)
        ended = b.csms.events("Ended")[1]
        assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("ResetCommand", "ImmediateReset")


async def test_one_evse_is_reset_alone() -> None:
    async with bench201(nameplate=Nameplate(connectors=2)) as b:
        await b.charge(2)
        assert await b.csms.call("Reset", {"type": "Immediate", "evseId": 1}) == ACCEPTED
        await b.wait(10)
        assert b.statuses(1) == ["Available", "Unavailable", "Available"]
        assert b.station.is_charging(2)
        assert not b.csms.closes
        assert (await b.csms.call("Reset", {"type": "Immediate", "evseId": 7}))["status"] == "Rejected"


async def test_a_power_cut_ends_the_charge_and_the_station_boots_when_power_returns() -> None:
    async with bench201() as b:
        await b.charge()
        await b.wait(90)
        b.station.lose_power(300)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(400)
        ended = b.csms.events("Ended")[0]
        assert (ended["transactionInfo"]["stoppedReason"], ended["timestamp"][11:19]) == ("PowerLoss", "12:01:30")
        assert len(b.csms.payloads("BootNotification")) == 2


# --- tokens


async def test_the_local_list_is_replaced_and_changed_by_version() -> None:
    async with bench201(variables={"AuthCtrlr.LocalPreAuthorize": "true"}) as b:
        one = {"idToken": TOKEN, "idTokenInfo": {"status": "Accepted"}}
        two = {"idToken": {**TOKEN, "idToken": "FF"}, "idTokenInfo": {"status": "Blocked"}}
        full = {"versionNumber": 4, "updateType": "Full", "localAuthorizationList": [one, two]}
        assert await b.csms.call("SendLocalList", full) == ACCEPTED
        assert await b.csms.call("GetLocalListVersion", {}) == {"versionNumber": 4}
        old = {"versionNumber": 4, "updateType": "Differential", "localAuthorizationList": []}
        one_gone = {"versionNumber": 5, "updateType": "Differential", "localAuthorizationList": [{"idToken": TOKEN}]}
        assert (await b.csms.call("SendLocalList", {**old, "localAuthorizationList": [one]}))["status"] == (
            "VersionMismatch"
        )
        await b.charge(token="04ab")
        assert b.csms.payloads("Authorize") == []
        assert await b.csms.call("SendLocalList", one_gone) == ACCEPTED
        assert await b.get("LocalAuthListCtrlr", "Entries") == ("Accepted", "1")
        twins = {**full, "versionNumber": 6, "localAuthorizationList": [one, one]}
        assert (await b.csms.call("SendLocalList", twins))["status"] == "Failed"
        assert await b.csms.call("SendLocalList", {"versionNumber": 9, "updateType": "Full"}) == ACCEPTED
        assert b.station.authorization.local_list == {}


async def test_the_cache_spares_questions_until_it_is_cleared_or_old() -> None:
    variables = {"AuthCtrlr.LocalPreAuthorize": "true", "AuthCacheCtrlr.LifeTime": "600"}
    async with bench201(variables=variables) as b:
        for _ in range(2):
            await b.charge()
            assert await b.station.charging.present_tag(1, "04AB")
            b.station.charging.unplug(1)
            await settled(b.station)
        assert len(b.csms.payloads("Authorize")) == 1
        assert await b.csms.call("ClearCache", {}) == ACCEPTED
        await b.charge()
        assert len(b.csms.payloads("Authorize")) == 2
        assert await b.station.charging.present_tag(1, "04AB")
        await b.wait(601)
        assert await b.station.charging.present_tag(1, "04AB")
        await settled(b.station)
        assert len(b.csms.payloads("Authorize")) == 3
        assert await b.set("AuthCacheCtrlr", "Enabled", "false") == "Accepted"
        assert await b.csms.call("ClearCache", {}) == REJECTED


async def test_a_card_of_the_same_group_and_a_master_pass_may_stop() -> None:
    groups = {"04AB": "FAMILY", "04AC": "FAMILY", "9999": "MASTER", "1111": "OTHERS"}

    def authorize(asked: dict[str, Any]) -> dict[str, Any]:
        group = {"idToken": groups[asked["idToken"]["idToken"]], "type": "Central"}
        return {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}

    async with bench201(variables={"AuthCtrlr.MasterPassGroupId": "master"}) as b:
        b.csms.answers["Authorize"] = authorize
        await b.charge()
        assert not await b.station.charging.present_tag(1, "1111")
        assert await b.station.charging.present_tag(1, "04AC")
        b.station.charging.unplug(1)
        await settled(b.station)
        assert b.csms.events("Ended")[0]["idToken"]["idToken"] == "04AC"
        assert await b.station.authorization.admit(IdToken("9999"))
        assert not await b.station.charging.present_tag(1, "9999")
        await b.charge()
        assert await b.station.charging.present_tag(1, "9999")
        await settled(b.station)
        assert b.csms.events("Ended")[1]["transactionInfo"]["stoppedReason"] == "MasterPass"


async def test_offline_only_known_cards_charge() -> None:
    async with bench201() as b:
        assert await b.station.authorization.admit(IdToken("04AB"))
        b.station.go_offline(10_000)
        await b.csms.until(lambda: b.csms.closes)
        assert await b.station.authorization.admit(IdToken("04AB"))
        assert not await b.station.authorization.admit(IdToken("FFFF"))
        b.station.model.change("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true")
        assert await b.station.authorization.admit(IdToken("FFFF"))
        b.station.model.change("AuthCtrlr.LocalAuthorizeOffline", "false")
        assert not await b.station.authorization.admit(IdToken("04AB"))


# --- reservations


def reserve(reservation_id: int = 5, **more: Any) -> dict[str, Any]:
    expiry = {"expiryDateTime": "2026-03-01T12:30:00Z"}
    return {"id": reservation_id, **expiry, "idToken": {"idToken": "VIP", "type": "ISO14443"}, **more}


async def test_a_reserved_evse_is_for_its_token_only() -> None:
    async with bench201() as b:
        assert await b.csms.call("ReserveNow", reserve(evseId=1)) == ACCEPTED
        await settled(b.station)
        assert b.statuses()[-1] == "Reserved"
        b.station.charging.plug_in(1, car())
        assert not await b.station.charging.present_tag(1, "04AB")
        b.station.charging.unplug(1)
        assert (await b.csms.call("ReserveNow", reserve(6, evseId=1)))["status"] == "Occupied"
        assert await b.csms.call("CancelReservation", {"reservationId": 6}) == REJECTED
        assert await b.csms.call("CancelReservation", {"reservationId": 5}) == ACCEPTED
        assert b.status() is Status.AVAILABLE
        assert await b.csms.call("ReserveNow", reserve()) == ACCEPTED
        await b.charge(token="VIP")
        assert [one["reservationId"] for one in b.csms.events() if "reservationId" in one] == [5]
        assert b.csms.payloads("ReservationStatusUpdate") == []


@pytest.mark.parametrize(("is_broken", "status"), [(False, "Expired"), (True, "Removed")])
async def test_a_reservation_that_ends_otherwise_is_told(is_broken: bool, status: str) -> None:
    async with bench201() as b:
        assert await b.csms.call("ReserveNow", reserve(evseId=1)) == ACCEPTED
        if is_broken:
            b.station.charging.fail(1, Fault())
        await b.wait(1_801)
        (told,) = b.csms.payloads("ReservationStatusUpdate")
        assert told == {"reservationId": 5, "reservationUpdateStatus": status}
        b.station.charging.repair(1)
        await b.charge()


async def test_what_cannot_be_reserved_is_refused() -> None:
    async with bench201() as b:
        assert await b.csms.call("ReserveNow", reserve(evseId=4)) == REJECTED
        late = reserve(expiryDateTime="2026-03-01T11:00:00Z")
        assert await b.csms.call("ReserveNow", late) == REJECTED
        assert await b.csms.call("ReserveNow", reserve(connectorType="cCCS2")) == {"status": "Unavailable"}
        b.station.charging.fail(1, Fault())
        assert await b.csms.call("ReserveNow", reserve()) == {"status": "Faulted"}


# --- the rest


@pytest.mark.parametrize("message", ["Heartbeat", "StatusNotification", "MeterValues", "TransactionEvent"])
async def test_messages_can_be_triggered(message: str) -> None:
    async with bench201() as b:
        await b.charge()
        before = len(b.csms.payloads(message))
        payload = {"requestedMessage": message, "evse": {"id": 1}}
        assert await b.csms.call("TriggerMessage", payload) == ACCEPTED
        told = await b.csms.expect(message, before + 1)
        assert told.get("triggerReason", "Trigger") == "Trigger"
        assert await b.csms.call("TriggerMessage", {**payload, "evse": {"id": 3}}) == REJECTED


async def test_costs_and_transaction_status() -> None:
    async with bench201() as b:
        transaction_id = await b.charge()
        assert await b.csms.call("CostUpdated", {"totalCost": 3.5, "transactionId": transaction_id}) == {}
        assert b.evse.transaction is not None
        assert b.evse.transaction.total_cost == 3.5
        status = await b.csms.call("GetTransactionStatus", {"transactionId": transaction_id})
        assert status == {"ongoingIndicator": True, "messagesInQueue": False}
        assert await b.csms.call("GetTransactionStatus", {}) == {"messagesInQueue": False}


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("MakeCoffee", {}, "NotImplemented"),
        ("BootNotification", {}, "NotImplemented"),
        ("PublishFirmware", {"location": "x", "checksum": "y", "requestId": 1}, "NotSupported"),
        ("Reset", {}, "OccurrenceConstraintViolation"),
        ("Reset", {"type": 5}, "TypeConstraintViolation"),
        ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation"),
    ],
)
async def test_calls_that_make_no_sense_get_a_callerror(action: str, payload: dict[str, Any], code: str) -> None:
    async with bench201() as b:
        assert await b.csms.call(action, payload) == {"error": code}
        assert await b.csms.call("ClearCache", {}) == ACCEPTED


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"vendorId": "Other"}, {"status": "UnknownVendorId"}),
        ({"vendorId": "Simulated Charging", "messageId": "Dance"}, {"status": "UnknownMessageId"}),
        ({"vendorId": "Simulated Charging", "messageId": "Echo", "data": [1]}, {"status": "Accepted", "data": [1]}),
    ],
)
async def test_data_transfer_knows_its_own_vendor(payload: dict[str, Any], answer: dict[str, Any]) -> None:
    async with bench201() as b:
        assert await b.csms.call("DataTransfer", payload) == answer
