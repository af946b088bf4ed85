"""How SQLite finds the rows of one station: by the station's index, never through all rows of its organisation."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlmodel import SQLModel

from csms.store import Store
from tests.builders import make_station
from tests.datasheet_api.walk import steps


@pytest.fixture
def database_kind() -> str:
    """PostgreSQL counts what is in its tables before it chooses; SQLite goes by the indexes that there are."""
    return "sqlite"


def _goes_by_organisation(step: str) -> bool:
    """`SEARCH setting USING INDEX … (organisation_id=?)`, for a table whose rows are a station's."""
    table = step.removeprefix("SEARCH ").partition(" ")[0]
    return "(organisation_id=?)" in step and "station_id" in SQLModel.metadata.tables[table].columns


async def test_a_stations_rows_are_not_looked_for_among_those_of_its_organisation(
    app: FastAPI, api: httpx.AsyncClient, store: Store
) -> None:
    """Every reading route of a station, and the fleet's list with its filters by what stations have."""
    station = await make_station(store)
    read = [one for one in steps(app) if one.method == "get" and "{station_id}" in one.path]
    urls = [one.url(station_id=station.identity) for one in read]
    urls += [f"/api/v1/stations?{query}" for query in ("", "has_open_errors=true", "status=charging")]
    urls.append("/api/v1/fleet/overview")
    statements: dict[str, tuple[object, str]] = {}

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.setdefault(statement, (parameters, url))

    event.listen(store.engine.sync_engine, "after_cursor_execute", note)
    for url in urls:
        await api.get(url)
    event.remove(store.engine.sync_engine, "after_cursor_execute", note)
    assert len(statements) > len(read) / 2
    wrong = {}
    async with store.engine.connect() as connection:
        for statement, (parameters, url) in statements.items():
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps_taken = [row[-1] for row in plan]
            if any(_goes_by_organisation(one) for one in steps_taken):
                wrong[url] = steps_taken
    assert wrong == {}
