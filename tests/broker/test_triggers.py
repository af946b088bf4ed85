"""S15: asking stations of every version for a message, also before they are accepted."""

from typing import Any

import httpx
import pytest

from csms.ocpp.schema import check
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Registration
from csms.station.triggers.rules import AT_CHARGE_POINTS, TriggeredMessage, possible, trigger_request
from tests.broker.answering import answering
from tests.broker.conftest import Bench
from tests.builders import make_station

pytestmark = pytest.mark.feature("S15")
ALL = pytest.mark.parametrize("version", list(Version))
AT = "2026-01-01T00:00:00Z"
TRIGGERED: dict[str, dict[str, Any]] = {
    "MeterValues": {"evseId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": 100}]}]},
    "TransactionEvent": {
        "eventType": "Updated",
        "timestamp": AT,
        "triggerReason": "Trigger",
        "seqNo": 3,
        "transactionInfo": {"transactionId": "T-1", "chargingState": "Charging"},
    },
    "LogStatusNotification": {"status": "Idle"},
    "FirmwareStatusNotification": {"status": "Idle"},
    "Heartbeat": {},
    "StatusNotification": {"timestamp": AT, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
}


@ALL
def test_every_request_fits_its_schema(version: Version) -> None:
    for message in possible(version):
        number = 1 if message in AT_CHARGE_POINTS else None
        custom = "Blink" if message is TriggeredMessage.CUSTOM else None
        request = trigger_request(version, message, number=number, connector=1, custom=custom)
        assert request is not None
        assert check(version, request[0], "request", request[1]) is None, message


