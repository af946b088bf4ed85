"""B7: whole histories, told with repeats, delays and reconnects, leave the same totals as told once and in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from csms.clock import FixedClock
from csms.ocpp.timestamps import write
from csms.station.charge_logs import ChargeLog, ChargeState, MeterSample, UnmatchedStop
from csms.store import Store
from tests.builders import CallingStation, connect, make_station


@dataclass(frozen=True)
class Told:
    """One message of a charge, and how it is disturbed on its way."""

    charge: int
    action: str
    at: datetime
    payload: dict[str, Any]
    delay: int
    """How many later messages overtake it."""
    repeats: int


@dataclass(frozen=True)
class Charge:
    connector: int
    steps_wh: list[int]
    delays: list[int]
    repeats: list[int]


charges = st.lists(
    st.builds(
        Charge,
        connector=st.integers(1, 2),
        steps_wh=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
        delays=st.lists(st.integers(0, 4), min_size=6, max_size=6),
        repeats=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def _history(plan: Sequence[Charge], begin: datetime) -> list[Told]:
    """The messages in the order in which the station wrote them; charges follow each other, a register each."""
    told: list[Told] = []
    meters = {1: 1000, 2: 50_000}
    at = begin
    for index, charge in enumerate(plan):
        meter = meters[charge.connector]
        start = {"connectorId": charge.connector, "idTag": "TAG", "meterStart": meter}
        told.append(Told(index, "StartTransaction", at, start, 0, charge.repeats[0]))
        for step, gained_wh in enumerate(charge.steps_wh, start=1):
            at += timedelta(minutes=1)
            meter += gained_wh
            told.append(
                Told(index, "MeterValues", at, {"value": str(meter)}, charge.delays[step], charge.repeats[step])
            )
        at += timedelta(minutes=1)
        told.append(Told(index, "StopTransaction", at, {"meterStop": meter}, charge.delays[5], charge.repeats[5]))
        at += timedelta(minutes=1)
        meters[charge.connector] = meter
    return told


def _disturbed(told: Sequence[Told]) -> list[Told]:
    """Later ones overtake the delayed, and every repeat comes a little after the one before."""
    arrivals = [
        (place + one.delay + 3 * repeat + 0.5 * (one.delay + repeat > 0), place, one)
        for place, one in enumerate(told)
        for repeat in range(one.repeats + 1)
    ]
    return [one for _, _, one in sorted(arrivals, key=lambda arrival: arrival[:2])]


async def _tell(calling: CallingStation, one: Told, plan: Sequence[Charge], ids: dict[int, int]) -> Any:
    stamp = write(one.at)
    if one.action == "StartTransaction":
        return await calling.call("StartTransaction", **one.payload, timestamp=stamp)
    if one.action == "StopTransaction":
        return await calling.call(
            "StopTransaction", transactionId=ids[one.charge], timestamp=stamp, idTag="TAG", **one.payload
        )
    return await calling.call(
        "MeterValues",
        connectorId=plan[one.charge].connector,
        transactionId=ids[one.charge],
        meterValue=[{"timestamp": stamp, "sampledValue": [one.payload]}],
    )


@pytest.mark.feature("B7")
@pytest.mark.robustness(33, 34, 35)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plan=charges, reconnects=st.sets(st.integers(0, 20), max_size=3))
async def test_a_history_told_in_disorder_leaves_the_same_totals(
    store: Store, clock: FixedClock, plan: list[Charge], reconnects: set[int]
) -> None:
    station = await make_station(store, is_demo=True)
    calling = await connect(store, station)
    begin = clock()
    told = _history(plan, begin)
    answers: dict[tuple[int, str], Any] = {}
    ids: dict[int, int] = {}
    for place, one in enumerate(_disturbed(told)):
        if place in reconnects:
            calling = await connect(store, station)
        clock.at = max(clock.at, one.at)
        answer = await _tell(calling, one, plan, ids)
        assert answers.setdefault((one.charge, f"{one.action} {one.at}"), answer) == answer
        if one.action == "StartTransaction":
            ids[one.charge] = answer["transactionId"]
    async with store.reading() as work:
        logs = (await work.session.exec(select(ChargeLog).where(ChargeLog.station_id == station.id))).all()
        samples = (await work.session.exec(select(MeterSample).where(MeterSample.station_id == station.id))).all()
        stops = (await work.session.exec(select(UnmatchedStop).where(UnmatchedStop.station_id == station.id))).all()
    by_id = {int(log.transaction_id): log for log in logs}
    assert len(logs) == len(plan)
    for index, charge in enumerate(plan):
        log = by_id[ids[index]]
        assert (log.state, log.energy_wh) == (ChargeState.FINISHED, sum(charge.steps_wh))
        assert log.duration_s == 60 * (len(charge.steps_wh) + 1)
        own = [sample for sample in samples if sample.charge_log_id == log.id]
        assert len(own) == len(charge.steps_wh)
    assert len(samples) == sum(len(charge.steps_wh) for charge in plan)
    assert not stops
