"""S27: stations' lists over a real socket: sent whole, kept true by differences, compared, cleared."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from csms.clock import FixedClock
from csms.ocpp.versions import VERSIONS_2, Version
from csms.runtime import Runtime
from csms.station.information import find_station
from csms.station.local_lists.jobs import compare_after_boot, keep_true, tidy
from csms.station.local_lists.service.exclusions import exclude
from csms.station.settings import Setting
from tests.broker.conftest import Bench
from tests.broker.scripted import ScriptedStation, scripted

pytestmark = pytest.mark.feature("S27")
PATH, RULES, TOKENS = "/api/v1/stations/CS-1/local-list", "/api/v1/local-list-rules", "/api/v1/tokens"


class StationList:
    """The list inside a station, kept as the standard says (OCPP 1.6, 5.15; 2.0.1 D01)."""

    def __init__(self, station: ScriptedStation) -> None:
        self.station = station
        self.entries: dict[str, Any] = {}
        self.version = 0
        self.says: str | None = None
        station.answers |= {"SendLocalList": self.take, "GetLocalListVersion": self.tell}

    @property
    def is_16(self) -> bool:
        return self.station.version is Version.V16

    def tell(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"listVersion" if self.is_16 else "versionNumber": self.version}

    def take(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.says is not None:
            return {"status": self.says}
        version = request["listVersion" if self.is_16 else "versionNumber"]
        if request["updateType"] == "Full":
            self.entries = {}
        elif version <= self.version:
            return {"status": "VersionMismatch"}
        for item in request.get("localAuthorizationList", []):
            uid = item["idTag"] if self.is_16 else item["idToken"]["idToken"]
            info = item.get("idTagInfo") if self.is_16 else item.get("idTokenInfo")
            if info is None:
                del self.entries[uid]
            else:
                self.entries[uid] = info
        self.version = version
        return {"status": "Accepted"}

    def statuses(self) -> dict[str, str]:
        return {uid: info["status"] for uid, info in sorted(self.entries.items())}


@pytest.fixture(params=[Version.V16, *VERSIONS_2])
async def station(request: pytest.FixtureRequest, bench: Bench) -> AsyncIterator[ScriptedStation]:
    async with scripted(bench, Version(request.param)) as booted:
        yield booted


@pytest.fixture
def held(station: ScriptedStation) -> StationList:
    return StationList(station)


Settle = Callable[[], Awaitable[None]]


@pytest.fixture
def settle(runtime: Runtime, clock: FixedClock) -> Settle:
    """The changes so far are delivered, the station has been connected for a while, the job runs."""

    async def run() -> None:
        await runtime.outbox.deliver_due()
        clock.advance(seconds=61)
        await keep_true(runtime)

    return run


async def register(api: httpx.AsyncClient, uid: str, **fields: Any) -> str:
    answer = await api.post(TOKENS, json={"uid": uid, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def rule(api: httpx.AsyncClient, **fields: Any) -> str:
    answer = await api.post(RULES, json=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def shown(api: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await api.get(PATH)).json())


async def sync(api: httpx.AsyncClient) -> dict[str, Any]:
    answer = await api.post(f"{PATH}/sync")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.ocpp("1.6 SendLocalList", "2.x SendLocalList")
@pytest.mark.octt("TC_043_4_CSMS", "TC_043_5_CSMS", "TC_D_01_CSMS", "TC_D_02_CSMS", "TC_D_03_CSMS")
async def test_a_list_is_sent_whole_and_kept_true_by_differences(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    first = await register(api, "CARD-1", kind="iso14443", group_uid="FLEET")
    await register(api, "CARD-2", kind="iso15693")
    await rule(api)
    assert (await shown(api))["is_in_step"] is False
    assert station.requests == [], "nothing is sent to a station that has just connected"
    await settle()
    (request,) = station.sent("SendLocalList")
    assert request["updateType"] == "Full"
    assert held.statuses() == {"CARD-1": "Accepted", "CARD-2": "Accepted"}
    state = await shown(api)
    assert (state["is_in_step"], state["version"], state["station_version"]) == (True, 1, 1)
    await api.patch(f"{TOKENS}/{first}", json={"is_blocked": True})
    await register(api, "CARD-3", kind="iso14443")
    await settle()
    change = station.sent("SendLocalList")[1]
    assert (change["updateType"], len(change["localAuthorizationList"])) == ("Differential", 2)
    await api.delete(f"{TOKENS}/{first}")
    await settle()
    assert held.statuses() == {"CARD-2": "Accepted", "CARD-3": "Accepted"}
    assert (await shown(api))["station_version"] == 3
    await settle()
    assert len(station.sent("SendLocalList")) == 3, "nothing has changed since"
    entries = (await api.get(f"{PATH}/entries", params={"limit": 1})).json()
    assert [one["uid"] for one in entries["items"]] == ["CARD-2"]
    more = (await api.get(f"{PATH}/entries", params={"cursor": entries["next_cursor"]})).json()
    assert ([one["uid"] for one in more["items"]], more["next_cursor"]) == (["CARD-3"], None)


async def test_all_that_is_known_of_a_token_is_on_the_list(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    await register(
        api,
        "CARD-1",
        kind="emaid",
        group_uid="FLEET",
        valid_until="2027-01-01T00:00:00Z",
        language="nb",
        personal_message="Hei",
        allowed_at=[{"station_id": "CS-1", "charge_point_numbers": [2]}],
        additional_info=[{"additional_id": "X-1", "kind": "contract"}],
    )
    await rule(api)
    assert (await sync(api))["last_result"] == "in_step"
    until = "2027-01-01T00:00:00.000Z"
    (item,) = station.sent("SendLocalList")[0]["localAuthorizationList"]
    if station.version is Version.V16:
        assert item["idTagInfo"] == {"expiryDate": until, "parentIdTag": "FLEET", "status": "Accepted"}
        return
    assert item["idToken"] == {
        "additionalInfo": [{"additionalIdToken": "X-1", "type": "contract"}],
        "idToken": "CARD-1",
        "type": "eMAID",
    }
    assert item["idTokenInfo"] == {
        "status": "Accepted",
        "cacheExpiryDateTime": until,
        "language1": "nb",
        "evseId": [2],
        "groupIdToken": {"idToken": "FLEET", "type": "Central"},
        "personalMessage": {"format": "UTF8", "language": "nb", "content": "Hei"},
    }


async def test_rules_say_which_tokens_are_on_which_lists(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    await register(api, "MEMBER", group_uid="fleet")
    await register(api, "FLEET")
    single = await register(api, "SINGLE")
    await register(api, "NOBODY")
    await register(api, "ELSEWHERE", group_uid="fleet", allowed_at=[{"site": "Airport"}])
    by_tag = await rule(api, tag="rural", group_uid="Fleet")
    await rule(api, site="Airport")
    await settle()
    assert station.requests == [], "no rule holds for this station"
    await api.patch("/api/v1/stations/CS-1", json={"tags": ["rural"]})
    await settle()
    assert list(held.statuses()) == ["FLEET", "MEMBER"]
    by_token = await rule(api, station_id="CS-1", token_id=single)
    await settle()
    assert list(held.statuses()) == ["FLEET", "MEMBER", "SINGLE"]
    assert len((await api.get(RULES)).json()["items"]) == 3
    assert (await api.delete(f"{RULES}/{by_tag}")).status_code == 204
    assert (await api.delete(f"{TOKENS}/{single}")).status_code == 204
    await settle()
    assert (held.statuses(), (await shown(api))["is_wanted"]) == ({}, False)
    assert (await api.delete(f"{RULES}/{by_token}")).status_code == 404, "it went with its token"


async def test_a_token_comes_and_goes_by_time(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, clock: FixedClock, settle: Settle
) -> None:
    begin, end = clock() + timedelta(hours=1), clock() + timedelta(hours=2)
    await register(api, "CARD-1", valid_from=begin.isoformat(), valid_until=end.isoformat())
    await register(api, "CARD-2")
    await rule(api)
    await settle()
    assert list(held.statuses()) == ["CARD-2"]
    clock.at = begin
    await settle()
    assert list(held.statuses()) == ["CARD-1", "CARD-2"]
    clock.at = end
    await settle()
    assert list(held.statuses()) == ["CARD-2"]


async def test_a_version_that_does_not_match_is_answered_with_the_whole_list(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    for number in range(3):
        await register(api, f"CARD-{number}")
    await rule(api)
    await sync(api)
    held.version, held.entries = 90, {"STRANGER": {"status": "Accepted"}}
    await register(api, "CARD-9")
    state = await sync(api)
    assert [one["updateType"] for one in station.sent("SendLocalList")] == ["Full", "Differential", "Full"]
    assert (state["last_result"], sorted(held.entries)) == ("in_step", ["CARD-0", "CARD-1", "CARD-2", "CARD-9"])


@pytest.mark.octt("TC_043_3_CSMS")
async def test_a_station_that_fails_is_tried_again_later_and_later(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle, clock: FixedClock
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    held.says = "Failed"
    await settle()
    state = await shown(api)
    assert (state["last_result"], state["is_in_step"], state["attempts"]) == ("failed", False, 1)
    assert "Failed" in state["problem"]
    await settle()
    assert len(station.sent("SendLocalList")) == 1, "not yet"
    held.says = None
    await settle()
    assert (await shown(api))["is_in_step"] is True
    assert held.statuses() == {"CARD-1": "Accepted"}


@pytest.mark.octt("TC_043_1_CSMS")
async def test_a_station_without_a_list_is_left_alone(
    station: ScriptedStation, api: httpx.AsyncClient, settle: Settle
) -> None:
    """1.6 has a word for it, 2.x a CALLERROR; some 1.6 stations too."""
    if station.version is Version.V16:
        station.answers["SendLocalList"] = {"status": "NotSupported"}
    await register(api, "CARD-1")
    await rule(api)
    await settle()
    state = await shown(api)
    assert (state["last_result"], state["is_supported"], state["due_at"]) == ("not_supported", False, None)
    await register(api, "CARD-2")
    await settle()
    assert len(station.sent("SendLocalList")) == 1


async def test_a_long_list_is_sent_in_parts(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, bench: Bench
) -> None:
    await _limit(bench, station.version, items=2, room=5)
    for number in range(6):
        await register(api, f"CARD-{number}", is_blocked=number == 0)
    await register(api, "X" * 40)
    await rule(api)
    state = await sync(api)
    is_16, is_21 = station.version is Version.V16, station.version is Version.V21
    kinds = [one["updateType"] for one in station.sent("SendLocalList")]
    assert kinds == ["Full", "Differential", "Differential"]
    expected = [f"CARD-{number}" for number in range(1, 6)]
    if is_21:
        expected = [*expected[:-1], "CARD-5"]
    assert sorted(held.entries) == expected, "who may not charge has to give way"
    left_out = 2
    assert (state["entries_count"], state["left_out_count"], state["station_version"]) == (5, left_out, 3)
    assert is_16 or all("idToken" in one for one in station.sent("SendLocalList")[0]["localAuthorizationList"])


async def _limit(bench: Bench, version: Version, *, items: int, room: int) -> None:
    """The station told how much it takes."""
    async with bench.store.writing() as work:
        station = await find_station(work, "CS-1")
        assert station is not None
        owner = {"organisation_id": station.organisation_id, "station_id": station.id}
        if version is Version.V16:
            for name, value in (("SendLocalListMaxLength", items), ("LocalAuthListMaxLength", room)):
                work.session.add(Setting(**owner, key=name.lower(), name=name, variable=name, value=str(value)))
            return
        for variable, value, limit in (("ItemsPerMessage", items, None), ("Entries", 0, room)):
            key, name = f"localauthlistctrlr/{variable.lower()}", f"LocalAuthListCtrlr.{variable}"
            row = {"key": key, "name": name, "component": "LocalAuthListCtrlr", "variable": variable}
            work.session.add(Setting(**owner, **row, value=str(value), max_limit=limit))


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_a_station_that_was_away_gets_its_list_when_it_is_back(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle, bench: Bench
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    await station._client.close()
    await bench.closed()
    await settle()
    assert (await shown(api))["is_in_step"] is False
    away = await sync(api)
    assert (away["last_result"], away["problem"]) == ("unreachable", "the station is not connected")
    async with scripted(bench, Version.V16) as back:
        again = StationList(back)
        await settle()
        await settle()
        await settle()
        assert again.statuses() == {"CARD-1": "Accepted"}
        assert (await shown(api))["is_in_step"] is True


async def test_a_list_that_was_cut_off_half_way_is_sent_whole_again(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, bench: Bench
) -> None:
    await _limit(bench, station.version, items=1, room=9)
    for number in range(2):
        await register(api, f"CARD-{number}")
    await rule(api)
    take = held.take
    answers = iter(["Accepted", "Failed"])

    def once(request: dict[str, Any]) -> dict[str, Any]:
        word = next(answers, None)
        return {"status": "Failed"} if word == "Failed" else take(request)

    station.answers["SendLocalList"] = once
    state = await sync(api)
    assert (state["is_in_step"], state["is_contents_known"]) == (False, False)
    assert (await sync(api))["is_in_step"] is True
    assert [one["updateType"] for one in station.sent("SendLocalList")] == ["Full", "Differential"] * 2
    assert sorted(held.entries) == ["CARD-0", "CARD-1"]


@pytest.mark.ocpp("1.6 GetLocalListVersion", "2.x GetLocalListVersion")
@pytest.mark.octt("TC_D_08_CSMS")
async def test_the_station_s_version_is_asked_for_and_compared(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    await sync(api)
    state = (await api.post(f"{PATH}/compare")).json()
    assert (state["is_in_step"], state["station_version"], state["is_contents_known"]) == (True, 1, True)
    held.version, held.entries = 7, {}
    state = (await api.post(f"{PATH}/compare")).json()
    assert (state["is_in_step"], state["version"], state["station_version"]) == (False, 1, 7)
    await settle()
    assert (held.statuses(), held.version) == ({"CARD-1": "Accepted"}, 8)


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
@pytest.mark.octt("TC_042_1_CSMS")
async def test_minus_one_means_that_a_1_6_station_has_no_list(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    held.version = -1
    state = (await api.post(f"{PATH}/compare")).json()
    assert (state["is_supported"], state["station_version"]) == (False, 0)


@pytest.mark.octt("TC_042_2_CSMS", "TC_D_09_CSMS")
async def test_nought_means_that_the_list_is_empty(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    state = (await api.post(f"{PATH}/compare")).json()
    assert (state["is_supported"], state["station_version"], state["entries_count"]) == (True, 0, 0)
    assert len(station.sent("GetLocalListVersion")) == 1


@pytest.mark.parametrize("station", VERSIONS_2, indirect=True)
@pytest.mark.octt("TC_C_40_CSMS", "TC_C_43_CSMS")
async def test_members_of_a_group_on_the_list_end_each_others_charges(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    for uid in ("CARD-1", "CARD-2"):
        await register(api, uid, kind="iso14443", group_uid="FLEET")
    await rule(api)
    await sync(api)
    assert [info["groupIdToken"]["idToken"] for info in held.entries.values()] == ["FLEET"] * 2
    at = {"timestamp": "2026-01-01T00:00:00Z", "transactionInfo": {"transactionId": "T-1"}, "evse": {"id": 1}}
    first, second = ({"idToken": uid, "type": "ISO14443"} for uid in ("CARD-1", "CARD-2"))
    told = [
        await station.call(
            "TransactionEvent", eventType="Started", triggerReason="Authorized", seqNo=0, idToken=first, **at
        ),
        await station.call("Authorize", idToken=second),
        await station.call(
            "TransactionEvent", eventType="Updated", triggerReason="StopAuthorized", seqNo=1, idToken=second, **at
        ),
    ]
    infos = [one["idTokenInfo"] for one in told]
    assert [(one["status"], one["groupIdToken"]["idToken"]) for one in infos] == [("Accepted", "FLEET")] * 3


async def test_stations_are_asked_after_a_boot_only_where_that_is_configured(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, clock: FixedClock, runtime: Runtime
) -> None:
    await rule(api)
    clock.advance(seconds=61)
    await compare_after_boot(runtime)
    assert station.requests == []
    assert (await api.get("/api/v1/local-list-policy")).json() == {"is_compared_after_boot": False}
    await api.put("/api/v1/local-list-policy", json={"is_compared_after_boot": True})
    for _ in range(2):
        clock.advance(seconds=61)
        await compare_after_boot(runtime)
    assert len(station.sent("GetLocalListVersion")) == 1


@pytest.mark.octt("TC_D_04_CSMS")
async def test_a_list_is_cleared_and_then_left_alone(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    await sync(api)
    state = (await api.post(f"{PATH}/clear")).json()
    assert (state["is_automatic"], held.statuses()) == (False, {})
    assert "localAuthorizationList" not in station.sent("SendLocalList")[1]
    await register(api, "CARD-2")
    await settle()
    assert held.statuses() == {}
    assert (await api.put(PATH, json={"is_automatic": True})).json()["is_automatic"] is True
    await settle()
    assert list(held.statuses()) == ["CARD-1", "CARD-2"]


async def test_a_raw_command_that_changes_the_list_is_noticed_and_put_right(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    await sync(api)
    number = "listVersion" if station.version is Version.V16 else "versionNumber"
    sent = await api.post("/api/v1/stations/CS-1/commands/SendLocalList", json={number: 5, "updateType": "Full"})
    assert sent.json()["payload"] == {"status": "Accepted"}
    state = await shown(api)
    assert (state["is_in_step"], state["station_version"], state["is_contents_known"]) == (False, 5, False)
    await settle()
    assert (held.statuses(), held.version) == ({"CARD-1": "Accepted"}, 6)


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_a_raw_command_to_a_station_whose_list_nobody_keeps_is_kept_in_mind(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle
) -> None:
    await api.post("/api/v1/stations/CS-1/commands/SendLocalList", json={"listVersion": 5, "updateType": "Full"})
    assert (await shown(api))["station_version"] == 5
    await settle()
    assert len(station.sent("SendLocalList")) == 1


@pytest.mark.parametrize("station", [Version.V201], indirect=True)
async def test_a_token_of_another_kind_is_another_one_for_2_x_stations(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient
) -> None:
    token_id = await register(api, "CARD-1", kind="iso14443")
    for number in range(2, 5):
        await register(api, f"CARD-{number}")
    await rule(api)
    await sync(api)
    await api.patch(f"{TOKENS}/{token_id}", json={"kind": "key_code"})
    await sync(api)
    removed, put = station.sent("SendLocalList")[1]["localAuthorizationList"]
    assert removed == {"idToken": {"idToken": "CARD-1", "type": "ISO14443"}}
    assert put["idToken"] == {"idToken": "CARD-1", "type": "KeyCode"}


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_contents_that_no_station_has_are_forgotten(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, runtime: Runtime, clock: FixedClock
) -> None:
    await register(api, "CARD-1")
    await rule(api)
    await sync(api)
    clock.advance(seconds=7200)
    await tidy(runtime)
    assert (await shown(api))["is_contents_known"] is True
    assert len((await api.get(f"{PATH}/entries")).json()["items"]) == 1


@pytest.mark.parametrize("station", [Version.V16], indirect=True)
async def test_rules_that_make_no_sense_are_refused(station: ScriptedStation, api: httpx.AsyncClient) -> None:
    for fields in (
        {"site": "A", "tag": "B"},
        {"token_id": "1", "group_uid": "A"},
        {"station_id": "NOBODY"},
        {"token_id": "455903678937747456"},
        {"colour": "red"},
    ):
        assert (await api.post(RULES, json=fields)).status_code == 422, fields


@pytest.mark.ocpp("2.x CustomerInformation")
@pytest.mark.octt("TC_N_46_CSMS")
@pytest.mark.parametrize("station", VERSIONS_2, indirect=True)
@pytest.mark.parametrize("is_raw", [False, True])
async def test_a_customer_who_is_deleted_on_a_station_leaves_its_list(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, settle: Settle, *, is_raw: bool
) -> None:
    """A station deletes all it knows but the list, which is ours (2.0.1 N10)."""
    token_id = await register(api, "CARD-1", kind="iso14443")
    await register(api, "CARD-2", kind="iso14443")
    await rule(api)
    await settle()
    assert set(held.entries) == {"CARD-1", "CARD-2"}
    station.answers["CustomerInformation"] = {"status": "Accepted"}
    if is_raw:
        who = {"idToken": {"idToken": "card-1", "type": "ISO14443"}}
        body = {"requestId": 7, "report": False, "clear": True, **who}
        answer = await api.post("/api/v1/stations/CS-1/commands/CustomerInformation", json=body)
    else:
        body = {"token": "CARD-1", "wants_report": False, "wants_deletion": True}
        answer = await api.post("/api/v1/stations/CS-1/customer-information", json=body)
    assert answer.is_success, answer.text
    await settle()
    assert set(held.entries) == {"CARD-2"}
    assert (await shown(api))["is_in_step"] is True
    [kept_off] = (await api.get(f"{PATH}/exclusions")).json()["items"]
    assert kept_off["token_id"] == token_id
    await api.patch(f"{TOKENS}/{token_id}", json={"is_blocked": True})
    await settle()
    assert set(held.entries) == {"CARD-2"}, "no change brings it back"
    assert (await api.delete(f"{PATH}/exclusions/{kept_off['id']}")).status_code == 204
    assert (await api.delete(f"{PATH}/exclusions/{kept_off['id']}")).status_code == 404
    await settle()
    assert held.statuses() == {"CARD-1": "Blocked", "CARD-2": "Accepted"}


async def test_a_removed_token_is_forgotten_everywhere(
    station: ScriptedStation, held: StationList, api: httpx.AsyncClient, runtime: Runtime, settle: Settle
) -> None:
    token_id = await register(api, "CARD-1")
    async with runtime.store.writing() as work:
        kept = await find_station(work, "CS-1")
        assert kept is not None
        for _ in range(2):
            await exclude(work, kept.organisation_id, kept.id, int(token_id))
    assert len((await api.get(f"{PATH}/exclusions")).json()["items"]) == 1
    assert (await api.delete(f"{TOKENS}/{token_id}")).is_success
    await settle()
    assert (await api.get(f"{PATH}/exclusions")).json()["items"] == []
    assert held.entries == {}
