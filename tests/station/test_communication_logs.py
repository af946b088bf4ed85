"""S11: recording exchanges and finding them again."""

import csv
import io
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlmodel import select

from csms.ids import new_id, time_of
from csms.ocpp.conversation import Call, Conversation
from csms.ocpp.versions import Version
from csms.station.communication_logs import Frame, FrameOutcome, record
from csms.station.communication_logs.service import EXPORT_CHUNK_ROWS
from csms.station.information import Station
from csms.store import Store, Work
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station

pytestmark = pytest.mark.feature("S11")


def _note(work: Work, station: Station, **parts: Any) -> int:
    values: dict[str, Any] = {
        "organisation_id": station.organisation_id,
        "station_id": station.id,
        "connection_id": 7,
        "at": work.now,
        "from_station": True,
        "outcome": FrameOutcome.ANSWERED,
        "action": "Heartbeat",
        "message_id": "m1",
        "request": '[2,"m1","Heartbeat",{}]',
        "answer": '[3,"m1",{}]',
        "answered_at": work.now + timedelta(milliseconds=12.5),
    }
    return record(work, **{**values, **parts})


async def _exchange(store: Store, station: Station, **parts: Any) -> int:
    work = store.note()
    row_id = _note(work, station, **parts)
    await store.commit_all([work])
    return row_id


async def _kept(store: Store) -> Frame:
    async with store.reading() as work:
        return (await work.session.exec(select(Frame))).one()


async def test_an_exchange_is_one_row_written_by_the_bulk_writer(store: Store) -> None:
    station = await make_station(store)
    work = store.note()
    row_id = record(
        work,
        organisation_id=station.organisation_id,
        station_id=station.id,
        connection_id=new_id(),
        at=work.now,
        from_station=True,
        outcome=FrameOutcome.ANSWERED,
        action="Heartbeat",
        message_id="m1",
        request='[2,"m1","Heartbeat",{}]',
        answer='[3,"m1",{"currentTime":"2026-01-01T00:00:00.000Z"}]',
        answered_at=work.now,
    )
    await store.commit_all([work])
    frame = await _kept(store)
    assert (frame.id, frame.station_id, frame.outcome) == (row_id, station.id, FrameOutcome.ANSWERED)
    assert frame.request == '[2,"m1","Heartbeat",{}]'
    assert (frame.repairs, frame.violation, frame.error_code) == (None, None, None)


@pytest.mark.robustness(48)
async def test_secrets_are_masked_before_they_are_stored(store: Store) -> None:
    station = await make_station(store)
    request = '[2,"m2","ChangeConfiguration",{"key":"AuthorizationKey","value":"00112233445566778899aabb"}]'
    await _exchange(store, station, from_station=False, action="ChangeConfiguration", request=request)
    assert "00112233445566778899aabb" not in str(await _kept(store))


@pytest.mark.robustness(26)
async def test_garbage_with_nul_characters_and_endless_names_can_be_stored(store: Store) -> None:
    station = await make_station(store)
    names = {"action": "A\0" + "x" * 1000, "message_id": "\0" * 100}
    await _exchange(store, station, outcome=FrameOutcome.MALFORMED, request="\0garbage", **names)
    frame = await _kept(store)
    assert frame.request == "\N{SYMBOL FOR NULL}garbage"
    assert frame.action is not None
    assert len(frame.action) == 64


@pytest.mark.feature("B8")
async def test_repairs_and_the_breach_are_kept_with_the_raw_frame(store: Store) -> None:
    station = await make_station(store)
    text = '[2,"m3","StatusNotification",{"connectorId":"1","errorCode":"NoError","status":"Available"}]'
    call = Conversation(Version.V16).receive(text)
    assert isinstance(call, Call)
    said = {"action": call.action, "message_id": call.message_id, "request": call.text}
    await _exchange(store, station, **said, repairs=call.repairs, violation=call.violation)
    frame = await _kept(store)
    assert frame.request == text
    assert frame.repairs == sorted({repair.name for repair in call.repairs})
    assert frame.violation == "/connectorId: must be an integer"


def _url(station: Station, rest: str = "") -> str:
    return f"/api/v1/stations/{station.identity}/communication-logs{rest}"


