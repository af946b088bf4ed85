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
        ("NotSupportedPriority", "the station does not know this priority"),
        ("UnknownTransaction", "the station knows no such transaction"),
    ],
)
async def test_a_refusal_is_kept_with_its_reason(
    api: httpx.AsyncClient, station: ScriptedStation, word: str, reason: str
) -> None:
    station.answers["SetDisplayMessage"] = {"status": word}
    made = await show(api)
    assert (made["state"], made["station_word"], made["reason"]) == ("refused", word, reason)


async def test_a_station_without_display_says_so(api: httpx.AsyncClient, station: ScriptedStation) -> None:
    del station.answers["SetDisplayMessage"]
    made = await show(api)
    assert (made["state"], made["reason"]) == ("refused", "the station answered NotSupported: it may have no display")


@pytest.mark.ocpp("2.x ClearDisplayMessage")
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
async def test_a_station_that_has_none_says_so_at_once(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    await show(api)
    station.answers["GetDisplayMessages"] = {"status": "Unknown"}
    assert (await api.post(f"{PATH}/refresh")).json()["status"] == "Unknown"
    await runtime.outbox.deliver_due()
    assert await states(api) == {"Willkommen!": "gone"}


@pytest.mark.ocpp("2.x NotifyDisplayMessages")
async def test_a_report_of_some_messages_forgets_no_others(
    api: httpx.AsyncClient, runtime: Runtime, station: ScriptedStation
) -> None:
    await show(api)
    command = {"requestId": 5, "priority": "AlwaysFront"}
    await api.post("/api/v1/stations/CS-1/commands/GetDisplayMessages", json=command)
    await station.call("NotifyDisplayMessages", requestId=5)
    await runtime.outbox.deliver_due()
    assert await states(api) == {"Willkommen!": "installed"}


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
