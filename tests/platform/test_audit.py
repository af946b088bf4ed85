"""P3: every write over the API leaves a row; the log can only grow; a change in the database is found."""

import asyncio

import httpx
import pytest
from sqlalchemy import text, update
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.exceptions import Conflict
from csms.platform.audit import AuditLog, verify_all, verify_chain
from csms.rights import SYSTEM, Area, Caller, Level, Role
from csms.station.information import Station
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation, make_station

PASSWORD = "granite otter plays cello"


@pytest.fixture
async def somebody(api: httpx.AsyncClient, store: Store) -> Caller:
    """A person, as the API would hand it to a unit of work."""
    organisation = await make_organisation(store)
    rights = dict.fromkeys(Area, Level.WRITE)
    return Caller(organisation.id, "user", 7, "kari@example.com", Role.ADMINISTRATOR, rights, "192.0.2.7")


async def rows_of(store: Store, organisation_id: int | None) -> list[AuditLog]:
    async with store.reading() as work:
        query = select(AuditLog).where(AuditLog.organisation_id == organisation_id).order_by(col(AuditLog.number))
        return list((await work.session.exec(query)).all())


@pytest.mark.feature("P3")
async def test_log_says_when_what_who_and_from_where(api: httpx.AsyncClient, clock: FixedClock) -> None:
    made = await api.post("/api/v1/keys", json={"name": "export", "role": "user"})
    [row] = (await api.get("/api/v1/audit-log")).json()["items"]
    assert row["at"] == clock().isoformat().replace("+00:00", "Z")
    assert row["action"] == "POST /api/v1/keys"
    assert (row["operation"], row["object_table"], row["object_id"]) == ("created", "api_key", made.json()["id"])
    assert (row["actor_kind"], row["remote_address"]) == ("key", "127.0.0.1")
    assert row["actor_name"].startswith("test key")
    assert row["changes"]["name"] == [None, "export"]


@pytest.mark.feature("P3")
@pytest.mark.robustness(48)
async def test_secrets_are_left_out(api: httpx.AsyncClient, store: Store) -> None:
    key = (await api.post("/api/v1/keys", json={"name": "export", "role": "user"})).json()["key"]
    user = {"email": "kari@example.com", "name": "Kari", "role": "user", "password": PASSWORD}
    made = (await api.post("/api/v1/users", json=user)).json()
    await api.put(f"/api/v1/users/{made['id']}/password", json={"password": "another long pass phrase"})
    told = (await api.get("/api/v1/audit-log")).text
    assert "(hidden)" in told
    for secret in (key, key.split("_", 2)[2], PASSWORD, "another long", "$argon2"):
        assert secret not in told


async def test_change_has_before_and_after(store: Store, somebody: Caller) -> None:
    station = await make_station(store, name="Old")
    async with store.writing(somebody) as work:
        found = (await work.session.exec(select(Station).where(Station.id == station.id))).one()
        found.name = "New"
    [row] = await rows_of(store, somebody.organisation_id)
    assert (row.operation, row.object_id, row.changes) == ("changed", station.id, '{"name":["Old","New"]}')


async def test_changes_flushed_early_are_seen(store: Store, somebody: Caller) -> None:
    station = await make_station(store, name="Old")
    async with store.writing(somebody) as work:
        found = (await work.session.exec(select(Station).where(Station.id == station.id))).one()
        found.name = "New"
        await work.session.flush()
        await work.session.delete(found)
    operations = [row.operation for row in await rows_of(store, somebody.organisation_id)]
    assert operations == ["changed", "deleted"]


async def test_bulk_update_leaves_a_row_for_each_object(store: Store, somebody: Caller) -> None:
    first, second = await make_station(store, name="One"), await make_station(store, name="Two")
    async with store.writing(somebody) as work:
        await work.session.exec(update(Station).where(col(Station.id).in_([first.id, second.id])).values(name="Same"))
    rows = await rows_of(store, somebody.organisation_id)
    assert {row.object_id: row.changes for row in rows} == {
        first.id: '{"name":["One","Same"]}',
        second.id: '{"name":["Two","Same"]}',
    }


async def test_noted_rows_and_changes_are_seen(store: Store, somebody: Caller) -> None:
    station = await make_station(store, name="Old")
    async with store.writing(somebody) as work:
        work.change(Station, station.id, name="New")
    [row] = await rows_of(store, somebody.organisation_id)
    assert (row.object_table, row.changes) == ("station", '{"name":["Old","New"]}')


