"""S3: charge points appear when first seen, say their state, and are described by the operator."""

from typing import Any

import pytest
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import Conflict, Invalid, NotFound
from csms.ocpp.errors import OcppError
from csms.ocpp.versions import VERSIONS_2, Version
from csms.outbox import Event
from csms.station.charge_points import (
    ChargePoint,
    ChargePoints,
    ChargePointStatus,
    Connector,
    charge_point_id,
    charge_points_of,
    check_station,
    connectors_of,
    get_charge_point,
    set_charging,
    set_connector_status,
    set_status,
)
from csms.station.charge_points.rules import PlugType, charging_status, evse_status, read_evse_id, status_of
from csms.station.charge_points.service import (
    CHARGE_POINTS_MAX,
    add_charge_point,
    remove_charge_point,
    replace_connectors,
    set_evse_id,
)
from csms.station.information import Station, StationStatus
from csms.store import Store
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = pytest.mark.feature("S3")


async def say(calling: CallingStation, number: int, word: str) -> int | None:
    """The station says the state of one of its charge points, and the broker commits."""
    work = calling.store.note()
    found = await set_status(work, calling.connected, number, word, work.now)
    await calling.store.commit_all([work])
    return found


async def stored(store: Store, station: Station) -> list[ChargePoint]:
    async with store.reading() as work:
        return list(await charge_points_of(work, station))


async def kinds(store: Store) -> list[str]:
    async with store.reading() as work:
        return [event.kind for event in await work.session.exec(select(Event).order_by("id"))]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Available", "available"),
        ("SuspendedEVSE", "suspended_evse"),
        ("SuspendedEV", "suspended_ev"),
        ("Finishing", "finishing"),
        ("Occupied", "occupied"),
        ("faulted", "faulted"),
        ("Suspended_EV", "suspended_ev"),
        ("Exploded", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_words_of_every_version_have_one_status(word: str, status: str) -> None:
    assert status_of(word) == status


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("DE*AB7*E840*6487", "DEAB7E8406487"),
        ("DEAB7E8406487", "DEAB7E8406487"),
        (" de*ab7*e840*6487 ", "DEAB7E8406487"),
        ("+49*810*000*438", "49810000438"),
        ("49*810*000*438", "49810000438"),
        ("DE*AB7*P840", None),
        ("DE*AB7*E***", None),
        ("49*810**", None),
        ("D*AB7*E1", None),
        ("DE*AB7*E" + "1" * 31, None),
        ("DE*AB7*E1\n", "DEAB7E1"),
        ("\u017fE*AB7*E1", None),
        ("", None),
    ],
)
def test_evse_ids_of_both_forms_are_read_and_compared_without_stars(text: str, key: str | None) -> None:
    found = read_evse_id(text)
    assert (found and found.key) == key


async def test_a_charge_point_never_announced_is_made_when_first_seen(store: Store, clock: FixedClock) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    found = await say(calling, 2, "Charging")
    [one] = await stored(store, station)
    assert (one.id, one.number, one.status, one.status_word) == (found, 2, ChargePointStatus.CHARGING, "Charging")
    assert one.status_at == clock()
    assert one.organisation_id == station.organisation_id
    assert one.is_announced
    assert calling.connected.recall(ChargePoints).by_number[2].id == one.id


async def test_a_repeated_state_changes_and_tells_nothing(store: Store, clock: FixedClock) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    await say(calling, 1, "Available")
    since = clock()
    clock.advance(minutes=5)
    await say(calling, 1, "Available")
    [one] = await stored(store, station)
    assert one.status_at == since
    assert await kinds(store) == ["charge_point_status"]
    await say(calling, 1, "Preparing")
    assert await kinds(store) == ["charge_point_status"] * 2


