"""DESIGN 3 and 6: the store's promises, the same on SQLite and PostgreSQL."""

import asyncio
import traceback
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, func, select

from csms.clock import FixedClock
from csms.exceptions import Conflict
from csms.ids import id_at, new_id, time_of
from csms.outbox import Event
from csms.platform.access import ApiKey
from csms.platform.organisations import Organisation
from csms.rights import Caller, Role
from csms.station.communication_logs import Frame, FrameOutcome
from csms.station.information import Station
from csms.store import Fact, Store, Work, unscoped
from csms.store.retention import Kept, ensure_partitions, forget, months_from
from csms.store.writers import RowRefused
from tests.builders import make_organisation, make_station


def caller(organisation: Organisation) -> Caller:
    return Caller(organisation.id, "key", 1, "test", Role.ADMINISTRATOR)


async def identities(store: Store) -> list[str]:
    async with store.reading() as work:
        return sorted((await work.session.exec(select(Station.identity))).all())


def note_station(store: Store, organisation: Organisation, identity: str) -> Work:
    work = store.note()
    station = Station(identity=identity, organisation_id=organisation.id, created_at=work.now)
    work.insert(Station, **station.model_dump())
    return work


class TestGroupCommit:
    @pytest.mark.feature("B7", "P7")
    async def test_many_units_are_one_commit_and_all_types_come_back(self, store: Store) -> None:
        organisation = await make_organisation(store)
        works = [note_station(store, organisation, f"CS-{number}") for number in range(50)]
        done: list[str] = []
        works[0].after_commit(lambda: done.append("committed"))
        await store.commit_all(works)
        async with store.reading() as work:
            rows = (await work.session.exec(select(Station).order_by(col(Station.id)))).all()
        assert len(rows) == 50
        assert (rows[0].tags, rows[0].created_at, rows[0].is_online) == ([], store.clock(), False)
        assert done == ["committed"]

    async def test_changes_of_many_rows_are_merged_and_written(self, store: Store) -> None:
        stations = [await make_station(store) for _ in range(3)]
        work = store.note()
        for number, station in enumerate(stations):
            work.change(Station, station.id, vendor=f"V{number}")
            work.change(Station, station.id, last_seen_at=work.now, tags=["a", "b"])
        await store.commit_all([work])
        async with store.reading() as reading:
            rows = (await reading.session.exec(select(Station).order_by(col(Station.id)))).all()
        assert [(row.vendor, row.tags) for row in rows] == [(f"V{n}", ["a", "b"]) for n in range(3)]

    async def test_a_row_that_breaks_a_constraint_keeps_nothing_of_the_batch(self, store: Store) -> None:
        organisation = await make_organisation(store)
        good, bad = note_station(store, organisation, "CS-1"), note_station(store, organisation, "CS-1")
        done: list[str] = []
        good.after_commit(lambda: done.append("committed"))
        with pytest.raises(RowRefused):
            await store.commit_all([good, bad])
        assert await identities(store) == []
        assert done == []
        await store.commit_all([good])
        assert await identities(store) == ["CS-1"]

    async def test_a_commit_whose_confirmation_was_lost_is_recognised(self, store: Store) -> None:
        organisation = await make_organisation(store)
        work = note_station(store, organisation, "CS-1")
        assert not await store.is_kept([work])
        await store.commit_all([work])
        assert await store.is_kept([work])

    async def test_facts_are_stored_with_the_commit(self, store: Store) -> None:
        station = await make_station(store)
        work = store.note()
        fact = Fact(kind="something", organisation_id=station.organisation_id, station=station.identity)
        work.emit(fact)
        await store.commit_all([work])
        async with store.reading() as reading:
            events = (await reading.session.exec(select(Event))).all()
        assert [event.id for event in events] == [fact.id]

    async def test_a_commit_that_is_tried_again_stores_its_facts_once(self, store: Store) -> None:
        station = await make_station(store)
        work, other = store.note(), note_station(store, await make_organisation(store), station.identity)
        work.emit(Fact(kind="something", organisation_id=station.organisation_id, station=station.identity))
        with pytest.raises(RowRefused):
            await store.commit_all([work, other])
        await store.commit_all([work])
        async with store.reading() as reading:
            assert len((await reading.session.exec(select(Event))).all()) == 1

    async def test_a_long_raw_text_comes_back_unchanged(self, store: Store) -> None:
        station = await make_station(store)
        raw = '[2,"1","DataTransfer",{"vendorId":"ü \\"quoted\\"\\tend", "data":"' + "x" * 100_000 + '"}]'
        work = store.note()
        work.insert(
            Frame,
            organisation_id=station.organisation_id,
            station_id=station.id,
            at=work.now,
            from_station=True,
            request=raw,
            outcome=FrameOutcome.ANSWERED,
        )
        await store.commit_all([work])
        async with store.reading() as reading:
            assert (await reading.session.exec(select(Frame))).one().request == raw


