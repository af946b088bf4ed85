"""P6: what grows without end is forgotten in time, and partitions are there before they are needed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, func, select

from csms.clock import FixedClock
from csms.features import offered
from csms.ids import id_at
from csms.outbox import Event
from csms.platform.retention import keep_house
from csms.runtime import Runtime
from csms.station.communication_logs import Frame, FrameOutcome
from csms.store.retention import Kept
from tests.builders import make_station

HIGH_VOLUME = {"frame", "meter_sample", "connection_history", "command", "data_transfer", "station_error", "delivery"}


def test_every_table_that_grows_with_traffic_has_its_time() -> None:
    kept: list[Kept] = list(offered("model", "KEPT"))
    assert not HIGH_VOLUME - {one.name for one in kept}


@pytest.mark.feature("P6")
async def test_a_round_forgets_what_is_older_than_its_setting(runtime: Runtime, clock: FixedClock) -> None:
    station = await make_station(runtime.store)
    clock.at = datetime.now(UTC)
    work = runtime.store.note()
    settings = runtime.settings
    for days in (settings.frames_kept_days + 1, settings.frames_kept_days - 1):
        work.insert(
            Frame,
            id=id_at(clock() - timedelta(days=days)),
            organisation_id=station.organisation_id,
            station_id=station.id,
            at=clock(),
            from_station=True,
            outcome=FrameOutcome.ANSWERED,
        )
    work.insert(
        Event,
        id=id_at(clock() - timedelta(days=settings.events_kept_days + 1)),
        organisation_id=station.organisation_id,
        kind="old",
        at=clock(),
        data={},
    )
    await runtime.store.commit_all([work])
    await keep_house(runtime)
    await keep_house(runtime)
    async with runtime.store.reading() as reading:
        assert (await reading.session.exec(select(func.count(col(Frame.id))))).one() == 1
        assert (await reading.session.exec(select(Event).where(Event.kind == "old"))).all() == []
