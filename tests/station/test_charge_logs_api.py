"""S6, S1: charge logs over HTTP: found, read, corrected, paired, counted."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.station.charge_logs import ChargeLog
from csms.station.information import Station
from csms.station.tokens import Token, token_key
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S6")
Charge = Callable[..., Awaitable[int]]
TAG = "04E91C5A6F2A80"


@pytest.fixture
async def station(store: Store) -> Station:
    return await make_station(store, is_demo=True)


@pytest.fixture
async def calling(store: Store, station: Station) -> CallingStation:
    return await connect(store, station)


@pytest.fixture
def base(station: Station) -> str:
    return f"/api/v1/stations/{station.identity}"


async def _start(calling: CallingStation, at: datetime, meter_wh: int = 1000, number: int = 1, tag: str = TAG) -> int:
    payload = {"connectorId": number, "idTag": tag, "meterStart": meter_wh, "timestamp": write(at)}
    return int((await calling.call("StartTransaction", **payload))["transactionId"])


async def _stop(calling: CallingStation, transaction_id: int, at: datetime, meter_wh: int, **fields: Any) -> None:
    payload = {"transactionId": transaction_id, "meterStop": meter_wh, "timestamp": write(at), **fields}
    await calling.call("StopTransaction", **payload)


def _set(at: datetime, wh: float, power_w: float | None = None) -> dict[str, Any]:
    values = [{"value": str(wh), "unit": "Wh", "context": "Sample.Periodic"}]
    if power_w is not None:
        values.append({"value": str(power_w / 1000), "measurand": "Power.Active.Import", "unit": "kW", "phase": "L1"})
    return {"timestamp": write(at), "sampledValue": values}


async def _measure(calling: CallingStation, transaction_id: int, *sets: dict[str, Any]) -> None:
    await calling.call("MeterValues", connectorId=1, transactionId=transaction_id, meterValue=list(sets))


async def _charge(
    calling: CallingStation, at: datetime, *, minutes: float = 60, energy_wh: int = 5000, **fields: Any
) -> int:
    """A whole charge, told as it happened long ago; returns the transaction id."""
    transaction_id = await _start(calling, at, **fields)
    await _stop(calling, transaction_id, at + timedelta(minutes=minutes), 1000 + energy_wh)
    return transaction_id


async def _get(api: httpx.AsyncClient, path: str, **params: Any) -> Any:
    answer = await api.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _ids(api: httpx.AsyncClient, path: str, **params: Any) -> list[int]:
    return [int(one["transaction_id"]) for one in (await _get(api, path, **params))["items"]]


async def test_a_running_charge_is_shown_with_its_progress(
    api: httpx.AsyncClient, station: Station, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    transaction_id = await _start(calling, clock())
    await _measure(calling, transaction_id, _set(clock.advance(minutes=10), 2500, 7400))
    (shown,) = (await _get(api, f"{base}/charge-logs"))["items"]
    assert (shown["station_id"], shown["state"], shown["token"]) == (station.identity, "running", TAG)
    assert (shown["energy_wh"], shown["duration_s"], shown["last_power_w"]) == (1500, 600, 7400)
    assert shown["stopped_at"] is None
    detail = await _get(api, f"{base}/charge-logs/{shown['id']}")
    assert all(detail[name] == value for name, value in shown.items())
    assert (detail["corrections"], detail["details"], detail["status_told"]) == ([], None, None)
    assert (await _get(api, f"{base}/charge-logs/{shown['id']}/events"))["items"] == []


async def test_charge_logs_are_filtered_sorted_and_paged(
    api: httpx.AsyncClient, store: Store, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    async with store.writing() as work:
        work.session.add(
            Token(
                organisation_id=calling.connected.organisation_id,
                uid="ALEX",
                uid_key=token_key("ALEX"),
                holder="Alex Example",
                created_at=work.now,
            )
        )
    at = clock()
    first = await _charge(calling, at)
    second = await _charge(calling, at + timedelta(days=1), number=2, tag="Alex")
    third = await _start(calling, at + timedelta(days=2))
    logs = f"{base}/charge-logs"
    assert await _ids(api, logs) == [third, second, first]
    assert await _ids(api, logs, sort="started_at") == [first, second, third]
    assert await _ids(api, logs, charge_point_number=2) == [second]
    assert await _ids(api, logs, token="alex") == [second]
    assert await _ids(api, logs, person="example") == [second]
    assert await _ids(api, logs, state="running") == [third]
    assert await _ids(api, logs, state=["running", "finished"]) == [third, second, first]
    assert await _ids(api, logs, **{"from": write(at + timedelta(days=1)), "to": write(at + timedelta(days=2))}) == [
        second
    ]
    page = await _get(api, logs, limit=2)
    assert await _ids(api, logs, limit=2, cursor=page["next_cursor"]) == [first]
    for wrong in ({"sort": "energy"}, {"state": "asleep"}, {"person": "\0"}, {"charge_point_number": -1}):
        assert (await api.get(logs, params=wrong)).status_code == 422


async def test_all_stations_of_the_organisation_have_one_list(
    *, api: httpx.AsyncClient, api_as: ApiAs, store: Store, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    other = await make_station(store, is_demo=True)
    foreign = await make_organisation(store, "Other")
    theirs = await make_station(store, foreign, is_demo=True)
    for one in (calling, await connect(store, other), await connect(store, theirs)):
        await _start(one, clock.advance(minutes=1))
    items = (await _get(api, "/api/v1/charge-logs"))["items"]
    assert [one["station_id"] for one in items] == [other.identity, station.identity]
    client = await api_as("user", foreign)
    (their_own,) = (await _get(client, "/api/v1/charge-logs"))["items"]
    assert their_own["station_id"] == theirs.identity
    for path in ("", "/meter-values", "/meter-curve"):
        assert (
            await client.get(f"/api/v1/stations/{station.identity}/charge-logs/{items[0]['id']}{path}")
        ).status_code == 404
        assert (
            await client.get(f"/api/v1/stations/{theirs.identity}/charge-logs/{items[0]['id']}{path}")
        ).status_code == 404


@pytest.mark.robustness(39)
async def test_charge_logs_as_csv_hold_no_formula(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    transaction_id = await _start(calling, clock(), meter_wh=-5, tag="=cmd|' /C calc'!A0")
    for answer in (
        await api.get(f"{base}/charge-logs", params={"format": "csv"}),
        await api.get("/api/v1/charge-logs", headers={"Accept": "text/csv"}),
    ):
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        header, row, end = answer.text.split("\r\n")
        assert header.startswith("id,station_id,charge_point_number,transaction_id,state,token,")
        assert f",{transaction_id},running,'=cmd|' /C calc'!A0," in row
        assert ",-5," in row
        assert end == ""


@pytest.mark.feature("S6")
async def test_the_curve_is_bounded_and_the_samples_are_whole(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    transaction_id = await _start(calling, clock())
    powers = [7000] * 30
    powers[17] = 22_000
    wh = 1000
    for power_w in powers:
        wh += 100
        await _measure(calling, transaction_id, _set(clock.advance(minutes=1), wh, power_w))
    log_id = (await _get(api, f"{base}/charge-logs"))["items"][0]["id"]
    curve = await _get(api, f"{base}/charge-logs/{log_id}/meter-curve", points=10)
    assert curve["samples"] == 30
    assert 4 <= len(curve["points"]) <= 10
    assert (curve["points"][0]["energy_wh"], curve["points"][-1]["energy_wh"]) == (100, 3000)
    assert max(one["power_w"] for one in curve["points"]) == 22_000
    page = await _get(api, f"{base}/charge-logs/{log_id}/meter-values", limit=20)
    rest = await _get(api, f"{base}/charge-logs/{log_id}/meter-values", limit=20, cursor=page["next_cursor"])
    assert [one["energy_wh"] for one in page["items"] + rest["items"]] == list(range(1100, 4001, 100))
    sample = page["items"][0]
    assert sample["sampled_values"][1] == {
        "value": "7.0",
        "measurand": "Power.Active.Import",
        "unit": "kW",
        "phase": "L1",
    }
    assert sample["quantities"][1] == {
        "measurand": "Power.Active.Import",
        "phase": "L1",
        "location": "Outlet",
        "unit": "W",
        "value": 7000,
    }
    await calling.call("MeterValues", connectorId=0, meterValue=[_set(clock(), 42)])
    (main,) = (await _get(api, f"{base}/meter-values", charge_point_number=0))["items"]
    assert (main["energy_wh"], main["charge_log_id"]) == (42, None)


async def test_an_ended_charge_is_corrected_and_its_original_kept(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    at = clock()
    await _charge(calling, at)
    log = (await _get(api, f"{base}/charge-logs"))["items"][0]
    path = f"{base}/charge-logs/{log['id']}"
    answer = await api.patch(path, json={"reason": "meter was read", "meter_stop_wh": 4000, "holder": "Alex"})
    assert answer.status_code == 200, answer.text
    stopped_at = write(at + timedelta(minutes=30))
    answer = await api.patch(path, json={"reason": "camera", "stopped_at": stopped_at, "energy_wh": 2500})
    shown = answer.json()
    assert shown == await _get(api, path)
    assert (shown["energy_wh"], shown["duration_s"], shown["holder"], shown["is_corrected"]) == (
        2500,
        1800,
        "Alex",
        True,
    )
    first, second = shown["corrections"]
    assert first["before"] == {"meter_stop_wh": 6000, "energy_wh": 5000, "holder": None}
    assert first["after"] == {"meter_stop_wh": 4000, "energy_wh": 3000, "holder": "Alex"}
    assert (first["reason"], second["reason"]) == ("meter was read", "camera")
    assert first["corrected_by"].startswith("test key")
    assert second["before"]["energy_wh"] == 3000


@pytest.mark.parametrize(
    "body",
    [
        {"energy_wh": 1},
        {"reason": "because", "energy_wh": -1},
        {"reason": "because", "meter_stop_wh": 10},
        {"reason": "because", "stopped_at": "2000-01-01T00:00:00Z"},
        {"reason": "because"},
        {"reason": "because", "energy_wh": 5000},
        {"reason": "because", "cost": 5},
        {"reason": "because", "meter_stop_wh": 10**19},
    ],
    ids=["no reason", "negative", "below start", "before start", "nothing", "no change", "unknown field", "too large"],
)
async def test_a_correction_that_cannot_be_is_refused(
    *, api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock, body: dict[str, Any]
) -> None:
    await _charge(calling, clock())
    log = (await _get(api, f"{base}/charge-logs"))["items"][0]
    assert (await api.patch(f"{base}/charge-logs/{log['id']}", json=body)).status_code == 422
    assert (await _get(api, f"{base}/charge-logs"))["items"][0] == log


async def test_a_running_charge_cannot_be_corrected(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    await _start(calling, clock())
    log_id = (await _get(api, f"{base}/charge-logs"))["items"][0]["id"]
    answer = await api.patch(f"{base}/charge-logs/{log_id}", json={"reason": "because", "energy_wh": 1})
    assert answer.status_code == 409


@pytest.mark.feature("B7")
@pytest.mark.robustness(33)
async def test_a_late_stop_does_not_undo_a_correction(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    lost = await _start(calling, clock())
    await _start(calling, clock.advance(hours=1), meter_wh=3000)
    log_id = (await _get(api, f"{base}/charge-logs", sort="started_at"))["items"][0]["id"]
    path = f"{base}/charge-logs/{log_id}"
    assert (await api.patch(path, json={"reason": "agreed", "energy_wh": 1500})).status_code == 200
    await _stop(calling, lost, clock(), 9000)
    assert (await _get(api, path))["energy_wh"] == 1500
    (stop,) = (await _get(api, f"{base}/unmatched-stops"))["items"]
    assert stop["reason"] == "already_stopped"


@pytest.mark.feature("B7")
async def test_an_unmatched_stop_is_offered_to_the_likeliest_charge_and_paired(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    mine = await _start(calling, clock(), meter_wh=1000, number=1)
    other = await _start(calling, clock(), meter_wh=1900, number=2, tag="OTHER")
    await _start(calling, clock(), meter_wh=90_000, number=3)
    await _measure(calling, mine, _set(clock.advance(minutes=10), 1500))
    data = [_set(clock.advance(minutes=10), 1800)]
    await _stop(calling, 0, clock.advance(minutes=10), 2000, idTag=TAG, transactionData=data)
    (stop,) = (await _get(api, f"{base}/unmatched-stops", is_paired=False))["items"]
    detail = await _get(api, f"{base}/unmatched-stops/{stop['id']}")
    assert [int(one["transaction_id"]) for one in detail["suggestions"]] == [mine, other]
    assert detail["payload"]["transactionData"] == data
    wanted = {"charge_log_id": detail["suggestions"][0]["id"]}
    answer = await api.post(f"{base}/unmatched-stops/{stop['id']}/pair", json=wanted)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["state"], shown["energy_wh"], shown["duration_s"]) == ("finished", 1000, 1800)
    assert shown["flags"] == ["paired"]
    assert shown == (await _get(api, f"{base}/charge-logs", charge_point_number=1))["items"][0]
    assert len((await _get(api, f"{base}/charge-logs/{shown['id']}/meter-values"))["items"]) == 2
    assert (await _get(api, f"{base}/unmatched-stops", is_paired=False))["items"] == []
    (paired,) = (await _get(api, f"{base}/unmatched-stops", is_paired=True))["items"]
    assert paired["paired_charge_log_id"] == shown["id"]
    assert (await api.post(f"{base}/unmatched-stops/{stop['id']}/pair", json=wanted)).status_code == 409
    # the connected station still thinks that its charge is open: the next start leaves the pair alone
    await _start(calling, clock.advance(hours=1), meter_wh=2000, number=1)
    assert (await _get(api, f"{base}/charge-logs/{shown['id']}"))["flags"] == ["paired"]


@pytest.mark.feature("B7")
async def test_a_stop_is_not_paired_with_a_charge_that_it_cannot_end(
    api: httpx.AsyncClient, api_as: ApiAs, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    ended = await _charge(calling, clock() - timedelta(days=1))
    await _stop(calling, -1, clock(), 2000)
    going_on = await _start(calling, clock())
    await _measure(calling, going_on, _set(clock.advance(hours=1), 1500))
    begun_later = await _start(calling, clock(), number=2)
    logs = {int(one["transaction_id"]): one["id"] for one in (await _get(api, f"{base}/charge-logs"))["items"]}
    (stop,) = (await _get(api, f"{base}/unmatched-stops"))["items"]
    path = f"{base}/unmatched-stops/{stop['id']}/pair"
    for transaction_id in (ended, going_on, begun_later):
        assert (await api.post(path, json={"charge_log_id": logs[transaction_id]})).status_code == 409
    assert (await api.post(path, json={"charge_log_id": "1"})).status_code == 404
    user = await api_as("user")
    assert (await user.post(path, json={"charge_log_id": logs[going_on]})).status_code == 403


@pytest.mark.feature("S6")
async def test_the_summary_adds_up_per_charge_point(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    assert await _get(api, f"{base}/charge-logs/summary") == {
        "total": {"charges": 0, "running": 0, "energy_wh": 0, "charging_s": 0},
        "charge_points": [],
    }
    await _charge(calling, clock() - timedelta(days=40), energy_wh=1)
    await _charge(calling, clock() - timedelta(days=2), energy_wh=3000)
    await _charge(calling, clock() - timedelta(days=1), energy_wh=2000, number=2)
    await _start(calling, clock(), number=2)
    since = write(clock() - timedelta(days=3))
    summary = await _get(api, f"{base}/charge-logs/summary", **{"from": since})
    assert summary["total"] == {"charges": 3, "running": 1, "energy_wh": 5000, "charging_s": 7200}
    assert [(one["charge_point_number"], one["charges"], one["running"]) for one in summary["charge_points"]] == [
        (1, 1, 0),
        (2, 2, 1),
    ]


@pytest.mark.feature("S1")
async def test_consumption_by_day_and_month_keeps_to_the_time_zone(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    clock.at = datetime(2026, 4, 2, tzinfo=UTC)
    await _charge(calling, datetime(2026, 3, 31, 22, 30, tzinfo=UTC), energy_wh=4000)  # in Oslo it is April
    await _charge(calling, datetime(2026, 3, 30, 9, tzinfo=UTC), energy_wh=1000)
    period = {"from": "2026-03-29T22:00:00Z", "to": "2026-04-01T22:00:00Z"}

    async def parts(**params: Any) -> dict[str, float]:
        shown = await _get(api, f"{base}/consumption", **period, **params)
        return {one["part"]: one["energy_wh"] for one in shown["parts"]}

    assert await parts(timezone="Europe/Oslo") == {"2026-03-30": 1000, "2026-03-31": 0, "2026-04-01": 4000}
    assert await parts(timezone="Europe/Oslo", by="month") == {"2026-03": 1000, "2026-04": 4000}
    assert await parts(by="month") == {"2026-03": 5000, "2026-04": 0}
    assert len((await _get(api, f"{base}/consumption"))["parts"]) == 30
    assert len((await _get(api, f"{base}/consumption", by="month"))["parts"]) == 13


@pytest.mark.feature("S1")
async def test_usage_shows_the_hours_and_weekdays_of_the_time_zone(
    api: httpx.AsyncClient, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    clock.at = datetime(2026, 1, 10, tzinfo=UTC)
    await _charge(calling, datetime(2026, 1, 5, 22, 30, tzinfo=UTC), minutes=120, energy_wh=8000)  # a Monday
    usage = await _get(api, f"{base}/usage", timezone="Europe/Oslo")
    busy = {one["hour"]: one["energy_wh"] for one in usage["hours"] if one["energy_wh"]}
    assert busy == {23: 2000, 0: 4000, 1: 2000}
    assert {one["weekday"]: one["charging_s"] for one in usage["weekdays"] if one["charging_s"]} == {1: 1800, 2: 5400}
    assert [one["charges"] for one in usage["weekdays"]] == [1, 0, 0, 0, 0, 0, 0]
    assert usage["weekdays"][1]["hours"][0]["energy_wh"] == 4000


@pytest.mark.parametrize(
    "params",
    [
        {"timezone": "Middle/Earth"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "Europe"},
        {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2099-01-01T00:00:00Z"},
    ],
)
async def test_statistics_refuse_what_they_cannot_reckon(
    api: httpx.AsyncClient, base: str, params: dict[str, str]
) -> None:
    for path in ("consumption", "usage"):
        answer = await api.get(f"{base}/{path}", params=params)
        assert answer.status_code == 422, answer.text


async def test_reading_needs_a_key_and_correcting_a_right(
    *, api_as: ApiAs, anonymous: httpx.AsyncClient, store: Store, calling: CallingStation, base: str, clock: FixedClock
) -> None:
    await _charge(calling, clock())
    async with store.reading() as work:
        log_id = (await work.session.exec(select(ChargeLog.id))).one()
    user = await api_as("user")
    for path in ("charge-logs", f"charge-logs/{log_id}", "charge-logs/summary", "consumption", "usage", "meter-values"):
        assert (await anonymous.get(f"{base}/{path}")).status_code == 401
        assert (await user.get(f"{base}/{path}")).status_code == 200
    body = {"reason": "because", "energy_wh": 1}
    assert (await user.patch(f"{base}/charge-logs/{log_id}", json=body)).status_code == 403
    superuser = await api_as("superuser")
    assert (await superuser.patch(f"{base}/charge-logs/{log_id}", json=body)).status_code == 200
