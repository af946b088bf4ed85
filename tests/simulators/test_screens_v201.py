from typing import Any

import pytest

from csms.ocpp.versions import Version
from simulators.v201 import settled
from tests.simulators.bench_v201 import ACCEPTED, BOTH, bench201

pytestmark = pytest.mark.feature("F5")


PRICE = "0.49 EUR/kWh"


def message(number: int, priority: str = "NormalCycle", kind: str = "UTF8", **more: Any) -> dict[str, Any]:
    content = {"format": kind, "content": f"text {number}"}
    return {"message": {"id": number, "priority": priority, "message": content, **more}}


@pytest.mark.parametrize("version", BOTH)
async def test_messages_are_shown_by_priority_state_and_time(version: Version) -> None:
    async with bench201(versions=(version,)) as b:
        transaction_id = await b.charge()
        for payload in (
            message(1),
            message(2, "AlwaysFront"),
            message(3, "AlwaysFront"),
            message(4, state="Idle"),
            message(5, transactionId=transaction_id),
            message(6, endDateTime="2026-03-01T12:05:00Z"),
            message(7, startDateTime="2026-03-01T12:05:00Z"),
        ):
            assert await b.csms.call("SetDisplayMessage", payload) == ACCEPTED
        assert b.station.displays.shown(b.evse) == ["text 3", "text 1", "text 5", "text 6", PRICE]
        await b.wait(300)
        assert b.station.displays.shown(b.evse) == ["text 3", "text 1", "text 5", "text 7", PRICE]
        await b.csms.call("CostUpdated", {"totalCost": 3.5, "transactionId": transaction_id})
        assert b.station.displays.shown(b.evse)[-1] == "3.50 EUR"
        b.station.charging.unplug(1)
        assert b.station.displays.shown(b.evse) == ["text 3", "text 1", "text 4", "text 7", PRICE]
        assert await b.get("DisplayMessageCtrlr", "DisplayMessages") == ("Accepted", "4")


async def test_a_display_that_is_off_shows_nothing_new() -> None:
    async with bench201(variables={"DisplayMessageCtrlr.Enabled": "false"}) as b:
        assert await b.csms.call("SetDisplayMessage", message(1)) == {"status": "Rejected"}


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (message(1, kind="HTML"), "NotSupportedMessageFormat"),
        (message(1, transactionId="nobody's"), "UnknownTransaction"),
    ],
)
async def test_messages_that_cannot_be_shown_are_refused(payload: dict[str, Any], status: str) -> None:
    async with bench201() as b:
        assert (await b.csms.call("SetDisplayMessage", payload))["status"] == status


async def test_messages_are_listed_in_pages_and_cleared() -> None:
    async with bench201() as b:
        for number in range(7):
            assert await b.csms.call("SetDisplayMessage", message(number)) == ACCEPTED
        assert await b.csms.call("GetDisplayMessages", {"requestId": 3}) == ACCEPTED
        await settled(b.station)
        told = b.csms.payloads("NotifyDisplayMessages")
        assert [(len(one["messageInfo"]), one["tbc"]) for one in told] == [(5, True), (2, False)]
        assert await b.csms.call("ClearDisplayMessage", {"id": 3}) == ACCEPTED
        assert await b.csms.call("ClearDisplayMessage", {"id": 3}) == {"status": "Unknown"}
        assert await b.csms.call("GetDisplayMessages", {"requestId": 4, "id": [3]}) == {"status": "Unknown"}


@pytest.mark.parametrize("version", BOTH)
async def test_a_customers_data_are_told_and_forgotten(version: Version) -> None:
    async with bench201(versions=(version,)) as b:
        transaction_id = await b.charge()
        payload = {"requestId": 9, "report": True, "clear": True, "idToken": {"idToken": "04AB", "type": "ISO14443"}}
        assert await b.csms.call("CustomerInformation", payload) == ACCEPTED
        told = await b.csms.expect("NotifyCustomerInformation")
        assert "cache: " in told["data"]
        assert transaction_id in told["data"]
        assert b.station.authorization.cache == {}
        later = {"requestId": 10, "report": True, "clear": False, "customerIdentifier": "nobody"}
        assert await b.csms.call("CustomerInformation", later) == ACCEPTED
        assert (await b.csms.expect("NotifyCustomerInformation", 2))["data"] == ""
        useless = {"requestId": 11, "report": False, "clear": False, "customerIdentifier": "nobody"}
        assert await b.csms.call("CustomerInformation", useless) == {"status": "Invalid"}