@ALL
@pytest.mark.ocpp("1.6 TriggerMessage", "2.x TriggerMessage")
@pytest.mark.octt("TC_B_31_CSMS", "TC_054_CSMS")
async def test_a_boot_notification_can_be_asked_for_before_acceptance(
    bench: Bench, api: httpx.AsyncClient, version: Version
) -> None:
    station = await make_station(bench.store, protocol=version.value, registration=Registration.PENDING)
    async with answering(
        bench, station.identity, version, {"TriggerMessage": lambda _: {"status": "Accepted"}}
    ) as connected:
        answer = await api.post(f"/api/v1/stations/{station.identity}/trigger", json={"message": "boot"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["outcome"], answer.json()["action"]) == ("accepted", "TriggerMessage")
        assert connected.sent("TriggerMessage") == [{"requestedMessage": "BootNotification"}]
        boot = {"chargePointVendor": "V", "chargePointModel": "M"}
        if version is not Version.V16:
            boot = {"reason": "Triggered", "chargingStation": {"vendorName": "V", "model": "M"}}  # type: ignore[dict-item]
        assert (await connected.call("BootNotification", **boot))[2]["status"] == "Pending"


@ALL
@pytest.mark.ocpp("1.6 ExtendedTriggerMessage")
@pytest.mark.octt("TC_054_CSMS")
async def test_what_each_version_is_sent(bench: Bench, api: httpx.AsyncClient, version: Version) -> None:
    station = await make_station(bench.store, protocol=version.value)
    path = f"/api/v1/stations/{station.identity}/trigger"
    accepts = {"status": "Accepted"}
    answers = {"TriggerMessage": lambda _: accepts, "ExtendedTriggerMessage": lambda _: accepts}
    async with answering(bench, station.identity, version, answers) as connected:
        for body in (
            {"message": "status", "charge_point_number": 1},
            {"message": "meter_values", "charge_point_number": 2},
            {"message": "certificate_request"},
        ):
            assert (await api.post(path, json=body)).json()["outcome"] == "accepted"
    if version is Version.V16:
        expected: list[tuple[str, dict[str, Any]]] = [
            ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
            ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 2}),
            ("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}),
        ]
    else:
        status = {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}
        expected = [
            ("TriggerMessage", status),
            ("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 2}}),
            ("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}),
        ]
    assert connected.asked == expected


@pytest.mark.ocpp("2.x TriggerMessage")
@pytest.mark.parametrize("version", VERSIONS_2)
@pytest.mark.parametrize(
    ("body", "request_"),
    [
        pytest.param(
            {"message": "meter_values", "charge_point_number": 1},
            {"requestedMessage": "MeterValues", "evse": {"id": 1}},
            marks=pytest.mark.octt("TC_F_11_CSMS"),
        ),
        pytest.param(
            {"message": "meter_values"}, {"requestedMessage": "MeterValues"}, marks=pytest.mark.octt("TC_F_12_CSMS")
        ),
        pytest.param(
            {"message": "transaction", "charge_point_number": 1},
            {"requestedMessage": "TransactionEvent", "evse": {"id": 1}},
            marks=pytest.mark.octt("TC_F_13_CSMS"),
        ),
        pytest.param(
            {"message": "transaction"}, {"requestedMessage": "TransactionEvent"}, marks=pytest.mark.octt("TC_F_14_CSMS")
        ),
        pytest.param(
            {"message": "log_status"},
            {"requestedMessage": "LogStatusNotification"},
            marks=pytest.mark.octt("TC_F_15_CSMS"),
        ),
        pytest.param(
            {"message": "firmware_status"},
            {"requestedMessage": "FirmwareStatusNotification"},
            marks=pytest.mark.octt("TC_F_18_CSMS"),
        ),
        pytest.param(
            {"message": "heartbeat"}, {"requestedMessage": "Heartbeat"}, marks=pytest.mark.octt("TC_F_20_CSMS")
        ),
        pytest.param(
            {"message": "status", "charge_point_number": 1},
            {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}},
            marks=pytest.mark.octt("TC_F_23_CSMS", "TC_F_24_CSMS"),
        ),
    ],
)
async def test_each_message_of_2_x_is_asked_for_and_answered(
    bench: Bench, api: httpx.AsyncClient, version: Version, body: Any, request_: dict[str, Any]
) -> None:
    station = await make_station(bench.store, protocol=version.value)
    answers = {"TriggerMessage": lambda _: {"status": "Accepted"}}
    async with answering(bench, station.identity, version, answers) as connected:
        shown = await api.post(f"/api/v1/stations/{station.identity}/trigger", json=body)
        assert (shown.status_code, shown.json()["outcome"]) == (200, "accepted")
        assert connected.sent("TriggerMessage") == [request_]
        word = request_["requestedMessage"]
        assert (await connected.call(word, **TRIGGERED[word]))[0] == 3


@pytest.mark.parametrize("version", [Version.V21])
@pytest.mark.octt("TC_F_100_CSMS")
async def test_a_vendors_own_message_is_asked_for(bench: Bench, api: httpx.AsyncClient, version: Version) -> None:
    station = await make_station(bench.store, protocol=version.value)
    answers = {"TriggerMessage": lambda _: {"status": "Accepted"}}
    async with answering(bench, station.identity, version, answers) as connected:
        await api.post(f"/api/v1/stations/{station.identity}/trigger", json={"message": "custom", "custom": "Blink"})
    assert connected.sent("TriggerMessage") == [{"requestedMessage": "CustomTrigger", "customTrigger": "Blink"}]


@pytest.mark.octt("TC_055_CSMS", "TC_F_27_CSMS")
@ALL
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": "Rejected"}, "rejected"),
        ({"status": "NotImplemented"}, "not_implemented"),
        (("NotSupported", ""), "not_implemented"),
    ],
    ids=["rejected", "not implemented", "call error"],
)
async def test_a_station_that_will_not_or_cannot(
    bench: Bench, api: httpx.AsyncClient, version: Version, answer: Any, outcome: str
) -> None:
    station = await make_station(bench.store, protocol=version.value)
    async with answering(bench, station.identity, version, {"TriggerMessage": lambda _: answer}):
        shown = await api.post(f"/api/v1/stations/{station.identity}/trigger", json={"message": "heartbeat"})
    assert shown.json()["outcome"] == outcome


@pytest.mark.parametrize(
    ("version", "body", "place"),
    [
        (Version.V16, {"message": "transaction"}, "message"),
        (Version.V201, {"message": "custom", "custom": "Blink"}, "message"),
        (Version.V21, {"message": "custom"}, "custom"),
        (Version.V16, {"message": "boot", "charge_point_number": 1}, "charge_point_number"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked_for(
    bench: Bench, api: httpx.AsyncClient, *, version: Version, body: dict[str, Any], place: str
) -> None:
    station = await make_station(bench.store, protocol=version.value)
    path = f"/api/v1/stations/{station.identity}/trigger"
    answer = await api.post(path, json=body)
    assert (answer.status_code, f"body/{place}" in answer.text) == (422, True)
    assert body["message"] != "transaction" or "transaction" not in (await api.get(path)).json()["messages"]


async def test_an_offline_station_is_told_as_such(bench: Bench, api: httpx.AsyncClient) -> None:
    station = await make_station(bench.store)
    shown = (await api.post(f"/api/v1/stations/{station.identity}/trigger", json={"message": "heartbeat"})).json()
    assert (shown["outcome"], shown["detail"]) == ("not_sent", "the station is not connected")
