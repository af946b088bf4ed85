"""S3: messages on displays over the API and a real socket, in both versions that have them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from tests.broker.conftest import Bench, eventually
from tests.broker.scripted import ScriptedStation, scripted
from tests.builders import make_station

pytestmark = pytest.mark.feature("S3", "B3")
PATH = "/api/v1/stations/CS-1/display-messages"
ACCEPTED = {"status": "Accepted"}
BEGIN = "2026-02-01T00:00:00.000Z"
WELCOME = {"content": "Willkommen!", "language": "de", "format": "UTF8"}


@pytest.fixture(params=VERSIONS_2)
async def station(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version(request.param)) as booted:
        booted.answers |= {"SetDisplayMessage": ACCEPTED, "ClearDisplayMessage": ACCEPTED}
        booted.answers["GetDisplayMessages"] = ACCEPTED
        yield booted


async def show(api: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={"texts": [WELCOME], **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def states(api: httpx.AsyncClient) -> dict[str, str]:
    items = (await api.get(PATH)).json()["items"]
    return {one["texts"][0]["content"]: one["state"] for one in items}


@pytest.mark.ocpp("2.x SetDisplayMessage")
@pytest.mark.octt("TC_O_01_CSMS", "TC_O_14_CSMS", "TC_O_25_CSMS")
async def test_a_message_is_shown_while_something_holds(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    made = await show(
        api, priority="in_front", shown_while="charging", shown_until="2026-02-01T00:00:00Z", charge_point_number=2
    )
    assert (made["state"], made["station_word"]) == ("installed", "Accepted")
    (request,) = station.sent("SetDisplayMessage")
    assert request["message"] == {
        "id": made["number"],
        "priority": "InFront",
        "state": "Charging",
        "endDateTime": "2026-02-01T00:00:00.000Z",
        "message": WELCOME,
        "display": {"name": "EVSE", "evse": {"id": 2}},
    }
    assert (await api.get(f"{PATH}/{made['id']}")).json() == made


@pytest.mark.ocpp("2.x SetDisplayMessage")
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        pytest.param(
            "UnknownTransaction", "the station knows no such transaction", marks=pytest.mark.octt("TC_O_10_CSMS")
        ),
        pytest.param(
            "NotSupportedPriority", "the station does not know this priority", marks=pytest.mark.octt("TC_O_17_CSMS")
        ),
        pytest.param(
            "NotSupportedState",
            "the station cannot tie a message to this state",
            marks=pytest.mark.octt("TC_O_18_CSMS"),
        ),
        pytest.param(
            "NotSupportedMessageFormat", "the station cannot show this format", marks=pytest.mark.octt("TC_O_19_CSMS")
        ),
        pytest.param("Rejected", "the station does not take it", marks=pytest.mark.octt("TC_O_26_CSMS")),
    ],
)
async def test_a_refusal_is_kept_with_its_reason(
    api: httpx.AsyncClient, station: ScriptedStation, word: str, reason: str
) -> None:
    station.answers["SetDisplayMessage"] = {"status": word}
    made = await show(api)
    assert (made["state"], made["station_word"], made["reason"]) == ("refused", word, reason)


@pytest.mark.ocpp("2.x SetDisplayMessage")
@pytest.mark.parametrize(
    ("when", "times"),
    [
        pytest.param({}, {}, marks=pytest.mark.octt("TC_O_06_CSMS"), id="always"),
        pytest.param(
            {"shown_from": BEGIN}, {"startDateTime": BEGIN}, marks=pytest.mark.octt("TC_O_27_CSMS"), id="from"
        ),
        pytest.param(
            {"shown_until": BEGIN}, {"endDateTime": BEGIN}, marks=pytest.mark.octt("TC_O_28_CSMS"), id="until"
        ),
    ],
)
async def test_a_message_for_one_charge(
    api: httpx.AsyncClient, station: ScriptedStation, *, when: dict[str, str], times: dict[str, str]
) -> None:
    begun = {"eventType": "Started", "timestamp": "2026-01-01T00:00:00Z", "triggerReason": "CablePluggedIn", "seqNo": 0}
    await station.call("TransactionEvent", **begun, transactionInfo={"transactionId": "T-1"}, evse={"id": 1})
    (charge,) = (await api.get("/api/v1/charge-logs")).json()["items"]
    made = await show(api, charge_log_id=charge["id"], **when)
    assert (made["state"], made["transaction_id"]) == ("installed", "T-1")
    (request,) = station.sent("SetDisplayMessage")
    about = {"id": made["number"], "priority": "NormalCycle", "message": WELCOME, "transactionId": "T-1"}
    assert request["message"] == {**about, **times}


@pytest.mark.ocpp("2.x SetDisplayMessage")
@pytest.mark.octt("TC_O_13_CSMS")
async def test_a_message_waits_for_its_time(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    assert (await show(api, shown_from=BEGIN))["state"] == "installed"
    assert station.sent("SetDisplayMessage")[0]["message"]["startDateTime"] == BEGIN


async def test_a_station_without_display_says_so(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    del station.answers["SetDisplayMessage"]
    made = await show(api)
    assert (made["state"], made["reason"]) == ("refused", "the station answered NotSupported: it may have no display")


@pytest.mark.ocpp("2.x ClearDisplayMessage")
@pytest.mark.octt("TC_O_04_CSMS")
async def test_a_message_is_taken_away_once(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    made = await show(api)
    gone = (await api.delete(f"{PATH}/{made['id']}")).json()
    assert gone["state"] == "cleared"
    assert station.sent("ClearDisplayMessage") == [{"id": made["number"]}]
    again = await api.delete(f"{PATH}/{made['id']}")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "this message is cleared already; there is nothing to take away",
    )


@pytest.mark.ocpp("2.x GetDisplayMessages", "2.x NotifyDisplayMessages")
@pytest.mark.octt("TC_O_02_CSMS")
async def test_what_the_station_does_not_name_any_more_is_gone(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    kept, lost = await show(api), await show(api, texts=[{**WELCOME, "content": "Bald geschlossen"}])
    answer = await api.post(f"{PATH}/refresh")
    assert answer.json() == {"outcome": "answered", "status": "Accepted", "reason": None}
    request_id = station.sent("GetDisplayMessages")[0]["requestId"]
    foreign = {"id": 7, "priority": "NormalCycle", "message": {**WELCOME, "content": "Vom Hersteller"}}
    for tbc, told in ((True, foreign), (False, {"id": kept["number"], "priority": "NormalCycle", "message": WELCOME})):
        await station.call("NotifyDisplayMessages", requestId=request_id, messageInfo=[told], tbc=tbc)
    await runtime.outbox.deliver_due()
    assert await states(api) == {
        "Willkommen!": "installed",
        "Bald geschlossen": "gone",
        "Vom Hersteller": "installed",
    }
    assert (await api.get(f"{PATH}/{lost['id']}")).json()["reason"] == "the station no longer names it"


@pytest.mark.ocpp("2.x GetDisplayMessages")
@pytest.mark.octt("TC_O_03_CSMS")
async def test_a_station_that_has_none_says_so_at_once(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    await show(api)
    station.answers["GetDisplayMessages"] = {"status": "Unknown"}
    assert (await api.post(f"{PATH}/refresh")).json()["status"] == "Unknown"
    await runtime.outbox.deliver_due()
    assert await states(api) == {"Willkommen!": "gone"}


@pytest.mark.ocpp("2.x GetDisplayMessages", "2.x NotifyDisplayMessages")
@pytest.mark.parametrize(
    ("which", "status"),
    [
        pytest.param({"id": [7]}, "Accepted", marks=pytest.mark.octt("TC_O_07_CSMS"), id="by number"),
        pytest.param({"priority": "AlwaysFront"}, "Accepted", marks=pytest.mark.octt("TC_O_08_CSMS"), id="by priority"),
        pytest.param({"state": "Faulted"}, "Accepted", marks=pytest.mark.octt("TC_O_09_CSMS"), id="by state"),
        pytest.param({"id": [8]}, "Unknown", marks=pytest.mark.octt("TC_O_11_CSMS"), id="unknown"),
    ],
)
async def test_a_report_of_some_messages_forgets_no_others(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation, *, which: dict[str, Any], status: str
) -> None:
    await show(api)
    station.answers["GetDisplayMessages"] = {"status": status}
    command = {"requestId": 5, **which}
    told = await api.post("/api/v1/stations/CS-1/commands/GetDisplayMessages", json=command)
    assert (told.json()["payload"], station.sent("GetDisplayMessages")) == ({"status": status}, [command])
    if status == "Accepted":
        one = {"id": 7, "priority": "AlwaysFront", "state": "Faulted", "message": {**WELCOME, "content": "Defekt"}}
        await station.call("NotifyDisplayMessages", requestId=5, messageInfo=[one])
    await runtime.outbox.deliver_due()
    others = {"Defekt": "installed"} if status == "Accepted" else {}
    assert await states(api) == {"Willkommen!": "installed", **others}


@pytest.mark.ocpp("2.x ClearDisplayMessage")
@pytest.mark.octt("TC_O_05_CSMS")
async def test_a_message_that_the_station_does_not_have_is_gone(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    made = await show(api)
    station.answers["ClearDisplayMessage"] = {"status": "Unknown"}
    gone = (await api.delete(f"{PATH}/{made['id']}")).json()
    assert (gone["state"], gone["station_word"]) == ("gone", "Unknown")


@pytest.mark.ocpp("2.x SetDisplayMessage")
@pytest.mark.octt("TC_O_12_CSMS")
async def test_a_message_of_the_same_number_takes_the_place_of_the_one_before(
    api: httpx.AsyncClient, station: ScriptedStation
) -> None:
    made = await show(api)
    message = {"id": made["number"], "priority": "NormalCycle", "message": {**WELCOME, "content": "Auf Wiedersehen!"}}
    told = await api.post("/api/v1/stations/CS-1/commands/SetDisplayMessage", json={"message": message})
    assert told.json()["payload"] == ACCEPTED

    async def replaced() -> bool:
        known = await states(api)
        return known.get("Auf Wiedersehen!") == "installed" and known.get("Willkommen!", "gone") == "gone"

    await eventually(replaced)


@pytest.mark.ocpp("2.x SetDisplayMessage")
async def test_a_message_set_by_a_raw_command_is_known(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    message = {"id": 3, "priority": "AlwaysFront", "message": {"format": "ASCII", "content": "Hello"}}
    await api.post("/api/v1/stations/CS-1/commands/SetDisplayMessage", json={"message": message})

    async def known() -> dict[str, str]:
        return await states(api)

    assert await eventually(known) == {"Hello": "installed"}


async def test_what_only_2_1_can_say(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    two = [WELCOME, {"content": "Welcome!", "language": "en"}]
    answers = await asyncio.gather(
        api.post(PATH, json={"texts": two}),
        api.post(PATH, json={"texts": [{"content": "https://example.com", "format": "QRCODE"}]}),
        api.post(PATH, json={"texts": [WELCOME], "shown_while": "suspended"}),
        api.post(PATH, json={"texts": [{"content": "x" * 600}]}),
    )
    is_21 = station.version is Version.V21
    assert [answer.status_code for answer in answers] == [201 if is_21 else 422] * 4
    if is_21:
        assert any("messageExtra" in request["message"] for request in station.sent("SetDisplayMessage"))


async def test_a_1_6_station_has_none(api: httpx.AsyncClient, runtime: Runtime) -> None:
    await make_station(runtime.store, identity="CS-1", protocol=Version.V16.value)
    answer = await api.post(PATH, json={"texts": [WELCOME]})
    assert (answer.status_code, answer.json()["detail"].partition(";")[0]) == (409, "OCPP 1.6 has no display messages")