class TestUnits:
    async def test_a_block_that_raises_keeps_nothing(self, store: Store) -> None:
        organisation = await make_organisation(store)
        with pytest.raises(RuntimeError):
            await self._write_and_fail(store, organisation)
        assert await identities(store) == []

    async def _write_and_fail(self, store: Store, organisation: Organisation) -> None:
        async with store.writing() as work:
            work.session.add(Station(identity="CS-1", organisation_id=organisation.id, created_at=work.now))
            await work.session.flush()
            raise RuntimeError("no")

    async def test_a_broken_constraint_is_a_conflict(self, store: Store) -> None:
        station = await make_station(store)
        with pytest.raises(Conflict):
            async with store.writing() as work:
                work.session.add(
                    Station(identity=station.identity, organisation_id=station.organisation_id, created_at=work.now)
                )

    @pytest.mark.parametrize(
        "values",
        [
            {"last_seen_at": datetime(2026, 1, 1)},  # noqa: DTZ001  # a time without zone is what is refused
            {"fence": 2**70},
            {"vendor": "with a NUL \0 inside"},
        ],
        ids=["naive time", "integer too large", "NUL"],
    )
    async def test_a_value_that_does_not_fit_costs_only_its_own_unit(
        self, store: Store, values: dict[str, object]
    ) -> None:
        station = await make_station(store)
        work = store.note()
        work.change(Station, station.id, **values)
        if store.is_sqlite and "vendor" in values:
            await store.commit_all([work])  # SQLite's text may hold NUL
            return
        with pytest.raises(RowRefused):
            await store.commit_all([work])


@pytest.mark.feature("P1")
@pytest.mark.robustness(42)
class TestScope:
    async def test_an_organisation_sees_only_its_own_rows(self, store: Store) -> None:
        mine, theirs = await make_organisation(store), await make_organisation(store, "Theirs")
        own, foreign = await make_station(store, mine), await make_station(store, theirs)
        async with store.reading(caller(mine)) as work:
            assert [row.id for row in await work.session.exec(select(Station))] == [own.id]
            assert (await work.session.exec(select(func.count(col(Station.id))))).one() == 1
            assert await work.session.get(Station, foreign.id) is None
            with unscoped(work.session):
                assert (await work.session.exec(select(func.count(col(Station.id))))).one() == 2
            assert (await work.session.exec(select(func.count(col(Station.id))))).one() == 1

    async def test_bulk_updates_do_not_reach_other_organisations(self, store: Store) -> None:
        mine, theirs = await make_organisation(store), await make_organisation(store, "Theirs")
        foreign = await make_station(store, theirs)
        async with store.writing(caller(mine)) as work:
            await work.session.exec(update(Station).values(name="taken"))
        async with store.reading() as reading:
            assert (await reading.session.get_one(Station, foreign.id)).name is None

    async def test_a_row_for_another_organisation_is_refused(self, store: Store) -> None:
        mine, theirs = await make_organisation(store), await make_organisation(store, "Theirs")
        async with store.writing(caller(mine)) as work:
            work.session.add(Station(identity="own", organisation_id=mine.id, created_at=work.now))
        with pytest.raises(PermissionError):
            async with store.writing(caller(mine)) as work:
                work.session.add(Station(identity="X", organisation_id=theirs.id, created_at=work.now))
        assert await identities(store) == ["own"]


