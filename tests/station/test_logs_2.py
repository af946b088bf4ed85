"""S10: what stations of OCPP 2.0.1 and 2.1 tell of themselves and their charges, in words."""

from typing import Any

import pytest

from csms.ocpp.schema import schema_of
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.logs import Exchange, describe
from csms.wording import Level

pytestmark = pytest.mark.feature("S10")
TX = "f9a3c1d2-5f0e-4e8b-9f43-7d5b7e0c2a11"
CARD = {"idToken": "04E91C5A6F2A80", "type": "ISO14443"}


def told(action: str, answer: dict[str, Any] | None = None, **request: Any) -> tuple[str, Level]:
    words = describe(Exchange(action, from_station=True, outcome="answered", request=request, answer=answer or {}))
    return words.text, words.level


def asked(action: str, answer: dict[str, Any], **request: Any) -> str:
    return describe(Exchange(action, from_station=False, outcome="answered", request=request, answer=answer)).text


def event(kind: str, answer: dict[str, Any] | None = None, **more: Any) -> tuple[str, Level]:
    info = {"transactionId": TX, **more.pop("info", {})}
    return told("TransactionEvent", answer, eventType=kind, transactionInfo=info, **more)


@pytest.mark.ocpp("2.x TransactionEvent")
@pytest.mark.parametrize(
    ("words", "text", "level"),
    [
        (
            event("Started", evse={"id": 2, "connectorId": 1}, triggerReason="CablePluggedIn"),
            "Charge f9a3c1d2… started at charge point 2, connector 1.",
            Level.INFO,
        ),
        (
            event("Started", {"idTokenInfo": {"status": "Blocked"}}, evse={"id": 2}, idToken=CARD),
            "Charge f9a3c1d2… started at charge point 2 with card …2A80.",
            Level.WARNING,
        ),
        (
            event(
                "Updated",
                triggerReason="MeterValuePeriodic",
                info={"chargingState": "Charging"},
                meterValue=[{"sampledValue": [{"value": 12.5, "unitOfMeasure": {"unit": "kWh"}}]}],
            ),
            "Charge f9a3c1d2… goes on: it charges; the meter was at 12.50 kWh.",
            Level.INFO,
        ),
        (
            event("Updated", triggerReason="Deauthorized"),
            "Charge f9a3c1d2… goes on: the card was refused.",
            Level.WARNING,
        ),
        (
            event("Ended", info={"stoppedReason": "SOCLimitReached"}),
            "Charge f9a3c1d2… ended: the battery was as full as wanted.",
            Level.INFO,
        ),
        (
            event("Ended", info={"stoppedReason": "EmergencyStop"}, meterValue=[{"sampledValue": [{"value": 900}]}]),
            "Charge f9a3c1d2… ended: the emergency stop was pressed; the meter was at 0.90 kWh.",
            Level.ERROR,
        ),
        (event("Odd"), "Charge f9a3c1d2… goes on.", Level.INFO),
    ],
)
def test_transactions(words: tuple[str, Level], text: str, level: Level) -> None:
    assert words == (text, level)


def test_what_happened_offline_is_said_so() -> None:
    request = {"eventType": "Ended", "offline": True, "transactionInfo": {"transactionId": "1"}}
    words = describe(Exchange("TransactionEvent", from_station=True, outcome="answered", request=request, answer={}))
    assert words.text == "Charge 1 ended: it was stopped at the station."
    assert words.why == "It happened while the station had no connection."


def test_boots_states_and_values() -> None:
    station = {"vendorName": "Acme", "model": "X2", "firmwareVersion": "2.1"}
    accepted = {"status": "Accepted"}
    assert told("BootNotification", accepted, chargingStation=station, reason="Watchdog") == (
        "The station started because its watchdog had to restart it (Acme X2, firmware 2.1).",
        Level.INFO,
    )
    place = {"evseId": 1, "connectorId": 2}
    assert told("StatusNotification", connectorStatus="Occupied", **place) == (
        "Charge point 1, connector 2 is occupied.",
        Level.INFO,
    )
    assert told("StatusNotification", connectorStatus="Faulted", **place)[1] is Level.ERROR
    value = {"value": 230.1, "measurand": "Voltage", "unitOfMeasure": {"unit": "V"}}
    assert told("MeterValues", evseId=3, meterValue=[{"sampledValue": [value]}]) == (
        "Charge point 3 reports: voltage 230.1 V.",
        Level.INFO,
    )