async def test_a_frame_is_shown_raw_and_parsed_with_its_answer(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    row_id = await _exchange(store, station)
    await _exchange(store, station, outcome=FrameOutcome.MALFORMED, action=None, request="hello", answer=None)
    garbage, shown = (await api.get(_url(station))).json()["items"]
    assert shown["request"] == {"text": '[2,"m1","Heartbeat",{}]', "parsed": [2, "m1", "Heartbeat", {}]}
    assert shown["answer"]["parsed"] == [3, "m1", {}]
    assert (shown["asked_by"], shown["duration_ms"], shown["station_id"]) == ("station", 12.5, station.identity)
    assert (garbage["request"], garbage["answer"]) == ({"text": "hello", "parsed": None}, None)
    assert (await api.get(_url(station, f"/{row_id}"))).json() == shown


async def test_frames_are_filtered_by_several_actions_outcomes_side_id_and_period(
    api: httpx.AsyncClient, store: Store
) -> None:
    station = await make_station(store)
    late = await _exchange(store, station, outcome=FrameOutcome.LATE, from_station=False, action=None, message_id="m9")
    reset = await _exchange(store, station, action="Reset", from_station=False, outcome=FrameOutcome.TIMED_OUT)
    boot = await _exchange(store, station, action="BootNotification", violation="/x: is missing")
    beat = await _exchange(store, station)
    await _exchange(store, await make_station(store))

    async def ids(**params: Any) -> list[int]:
        answer = await api.get(_url(station), params=params)
        assert answer.status_code == 200, answer.text
        return [int(item["id"]) for item in answer.json()["items"]]

    assert await ids() == [beat, boot, reset, late]
    assert await ids(action=["Reset", "Heartbeat"]) == [beat, reset]
    assert await ids(outcome=["late", "timed_out"]) == [reset, late]
    assert await ids(asked_by="csms") == [reset, late]
    assert await ids(asked_by="station", deviating=True) == [boot]
    assert await ids(deviating=False) == [beat, reset, late]
    assert await ids(message_id="m9") == [late]
    moment = time_of(late)
    assert await ids(to=moment.isoformat()) == []
    assert await ids(**{"from": moment.isoformat()}) == [beat, boot, reset, late]
    assert (await api.get(_url(station), params={"outcome": "lost"})).status_code == 422


async def test_frames_come_page_by_page_each_once(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    ids = [await _exchange(store, station) for _ in range(5)]
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        page = (await api.get(_url(station), params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [int(item["id"]) for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert cursor is None


async def test_the_ndjson_export_holds_what_the_list_shows(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store)
    for number in range(3):
        await _exchange(store, station, message_id=f"m{number}")
    lines = (await api.get(_url(station, ".ndjson"), params={"action": "Heartbeat"})).text.splitlines()
    assert [orjson.loads(line) for line in lines] == (await api.get(_url(station))).json()["items"]


@pytest.mark.robustness(39)
async def test_the_csv_export_has_one_header_and_no_formulas(api: httpx.AsyncClient, store: Store) -> None:
    station = await make_station(store, identity="CP 1|x")
    work = store.note()
    for _ in range(EXPORT_CHUNK_ROWS + 1):
        _note(work, station)
    _note(work, station, message_id="=1+1", request='[2,"=1+1","Heartbeat",{"a":"x\r\ny"}]')
    await store.commit_all([work])
    answer = await api.get(_url(station, ".csv"))
    assert answer.headers["content-disposition"] == 'attachment; filename="communication-logs-CP_1_x.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == EXPORT_CHUNK_ROWS + 2
    assert rows[0]["message_id"] == "'=1+1"
    assert {row["request"] for row in rows[1:]} == {'[2,"m1","Heartbeat",{}]'}


async def test_other_organisations_frames_do_not_exist(
    anonymous: httpx.AsyncClient, api_as: ApiAs, store: Store
) -> None:
    station = await make_station(store)
    row_id = await _exchange(store, station, violation="/x: is missing")
    other = await api_as("administrator", await make_organisation(store, "Other"))
    theirs = await make_station(store, await make_organisation(store, "Third"))
    for path in ("", f"/{row_id}", ".csv", ".ndjson"):
        assert (await anonymous.get(_url(station, path))).status_code == 401
        assert (await other.get(_url(station, path))).status_code == 404
    assert (await (await api_as("user")).get(_url(theirs, f"/{row_id}"))).status_code == 404
    period = {
        "from": (time_of(row_id) - timedelta(hours=1)).isoformat(),
        "to": (time_of(row_id) + timedelta(hours=1)).isoformat(),
    }
    assert (await other.get("/api/v1/fleet/violations", params=period)).json()["items"] == []


@pytest.mark.feature("B8")
async def test_breaches_are_counted_per_vendor_model_and_firmware(api: httpx.AsyncClient, store: Store) -> None:
    old: dict[str, Any] = {"vendor": "Acme", "model": "One", "firmware_version": "1.0"}
    first, second = await make_station(store, **old), await make_station(store, **old)
    newer = await make_station(store, **{**old, "firmware_version": "2.0"})
    call = Conversation(Version.V16).receive(
        '[2,"m3","StatusNotification",{"connectorId":"1","errorCode":"NoError","status":"Available"}]'
    )
    assert isinstance(call, Call)
    for station in (first, first, second, newer):
        last = await _exchange(
            store, station, action=call.action, request=call.text, repairs=call.repairs, violation=call.violation
        )
    await _exchange(store, newer)
    period = {
        "from": (time_of(last) - timedelta(hours=1)).isoformat(),
        "to": (time_of(last) + timedelta(hours=1)).isoformat(),
    }
    one, two = (await api.get("/api/v1/fleet/violations", params=period)).json()["items"]
    assert (one["firmware_version"], one["count"], one["station_count"]) == ("1.0", 3, 2)
    assert (two["firmware_version"], two["count"], two["station_count"]) == ("2.0", 1, 1)
    assert one["repairs"] == sorted({repair.name for repair in call.repairs})
    assert one["example"] == "/connectorId: must be an integer"
    assert two["example_frame_id"] == str(last)
    too_long = {"from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}
    assert (await api.get("/api/v1/fleet/violations", params=too_long)).status_code == 422