class TestRetention:
    KEPT = Kept(Frame, "frames_kept_days")

    async def test_old_rows_go_and_new_ones_stay(self, store: Store, clock: FixedClock) -> None:
        station = await make_station(store)
        now = datetime.now(UTC)
        clock.at = now
        await ensure_partitions(store, self.KEPT)
        work = store.note()
        for days in (400, 200, 1, 0):
            work.insert(
                Frame,
                id=id_at(now - timedelta(days=days)),
                organisation_id=station.organisation_id,
                station_id=station.id,
                at=now,
                from_station=True,
                outcome=FrameOutcome.ANSWERED,
            )
        await store.commit_all([work])
        assert await forget(store, self.KEPT, now - timedelta(days=90)) == 2
        assert await forget(store, self.KEPT, now - timedelta(days=90)) == 0
        async with store.reading() as reading:
            assert (await reading.session.exec(select(func.count(col(Frame.id))))).one() == 2

    async def test_partitions_are_made_ahead_and_dropped_whole(self, store: Store, clock: FixedClock) -> None:
        made = await ensure_partitions(store, self.KEPT)
        assert await ensure_partitions(store, self.KEPT) == []
        if store.is_sqlite:
            assert made == []
            return
        assert made == ["frame_202601", "frame_202602", "frame_202603"]
        assert await forget(store, self.KEPT, clock() + timedelta(days=45)) == 1
        async with store.engine.connect() as connection:
            query = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'frame'::regclass")
            assert (await connection.execute(query)).scalar() == 3  # two months and the default

    def test_months_over_the_end_of_a_year(self) -> None:
        months = months_from(datetime(2026, 11, 21, 5, tzinfo=UTC), 3)
        assert [(month.year, month.month, month.day) for month in months] == [
            (2026, 11, 1),
            (2026, 12, 1),
            (2027, 1, 1),
        ]


class TestIds:
    def test_ids_grow_and_tell_their_time(self) -> None:
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        ids = [new_id() for _ in range(10_000)]
        assert ids == sorted(set(ids))
        assert time_of(ids[0]) >= before
        assert id_at(before) <= ids[0]


@pytest.mark.robustness(32)
async def test_a_unit_that_is_cancelled_again_and_again_keeps_no_lock(store: Store) -> None:
    organisation = await make_organisation(store)
    entered = asyncio.Event()

    async def give_up_in_the_middle() -> None:
        async with store.writing() as work:
            work.session.add(Station(identity="lost", organisation_id=organisation.id, created_at=work.now))
            await work.session.flush()
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(give_up_in_the_middle())
    await entered.wait()
    while not task.done():  # as a server does whose client has gone: at each await once more
        task.cancel()
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await make_station(store, organisation, identity="kept")
    assert await identities(store) == ["kept"]


@pytest.mark.feature("P6")
@pytest.mark.robustness(48)
async def test_an_error_of_the_database_tells_nothing_of_what_it_was_about(store: Store) -> None:
    """It goes into the log as it is: with hashes of keys, id tags, whole frames."""
    async with store.writing() as work:
        await work.session.exec(text("DROP TABLE api_key"))  # type: ignore[call-overload]  # SQLModel types only selects
    secret = uuid4().hex
    with pytest.raises(DBAPIError) as failed:
        async with store.reading() as work:
            await work.session.exec(select(ApiKey).where(ApiKey.secret_hash == secret))
    assert "api_key" in str(failed.value)
    assert secret not in "".join(traceback.format_exception(failed.value))
