"""P6: the migrations make exactly the tables that the code has, on both databases."""

import pytest
from sqlalchemy import text

from csms.store import Store
from csms.store.migrate import differences, upgrade


@pytest.mark.feature("P6")
async def test_tables_and_migrations_agree(store: Store) -> None:
    """If this fails after a change of a table: `make migration name="what changed"`."""
    assert await differences(store.engine) == []


@pytest.mark.feature("P6")
async def test_an_upgrade_of_an_up_to_date_database_does_nothing(store: Store) -> None:
    await upgrade(store.engine)
    await upgrade(store.engine)
    assert await differences(store.engine) == []


@pytest.mark.feature("P6")
async def test_a_database_of_a_newer_version_is_refused_with_what_to_do(store: Store) -> None:
    async with store.writing() as work:
        await (await work.session.connection()).execute(text("UPDATE alembic_version SET version_num = 'of_next_year'"))
    with pytest.raises(SystemExit, match=r"of_next_year.*Start that one, or restore a backup"):
        await upgrade(store.engine)
