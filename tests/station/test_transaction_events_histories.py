"""B7: whole transactions of 2.x, told with repeats, delays, lost answers and reconnects, leave the same totals."""

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
from csms.ocpp.versions import VERSIONS_2, Version
from csms.station.charge_logs import ChargeEvent, ChargeLog, ChargeState, MeterSample
from csms.store import Store
from tests.builders import connect, make_station

CARD = {"idToken": "TAG", "type": "ISO14443"}
DISTURBANCES = 8


@dataclass(frozen=True)
class Plan:
    """A transaction at an EVSE, and how each of its events is disturbed on its way."""

    evse: int
    steps_wh: list[int]
    delays: list[int]
    """How many later events overtake each."""
    repeats: list[int]
    lost: set[int]
    """Whose commit does not come about: the station sends them again at once."""


@dataclass(frozen=True)
class Told:
    transaction: int
    payload: dict[str, Any]
    at: datetime
    delay: int
    repeats: int
    is_lost: bool


def small() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 3), min_size=DISTURBANCES, max_size=DISTURBANCES)


plans = st.lists(
    st.builds(
        Plan,
        evse=st.integers(1, 2),
        steps_wh=st.lists(st.integers(0, 3000), min_size=1, max_size=5),
        delays=small(),
        repeats=small(),
        lost=st.sets(st.integers(0, DISTURBANCES - 1), max_size=2),
    ),
    min_size=1,
    max_size=3,
)


def history(plan: Sequence[Plan], begin: datetime, *, counts: bool) -> list[Told]:
    """The events as the station wrote them; `counts`: with numbers, or always 0."""
    told: list[Told] = []
    meters = {1: 1000, 2: 50_000}
    at = begin
    for index, one in enumerate(plan):
        meter = meters[one.evse]
        kinds = ["Started", *["Updated"] * len(one.steps_wh), "Ended"]
        for number, kind in enumerate(kinds):
            meter += one.steps_wh[number - 1] if kind == "Updated" else 0
            payload = {
                "eventType": kind,
                "timestamp": write(at),
                "triggerReason": "Authorized" if number == 0 else "MeterValuePeriodic",
                "seqNo": number if counts else 0,
                "transactionInfo": {"transactionId": f"T{index}", "chargingState": "Charging"},
                "meterValue": [{"timestamp": write(at), "sampledValue": [{"value": float(meter)}]}],
            }
            if number == 0:
                payload |= {"idToken": CARD, "evse": {"id": one.evse, "connectorId": 1}}
            told.append(Told(index, payload, at, one.delays[number], one.repeats[number], number in one.lost))
            at += timedelta(minutes=1)
        meters[one.evse] = meter
    return told


def disturbed(told: Sequence[Told]) -> list[Told]:
    """Later ones overtake the delayed, and every repeat comes a little after the one before."""
    arrivals = [
        (place + one.delay + 3 * repeat + 0.5 * (one.delay + repeat > 0), place, one)
        for place, one in enumerate(told)
        for repeat in range(one.repeats + 1)
    ]
    return [one for _, _, one in sorted(arrivals, key=lambda arrival: arrival[:2])]


@pytest.mark.feature("B7")
@pytest.mark.robustness(33, 34, 35)
@pytest.mark.ocpp("2.x TransactionEvent")
@pytest.mark.parametrize("version", VERSIONS_2)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plan=plans, reconnects=st.sets(st.integers(0, 25), max_size=3), counts=st.booleans())
async def test_a_history_told_in_disorder_leaves_the_same_totals(
    store: Store, clock: FixedClock, version: Version, plan: list[Plan], reconnects: set[int], *, counts: bool
) -> None:
    station = await make_station(store, is_demo=True)
    calling = await connect(store, station, version)
    told = history(plan, clock(), counts=counts)
    answers: dict[int, Any] = {}
    lost: set[int] = set()
    for place, one in enumerate(disturbed(told)):
        if place in reconnects:
            calling = await connect(store, station, version)
        clock.at = max(clock.at, one.at)
        if one.is_lost and id(one) not in lost:  # handled, and then the commit failed: nothing may be left of it
            lost.add(id(one))
            work = store.note()
            await calling.routes.handle(work, calling.connected, "TransactionEvent", one.payload)
            work.discard()
            await work.close()
        answer = await calling.call("TransactionEvent", **one.payload)
        assert answers.setdefault(id(one), answer) == answer
    async with store.reading() as work:
        logs = (await work.session.exec(select(ChargeLog).where(ChargeLog.station_id == station.id))).all()
        samples = (await work.session.exec(select(MeterSample).where(MeterSample.station_id == station.id))).all()
        events = (await work.session.exec(select(ChargeEvent).where(ChargeEvent.station_id == station.id))).all()
    by_id = {log.transaction_id: log for log in logs}
    assert len(by_id) == len(logs) == len(plan)
    for index, one in enumerate(plan):
        log = by_id[f"T{index}"]
        assert (log.state, log.energy_wh, log.token) == (ChargeState.FINISHED, sum(one.steps_wh), "TAG")
        assert log.duration_s == 60 * (len(one.steps_wh) + 1)
        assert not log.missing_events
        assert {"start_missing", "sequence_gap", "no_meter_start"}.isdisjoint(log.flags)
        assert sum(sample.charge_log_id == log.id for sample in samples) == len(one.steps_wh) + 2
        assert sum(event.charge_log_id == log.id for event in events) == len(one.steps_wh) + 2
    assert len(samples) == len(events) == len(told)