async def test_what_the_system_does_is_not_in_the_log(store: Store, somebody: Caller) -> None:
    async with store.writing(SYSTEM) as work:
        work.session.add(Station(identity="S", organisation_id=somebody.organisation_id, created_at=work.now))
    assert await rows_of(store, somebody.organisation_id) == []


async def test_a_unit_that_fails_leaves_no_row(store: Store, somebody: Caller) -> None:
    station = await make_station(store, name="Old")

    async def fail() -> None:
        async with store.writing(somebody) as work:
            work.change(Station, station.id, name="New")
            raise RuntimeError("after the change")

    with pytest.raises(RuntimeError, match="after the change"):
        await fail()
    assert await rows_of(store, somebody.organisation_id) == []


async def test_writers_at_the_same_time_make_one_chain(store: Store, somebody: Caller) -> None:
    stations = [await make_station(store, name="Old") for _ in range(8)]

    async def rename(station: Station) -> None:
        async with store.writing(somebody) as work:
            found = (await work.session.exec(select(Station).where(Station.id == station.id))).one()
            found.name = "New"

    await asyncio.gather(*(rename(station) for station in stations))
    rows = await rows_of(store, somebody.organisation_id)
    assert [row.number for row in rows] == list(range(1, 9))
    async with store.reading() as work:
        assert (await verify_chain(work, rows[0].organisation_id)).is_sound


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor_name = 'nobody'", "DELETE FROM audit_log"])
async def test_database_refuses_to_change_the_log(api: httpx.AsyncClient, store: Store, statement: str) -> None:
    await api.post("/api/v1/keys", json={"name": "export"})
    with pytest.raises(Conflict, match="the audit log can only grow"):
        async with store.writing() as work:
            await (await work.session.connection()).execute(text(statement))


UNLOCK = {
    "sqlite": ["DROP TRIGGER audit_log_no_update", "DROP TRIGGER audit_log_no_delete"],
    "postgresql": ["DROP TRIGGER audit_log_append_only ON audit_log"],
}


@pytest.mark.feature("P3")
@pytest.mark.robustness(45)
@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit_log SET actor_name = 'nobody' WHERE number = 2", "row 2 was changed"),
        ("UPDATE audit_log SET changes = '{}' WHERE number = 2", "row 2 was changed"),
        ("DELETE FROM audit_log WHERE number = 2", "row 2 is missing"),
        ("DELETE FROM audit_log WHERE number = 3", "should end with row 3"),
        ("UPDATE audit_log SET hash = '00' WHERE number = 1", "row 1 was changed"),
        ("DELETE FROM audit_head", "not recorded"),
    ],
)
async def test_check_finds_a_row_changed_in_the_database(
    api: httpx.AsyncClient, store: Store, database_kind: str, statement: str, fault: str
) -> None:
    for name in ("one", "two", "three"):
        assert (await api.post("/api/v1/keys", json={"name": name})).status_code == 201
    assert (await api.get("/api/v1/audit-log/check")).json()["is_sound"] is True
    async with store.writing() as work:
        connection = await work.session.connection()
        for one in [*UNLOCK[database_kind], statement]:
            await connection.execute(text(one))
    check = (await api.get("/api/v1/audit-log/check")).json()
    assert check["is_sound"] is False
    assert fault in check["fault"]
    async with store.reading() as work:
        assert [fault in sentence for sentence in await verify_all(work)] == [True]


async def test_only_those_who_control_access_read_it_and_only_their_own(
    api: httpx.AsyncClient, api_as: ApiAs, store: Store
) -> None:
    await api.post("/api/v1/keys", json={"name": "export"})
    other = await api_as("administrator", await make_organisation(store, "Other"))
    assert (await other.get("/api/v1/audit-log")).json()["items"] == []
    assert (await (await api_as("superuser")).get("/api/v1/audit-log")).status_code == 403


async def test_log_can_be_filtered(api: httpx.AsyncClient) -> None:
    made = [(await api.post("/api/v1/keys", json={"name": name})).json() for name in ("one", "two")]
    await api.delete(f"/api/v1/keys/{made[0]['id']}")
    for query, count in [
        ({"object_table": "api_key", "object_id": made[0]["id"]}, 2),
        ({"operation": "changed"}, 1),
        ({"actor": "nobody"}, 0),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, 3),
        ({"to": "2025-01-01T00:00:00Z"}, 0),
    ]:
        answer = await api.get("/api/v1/audit-log", params=query)
        assert len(answer.json()["items"]) == count, (query, answer.text)
