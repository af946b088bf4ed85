import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from csms.ocpp.versions import Version
from simulators.v201 import Fault, Nameplate, Status, settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, bench201
from tests.simulators.scripted_csms import refuse
from tests.simulators.station_bench import car

pytestmark = pytest.mark.feature("F5")

INVALID = {"idTokenInfo": {"status": "Invalid"}}


def points(start: str, stop: str) -> dict[str, str]:
    return {"TxCtrlr.TxStartPoint": start, "TxCtrlr.TxStopPoint": stop}


@pytest.mark.parametrize("version", BOTH)
async def test_a_charge_is_told_from_the_cable_to_the_card_that_stops_it(version: Version) -> None:
    async with bench201(versions=(version,)) as b:
        assert b.csms.versions == {"CS-1": version}
        transaction_id = await b.charge()
        await b.wait(185)
        assert await b.station.charging.present_tag(1, "04AB")
        await settled(b.station)
        b.station.charging.unplug(1)
        await settled(b.station)
        events = b.csms.events()
        assert [(one["eventType"], one["triggerReason"]) for one in events] == [
            ("Started", "CablePluggedIn"),
            ("Updated", "Authorized"),
            ("Updated", "ChargingStateChanged"),
            *[("Updated", "MeterValuePeriodic")] * 3,
            ("Ended", "StopAuthorized"),
        ]
        assert [one["seqNo"] for one in events] == list(range(7))
        assert {one["transactionInfo"]["transactionId"] for one in events} == {transaction_id}
        states = [one["transactionInfo"]["chargingState"] for one in events]
        assert states == ["EVConnected", "EVConnected", *["Charging"] * 4, "EVConnected"]
        assert events[0]["evse"] == {"id": 1, "connectorId": 1}
        assert events[1]["idToken"] == events[-1]["idToken"] == {"idToken": "04AB", "type": "ISO14443"}
        assert events[-1]["transactionInfo"]["stoppedReason"] == "Local"
        energies = [_register(one) for one in events if "meterValue" in one]
        assert energies == sorted(energies)
        assert energies[-1] > energies[0]
        assert b.statuses() == ["Available", "Occupied", "Available"]


def _register(event: dict[str, Any]) -> float:
    values = event["meterValue"][-1]["sampledValue"]
    (value,) = [one["value"] for one in values if one["measurand"] == "Energy.Active.Import.Register"]
    return float(value)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        pytest.param(
            "EVConnected",
            "EVConnected",
            [
                "Started CablePluggedIn",
                "Updated Authorized",
                "Updated ChargingStateChanged",
                "Updated StopAuthorized",
                "Ended EVCommunicationLost Local",
            ],
            id="cable",
        ),
        pytest.param(
            "Authorized",
            "Authorized",
            ["Started Authorized", "Updated ChargingStateChanged", "Ended StopAuthorized Local"],
            id="card",
        ),
        pytest.param(
            "PowerPathClosed",
            "PowerPathClosed",
            ["Started Authorized", "Updated ChargingStateChanged", "Ended StopAuthorized Local"],
            id="power path",
        ),
        pytest.param(
            "EnergyTransfer",
            "EnergyTransfer",
            ["Started ChargingStateChanged", "Ended StopAuthorized Local"],
            id="energy",
        ),
        pytest.param(
            "ParkingBayOccupancy",
            "ParkingBayOccupancy",
            [
                "Started EVDetected",
                "Updated CablePluggedIn",
                "Updated Authorized",
                "Updated ChargingStateChanged",
                "Updated StopAuthorized",
                "Updated EVCommunicationLost",
                "Ended EVDeparted Local",
            ],
            id="bay",
        ),
    ],
)
async def test_transactions_start_and_stop_where_the_variables_say(start: str, stop: str, expected: list[str]) -> None:
    async with bench201(variables=points(start, stop)) as b:
        await b.charge()
        assert await b.station.charging.present_tag(1, "04AB")
        b.station.charging.unplug(1)
        b.station.charging.depart(1)
        await settled(b.station)
        told = [
            f"{one['eventType']} {one['triggerReason']} {one['transactionInfo'].get('stoppedReason', '')}".strip()
            for one in b.csms.events()
        ]
        assert told == expected


async def test_a_car_that_does_not_come_times_out() -> None:
    async with bench201(variables=points("Authorized", "Authorized")) as b:
        b.station.spawn(b.station.charging.present_tag(1, "04AB"))
        await b.wait(61)
        assert b.csms.triggers() == ["Authorized", "EVConnectTimeout"]
        assert b.csms.events("Ended")[0]["transactionInfo"]["stoppedReason"] == "Timeout"


