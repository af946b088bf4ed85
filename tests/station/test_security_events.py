"""B2, B10: what stations tell of their security is kept, counted where it is only repeated, and told further."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.versions import Version
from csms.outbox import Event
from csms.runtime import Runtime
from csms.station.security_events import SecurityEvent
from csms.station.security_events.rules import FLOOD, ROWS_PER_HOUR_MAX
from csms.store import Fact, Store
from tests.api_client import ApiAs
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = [
    pytest.mark.feature("B2", "B10"),
    pytest.mark.ocpp("1.6 SecurityEventNotification", "2.x SecurityEventNotification"),
]
AT = "2026-01-02T03:04:05Z"


async def listed(api: httpx.AsyncClient, calling: CallingStation, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/v1/stations/{calling.connected.identity}/security-events", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def facts(store: Store) -> list[dict[str, Any]]:
    async with store.reading() as work:
        return [one.data for one in await work.session.exec(select(Event).where(Event.kind == "security_event"))]


@pytest.fixture(params=list(Version))
async def calling(request: pytest.FixtureRequest, store: Store) -> CallingStation:
    return await connect(store, await make_station(store), request.param)


async def test_an_event_is_kept_and_shown_with_its_meaning(
    calling: CallingStation, api: httpx.AsyncClient, store: Store
) -> None:
    told = {"type": "TamperDetectionActivated", "timestamp": AT, "techInfo": "door 1"}
    assert await calling.call("SecurityEventNotification", **told) == {}
    (item,) = await listed(api, calling)
    assert item["station_id"] == calling.connected.identity
    assert (item["source"], item["type"], item["tech_info"]) == ("station", "TamperDetectionActivated", "door 1")
    assert (item["is_critical"], item["meaning"]) == (True, "the tamper sensor was triggered")
    assert item["happened_at"] == AT
    (fact,) = await facts(store)
    assert fact == {"event_id": item["id"], "type": "TamperDetectionActivated", "source": "station"}


async def test_an_event_that_is_not_critical_is_kept_and_told_to_nobody(
    calling: CallingStation, api: httpx.AsyncClient, store: Store
) -> None:
    await calling.call("SecurityEventNotification", type="InvalidMessages", timestamp=AT)
    await calling.call("SecurityEventNotification", type="com.example.door", timestamp=AT)
    assert [(one["is_critical"], one["meaning"] is None) for one in await listed(api, calling)] == [
        (False, True),
        (False, False),
    ]
    assert await facts(store) == []


async def test_repeats_are_counted_in_one_row(
    calling: CallingStation, api: httpx.AsyncClient, clock: FixedClock
) -> None:
    for second in (5, 5, 6, 7):  # the first comes twice: its answer was lost
        clock.advance(seconds=1)
        told = {"type": "InvalidMessages", "timestamp": f"2026-01-02T03:04:0{second}Z"}
        await calling.call("SecurityEventNotification", **told)
    (item,) = await listed(api, calling)
    assert item["repeat_count"] == 2
    assert item["last_seen_at"] > item["received_at"]


async def test_after_a_reconnect_and_a_pause(store: Store, api: httpx.AsyncClient, clock: FixedClock) -> None:
    station = await make_station(store)
    told = {"type": "MemoryExhaustion", "timestamp": AT}
    await (await connect(store, station)).call("SecurityEventNotification", **told)
    calling = await connect(store, station)
    await calling.call("SecurityEventNotification", **told)
    assert len(await listed(api, calling)) == 1, "the same message, sent again over a new connection"
    clock.advance(hours=2)
    await calling.call("SecurityEventNotification", **told)
    assert len(await listed(api, calling)) == 2


@pytest.mark.robustness(20)
async def test_a_flood_ends_in_one_row_that_counts(calling: CallingStation, api: httpx.AsyncClient) -> None:
    for number in range(ROWS_PER_HOUR_MAX + 7):
        await calling.call("SecurityEventNotification", type="InvalidMessages", timestamp=AT, techInfo=f"n {number}")
    items = await listed(api, calling, limit=500)
    assert len(items) == ROWS_PER_HOUR_MAX + 1
    (flood,) = [one for one in items if one["type"] == FLOOD]
    assert (flood["source"], flood["is_critical"], flood["repeat_count"]) == ("system", True, 6)


@pytest.mark.robustness(26, 34)
@pytest.mark.parametrize(
    "told",
    [
        {"type": "X" * 4000, "timestamp": "yesterday", "techInfo": "Y" * 4000},
        {"type": None, "timestamp": None},
        {"type": 7, "timestamp": [], "techInfo": {}},
        {},
        {"type": "Odd", "timestamp": "9999-12-31T23:59:59Z"},
    ],
    ids=["long", "null", "kinds", "empty", "far"],
)
async def test_odd_values_are_kept_within_limits(
    calling: CallingStation, api: httpx.AsyncClient, told: dict[str, Any]
) -> None:
    assert await calling.call("SecurityEventNotification", **told) == {}
    (item,) = await listed(api, calling)
    assert len(item["type"]) <= 50
    assert len(item["tech_info"] or "") <= 255


async def test_what_is_noticed_here_stands_in_the_same_list(
    runtime: Runtime, api: httpx.AsyncClient, store: Store, clock: FixedClock
) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    for _ in range(2):
        async with store.writing() as work:
            work.emit(
                Fact(
                    kind="security_event",
                    organisation_id=station.organisation_id,
                    station_id=station.id,
                    station=station.identity,
                    data={"type": "foreign_transaction", "action": "StopTransaction"},
                )
            )
        await runtime.outbox.deliver_due()
    await calling.call("SecurityEventNotification", type="TamperDetectionActivated", timestamp=AT)
    await runtime.outbox.deliver_due()
    told, noticed = await listed(api, calling)
    assert told["source"] == "station"
    assert (noticed["source"], noticed["type"], noticed["repeat_count"]) == ("system", "foreign_transaction", 1)
    assert noticed["details"] == {"action": "StopTransaction"}
    assert noticed["meaning"]


async def test_filters(store: Store, api: httpx.AsyncClient, clock: FixedClock) -> None:
    calling = await connect(store, await make_station(store))
    for kind in ("StartupOfTheDevice", "InvalidMessages", "SettingSystemTime"):
        await calling.call("SecurityEventNotification", type=kind, timestamp=AT)
        clock.advance(minutes=1)

    async def types(**query: Any) -> list[str]:
        return [one["type"] for one in await listed(api, calling, **query)]

    assert await types(is_critical=True) == ["SettingSystemTime", "StartupOfTheDevice"]
    assert await types(type=["InvalidMessages", "StartupOfTheDevice"]) == ["InvalidMessages", "StartupOfTheDevice"]
    assert await types(source="system") == []
    since = (clock() - timedelta(seconds=90)).isoformat()
    assert await types(**{"from": since}) == ["SettingSystemTime"]


async def test_the_list_of_all_stations_shows_only_ones_own(
    store: Store, api: httpx.AsyncClient, api_as: ApiAs
) -> None:
    other = await make_organisation(store, "Other")
    for organisation in (None, other):
        calling = await connect(store, await make_station(store, organisation))
        await calling.call("SecurityEventNotification", type="InvalidMessages", timestamp=AT)
    answer = (await api.get("/api/v1/security-events")).json()["items"]
    assert len(answer) == 1
    theirs = (await (await api_as("user", other)).get("/api/v1/security-events")).json()["items"]
    assert len(theirs) == 1
    assert theirs[0]["id"] != answer[0]["id"]


async def test_rows_belong_to_the_stations_organisation(store: Store) -> None:
    other = await make_organisation(store, "Other")
    calling = await connect(store, await make_station(store, other))
    await calling.call("SecurityEventNotification", type="InvalidMessages", timestamp=AT)
    async with store.reading() as work:
        (row,) = (await work.session.exec(select(SecurityEvent))).all()
    assert row.organisation_id == other.id
    assert row.happened_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_what_somebody_must_look_at_becomes_an_error(
    calling: CallingStation, api: httpx.AsyncClient, runtime: Runtime
) -> None:
    for kind in ("StartupOfTheDevice", "TamperDetectionActivated", "MemoryExhaustion"):
        await calling.call("SecurityEventNotification", type=kind, timestamp=AT, techInfo="door 1")
    await runtime.outbox.deliver_due()
    items = (await api.get(f"/api/v1/stations/{calling.connected.identity}/errors")).json()["items"]
    assert sorted((one["code"], one["severity"], one["source"], one["info"]) for one in items) == [
        ("MemoryExhaustion", "warning", "system", "door 1"),
        ("TamperDetectionActivated", "critical", "system", "door 1"),
    ]
    url = f"/api/v1/stations/{calling.connected.identity}/errors/{items[0]['id']}/resolve"
    assert (await api.post(url)).json()["resolution"] == "hand"
