"""S6, B7: charges as real stations tell them: repeated, late, out of order, without an end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.features import offered
from csms.jobs import Job
from csms.ocpp.errors import OcppError
from csms.ocpp.timestamps import write
from csms.outbox import Event
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeLog, ChargeState, MeterSample, UnmatchedStop
from csms.station.charge_logs.service import memory
from csms.station.charge_points import ChargePoint
from csms.station.information import Station
from csms.station.tokens import Token, TokenStatus, token_key
from csms.store import Store
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = [pytest.mark.feature("B7", "S6"), pytest.mark.robustness(33)]
TAG = "04E91C5A6F2A80"


@pytest.fixture
async def station(store: Store) -> Station:
    await _register(store, TAG)
    return await make_station(store)


@pytest.fixture
async def calling(store: Store, station: Station) -> CallingStation:
    return await connect(store, station)


async def _register(store: Store, uid: str, **fields: Any) -> None:
    owner = await make_organisation(store)
    async with store.writing() as work:
        values = {"organisation_id": owner.id, "uid": uid, "uid_key": token_key(uid), "created_at": work.now, **fields}
        work.session.add(Token(**values))


async def _start(calling: CallingStation, at: datetime, meter_wh: int = 1000, **fields: Any) -> dict[str, Any]:
    payload = {"connectorId": 1, "idTag": TAG, "meterStart": meter_wh, "timestamp": write(at), **fields}
    return await calling.call("StartTransaction", **payload)


async def _started(calling: CallingStation, at: datetime, meter_wh: int = 1000, **fields: Any) -> int:
    return int((await _start(calling, at, meter_wh, **fields))["transactionId"])


async def _stop(
    calling: CallingStation, transaction_id: int, at: datetime, meter_wh: int, **fields: Any
) -> dict[str, Any]:
    payload = {"transactionId": transaction_id, "meterStop": meter_wh, "timestamp": write(at), "idTag": TAG, **fields}
    return await calling.call("StopTransaction", **payload)


def _values(at: datetime, wh: float | str, **fields: Any) -> dict[str, Any]:
    return {"timestamp": write(at), "sampledValue": [{"value": str(wh), **fields}]}


async def _measure(calling: CallingStation, transaction_id: int | None, *sets: dict[str, Any], at: int = 1) -> None:
    named = {} if transaction_id is None else {"transactionId": transaction_id}
    assert await calling.call("MeterValues", connectorId=at, **named, meterValue=list(sets)) == {}


async def _logs(store: Store) -> Sequence[ChargeLog]:
    async with store.reading() as work:
        return (await work.session.exec(select(ChargeLog).order_by(col(ChargeLog.id)))).all()


async def _log(store: Store) -> ChargeLog:
    (log,) = await _logs(store)
    return log


async def _samples(store: Store) -> Sequence[MeterSample]:
    async with store.reading() as work:
        return (await work.session.exec(select(MeterSample).order_by(col(MeterSample.measured_at)))).all()


async def _unmatched(store: Store) -> Sequence[UnmatchedStop]:
    async with store.reading() as work:
        return (await work.session.exec(select(UnmatchedStop).order_by(col(UnmatchedStop.id)))).all()


async def _facts(store: Store, kind: str) -> list[Event]:
    async with store.reading() as work:
        return list((await work.session.exec(select(Event).where(Event.kind == kind))).all())


async def _run_job(runtime: Runtime) -> None:
    (job,) = [job for job in offered("jobs", "JOBS") if job.name == "estimate the end of abandoned charges"]
    assert isinstance(job, Job)
    await job.run(runtime)


@pytest.mark.ocpp("1.6 StartTransaction", "1.6 MeterValues", "1.6 StopTransaction")
@pytest.mark.octt("TC_007_CSMS")
async def test_a_charge_is_one_row_with_its_energy_duration_and_samples(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    answer = await _start(calling, clock(), reservationId=7)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    assert 1 <= answer["transactionId"] < 2**31
    await _measure(calling, answer["transactionId"], _values(clock.advance(minutes=10), 2500))
    at = clock.advance(minutes=20)
    assert await _stop(calling, answer["transactionId"], at, 6000, reason="Local") == {
        "idTagInfo": {"status": "Accepted"}
    }
    log = await _log(store)
    assert (log.state, log.energy_wh, log.duration_s) == (ChargeState.FINISHED, 5000, 1800)
    assert (log.token, log.verdict, log.reservation_id) == (TAG, TokenStatus.ACCEPTED, 7)
    assert (log.meter_start_wh, log.meter_stop_wh, log.stop_reason, log.flags) == (1000, 6000, "Local", [])
    assert log.stopped_at == at
    (sample,) = await _samples(store)
    assert (sample.charge_log_id, sample.energy_wh) == (log.id, 2500)


async def test_the_facts_of_a_charge_name_no_token(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    transaction_id = await _started(calling, clock())
    await _stop(calling, transaction_id, clock.advance(minutes=5), 1500)
    (started,) = await _facts(store, "charge_started")
    (stopped,) = await _facts(store, "charge_stopped")
    assert stopped.data["energy_wh"] == 500
    assert stopped.data["state"] == "finished"
    assert stopped.data["charge_log_id"] == started.data["charge_log_id"]
    assert TAG not in str(started.data) + str(stopped.data)


async def test_a_start_on_a_charge_point_never_announced_creates_it(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _started(calling, clock(), connectorId=3)
    async with store.reading() as work:
        point = (await work.session.exec(select(ChargePoint))).one()
    assert (point.number, (await _log(store)).charge_point_id) == (3, point.id)


async def test_a_start_on_connector_0_is_kept(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    await _started(calling, clock(), connectorId=0)
    assert ((await _log(store)).charge_point_number, (await _log(store)).charge_point_id) == (0, None)


async def test_a_start_on_an_impossible_connector_is_refused(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    with pytest.raises(OcppError):
        await _start(calling, clock(), connectorId=100_000)
    assert not await _logs(store)


# Repeats


async def test_a_repeated_start_gets_the_same_answer_and_no_second_row(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    first = await _start(calling, clock())
    clock.advance(seconds=30)
    assert await _start(calling, clock() - timedelta(seconds=30)) == first
    assert await _start(calling, clock() - timedelta(seconds=30), idTag=TAG.lower()) == first
    await _log(store)


async def test_a_start_repeated_after_reconnect_is_known(
    store: Store, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock()
    first = await _start(calling, at)
    clock.advance(hours=2)
    assert await _start(await connect(store, station), at) == first
    await _log(store)


async def test_a_start_repeated_after_its_charge_ended_long_ago_is_known(
    store: Store, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock()
    first = await _start(calling, at)
    stop = await _stop(calling, first["transactionId"], clock.advance(hours=1), 9000)
    again = await connect(store, station)
    clock.advance(days=1)
    assert await _start(again, at) == first
    assert await _stop(again, first["transactionId"], at + timedelta(hours=1), 9000) == stop
    assert (await _log(store)).energy_wh == 8000
    assert not await _unmatched(store)


async def test_a_start_whose_commit_failed_unnoticed_is_found_when_it_comes_again(
    store: Store, station: Station, clock: FixedClock
) -> None:
    old, new = await connect(store, station), await connect(store, station)
    clock.advance(minutes=1)
    first = await _start(old, clock())  # the old node commits after the new one has loaded
    work = store.note()
    payload = {"connectorId": 1, "idTag": TAG, "meterStart": 1000, "timestamp": write(clock())}
    await new.routes.handle(work, new.connected, "StartTransaction", payload)  # what it notes is never kept
    await work.close()
    assert await _start(new, clock()) == first
    await _log(store)


async def test_many_ended_charges_do_not_fill_the_memory_and_their_repeats_are_still_known(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    first_at = clock.advance(minutes=1)
    first = await _start(calling, first_at)
    await _stop(calling, first["transactionId"], clock(), 1000)
    for number in range(2 * memory.RECENT_MIN):
        transaction_id = await _started(calling, clock.advance(minutes=1), 1000 + number)
        await _stop(calling, transaction_id, clock(), 1001 + number)
    assert len(calling.connected.recall(memory.OpenTransactions).by_transaction_id) == memory.RECENT_MIN
    assert await _start(calling, first_at) == first
    assert len(await _logs(store)) == 1 + 2 * memory.RECENT_MIN


async def test_starts_without_stops_do_not_fill_the_memory(
    store: Store, calling: CallingStation, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "OPEN_MAX", 3)
    times = [clock.advance(minutes=1) - timedelta(days=1, hours=number) for number in range(6)]
    ids = [await _started(calling, at) for at in times]
    assert list(calling.connected.recall(memory.OpenTransactions).by_transaction_id) == [str(one) for one in ids[-3:]]
    assert [await _started(calling, at) for at in times] == ids
    for transaction_id, at in zip(ids, times, strict=True):
        await _stop(calling, transaction_id, at + timedelta(minutes=30), 1500)
    assert [log.energy_wh for log in await _logs(store)] == [500] * 6
    assert not await _unmatched(store)


async def test_values_of_an_impossible_connector_are_kept(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _measure(calling, None, _values(clock(), 5), at=100_000)
    assert [one.charge_point_number for one in await _samples(store)] == [100_000]


async def test_the_same_token_charges_again_at_another_time(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    first = await _started(calling, clock())
    await _stop(calling, first, clock.advance(seconds=1), 1000)
    second = await _started(calling, clock.advance(seconds=1), 1000)
    assert second != first
    assert len(await _logs(store)) == 2


async def test_a_repeated_stop_gets_the_same_answer_and_changes_nothing(
    store: Store, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    at = clock.advance(hours=1)
    first = await _stop(calling, transaction_id, at, 3000)
    before = (await _log(store)).model_dump()
    clock.advance(hours=1)
    assert await _stop(calling, transaction_id, at, 3000) == first
    assert await _stop(await connect(store, station), transaction_id, at, 3000) == first
    assert (await _log(store)).model_dump() == before
    assert not await _unmatched(store)
    assert len(await _facts(store, "charge_stopped")) == 1


async def test_a_repeated_stop_gets_the_same_answer_even_if_its_token_was_blocked_meanwhile(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    at = clock.advance(hours=1)
    first = await _stop(calling, transaction_id, at, 3000)
    async with store.writing() as work:
        (await work.session.exec(select(Token))).one().is_blocked = True
    clock.advance(hours=1)
    assert await _stop(calling, transaction_id, at, 3000) == first


@pytest.mark.parametrize("does_reconnect", [False, True], ids=["same connection", "after reconnect"])
async def test_repeated_meter_values_are_stored_once(
    store: Store, station: Station, calling: CallingStation, clock: FixedClock, *, does_reconnect: bool
) -> None:
    transaction_id = await _started(calling, clock())
    sets = [_values(clock.advance(minutes=1), 1000 + 100 * step) for step in range(3)]
    await _measure(calling, transaction_id, *sets)
    again = await connect(store, station) if does_reconnect else calling
    await _measure(again, transaction_id, *sets)
    await _measure(again, transaction_id, sets[1], sets[1])
    assert [sample.energy_wh for sample in await _samples(store)] == [1000, 1100, 1200]


async def test_other_values_of_the_same_time_are_no_repeat(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    at = clock.advance(minutes=1)
    await _measure(calling, transaction_id, _values(at, 1100))
    await _measure(calling, transaction_id, _values(at, 7000, measurand="Power.Active.Import", unit="W"))
    assert {(one.energy_wh, one.power_w) for one in await _samples(store)} == {(1100, None), (None, 7000)}


async def test_meter_values_outside_of_charges_are_stored_once(
    store: Store, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    reading = _values(clock(), 55)
    await _measure(calling, None, reading)
    await _measure(calling, None, reading)
    await _measure(await connect(store, station), None, reading)
    await _measure(calling, None, _values(clock(), 77), at=0)
    samples = await _samples(store)
    assert sorted((one.charge_point_number, one.energy_wh, one.charge_log_id) for one in samples) == [
        (0, 77, None),
        (1, 55, None),
    ]


async def test_samples_of_the_stop_that_came_before_are_not_stored_twice(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    known = _values(clock.advance(minutes=1), 1100)
    await _measure(calling, transaction_id, known)
    new = _values(clock.advance(minutes=1), 1200)
    await _stop(calling, transaction_id, clock.advance(minutes=1), 1300, transactionData=[known, new])
    assert [one.energy_wh for one in await _samples(store)] == [1100, 1200]
    assert (await _log(store)).energy_wh == 300


# Tokens


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"is_blocked": True}, "Blocked"), ({"valid_until": datetime.fromisoformat("2020-01-01T00:00Z")}, "Expired")],
    ids=["blocked", "expired"],
)
async def test_a_start_with_a_token_that_may_not_charge_is_kept_and_marked(
    store: Store, calling: CallingStation, clock: FixedClock, fields: dict[str, Any], word: str
) -> None:
    await _register(store, "OTHER", **fields)
    answer = await _start(calling, clock(), idTag="OTHER")
    assert answer["idTagInfo"]["status"] == word
    await _stop(calling, answer["transactionId"], clock.advance(minutes=1), 1040, idTag="OTHER")
    log = await _log(store)
    assert (log.verdict.value, log.flags, log.energy_wh) == (word.lower(), ["unauthorised"], 40)


@pytest.mark.octt("TC_037_3_CSMS")
async def test_an_offline_start_with_an_unknown_token_loses_no_energy(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock() - timedelta(hours=5)
    answer = await _start(calling, at, idTag="NOBODY")
    assert answer["idTagInfo"] == {"status": "Invalid"}
    await _stop(calling, answer["transactionId"], at + timedelta(hours=1), 12000, idTag="NOBODY")
    log = await _log(store)
    assert (log.energy_wh, log.flags) == (11000, ["offline", "unauthorised"])
    assert log.started_at == at


async def test_a_demo_station_takes_any_token(store: Store, clock: FixedClock) -> None:
    calling = await connect(store, await make_station(store, is_demo=True))
    assert (await _start(calling, clock(), idTag="NOBODY"))["idTagInfo"] == {"status": "Accepted"}


async def test_an_exclusive_token_charges_in_one_place_at_a_time(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _register(store, "SINGLE", is_exclusive=True)
    elsewhere = await connect(store, await make_station(store))
    first = await _start(calling, clock(), idTag="SINGLE")
    second = await _start(elsewhere, clock(), idTag="single")
    assert [one["idTagInfo"]["status"] for one in (first, second)] == ["Accepted", "ConcurrentTx"]
    await _stop(calling, first["transactionId"], clock.advance(minutes=1), 1000)
    assert (await _start(calling, clock.advance(minutes=1), idTag="SINGLE"))["idTagInfo"]["status"] == "ConcurrentTx"


async def test_a_stop_with_another_token_is_marked_unless_it_is_of_the_same_group(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    for uid, group in (("A", "FLEET"), ("B", "FLEET"), ("C", None)):
        await _register(store, uid, group_uid=group)
    for token in ("B", "C"):
        transaction_id = await _started(calling, clock.advance(minutes=1), idTag="A")
        await _stop(calling, transaction_id, clock.advance(minutes=1), 1000, idTag=token)
    assert [log.flags for log in await _logs(store)] == [[], ["other_token"]]


# Time


@pytest.mark.robustness(35)
@pytest.mark.octt("TC_037_1_CSMS", "TC_039_CSMS")
async def test_offline_charges_are_kept_with_the_station_s_time(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock() - timedelta(days=2)
    transaction_id = await _started(calling, at)
    await _measure(calling, transaction_id, _values(at + timedelta(minutes=30), 3000))
    await _stop(calling, transaction_id, at + timedelta(hours=1), 5000)
    log = await _log(store)
    assert (log.started_at, log.stopped_at) == (at, at + timedelta(hours=1))
    assert (log.received_at, log.stop_received_at) == (clock(), clock())
    assert (log.energy_wh, log.duration_s, log.flags) == (4000, 3600, ["offline"])


@pytest.mark.robustness(34)
@pytest.mark.parametrize(
    ("sent", "flag", "is_kept"),
    [
        ("2031-01-01T00:00:00Z", "clock_suspect", True),
        ("2019-01-01T00:00:00Z", "clock_suspect", True),
        ("0001-01-01T00:00:00Z", "clock_suspect", False),
        ("9999-12-31T23:59:59Z", "clock_suspect", False),
        ("yesterday", "no_time", False),
        (None, "no_time", False),
    ],
)
async def test_a_wrong_clock_is_flagged_and_the_time_of_receipt_is_kept(
    store: Store, calling: CallingStation, clock: FixedClock, sent: str | None, flag: str, *, is_kept: bool
) -> None:
    stamp = {} if sent is None else {"timestamp": sent}
    answers = [
        await calling.call("StartTransaction", connectorId=1, idTag=TAG, meterStart=5, **stamp) for _ in range(2)
    ]
    assert answers[0] == answers[1]
    clock.advance(hours=1)
    await calling.call("StopTransaction", transactionId=answers[0]["transactionId"], meterStop=25, **stamp)
    log = await _log(store)
    assert flag in log.flags
    assert log.received_at == clock() - timedelta(hours=1)
    assert (log.started_at == log.received_at) is not is_kept
    assert log.energy_wh == 20


async def test_a_clock_that_was_never_set_does_not_merge_two_charges(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    boot = datetime.fromisoformat("1970-01-01T00:00:30Z")
    first = await _started(calling, boot)
    assert await _started(calling, boot) == first
    await _stop(calling, first, boot, 1000)
    clock.advance(hours=1)
    second = await _started(calling, boot)
    assert await _started(calling, boot) == second != first
    await _stop(calling, second, boot + timedelta(minutes=1), 4000)
    assert [log.energy_wh for log in await _logs(store)] == [0, 3000]
    assert await _started(calling, boot) == second  # energy has flowed: this can only be a repeat


async def test_a_stop_before_its_start_has_a_duration_by_receipt(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    earlier = clock() - timedelta(minutes=1)
    clock.advance(minutes=10)
    await _stop(calling, transaction_id, earlier, 2000)
    log = await _log(store)
    assert log.duration_s == 600
    assert "clock_suspect" in log.flags


async def test_samples_out_of_order_give_the_same_energy(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock()
    transaction_id = await _started(calling, at)
    for minute in (3, 1, 2):
        await _measure(calling, transaction_id, _values(at + timedelta(minutes=minute), 1000 + 100 * minute))
    await _stop(calling, transaction_id, at + timedelta(minutes=4), 1400)
    log = await _log(store)
    assert (log.energy_wh, log.flags) == (400, [])
    assert [one.energy_wh for one in await _samples(store)] == [1100, 1200, 1300]


# Registers


@pytest.mark.parametrize("does_reconnect", [False, True], ids=["same connection", "after reconnect"])
@pytest.mark.parametrize(
    ("readings", "meter_stop", "energy", "flag"),
    [
        ([(10, 5000), (20, 300)], 800, 4000 + 800, "meter_reset"),
        ([(10, 5000), (20, 4000), (30, 5500)], 6000, 5000, "meter_backwards"),
        ([(10, 2000)], 500, 1000 + 500, "meter_reset"),
        ([], 900, 0, "meter_backwards"),
        ([(10, 4_294_967_295)], 3000, 2000, "meter_implausible"),
        ([(10, 3000), (20, 0), (30, 5000)], 6000, 5000, "meter_backwards"),
    ],
    ids=["reset", "backwards for a while", "reset at the end", "stop below start", "spike", "unreadable for a while"],
)
async def test_the_energy_of_a_misbehaving_register_is_right_and_flagged(
    *,
    store: Store,
    station: Station,
    calling: CallingStation,
    clock: FixedClock,
    readings: list[tuple[int, float]],
    meter_stop: int,
    energy: int,
    flag: str,
    does_reconnect: bool,
) -> None:
    at = clock()
    transaction_id = await _started(calling, at)
    for minute, wh in readings:
        await _measure(calling, transaction_id, _values(at + timedelta(minutes=minute), wh))
    again = await connect(store, station) if does_reconnect else calling
    await _stop(again, transaction_id, clock.advance(minutes=40), meter_stop)
    log = await _log(store)
    assert (log.energy_wh, log.flags) == (energy, [flag])


async def test_wh_and_kwh_and_no_unit_within_one_charge(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock(), 123_456)
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), "123.5", unit="kWh"))
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), "123600", unit="Wh"))
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), "123.7"))
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), "123800"))
    await _stop(calling, transaction_id, clock.advance(minutes=1), 123_956)
    assert [one.energy_wh for one in await _samples(store)] == [123_500, 123_600, 123_700, 123_800]
    log = await _log(store)
    assert (log.energy_wh, log.flags) == (500, [])


async def test_values_of_any_kind_are_kept_as_sent(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    transaction_id = await _started(calling, clock())
    values = [
        {"value": "7,4", "measurand": "Power.Active.Import", "unit": "kW"},
        {"value": "45", "measurand": "SoC", "unit": "Percent"},
        {"value": "31.5", "measurand": "Temperature", "unit": "Celcius"},
        {"value": "OCMF|{}|{}", "format": "SignedData"},
        {"value": "n/a", "measurand": "Voltage"},
        {"value": "1", "measurand": "Vendor.Thing", "unit": "furlong"},
    ]
    at = write(clock.advance(minutes=1))
    await _measure(
        calling,
        transaction_id,
        {"timestamp": at, "sampledValue": values},
        {"timestamp": at, "sampledValue": []},
        {"timestamp": at},
    )
    (sample,) = await _samples(store)
    assert sample.sampled_values == values
    assert (sample.energy_wh, sample.power_w, sample.soc_percent) == (None, 7400, 45)
    log = await _log(store)
    assert (log.last_power_w, log.last_soc_percent) == (7400, 45)


async def test_values_without_transaction_belong_to_the_open_charge(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _measure(calling, None, _values(clock() - timedelta(minutes=1), 900))
    transaction_id = await _started(calling, clock())
    await _measure(calling, None, _values(clock.advance(minutes=1), 1100))
    await _measure(calling, -1, _values(clock.advance(minutes=1), 1200))
    await _measure(calling, None, _values(clock.advance(minutes=1), 5), at=2)
    await _stop(calling, transaction_id, clock.advance(minutes=1), 1300)
    await _measure(calling, transaction_id, _values(clock() - timedelta(seconds=30), 1250))
    await _measure(calling, None, _values(clock.advance(minutes=1), 1300))
    log_id = (await _log(store)).id
    assert {one.energy_wh: one.charge_log_id == log_id for one in await _samples(store)} == {
        900: False,
        1100: True,
        1200: True,
        5: False,
        1250: True,
        1300: False,
    }


async def test_the_running_charge_shows_how_far_it_is(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    transaction_id = await _started(calling, clock())
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), 1500))
    await _measure(calling, transaction_id, _values(clock.advance(seconds=5), 1600))
    assert (await _log(store)).energy_wh == 500  # rows are brought up to date every half minute
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), 2500))
    log = await _log(store)
    assert (log.state, log.energy_wh, log.last_register_wh) == (ChargeState.RUNNING, 1500, 2500)
    assert log.last_sample_at == clock()


# Stops that match nothing


@pytest.mark.parametrize("transaction_id", [0, -1, 4711], ids=["zero", "minus one", "unknown"])
async def test_a_stop_that_matches_nothing_is_answered_and_kept_once(
    store: Store, calling: CallingStation, clock: FixedClock, transaction_id: int
) -> None:
    data = [_values(clock(), 1234)]
    first = await _stop(calling, transaction_id, clock(), 2000, transactionData=data)
    assert first == {"idTagInfo": {"status": "Accepted"}}
    assert await _stop(calling, transaction_id, clock(), 2000, transactionData=data) == first
    (stop,) = await _unmatched(store)
    assert stop.reason.value == ("unknown_transaction" if transaction_id > 0 else "no_transaction")
    assert (stop.meter_stop_wh, stop.payload["transactionData"]) == (2000, data)
    assert len(await _facts(store, "stop_unmatched")) == 1


async def test_a_stop_without_tag_and_reason_is_answered_empty(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    stop = {"transactionId": transaction_id, "meterStop": 1100, "timestamp": write(clock.advance(minutes=1))}
    assert await calling.call("StopTransaction", **stop) == {}
    assert await calling.call("StopTransaction", **(stop | {"transactionId": 99})) == {}
    assert ((await _log(store)).stop_reason, (await _log(store)).stop_token) == ("Local", None)


async def test_a_second_other_stop_is_kept_beside_the_first(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    await _stop(calling, transaction_id, clock.advance(minutes=1), 2000)
    await _stop(calling, transaction_id, clock.advance(minutes=1), 2500)
    assert (await _log(store)).energy_wh == 1000
    (stop,) = await _unmatched(store)
    assert stop.reason.value == "already_stopped"


@pytest.mark.robustness(13, 14)
async def test_a_station_cannot_touch_another_s_charge(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    before = (await _log(store)).model_dump()
    other = await connect(store, await make_station(store))
    await _measure(other, transaction_id, _values(clock.advance(minutes=1), 9000))
    await _measure(other, transaction_id, _values(clock.advance(minutes=1), 9100))
    assert (await _stop(other, transaction_id, clock(), 9200))["idTagInfo"]["status"] == "Accepted"
    assert (await _log(store)).model_dump() == before
    assert {one.charge_log_id for one in await _samples(store)} == {None}
    (stop,) = await _unmatched(store)
    assert (stop.reason.value, stop.station_id) == ("foreign_transaction", other.connected.id)
    (alarm,) = await _facts(store, "security_event")
    assert (alarm.station, alarm.data["type"]) == (other.connected.identity, "foreign_transaction")


@pytest.mark.robustness(14)
async def test_transaction_ids_are_random(store: Store, calling: CallingStation, clock: FixedClock) -> None:
    drawn = [await _started(calling, clock.advance(minutes=1), connectorId=number) for number in range(1, 9)]
    assert len(set(drawn)) == len(drawn)
    assert drawn != sorted(drawn) or max(drawn) - min(drawn) > 1000


# Charges without an end


async def test_a_start_while_one_is_open_ends_the_older_by_estimate(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    older = await _started(calling, clock())
    await _measure(calling, older, _values(clock.advance(minutes=10), 3000))
    await _started(calling, clock.advance(minutes=10), 3400)
    first, second = await _logs(store)
    assert (first.state, first.energy_wh, first.meter_stop_wh) == (ChargeState.ESTIMATED_END, 2000, 3000)
    assert first.flags == ["estimated_end", "superseded"]
    assert second.state is ChargeState.RUNNING
    await _stop(calling, older, clock(), 3300)
    first, second = await _logs(store)
    assert (first.state, first.energy_wh) == (ChargeState.FINISHED, 2300)
    assert first.flags == ["late_stop", "superseded"]
    assert not await _unmatched(store)


async def test_without_samples_the_next_start_shows_the_register_of_the_lost_stop(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _started(calling, clock())
    await _started(calling, clock.advance(hours=1), 8000)
    first, _ = await _logs(store)
    assert (first.energy_wh, first.duration_s, first.state) == (7000, 3600, ChargeState.ESTIMATED_END)


async def test_late_samples_make_an_estimate_better_and_are_stored_once(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock()
    older = await _started(calling, at)
    await _started(calling, clock.advance(hours=1), 8000)
    late = _values(at + timedelta(minutes=50), 7500)
    await _measure(calling, older, late)
    await _measure(calling, older, late)
    first, _ = await _logs(store)
    assert (first.energy_wh, first.duration_s, first.meter_stop_wh) == (6500, 3000, 7500)
    assert len(await _samples(store)) == 1


async def test_an_offline_start_does_not_end_the_younger_charge(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    younger = await _started(calling, clock(), 5000)
    older = await _started(calling, clock() - timedelta(hours=3), 1000)
    await _stop(calling, older, clock() - timedelta(hours=2), 5000)
    await _stop(calling, younger, clock.advance(hours=1), 7000)
    logs = await _logs(store)
    assert [log.energy_wh for log in logs] == [2000, 4000]
    assert [log.flags for log in logs] == [[], ["offline", "overlapping"]]


@pytest.mark.parametrize(
    ("action", "payload", "reason"),
    [
        ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}, "PowerLoss"),
        ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}, "Unknown"),
    ],
    ids=["boot", "available"],
)
async def test_an_abandoned_charge_ends_by_estimate_after_the_grace_period(
    *,
    store: Store,
    runtime: Runtime,
    calling: CallingStation,
    clock: FixedClock,
    action: str,
    payload: dict[str, Any],
    reason: str,
) -> None:
    transaction_id = await _started(calling, clock())
    await _measure(calling, transaction_id, _values(clock.advance(minutes=10), 3000))
    measured_at = clock()
    await calling.call(action, **payload)
    clock.advance(minutes=14)
    await _run_job(runtime)
    assert (await _log(store)).state is ChargeState.RUNNING
    clock.advance(minutes=1)
    await _run_job(runtime)
    log = await _log(store)
    assert (log.state, log.energy_wh, log.stop_reason) == (ChargeState.ESTIMATED_END, 2000, reason)
    assert (log.stopped_at, log.flags) == (measured_at, ["estimated_end"])
    (fact,) = await _facts(store, "charge_stopped")
    assert (fact.station, fact.data["state"]) == (calling.connected.identity, "estimated_end")
    # the stop comes after all
    answer = await _stop(calling, transaction_id, measured_at + timedelta(minutes=1), 3100, reason="PowerLoss")
    assert answer["idTagInfo"] == {"status": "Accepted"}
    log = await _log(store)
    assert (log.state, log.energy_wh, log.flags) == (ChargeState.FINISHED, 2100, ["late_stop", "offline"])


@pytest.mark.octt("TC_032_1_CSMS")
async def test_a_stop_queued_behind_a_boot_ends_the_charge_in_time(
    store: Store, runtime: Runtime, station: Station, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    stopped_at = clock.advance(minutes=5)
    clock.advance(minutes=10)
    again = await connect(store, station)
    await again.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    await _stop(again, transaction_id, stopped_at, 1700, reason="PowerLoss")
    clock.advance(hours=1)
    await _run_job(runtime)
    log = await _log(store)
    assert (log.state, log.energy_wh, log.flags) == (ChargeState.FINISHED, 700, ["offline"])


@pytest.mark.parametrize("minutes", [5, 60], ids=["within the grace period", "after its end was estimated"])
async def test_a_charge_that_survives_a_boot_goes_on(
    store: Store, runtime: Runtime, calling: CallingStation, clock: FixedClock, minutes: int
) -> None:
    transaction_id = await _started(calling, clock())
    await calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    clock.advance(minutes=minutes)
    await _run_job(runtime)
    await _measure(calling, transaction_id, _values(clock.advance(minutes=1), 2000))
    clock.advance(hours=1)
    await _run_job(runtime)
    log = await _log(store)
    assert (log.state, log.energy_wh, log.stopped_at, log.flags) == (ChargeState.RUNNING, 1000, None, [])
    await _stop(calling, transaction_id, clock(), 2500)
    log = await _log(store)
    assert (log.state, log.energy_wh, log.flags) == (ChargeState.FINISHED, 1500, [])


async def test_a_queued_sample_from_before_the_boot_is_no_sign_of_life(
    store: Store, runtime: Runtime, calling: CallingStation, clock: FixedClock
) -> None:
    at = clock()
    transaction_id = await _started(calling, at)
    clock.advance(minutes=30)
    await calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    await _measure(calling, transaction_id, _values(at + timedelta(minutes=10), 4000))
    clock.advance(minutes=15)
    await _run_job(runtime)
    late = _values(at + timedelta(minutes=20), 6000)
    await _measure(calling, transaction_id, late)
    await _measure(calling, transaction_id, late)
    log = await _log(store)
    assert (log.state, log.energy_wh, log.duration_s) == (ChargeState.ESTIMATED_END, 5000, 1200)
    assert len(await _samples(store)) == 2


async def test_a_charging_status_after_the_boot_is_a_sign_of_life(
    store: Store, runtime: Runtime, calling: CallingStation, clock: FixedClock
) -> None:
    transaction_id = await _started(calling, clock())
    await calling.call("BootNotification", chargePointVendor="V", chargePointModel="M")
    clock.advance(minutes=1)
    await calling.call("StatusNotification", connectorId=1, errorCode="NoError", status="Charging")
    clock.advance(hours=1)
    await _run_job(runtime)
    assert (await _log(store)).state is ChargeState.RUNNING
    await _stop(calling, transaction_id, clock(), 1500)
    assert (await _log(store)).flags == []


async def test_a_queued_status_from_before_the_charge_does_not_end_it(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await _started(calling, clock())
    earlier = write(clock() - timedelta(minutes=1))
    await calling.call("StatusNotification", connectorId=1, errorCode="NoError", status="Available", timestamp=earlier)
    await calling.call("StatusNotification", connectorId=0, errorCode="NoError", status="Available")
    await calling.call("StatusNotification", connectorId=2, errorCode="NoError", status="Available")
    assert (await _log(store)).abandoned_at is None


async def test_stations_load_their_open_charges_with_few_queries(store: Store, clock: FixedClock) -> None:
    stations = [await make_station(store, is_demo=True) for _ in range(3)]
    calling = [await connect(store, station) for station in stations]
    ids = [await _started(one, clock()) for one in calling]
    await _measure(calling[0], ids[0], _values(clock.advance(minutes=1), 1500))
    for one in calling:
        one.connected.memory.clear()
    async with store.reading() as work:
        await memory.load(work, [one.connected for one in calling])
    loaded = [one.connected.recall(memory.OpenTransactions) for one in calling]
    assert [list(one.by_transaction_id) for one in loaded] == [[str(transaction_id)] for transaction_id in ids]
    assert loaded[0].by_transaction_id[str(ids[0])].last_sample_at == clock()


async def test_a_charge_in_the_ordinary_way_asks_nothing_of_the_database(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    await calling.call("StatusNotification", connectorId=1, errorCode="NoError", status="Preparing")
    clock.advance(seconds=memory.SKEW.total_seconds())
    await calling.call("Authorize", idTag=TAG)  # from here on the token is known for a moment
    at = clock.advance(seconds=1)
    start = {"connectorId": 1, "idTag": TAG, "meterStart": 1000, "timestamp": write(at)}
    transaction_id = (await _without_reading(calling, "StartTransaction", start))["transactionId"]
    values = {
        "connectorId": 1,
        "transactionId": transaction_id,
        "meterValue": [_values(clock.advance(seconds=1), 1100)],
    }
    await _without_reading(calling, "MeterValues", values)
    stop = {"transactionId": transaction_id, "meterStop": 1200, "timestamp": write(clock()), "idTag": TAG}
    await _without_reading(calling, "StopTransaction", stop)
    assert (await _log(store)).energy_wh == 200


async def _without_reading(calling: CallingStation, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    work = calling.store.note()
    answer = await calling.routes.handle(work, calling.connected, action, payload)
    assert not work.has_session
    await calling.store.commit_all([work])
    return answer