def test_what_is_asked_of_them() -> None:
    accepted, evse = {"status": "Accepted"}, {"id": 1, "connectorId": 2}
    assert asked("RequestStartTransaction", accepted, evseId=1, idToken=CARD) == (
        "Asked to start charging at charge point 1 with card …2A80: it will try."
    )
    assert asked("RequestStopTransaction", accepted, transactionId=TX) == "Asked to stop charge f9a3c1d2…: it will."
    status = {"ongoingIndicator": False, "messagesInQueue": True}
    assert asked("GetTransactionStatus", status, transactionId="7") == (
        "Asked to tell whether charge 7 goes on: it has ended, messages of it wait to be sent."
    )
    assert asked("GetTransactionStatus", {"messagesInQueue": False}) == (
        "Asked to tell whether messages wait to be sent: nothing waits to be sent."
    )
    assert asked("CostUpdated", {}, transactionId="7", totalCost=1.5) == (
        "Asked to show that charge 7 costs 1.5 so far: done."
    )
    assert asked("ChangeAvailability", accepted, operationalStatus="Operative", evse=evse) == (
        "Asked to put charge point 1, connector 2 back into service: done."
    )
    assert asked("Reset", accepted, type="OnIdle") == "Asked to restart when nothing charges: it will."
    assert asked("Reset", accepted, type="Immediate", evseId=2) == "Asked to restart charge point 2 at once: it will."
    assert asked("UnlockConnector", {"status": "Unlocked"}, evseId=1, connectorId=2).startswith(
        "Asked to unlock the cable at charge point 1, connector 2:"
    )


@pytest.mark.parametrize("odd", [None, 5, "text", [], [[]], {"a": []}])
@pytest.mark.parametrize(
    "name", ["transactionInfo", "meterValue", "evse", "chargingStation", "idToken", "type", "messagesInQueue"]
)
def test_odd_payloads_have_words_too(name: str, odd: Any) -> None:
    for action in ("TransactionEvent", "BootNotification", "StatusNotification", "MeterValues"):
        assert told(action, {"idTokenInfo": odd, "status": odd}, **{name: odd, "eventType": "Ended"})[0]
    for action in ("Reset", "GetTransactionStatus", "RequestStartTransaction", "CostUpdated", "UnlockConnector"):
        assert asked(action, {"ongoingIndicator": odd, "messagesInQueue": odd}, **{name: odd})


@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.parametrize(
    "action",
    [
        "ChangeAvailability",
        "RequestStartTransaction",
        "RequestStopTransaction",
        "Reset",
        "UnlockConnector",
    ],
)
def test_every_status_has_words(action: str, version: Version) -> None:
    statuses = schema_of(version, action, "response")["properties"]["status"]["enum"]
    texts = [asked(action, {"status": status}) for status in statuses]
    assert len(set(texts)) == len(statuses)
    assert not [text for text in texts if "«" in text or f"do {action}" in text]


@pytest.mark.parametrize("version", VERSIONS_2)
def test_every_reason_state_and_start_of_the_standard_has_words(version: Version) -> None:
    info = schema_of(version, "TransactionEvent", "request")["properties"]["transactionInfo"]["properties"]
    for reason in info["stoppedReason"]["enum"]:
        assert "«" not in event("Ended", info={"stoppedReason": reason})[0]
    for state in info["chargingState"]["enum"]:
        assert event("Updated", info={"chargingState": state})[0] != "Charge f9a3c1d2… goes on."
    for reason in schema_of(version, "BootNotification", "request")["properties"]["reason"]["enum"]:
        started = told("BootNotification", {"status": "Accepted"}, reason=reason)[0]
        assert started.startswith("The station started (") is (reason == "Unknown")
    for word in schema_of(version, "StatusNotification", "request")["properties"]["connectorStatus"]["enum"]:
        assert "«" not in told("StatusNotification", connectorStatus=word, evseId=1)[0]
