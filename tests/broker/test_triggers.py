"""S15: asking stations of every version for a message, also before they are accepted."""

from typing import Any

import httpx
import pytest

from csms.ocpp.schema import check
from csms.ocpp.versions import Version
from csms.routing import Registration
from csms.station.triggers.rules import AT_CHARGE_POINTS, TriggeredMessage, possible, trigger_request
from tests.broker.answering import answering
from tests.broker.conftest import Bench
from tests.builders import make_station

pytestmark = pytest.mark.feature("S15")
ALL = pytest.mark.parametrize("version", list(Version))


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


@pytest.mark.octt("TC_055_CSMS")
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
    bench: Bench, api: httpx.AsyncClient, answer: Any, outcome: str
) -> None:
    station = await make_station(bench.store, protocol=Version.V16.value)
    async with answering(bench, station.identity, Version.V16, {"TriggerMessage": lambda _: answer}):
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