async def test_a_full_car_suspends_and_a_new_card_is_no_use_for_a_foreign_charge() -> None:
    async with bench201() as b:
        await b.charge(soc=0.5, target_soc=0.505)
        await b.wait(600)
        states = [one["transactionInfo"]["chargingState"] for one in b.csms.events()]
        assert states[-1] == "SuspendedEV"
        assert not await b.station.charging.present_tag(1, "FFFF")
        assert b.evse.is_charging


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("GroundFailure", "GroundFault"), ("OverCurrentFailure", "OvercurrentFault"), ("OtherError", "Other")],
)
async def test_a_defect_ends_the_charge_and_is_told_as_an_event(fault: str, reason: str) -> None:
    async with bench201() as b:
        await b.charge()
        b.station.charging.fail(1, Fault(fault, "X-1", "smoke"))
        await settled(b.station)
        ended = b.csms.events("Ended")[0]
        assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("AbnormalCondition", reason)
        event = b.csms.payloads("NotifyEvent")[0]["eventData"][0]
        assert (event["techCode"], event["techInfo"], event["actualValue"]) == ("X-1", "smoke", "true")
        assert b.status() is Status.FAULTED
        b.station.charging.repair(1)
        await settled(b.station)
        assert b.statuses()[-2:] == ["Faulted", "Occupied"]
        assert b.csms.payloads("NotifyEvent")[1]["eventData"][0]["cleared"] is True


async def test_remote_start_and_stop() -> None:
    async with bench201(nameplate=Nameplate(connectors=2)) as b:
        b.station.charging.plug_in(2, car())
        await settled(b.station)
        running = b.csms.events()[0]["transactionInfo"]["transactionId"]
        token = {"idToken": "APP-1", "type": "Central"}
        answer = await b.csms.call("RequestStartTransaction", {"idToken": token, "remoteStartId": 7})
        assert answer == {"status": "Accepted", "transactionId": running}
        await settled(b.station)
        started = b.csms.events()[1]
        assert (started["triggerReason"], started["transactionInfo"]["remoteStartId"]) == ("RemoteStart", 7)
        assert started["idToken"] == token
        assert b.csms.payloads("Authorize") == []
        answer = await b.csms.call("RequestStopTransaction", {"transactionId": "nobody's"})
        assert answer["status"] == "Rejected"
        assert await b.csms.call("RequestStopTransaction", {"transactionId": running}) == ACCEPTED
        await settled(b.station)
        ended = b.csms.events("Ended")[0]
        assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("RemoteStop", "Remote")


async def test_remote_start_asks_first_where_told_to_and_waits_for_the_car() -> None:
    async with bench201(variables={"AuthCtrlr.AuthorizeRemoteStart": "true"}) as b:
        token = {"idToken": "APP-1", "type": "Central"}
        payload = {"idToken": token, "remoteStartId": 1, "evseId": 1}
        assert await b.csms.call("RequestStartTransaction", payload) == ACCEPTED
        await b.csms.expect("Authorize")
        await settled(b.station)
        b.station.charging.plug_in(1, car())
        await settled(b.station)
        assert b.csms.triggers() == ["RemoteStart", "CablePluggedIn", "ChargingStateChanged"]
        refused = await b.csms.call("RequestStartTransaction", payload)
        assert refused["status"] == "Rejected"
        assert (await b.csms.call("RequestStartTransaction", {**payload, "evseId": 9}))["status"] == "Rejected"


async def test_a_card_that_the_csms_refuses_later_ends_the_charge() -> None:
    async with bench201() as b:
        b.csms.answers["TransactionEvent"] = lambda told: INVALID if "idToken" in told else {}
        b.station.charging.plug_in(1, car())
        assert await b.station.charging.present_tag(1, "04AB")
        await settled(b.station)
        ended = b.csms.events("Ended")[0]
        assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("Deauthorized", "DeAuthorized")


async def test_or_suspends_it_where_the_variable_says_so() -> None:
    async with bench201(variables={"TxCtrlr.StopTxOnInvalidId": "false"}) as b:
        b.csms.answers["TransactionEvent"] = lambda told: INVALID if "idToken" in told else {}
        await b.charge()
        await settled(b.station)
        last = b.csms.events()[-1]
        assert (last["triggerReason"], last["transactionInfo"]["chargingState"]) == ("Deauthorized", "SuspendedEVSE")


async def test_or_lets_it_have_a_little_energy() -> None:
    async with bench201(variables={"TxCtrlr.MaxEnergyOnInvalidId": "500"}) as b:
        b.csms.answers["TransactionEvent"] = lambda told: INVALID if "idToken" in told else {}
        await b.charge()
        await b.wait(600)
        ended = b.csms.events("Ended")[0]
        assert ended["triggerReason"] == "EnergyLimitReached"
        assert _register(ended) == pytest.approx(500, abs=5)