async def test_a_word_of_no_standard_is_kept_as_unknown(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    await say(calling, 1, "Exploded" * 20)
    [one] = await stored(store, station)
    assert one.status is ChargePointStatus.UNKNOWN
    assert one.status_word is not None
    assert one.status_word.startswith("Exploded")
    assert len(one.status_word) == 40


async def test_number_zero_is_the_station_itself(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    assert await say(calling, 0, "Faulted") is None
    assert await say(calling, 0, "Faulted") is None
    assert await stored(store, station) == []
    async with store.reading() as work:
        kept = await work.session.get(Station, station.id)
    assert kept is not None
    assert kept.status is StationStatus.FAULTED
    assert await kinds(store) == ["station_status"]
    await say(calling, 0, "Charging")
    assert calling.connected.recall(ChargePoints).station_status is StationStatus.AVAILABLE


@pytest.mark.parametrize("number", [-1, CHARGE_POINTS_MAX + 1, 2**40])
async def test_a_number_that_cannot_be_is_refused(store: Store, number: int) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    with pytest.raises(OcppError):
        await say(calling, number, "Available")
    assert await stored(store, station) == []


async def test_a_unit_that_fails_leaves_no_trace_in_memory(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    work = store.note()
    await set_status(work, calling.connected, 1, "Available", work.now)
    await work.close()
    assert calling.connected.recall(ChargePoints).by_number == {}


async def test_two_handlers_of_one_unit_get_the_same_new_charge_point(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    work = store.note()
    first = await charge_point_id(work, calling.connected, 3)
    second = await set_status(work, calling.connected, 3, "Charging", work.now)
    third = await charge_point_id(work, calling.connected, 3)
    await store.commit_all([work])
    assert first == second == third
    [one] = await stored(store, station)
    assert (one.id, one.status) == (first, ChargePointStatus.CHARGING)
    assert calling.connected.recall(ChargePoints).by_number[3].status is ChargePointStatus.CHARGING


async def test_memory_is_loaded_for_many_stations_at_once(store: Store) -> None:
    stations = [await make_station(store) for _ in range(3)]
    for station in stations:
        calling = await connect(store, station)
        await say(calling, 1, "Charging")
        await say(calling, 0, "Unavailable")
    again = await connect(store, stations[1])
    memory = again.connected.recall(ChargePoints)
    assert [known.status for known in memory.by_number.values()] == [ChargePointStatus.CHARGING]
    assert memory.station_status is StationStatus.UNAVAILABLE


async def test_a_charge_point_added_by_hand_is_used_when_the_station_mentions_it(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    async with store.writing() as work:
        added = await add_charge_point(work, station, 1)
    assert await say(calling, 1, "Available") == added.id
    [one] = await stored(store, station)
    assert one.is_announced
    assert one.status is ChargePointStatus.AVAILABLE


async def test_change_availability_is_kept_when_the_station_agrees(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    await say(calling, 1, "Available")
    await say(calling, 2, "Available")
    await calling.answered("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}, {"status": "Scheduled"})
    await calling.answered("ChangeAvailability", {"connectorId": 2, "type": "Inoperative"}, {"status": "Rejected"})
    assert [one.is_operative for one in await stored(store, station)] == [False, True]
    await calling.answered("ChangeAvailability", {"connectorId": 0, "type": "Operative"}, {"status": "Accepted"})
    assert [one.is_operative for one in await stored(store, station)] == [True, True]
    await calling.answered("ChangeAvailability", {"connectorId": 9, "type": "Operative"}, {"status": "Accepted"})
    assert len(await stored(store, station)) == 2


async def test_only_a_charge_point_without_history_is_deleted(store: Store) -> None:
    station = await make_station(store)
    calling = await connect(store, station)
    await say(calling, 1, "Available")
    async with store.writing() as work:
        await add_charge_point(work, station, 2)
        with pytest.raises(Conflict):
            await add_charge_point(work, station, 2)
        with pytest.raises(Conflict):
            await remove_charge_point(work, await get_charge_point(work, station, 1))
        await remove_charge_point(work, await get_charge_point(work, station, 2))
    async with store.reading() as work:
        with pytest.raises(NotFound):
            await get_charge_point(work, station, 2)


async def test_an_evse_id_is_unique_over_the_installation_however_it_is_spelt(store: Store) -> None:
    mine = await make_station(store)
    theirs = await make_station(store, await make_organisation(store, "Others"))
    async with store.writing() as work:
        await set_evse_id(work, await add_charge_point(work, mine, 1), "de*ab7*e1")
        other = await add_charge_point(work, theirs, 1)
        with pytest.raises(Conflict):
            await set_evse_id(work, other, "DEAB7E1")
        with pytest.raises(Invalid):
            await set_evse_id(work, other, "socket 1")
        await set_evse_id(work, await get_charge_point(work, mine, 1), None)
        await set_evse_id(work, other, "DEAB7E1")
    [kept] = await stored(store, theirs)
    assert kept.evse_id == "DEAB7E1"


async def test_the_check_says_what_is_missing_and_what_to_do(store: Store) -> None:
    station = await make_station(store)
    async with store.writing() as work:
        await add_charge_point(work, station, 1)
        problems = await check_station(work, station)
    places = {problem.place for problem in problems if problem.severity == "error"}
    assert places == {"coordinates", "charge_points/1/evse_id", "charge_points/1/connectors"}
    assert all(problem.todo for problem in problems)


async def test_a_well_described_station_passes_the_check(store: Store) -> None:
    place = {"latitude": 48.1, "longitude": 11.5, "address": "Hof 1", "city": "München", "country": "DE"}
    station = await make_station(store, name="Hof", **place)
    calling = await connect(store, station)
    await say(calling, 1, "Available")
    async with store.writing() as work:
        one = await get_charge_point(work, station, 1)
        one.label = "1"
        await set_evse_id(work, one, "DE*AB7*E1")
        plug = Connector(
            organisation_id=station.organisation_id,
            station_id=station.id,
            charge_point_id=one.id,
            number=1,
            plug_type=PlugType.IEC_62196_T2,
            format="socket",
            max_power_w=22_000,
            phases=3,
        )
        await replace_connectors(work, one, [plug])
    async with store.reading() as work:
        assert [c.number for c in (await connectors_of(work, station))[one.id]] == [1]
        assert await check_station(work, station) == []


class TestConnectorStates:
    """2.x: connectors have states; the charge point's follows from them and from its transaction."""

    @pytest.mark.parametrize(
        ("connectors", "charging", "status"),
        [
            ([], None, "unknown"),
            (["available", "unavailable"], None, "available"),
            (["available", "occupied"], None, "occupied"),
            (["reserved", "faulted"], None, "reserved"),
            (["available", "reserved"], None, "available"),
            (["faulted", "unavailable"], None, "faulted"),
            (["unavailable"], None, "unavailable"),
            ([], "charging", "charging"),
            (["occupied", "unavailable"], "suspended_ev", "suspended_ev"),
            (["faulted"], "charging", "faulted"),
        ],
    )
    def test_of_the_whole(self, connectors: list[str], charging: str | None, status: str) -> None:
        told = [ChargePointStatus(one) for one in connectors]
        assert evse_status(told, ChargePointStatus(charging) if charging else None) == status

    @pytest.mark.parametrize(
        ("word", "before", "after"),
        [
            ("EVConnected", None, "preparing"),
            ("Idle", "preparing", "preparing"),
            ("Charging", "preparing", "charging"),
            ("SuspendedEV", "charging", "suspended_ev"),
            ("SuspendedEVSE", "charging", "suspended_evse"),
            ("EVConnected", "suspended_ev", "finishing"),
            ("Idle", "finishing", "finishing"),
            ("Odd", "charging", "charging"),
        ],
    )
    def test_of_the_transaction(self, word: str, before: str | None, after: str) -> None:
        assert charging_status(word, ChargePointStatus(before) if before else None) == after

    @pytest.mark.parametrize("version", VERSIONS_2)
    async def test_a_transaction_is_remembered_over_a_reconnect(self, store: Store, version: Version) -> None:
        station = await make_station(store)
        for word, connector in (("Charging", "Occupied"), ("SuspendedEV", "Occupied"), (None, "Occupied")):
            calling = await connect(store, station, version)
            work = store.note()
            await set_charging(work, calling.connected, 1, word, work.now)
            await store.commit_all([work])
            work = store.note()
            await set_connector_status(work, calling.connected, 1, 1, connector, work.now)
            await store.commit_all([work])
        (point,) = await stored(store, station)
        assert (point.status, point.status_word, point.charging_status) == ("occupied", "Occupied", None)
        async with store.reading() as work:
            events = (await work.session.exec(select(Event).where(Event.kind == "charge_point_status"))).all()
        assert [event.data["status"] for event in events] == ["charging", "suspended_ev", "occupied"]

    async def test_a_description_does_not_wipe_what_the_station_said(self, store: Store) -> None:
        station = await make_station(store)
        calling = await connect(store, station, Version.V201)
        for connector in (1, 2):
            work = store.note()
            await set_connector_status(work, calling.connected, 1, connector, "Available", work.now)
            await store.commit_all([work])
        async with store.writing() as work:
            point = await get_charge_point(work, station, 1)
            owner = {"organisation_id": station.organisation_id, "station_id": station.id, "charge_point_id": point.id}
            plug = Connector(**owner, number=1, plug_type=PlugType.CHADEMO)
            await replace_connectors(work, point, [plug, Connector(**owner, number=3)])
        async with store.writing() as work:
            point = await get_charge_point(work, station, 1)
            await replace_connectors(work, point, [Connector(**owner, number=1, plug_type=PlugType.SAE_J3400)])
            found = (await connectors_of(work, station))[point.id]
        shown = [(one.number, one.plug_type, one.status) for one in found]
        assert shown == [(1, "sae_j3400", "available"), (2, None, "available")]

    @pytest.mark.parametrize(("evse", "connector"), [(-1, 1), (CHARGE_POINTS_MAX + 1, 1), (1, 17), (1, -1)])
    async def test_impossible_numbers_are_refused(self, store: Store, evse: int, connector: int) -> None:
        calling = await connect(store, await make_station(store), Version.V201)
        with pytest.raises(OcppError):
            await set_connector_status(store.note(), calling.connected, evse, connector, "Available", store.clock())

    @pytest.mark.ocpp("2.x ChangeAvailability")
    @pytest.mark.parametrize("version", VERSIONS_2)
    async def test_availability_as_agreed(self, store: Store, version: Version) -> None:
        station = await make_station(store)
        calling = await connect(store, station, version)
        for number in (1, 2):
            work = store.note()
            await set_connector_status(work, calling.connected, number, 1, "Available", work.now)
            await store.commit_all([work])
        wish = {"operationalStatus": "Inoperative", "evse": {"id": 2, "connectorId": 1}}
        await calling.answered("ChangeAvailability", wish, {"status": "Scheduled"})
        assert [one.is_operative for one in await stored(store, station)] == [True, False]
        await calling.answered("ChangeAvailability", {"operationalStatus": "Inoperative"}, {"status": "Rejected"})
        assert [one.is_operative for one in await stored(store, station)] == [True, False]
        await calling.answered("ChangeAvailability", {"operationalStatus": "Inoperative"}, {"status": "Accepted"})
        assert [one.is_operative for one in await stored(store, station)] == [False, False]

    @pytest.mark.ocpp("2.x ChangeAvailability")
    @pytest.mark.parametrize("version", VERSIONS_2)
    @pytest.mark.parametrize(
        ("evse", "operative"),
        [
            pytest.param({"evse": {"id": 1}}, [False, True], marks=pytest.mark.octt("TC_G_11_CSMS")),
            pytest.param({}, [False, False], marks=pytest.mark.octt("TC_G_14_CSMS")),
            pytest.param({"evse": {"id": 2, "connectorId": 1}}, [True, False], marks=pytest.mark.octt("TC_G_17_CSMS")),
        ],
        ids=["charge point", "station", "connector"],
    )
    async def test_what_waits_for_the_end_of_a_charge_is_agreed_to(
        self, store: Store, version: Version, evse: dict[str, Any], operative: list[bool]
    ) -> None:
        station = await make_station(store)
        calling = await connect(store, station, version)
        status = {"timestamp": "2026-01-01T00:00:00Z", "connectorId": 1}
        for number in (1, 2):
            await calling.call("StatusNotification", connectorStatus="Occupied", evseId=number, **status)
        wish = {"operationalStatus": "Inoperative", **evse}
        await calling.answered("ChangeAvailability", wish, {"status": "Scheduled"})
        assert [one.is_operative for one in await stored(store, station)] == operative
        assert [one.status for one in await stored(store, station)] == ["occupied", "occupied"]
        for number in (1, 2):
            await calling.call("StatusNotification", connectorStatus="Unavailable", evseId=number, **status)
        assert [one.status for one in await stored(store, station)] == ["unavailable", "unavailable"]

    @pytest.mark.parametrize("version", VERSIONS_2)
    async def test_the_station_works_as_long_as_one_charge_point_does(self, store: Store, version: Version) -> None:
        station = await make_station(store)
        calling = await connect(store, station, version)
        told = []
        for number, word in ((1, "Available"), (2, "Faulted"), (1, "Unavailable"), (2, "Unavailable"), (1, "Occupied")):
            work = store.note()
            await set_connector_status(work, calling.connected, number, 1, word, work.now)
            await store.commit_all([work])
            async with store.reading() as reading:
                told.append((await reading.session.get_one(Station, station.id)).status)
        assert told == ["available", "available", "faulted", "unavailable", "available"]
