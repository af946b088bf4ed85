"""S6, B7: transactions of OCPP 2.0.1 and 2.1 as real stations tell them: repeated, late, out of order, in parts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.clock import FixedClock
from csms.features import offered
from csms.ocpp.timestamps import write
from csms.ocpp.versions import VERSIONS_2, Version
from csms.outbox import Event
from csms.runtime import Runtime
from csms.station.charge_logs import ChargeEvent, ChargeLog, ChargeState, MeterSample
from csms.station.charge_points import ChargePoint
from csms.station.information import Station
from csms.station.tokens import Token, token_key
from csms.store import Store
from tests.builders import CallingStation, connect, make_organisation, make_station

pytestmark = [pytest.mark.feature("B7", "S6", "B2"), pytest.mark.ocpp("2.x TransactionEvent")]
CARD = {"idToken": "04E91C5A6F2A80", "type": "ISO14443"}
TX = "f9a3c1d2-5f0e-4e8b-9f43-7d5b7e0c2a11"
ACCEPTED = {"idTokenInfo": {"status": "Accepted"}}


@pytest.fixture(params=VERSIONS_2)
def version(request: pytest.FixtureRequest) -> Version:
    return Version(request.param)


@pytest.fixture
async def station(store: Store) -> Station:
    await register(store, CARD["idToken"])
    return await make_station(store)


@pytest.fixture
async def calling(store: Store, station: Station, version: Version) -> CallingStation:
    return await connect(store, station, version)


async def register(store: Store, uid: str, **fields: Any) -> None:
    owner = await make_organisation(store)
    async with store.writing() as work:
        values = {"organisation_id": owner.id, "uid": uid, "uid_key": token_key(uid), "created_at": work.now, **fields}
        work.session.add(Token(**values))


def values(at: datetime, wh: float, context: str = "Sample.Periodic", **more: Any) -> dict[str, Any]:
    register = {"value": wh, "context": context, "measurand": "Energy.Active.Import.Register", **more}
    return {"timestamp": write(at), "sampledValue": [register]}


def event(kind: str, seq_no: int, at: datetime, **more: Any) -> dict[str, Any]:
    """A TransactionEventRequest; `state`, `info`, `wh` are short forms."""
    info = {"transactionId": more.pop("tx", TX), **more.pop("info", {})}
    if "state" in more:
        info["chargingState"] = more.pop("state")
    triggers = {"Started": "CablePluggedIn", "Updated": "MeterValuePeriodic", "Ended": "EVDeparted"}
    told = {
        "eventType": kind,
        "timestamp": write(at),
        "triggerReason": triggers[kind],
        "seqNo": seq_no,
        "transactionInfo": info,
        "evse": {"id": 1, "connectorId": 1},
    }
    if "wh" in more:
        told["meterValue"] = [values(at, more.pop("wh"))]
    return {key: value for key, value in (told | more).items() if value is not None}


async def tell(calling: CallingStation, *args: Any, **more: Any) -> dict[str, Any]:
    return await calling.call("TransactionEvent", **event(*args, **more))


async def logs_of(store: Store) -> Sequence[ChargeLog]:
    async with store.reading() as work:
        return (await work.session.exec(select(ChargeLog).order_by(col(ChargeLog.id)))).all()


async def log_of(store: Store) -> ChargeLog:
    (log,) = await logs_of(store)
    return log


async def events_of(store: Store) -> Sequence[ChargeEvent]:
    async with store.reading() as work:
        return (await work.session.exec(select(ChargeEvent).order_by(col(ChargeEvent.id)))).all()


async def samples_of(store: Store) -> Sequence[MeterSample]:
    async with store.reading() as work:
        return (await work.session.exec(select(MeterSample).order_by(col(MeterSample.measured_at)))).all()


async def facts(store: Store, kind: str) -> list[Event]:
    async with store.reading() as work:
        return list((await work.session.exec(select(Event).where(Event.kind == kind))).all())


async def state_of(store: Store) -> str:
    async with store.reading() as work:
        return (await work.session.exec(select(ChargePoint))).one().status.value


async def close_zombies(runtime: Runtime) -> None:
    (job,) = [job for job in offered("jobs", "JOBS") if job.name == "estimate the end of abandoned charges"]
    await job.run(runtime)


@pytest.mark.octt("TC_C_08_CSMS", "TC_E_03_CSMS")
async def test_a_charge_from_the_cable_to_its_end(
    store: Store, calling: CallingStation, clock: FixedClock, api: httpx.AsyncClient
) -> None:
    start = clock()
    assert await tell(calling, "Started", 0, start, state="EVConnected", wh=1000.4) == {}
    assert await state_of(store) == "preparing"
    at = clock.advance(seconds=20)
    answer = await tell(
        calling,
        "Updated",
        1,
        at,
        triggerReason="Authorized",
        idToken=CARD,
        info={"remoteStartId": 77},
        state="Charging",
    )
    assert answer == ACCEPTED
    assert await state_of(store) == "charging"
    more = {"numberOfPhasesUsed": 3, "cableMaxCurrent": 32, "reservationId": 5}
    assert await tell(calling, "Updated", 2, clock.advance(minutes=10), wh=4000, evse=None, **more) == {}
    await tell(
        calling, "Updated", 3, clock.advance(minutes=1), triggerReason="ChargingStateChanged", state="SuspendedEV"
    )
    assert await state_of(store) == "suspended_ev"
    end = clock.advance(minutes=9)
    info = {"stoppedReason": "EVDisconnected", "timeSpentCharging": 660}
    assert await tell(calling, "Ended", 4, end, wh=5000.4, info=info, idToken=CARD) == ACCEPTED
    log = await log_of(store)
    assert (log.state, log.transaction_id, log.charge_point_number, log.connector_number) == ("finished", TX, 1, 1)
    assert (log.token, log.token_kind, log.verdict) == (CARD["idToken"], "iso14443", "accepted")
    assert (log.meter_start_wh, log.meter_stop_wh, log.energy_wh) == (1000, 5000, 4000)
    assert (log.started_at, log.stopped_at, log.duration_s) == (start, end, 1220)
    assert (log.stop_reason, log.stop_token, log.charging_s) == ("EVDisconnected", CARD["idToken"], 660)
    assert (log.phases_used, log.cable_max_a, log.reservation_id, log.remote_start_id) == (3, 32, 5, 77)
    assert log.flags == []
    assert len(await samples_of(store)) == 3
    assert len(await facts(store, "charge_started")) == len(await facts(store, "charge_stopped")) == 1
    path = f"/api/v1/stations/{calling.connected.identity}/charge-logs/{log.id}"
    shown = (await api.get(path)).json()
    assert (shown["transaction_id"], shown["token_kind"], shown["charging_state"]) == (TX, "iso14443", "SuspendedEV")
    told = (await api.get(f"{path}/events")).json()["items"]
    assert [(one["kind"], one["seq_no"]) for one in told] == [
        ("started", 0),
        *[("updated", n) for n in (1, 2, 3)],
        ("ended", 4),
    ]
    assert (told[1]["trigger_reason"], told[1]["answer"]) == ("Authorized", ACCEPTED)
    assert told[2]["details"]["numberOfPhasesUsed"] == 3
    curve = (await api.get(f"{path}/meter-curve")).json()
    assert [round(point["energy_wh"]) for point in curve["points"]] == [0, 3000, 4000]


@pytest.mark.robustness(33)
async def test_every_event_may_come_twice(
    store: Store, calling: CallingStation, clock: FixedClock, station: Station
) -> None:
    """With the same answer each time, also from memory that was loaded anew."""
    sent = [
        event("Started", 0, clock(), wh=100, idToken=CARD, triggerReason="Authorized"),
        event("Updated", 1, clock.advance(minutes=1), wh=200),
        event("Updated", 2, clock.advance(minutes=1), wh=300, state="Charging"),
        event("Ended", 3, clock.advance(minutes=1), wh=400, idToken=CARD),
    ]
    answers = []
    for one in sent:
        answers.append(await calling.call("TransactionEvent", **one))
        assert await calling.call("TransactionEvent", **one) == answers[-1]
    again = await connect(store, station, calling.connected.version)
    for one, answer in zip(sent, answers, strict=True):
        assert await again.call("TransactionEvent", **(one | {"offline": True})) == answer
    log = await log_of(store)
    assert (log.energy_wh, log.missing_events, log.flags) == (300, None, [])
    assert (len(await events_of(store)), len(await samples_of(store))) == (4, 4)
    assert len(await facts(store, "charge_stopped")) == 1


async def test_a_repeated_answer_stays_though_the_token_changes(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    sent = event("Started", 0, clock(), idToken=CARD)
    assert await calling.call("TransactionEvent", **sent) == ACCEPTED
    async with store.writing() as work:
        (await work.session.exec(select(Token))).one().is_blocked = True
    clock.advance(minutes=5)
    assert await calling.call("TransactionEvent", **sent) == ACCEPTED
    blocked = await tell(calling, "Updated", 1, clock(), idToken=CARD, triggerReason="Authorized")
    assert blocked["idTokenInfo"]["status"] == "Blocked"


@pytest.mark.robustness(34)
class TestOrder:
    async def test_a_gap_is_flagged_until_it_is_filled(
        self, store: Store, calling: CallingStation, clock: FixedClock, station: Station
    ) -> None:
        at = clock()
        await tell(calling, "Started", 0, at, wh=0)
        await tell(calling, "Updated", 3, at + timedelta(minutes=3), wh=300)
        log = await log_of(store)
        assert (log.missing_events, log.flags) == (2, ["sequence_gap"])
        again = await connect(store, station, calling.connected.version)
        await tell(again, "Updated", 1, at + timedelta(minutes=1), wh=100)
        assert (await log_of(store)).missing_events == 1
        await tell(again, "Updated", 2, at + timedelta(minutes=2), wh=200)
        log = await log_of(store)
        assert (log.missing_events, log.flags) == (0, ["out_of_order"])
        await tell(again, "Ended", 4, at + timedelta(minutes=4), wh=400)
        assert (await log_of(store)).energy_wh == 400

    async def test_the_end_first_and_the_start_last(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        start = clock()
        end = clock.advance(minutes=30)
        assert await tell(calling, "Ended", 2, end, wh=3000, info={"stoppedReason": "Remote"}) == {}
        log = await log_of(store)
        assert (log.state, log.energy_wh, log.token, log.flags) == ("finished", 0, "", ["start_missing"])
        await tell(calling, "Updated", 1, start + timedelta(minutes=10), wh=2000)
        started = await tell(calling, "Started", 0, start, wh=1000, idToken=CARD, triggerReason="Authorized")
        assert started == ACCEPTED
        log = await log_of(store)
        assert (log.started_at, log.stopped_at, log.duration_s) == (start, end, 1800)
        assert (log.meter_start_wh, log.meter_stop_wh, log.energy_wh) == (1000, 3000, 2000)
        assert (log.token, log.stop_reason, log.missing_events) == (CARD["idToken"], "Remote", None)
        assert set(log.flags) == {"offline", "out_of_order"}
        assert len(await events_of(store)) == len(await samples_of(store)) == 3

    async def test_an_update_without_a_start_is_a_charge(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        at = clock()
        await tell(calling, "Updated", 7, at, wh=700, state="Charging")
        await tell(calling, "Ended", 8, clock.advance(minutes=5), wh=900)
        log = await log_of(store)
        assert (log.state, log.started_at, log.energy_wh, log.flags) == ("finished", at, 200, ["start_missing"])

    async def test_a_start_that_comes_while_it_runs(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        start = clock()
        at = clock.advance(minutes=2)
        await tell(calling, "Updated", 1, at, wh=200)
        await tell(calling, "Started", 0, start, wh=100, idToken=CARD)
        await tell(calling, "Ended", 2, clock.advance(minutes=2), wh=300)
        log = await log_of(store)
        assert (log.started_at, log.energy_wh, log.flags) == (start, 200, ["out_of_order"])

    async def test_a_station_that_always_sends_0(
        self, store: Store, calling: CallingStation, clock: FixedClock, station: Station
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0, idToken=CARD)
        last = event("Updated", 0, clock.advance(minutes=1), wh=50)
        for _ in range(2):
            assert await calling.call("TransactionEvent", **last) == {}
        again = await connect(store, station, calling.connected.version)
        assert await again.call("TransactionEvent", **last) == {}
        await tell(again, "Ended", 0, clock.advance(minutes=1), wh=80)
        log = await log_of(store)
        assert (log.energy_wh, log.missing_events, log.flags, len(await events_of(store))) == (80, None, [], 3)

    async def test_an_id_that_is_used_again_is_another_charge(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        """The counter of some stations begins anew with a reset."""
        for start_wh in (0, 500):
            await tell(calling, "Started", 0, clock.advance(minutes=10), wh=start_wh, tx="1", idToken=CARD)
            await tell(calling, "Ended", 1, clock.advance(minutes=10), wh=start_wh + 100, tx="1")
        first, second = await logs_of(store)
        assert (first.transaction_id, first.energy_wh, first.flags) == ("1", 100, [])
        assert (second.transaction_id, second.energy_wh, second.flags) == ("1", 100, ["id_used_again"])

    async def test_a_second_end_changes_nothing(self, store: Store, calling: CallingStation, clock: FixedClock) -> None:
        await tell(calling, "Started", 0, clock(), wh=0)
        await tell(calling, "Ended", 1, clock.advance(minutes=5), wh=100)
        await tell(calling, "Ended", 2, clock.advance(minutes=5), wh=900)
        log = await log_of(store)
        assert (log.energy_wh, log.meter_stop_wh, len(await events_of(store))) == (100, 100, 3)


@pytest.mark.robustness(35)
async def test_what_happened_offline_has_the_station_s_time(
    store: Store, calling: CallingStation, clock: FixedClock
) -> None:
    start = clock()
    clock.advance(hours=8)
    await tell(calling, "Started", 0, start, wh=0, offline=True, idToken=CARD, triggerReason="Authorized")
    end = start + timedelta(hours=2)
    await tell(calling, "Ended", 1, end, wh=9000, offline=True)
    log = await log_of(store)
    assert (log.started_at, log.stopped_at, log.energy_wh) == (start, end, 9000)
    assert log.flags == ["offline"]
    assert log.received_at == clock()
    assert [one.is_offline for one in await events_of(store)] == [True, True]


class TestTokens:
    @pytest.mark.octt("TC_C_20_CSMS")
    async def test_an_unknown_one_is_told_so_and_the_charge_is_kept(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        stranger = {"idToken": "AABBCCDD", "type": "ISO14443"}
        answer = await tell(calling, "Started", 0, clock(), idToken=stranger, triggerReason="Authorized")
        assert answer["idTokenInfo"]["status"] in {"Invalid", "Unknown"}
        log = await log_of(store)
        assert log.flags == ["no_meter_start", "unauthorised"]
        assert await tell(calling, "Updated", 1, clock(), idToken=CARD, triggerReason="Authorized") == ACCEPTED
        log = await log_of(store)
        assert (log.token, log.flags) == (CARD["idToken"], ["no_meter_start"])

    async def test_without_one_it_is_not_judged(
        self, calling: CallingStation, clock: FixedClock, api: httpx.AsyncClient
    ) -> None:
        assert await tell(calling, "Started", 0, clock()) == {}
        path = f"/api/v1/stations/{calling.connected.identity}/charge-logs"
        (shown,) = (await api.get(path)).json()["items"]
        assert (shown["token"], shown["verdict"], shown["meter_start_wh"]) == (None, None, None)

    async def test_one_that_needs_no_authorisation(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        free = {"idToken": "", "type": "NoAuthorization"}
        answer = await tell(calling, "Started", 0, clock(), idToken=free, triggerReason="RemoteStart")
        log = await log_of(store)
        assert (log.token_kind, answer["idTokenInfo"]["status"]) == ("no_authorization", "Accepted")

    async def test_who_stops_is_not_who_started(self, store: Store, calling: CallingStation, clock: FixedClock) -> None:
        await register(store, "OTHER-1")
        await tell(calling, "Started", 0, clock(), idToken=CARD, wh=0)
        other = {"idToken": "OTHER-1", "type": "ISO14443"}
        await tell(calling, "Updated", 1, clock.advance(minutes=1), idToken=other, triggerReason="StopAuthorized")
        await tell(calling, "Ended", 2, clock.advance(minutes=1), wh=10)
        log = await log_of(store)
        assert (log.token, log.stop_token, log.flags) == (CARD["idToken"], "OTHER-1", ["other_token"])

    async def test_an_exclusive_one_is_in_one_charge_at_a_time(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await register(store, "ONCE", is_exclusive=True)
        once = {"idToken": "ONCE", "type": "ISO14443"}
        assert await tell(calling, "Started", 0, clock(), idToken=once) == ACCEPTED
        assert await tell(calling, "Updated", 1, clock(), idToken=once, triggerReason="Authorized") == ACCEPTED
        second = await tell(calling, "Started", 0, clock(), tx="other", idToken=once, evse={"id": 2})
        assert second["idTokenInfo"]["status"] == "ConcurrentTx"


class TestMeters:
    async def test_units_multipliers_and_signed_values(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        signed = {"signedMeterData": "T0NNRnx7fQ==", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}
        units = [
            (1.0, {"unitOfMeasure": {"unit": "kWh"}}),
            (1500, {"unitOfMeasure": {"unit": "Wh", "multiplier": 0}, "signedMeterValue": signed}),
            (20, {"unitOfMeasure": {"unit": "Wh", "multiplier": 2}}),
            (2500.5, {}),
        ]
        for number, (value, more) in enumerate(units):
            at = clock.advance(minutes=1)
            kind = "Updated" if number else "Started"
            await tell(calling, kind, number, at, meterValue=[values(at, value, **more)])
        samples = await samples_of(store)
        assert [one.energy_wh for one in samples] == [1000, 1500, 2000, 2500.5]
        assert samples[1].sampled_values[0]["signedMeterValue"] == signed
        assert (await log_of(store)).meter_start_wh == 1000

    async def test_phases_power_and_state_of_charge(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        at = clock()
        power = [{"value": 3680, "measurand": "Power.Active.Import", "phase": f"L{n}"} for n in (1, 2, 3)]
        soc = {"value": 55, "measurand": "SoC", "location": "EV"}
        await tell(calling, "Started", 0, at, meterValue=[{"timestamp": write(at), "sampledValue": [*power, soc]}])
        (sample,) = await samples_of(store)
        assert (sample.energy_wh, sample.power_w, sample.soc_percent) == (None, 11040, 55)
        log = await log_of(store)
        assert (log.last_power_w, log.last_soc_percent, log.flags) == (11040, 55, ["no_meter_start"])

    async def test_begin_and_end_both_told_with_the_end(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        start = clock()
        await tell(calling, "Started", 0, start, idToken=CARD)
        end = clock.advance(hours=1)
        told = [values(start, 10.5, "Transaction.Begin"), values(end, 7010.5, "Transaction.End")]
        await tell(calling, "Ended", 1, end, meterValue=told)
        log = await log_of(store)
        assert (log.meter_start_wh, log.meter_stop_wh, log.energy_wh, log.flags) == (10, 7010, 7000, [])

    async def test_an_end_without_register_has_the_latest_one(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=100)
        await tell(calling, "Updated", 1, clock.advance(minutes=5), wh=700)
        await tell(calling, "Ended", 2, clock.advance(minutes=5))
        log = await log_of(store)
        assert (log.meter_stop_wh, log.energy_wh) == (700, 600)

    async def test_without_any_register_the_energy_is_not_known(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await tell(calling, "Started", 0, clock())
        await tell(calling, "Ended", 1, clock.advance(minutes=5))
        log = await log_of(store)
        assert (log.energy_wh, log.meter_stop_wh, log.duration_s, log.flags) == (None, None, 300, ["no_meter_start"])

    async def test_a_register_that_begins_again(self, store: Store, calling: CallingStation, clock: FixedClock) -> None:
        await tell(calling, "Started", 0, clock(), wh=50_000)
        for number, wh in enumerate((51_000, 0, 400), 1):
            await tell(calling, "Updated", number, clock.advance(minutes=10), wh=wh)
        await tell(calling, "Ended", 4, clock.advance(minutes=10), wh=900)
        log = await log_of(store)
        assert (log.energy_wh, log.flags) == (1900, ["meter_reset"])

    @pytest.mark.ocpp("2.x MeterValues")
    @pytest.mark.octt("TC_J_01_CSMS")
    async def test_plain_meter_values(self, store: Store, calling: CallingStation, clock: FixedClock) -> None:
        """Those of the clock belong to no charge; some stations send those of a charge this way too."""
        at = clock()
        for _ in range(2):
            assert await calling.call("MeterValues", evseId=1, meterValue=[values(at, 100)]) == {}
        await tell(calling, "Started", 0, clock.advance(minutes=1), idToken=CARD)
        await calling.call("MeterValues", evseId=1, meterValue=[values(clock.advance(minutes=1), 110)])
        await calling.call("MeterValues", evseId=1, meterValue=[values(at + timedelta(seconds=1), 100)])
        await calling.call("MeterValues", evseId=0, meterValue=[values(clock(), 9999)])
        await calling.call("MeterValues", evseId=1, meterValue=[values(clock.advance(minutes=1), 310)])
        await tell(calling, "Ended", 1, clock.advance(minutes=1), wh=410)
        log = await log_of(store)
        assert (log.meter_start_wh, log.energy_wh, log.flags) == (110, 300, [])
        mine = [one.charge_log_id == log.id for one in await samples_of(store)]
        assert mine == [False, False, True, False, True, True]


class TestZombies:
    async def test_a_new_start_ends_what_was_open_there(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0, tx="one")
        await tell(calling, "Updated", 1, clock.advance(minutes=1), wh=500, tx="one")
        await tell(calling, "Started", 0, clock.advance(minutes=1), wh=500, tx="two")
        first, second = await logs_of(store)
        assert (first.state, first.energy_wh, second.state) == (ChargeState.ESTIMATED_END, 500, ChargeState.RUNNING)
        assert set(first.flags) == {"estimated_end", "superseded"}
        await tell(calling, "Ended", 2, clock(), wh=450, tx="one")
        first, second = await logs_of(store)
        assert (first.state, second.state) == (ChargeState.FINISHED, ChargeState.RUNNING)
        assert "late_stop" in first.flags

    async def test_after_a_boot_a_silent_charge_ends_by_estimate(
        self, store: Store, calling: CallingStation, clock: FixedClock, runtime: Runtime
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0, state="Charging")
        await tell(calling, "Updated", 1, clock.advance(minutes=1), wh=500, state="Charging")
        await calling.call("BootNotification", chargingStation={"model": "M", "vendorName": "V"}, reason="PowerUp")
        assert await state_of(store) != "charging"
        clock.advance(minutes=20)
        await close_zombies(runtime)
        log = await log_of(store)
        assert (log.state, log.stop_reason, log.energy_wh) == (ChargeState.ESTIMATED_END, "PowerLoss", 500)

    async def test_an_event_after_the_boot_shows_that_it_goes_on(
        self, store: Store, calling: CallingStation, clock: FixedClock, runtime: Runtime
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0, state="Charging")
        await calling.call("BootNotification", chargingStation={"model": "M", "vendorName": "V"}, reason="Watchdog")
        await tell(calling, "Updated", 1, clock.advance(minutes=1), state="Charging", triggerReason="Trigger")
        clock.advance(minutes=20)
        await close_zombies(runtime)
        assert (await log_of(store)).state is ChargeState.RUNNING
        assert await state_of(store) == "charging"

    async def test_a_boot_that_was_only_asked_for_ends_nothing(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0)
        await calling.call("BootNotification", chargingStation={"model": "M", "vendorName": "V"}, reason="Triggered")
        assert (await log_of(store)).abandoned_at is None

    async def test_a_free_connector_ends_what_charges_there(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        free = {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        await tell(calling, "Started", 0, clock(), wh=0, state="Idle")
        await calling.call("StatusNotification", timestamp=write(clock()), **free)
        assert (await log_of(store)).abandoned_at is None
        await tell(calling, "Updated", 1, clock.advance(minutes=1), state="Charging")
        await calling.call(
            "StatusNotification", timestamp=write(clock.advance(minutes=1)), **(free | {"connectorStatus": "Occupied"})
        )
        assert await state_of(store) == "charging"
        await calling.call("StatusNotification", timestamp=write(clock.advance(minutes=1)), **free)
        assert (await log_of(store)).abandoned_at == clock()
        assert await state_of(store) == "available"


class TestOddities:
    async def test_an_evse_that_is_told_later(self, store: Store, calling: CallingStation, clock: FixedClock) -> None:
        await tell(calling, "Started", 0, clock(), evse=None, idToken=CARD, triggerReason="Authorized")
        assert (await log_of(store)).charge_point_number == 0
        await tell(calling, "Updated", 1, clock(), evse={"id": 2, "connectorId": 1}, triggerReason="CablePluggedIn")
        log = await log_of(store)
        assert (log.charge_point_number, log.connector_number) == (2, 1)
        assert log.charge_point_id is not None

    @pytest.mark.parametrize("number", [-1, 0, 99_999])
    async def test_an_impossible_evse_is_no_reason_to_refuse(
        self, store: Store, calling: CallingStation, clock: FixedClock, number: int
    ) -> None:
        await tell(calling, "Started", 0, clock(), evse={"id": number}, state="Charging", wh=0)
        await tell(calling, "Ended", 1, clock(), evse={"id": number}, wh=10)
        assert (await log_of(store)).energy_wh == 10

    @pytest.mark.robustness(34)
    @pytest.mark.parametrize("told", ["1970-01-01T00:00:05Z", "2044-05-05T00:00:00Z", "not a time", None])
    async def test_a_wrong_clock(
        self, store: Store, calling: CallingStation, clock: FixedClock, told: str | None
    ) -> None:
        for number, kind in enumerate(("Started", "Updated", "Ended")):
            sent = event(kind, number, clock(), wh=number * 10)
            sent["timestamp"] = told
            assert await calling.call("TransactionEvent", **sent) == {}
        log = await log_of(store)
        assert (log.state, log.energy_wh) == (ChargeState.FINISHED, 20)
        assert set(log.flags) & {"clock_suspect", "no_time"}

    @pytest.mark.robustness(34)
    async def test_a_clock_that_is_set_meanwhile(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        sent = event("Started", 0, clock(), wh=0) | {"timestamp": "1970-01-01T00:00:05Z"}
        await calling.call("TransactionEvent", **sent)
        await tell(calling, "Ended", 1, clock.advance(minutes=20), wh=90)
        log = await log_of(store)
        assert (log.duration_s, log.energy_wh) == (1200, 90)
        assert "clock_suspect" in log.flags

    async def test_what_a_lenient_station_may_leave_out(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        sent = {"eventType": "Started", "timestamp": write(clock()), "transactionInfo": {"transactionId": "1"}}
        assert await calling.call("TransactionEvent", **sent) == {}
        assert await calling.call("TransactionEvent", **(sent | {"idToken": "odd", "evse": [], "meterValue": {}})) == {}
        assert len(await events_of(store)) == 1

    @pytest.mark.robustness(13, 14)
    async def test_another_station_s_transaction_is_not_touched(
        self, store: Store, calling: CallingStation, clock: FixedClock
    ) -> None:
        await tell(calling, "Started", 0, clock(), wh=0, idToken=CARD)
        hostile = await connect(store, await make_station(store), calling.connected.version)
        await tell(hostile, "Ended", 1, clock.advance(minutes=1), wh=9)
        mine, theirs = await logs_of(store)
        assert (mine.state, theirs.state) == (ChargeState.RUNNING, ChargeState.FINISHED)
        assert mine.station_id != theirs.station_id
        (told,) = await facts(store, "security_event")
        assert (told.station_id, told.data["type"]) == (theirs.station_id, "foreign_transaction")

    @pytest.mark.parametrize(
        "words",
        [
            (None, None, "Local"),
            (None, "RemoteStop", "Remote"),
            (None, "EVDeparted", "EVDisconnected"),
            (None, "UnlockCommand", "UnlockCommand"),
            ("ImmediateReset", "ResetCommand", "HardReset"),
            ("SOCLimitReached", "ChargingStateChanged", "SOCLimitReached"),
        ],
    )
    async def test_reasons_are_one_vocabulary(
        self, store: Store, calling: CallingStation, clock: FixedClock, words: tuple[str | None, str | None, str]
    ) -> None:
        stopped, trigger, reason = words
        info = {} if stopped is None else {"stoppedReason": stopped}
        await tell(calling, "Ended", 0, clock(), info=info, triggerReason=trigger)
        assert (await log_of(store)).stop_reason == reason


async def test_what_only_2_1_tells_is_kept(
    store: Store, clock: FixedClock, station: Station, api: httpx.AsyncClient
) -> None:
    calling = await connect(store, station, Version.V21)
    limit = {"maxEnergy": 20000.0}
    info = {"tariffId": "T-1", "transactionLimit": limit, "operationMode": "ChargingOnly"}
    await tell(calling, "Started", 0, clock(), wh=0, info=info, preconditioningStatus="Ready")
    cost = {"totalCost": {"currency": "EUR", "typeOfCost": "NormalCost", "total": {"exclTax": 1.5}}}
    await tell(calling, "Ended", 1, clock.advance(minutes=9), wh=5, costDetails=cost, info={"operationMode": "Idle"})
    log = await log_of(store)
    path = f"/api/v1/stations/{station.identity}/charge-logs/{log.id}"
    assert (await api.get(path)).json()["details"] == {
        "preconditioningStatus": "Ready",
        "operationMode": "Idle",
        "tariffId": "T-1",
        "transactionLimit": limit,
        "costDetails": cost,
    }