async def test_a_limit_of_2_1_ends_the_charge() -> None:
    async with bench201(versions=(Version.V21,)) as b:
        limit = {"idTokenInfo": {"status": "Accepted"}, "transactionLimit": {"maxTime": 300}}
        b.csms.answers["TransactionEvent"] = lambda told: limit if "idToken" in told else {}
        await b.charge()
        await b.wait(400)
        assert b.csms.triggers()[-1] == "TimeLimitReached"


async def test_offline_events_wait_in_order_and_say_so() -> None:
    async with bench201() as b:
        await b.charge()
        b.station.go_offline(600)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(125)
        assert await b.station.charging.present_tag(1, "04AB")
        assert b.station.messages.transaction_count == 3
        await b.wait(600)
        events = b.csms.events()
        assert [one["seqNo"] for one in events] == list(range(len(events)))
        assert [one.get("offline", False) for one in events] == [False] * 3 + [True] * 3
        assert len(b.csms.payloads("BootNotification")) == 1


async def test_an_event_that_fails_is_tried_again_and_given_up_in_the_end() -> None:
    variables = {"OCPPCommCtrlr.MessageAttempts[TransactionEvent]": "2", "SampledDataCtrlr.TxUpdatedInterval": "0"}
    async with bench201(variables=variables) as b:
        b.csms.answers["TransactionEvent"] = refuse
        b.station.charging.plug_in(1, car())
        await b.wait(0)
        assert len(b.csms.events()) == 1
        await b.wait(61)
        assert [one["seqNo"] for one in b.csms.events()] == [0, 0]
        assert len(b.station.messages) == 0


async def test_sampling_and_the_clock() -> None:
    variables = {
        "SampledDataCtrlr.TxUpdatedInterval": "0",
        "SampledDataCtrlr.TxEndedInterval": "60",
        "AlignedDataCtrlr.Interval": "900",
    }
    async with bench201(variables=variables) as b:
        await b.wait(60)
        await b.charge()
        await b.wait(1_800)
        assert b.csms.triggers()[-2:] == ["MeterValueClock"] * 2
        times = [one["meterValue"][0]["timestamp"][11:19] for one in b.csms.events()[-2:]]
        assert times == ["12:15:00", "12:30:00"]
        assert await b.station.charging.present_tag(1, "04AB")
        await settled(b.station)
        contexts = [one["sampledValue"][0]["context"] for one in b.csms.events("Ended")[0]["meterValue"]]
        assert contexts[0] == "Transaction.Begin"
        assert contexts[-1] == "Transaction.End"
        assert len(contexts) == 32
        await b.wait(900)
        assert [one["evseId"] for one in b.csms.payloads("MeterValues")] == [1]


async def test_signed_readings_carry_a_signature_that_holds() -> None:
    async with bench201(variables={"SampledDataCtrlr.SignReadings": "true"}) as b:
        await b.charge()
        assert b.csms.triggers()[-1] == "SignedDataReceived"
        sealed = [
            sampled["signedMeterValue"]
            for event in b.csms.events()
            for value in event.get("meterValue", [])
            for sampled in value["sampledValue"]
            if "signedMeterValue" in sampled
        ]
        assert [bool(one["publicKey"]) for one in sealed] == [True, False]
        key = serialization.load_der_public_key(base64.b64decode(sealed[0]["publicKey"]))
        assert isinstance(key, ec.EllipticCurvePublicKey)
        _, document, seal = base64.b64decode(sealed[0]["signedMeterData"]).decode().split("|")
        key.verify(bytes.fromhex(json.loads(seal)["SD"]), document.encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(("away_s", "count"), [(300, 1), (900, 2)])
async def test_after_a_long_absence_every_status_is_told_again(away_s: float, count: int) -> None:
    async with bench201() as b:
        b.station.go_offline(away_s)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(away_s + 60)
        assert b.statuses() == ["Available"] * count
        assert len(b.csms.payloads("BootNotification")) == 1


async def test_all_messages_wait_for_the_csms_where_told_to() -> None:
    async with bench201(variables={"OCPPCommCtrlr.QueueAllMessages": "true", "AlignedDataCtrlr.Interval": "900"}) as b:
        b.station.go_offline(2_000)
        await b.csms.until(lambda: b.csms.closes)
        await b.wait(2_100)
        assert len(b.csms.payloads("MeterValues")) == 2
        assert await b.set("AlignedDataCtrlr", "Enabled", "false") == "Accepted"
        await b.wait(2_000)
        assert len(b.csms.payloads("MeterValues")) == 2
