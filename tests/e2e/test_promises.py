"""ROBUSTNESS, promises 1 to 5, checked over the whole history of a run: what stations saw against every row."""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from sqlmodel import col, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms.bus import Message, subject_token
from csms.station.charge_logs import ChargeState
from csms.station.charge_points import ChargePoint
from csms.station.commands import Command, CommandOutcome
from csms.station.communication_logs import FrameOutcome
from simulators.driver import Habits
from simulators.fleet import FleetPlan
from tests.e2e.recorded_fleet import Record, RecordedFleet
from tests.e2e.system import System, eventually
from tests.e2e.verdict import Rows, at, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.feature("B6", "B7", "F5"), pytest.mark.robustness(10, 23, 33, 35)]

STATIONS = 50
DEADLINE_S = 90.0
"""By then enough must have happened; usually it has after some seconds."""
SPEED = 600.0
PAST_S = 48 * 3600.0
"""So far back do the stations begin: at this speed they stay in the past during the whole run."""
OPERATORS = 3
REPEATED = ("StartTransaction", "MeterValues", "StopTransaction")
REPEATING = 10
"""So many stations repeat their last messages in the end."""
HABITS = Habits(first_arrival_s=300.0, mean_gap_s=600.0, mean_linger_s=300.0, hurried_share=0.5, faults_per_hour=8.0)

COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
    ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
    ("TriggerMessage", {"requestedMessage": "MeterValues", "connectorId": 1}),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "900"}),
    ("UnlockConnector", {"connectorId": 2}),
    ("RemoteStartTransaction", {"connectorId": 1, "idTag": "DRIVER-1"}),
    ("ClearCache", {}),
    ("Reset", {"type": "Soft"}),
    ("GetDiagnostics", {"location": "https://files.example.com/"}),
)


async def test_the_promises_hold_over_a_whole_history(system: System) -> None:
    for tag in HABITS.id_tags:
        await system.post("tokens", {"uid": tag})
    plan = FleetPlan(
        url=system.url, count=STATIONS, prefix="P-", kind="dc", speed=SPEED, behind_s=PAST_S, habits=HABITS,
    )  # fmt: skip
    fleet = RecordedFleet(plan)
    fences = await listen_for_fences(system)
    sent: list[dict[str, Any]] = []
    async with asyncio.TaskGroup() as group:
        operators = [group.create_task(operate(system, fleet, number, sent)) for number in range(OPERATORS)]
        group.create_task(stop_when_enough_happened(fleet, sent))
        report = await fleet.run()
        await asyncio.wait(operators)
    assert report["is_sound"], json.dumps(report, indent=2)
    await until_all_are_closed(system, fleet)
    before = await rows_of(system.store, list(fleet.records))
    await repeat_last_messages(system, fleet, before)
    rows = await rows_of(system.store, list(fleet.records))

    for identity, record in fleet.records.items():
        own = rows[identity]
        check_frames(record, own)
        check_charges(record, own)
        check_samples(record, own)
        check_connections(record, own, fences[subject_token(identity)])
        check_asked(record, own, [one for one in sent if one["station_id"] == identity])
    energy_wh = sum(log.energy_wh or 0 for own in rows.values() for log in own.charge_logs)
    assert energy_wh == fleet.counters.energy_wh, "the energies add up"
    await check_statuses(system, fleet, rows)
    await check_commands(system, sent)


# --- the run --------------------------------------------------------------------------------------------------------


async def listen_for_fences(system: System) -> defaultdict[str, list[int]]:
    """The fencing numbers as owners announce them, by the station's subject token."""
    fences: defaultdict[str, list[int]] = defaultdict(list)

    async def hear(message: Message) -> None:
        fences[message.subject.rpartition(".")[2]].append(orjson.loads(message.data)["fence"])

    await system.started.runtime.bus.subscribe("owner.>", hear)
    return fences


async def operate(system: System, fleet: RecordedFleet, number: int, sent: list[dict[str, Any]]) -> None:
    """An operator who sends one command after the other to stations that have been there once."""
    dice = random.Random(number)
    while not fleet.is_over:
        known = [station.endpoint.identity for station in fleet.stations if station.has_connected]
        if len(known) < STATIONS:
            await asyncio.sleep(0.05)
            continue
        action, payload = dice.choice(COMMANDS)
        sent.append(await system.command(dice.choice(known), action, payload, timeout_s=5))


async def until_all_are_closed(system: System, fleet: RecordedFleet) -> None:
    async def are_closed() -> bool:
        rows = await rows_of(system.store, list(fleet.records))
        return all(connection.closed_at for own in rows.values() for connection in own.connections)

    await eventually(are_closed)


async def repeat_last_messages(system: System, fleet: RecordedFleet, before: dict[str, Rows]) -> None:
    """Promise 2: a repeated message gets the same answer and changes nothing."""
    able = (name for name, record in fleet.records.items() if has_said_all(record))
    repeating = list(able)[:REPEATING]
    assert len(repeating) == REPEATING
    for identity in repeating:
        record = fleet.records[identity]
        record.connections.append(True)
        url = f"{system.url}/{identity}"
        async with connect(url, subprotocols=[Subprotocol("ocpp1.6")], proxy=None) as client:
            for action in REPEATED:
                *_, (payload, answer) = record.answered(action)
                assert await call(client, action, payload) == answer
    await until_all_are_closed(system, fleet)
    after = await rows_of(system.store, repeating)
    for identity, own in after.items():
        assert own.charge_logs == before[identity].charge_logs
        assert own.samples == before[identity].samples


async def call(client: ClientConnection, action: str, payload: dict[str, Any]) -> Any:
    await client.send(json.dumps([2, f"again-{action}", action, payload]))
    frame = json.loads(await client.recv())
    assert frame[:2] == [3, f"again-{action}"], frame
    return frame[2]


async def stop_when_enough_happened(fleet: RecordedFleet, sent: list[dict[str, Any]]) -> None:
    """A run in which little happens would prove nothing."""

    async def has_enough() -> bool:
        records = list(fleet.records.values())
        answered = sum(one.answer is not None for record in records for one in record.said)
        reconnects = sum(max(0, len(record.connections) - 1) for record in records)
        charged_enough = fleet.counters.charges > STATIONS and reconnects > STATIONS / 2
        return charged_enough and answered > 1000 and len(sent) > 20 and sum(map(has_said_all, records)) >= REPEATING

    await eventually(has_enough, timeout_s=DEADLINE_S)
    fleet.stop()


def has_said_all(record: Record) -> bool:
    """Whether it has something of each kind to repeat."""
    return all(any(record.answered(kind)) for kind in REPEATED)


# --- the verdicts ---------------------------------------------------------------------------------------------------


def text_of(action: str | None, payload: Any) -> str:
    return f"{action} {json.dumps(payload, sort_keys=True)}"


def check_frames(record: Record, rows: Rows) -> None:
    """Promise 1: what was acknowledged is stored; what is stored beyond that is what nobody knows of."""
    ids = Counter(frame.message_id for frame in rows.from_station if frame.outcome is FrameOutcome.ANSWERED)
    assert not [message_id for message_id, count in ids.items() if count > 1 and "again" not in str(message_id)]
    stored = Counter(
        text_of(frame.action, json.loads(frame.request or "")[3])
        for frame in rows.from_station
        if frame.outcome is FrameOutcome.ANSWERED and not str(frame.message_id).startswith("again")
    )
    acknowledged = Counter(text_of(one.action, one.payload) for one in record.said if one.answer is not None)
    unknown = Counter(text_of(one.action, one.payload) for one in record.said if one.is_unknown)
    lost, invented = acknowledged - stored, (stored - acknowledged) - unknown
    assert not lost, "acknowledged but not stored"
    assert not invented, "stored but never said"


def check_charges(record: Record, rows: Rows) -> None:
    """Promises 1 and 2: each charge once, with the figures that the station sent."""
    logs = {int(log.transaction_id): log for log in rows.charge_logs}
    starts = {text_of("", payload): (payload, answer) for payload, answer in record.answered("StartTransaction")}
    stops = {text_of("", payload): payload for payload, _ in record.answered("StopTransaction")}
    assert len(logs) == len(rows.charge_logs) == len(starts) == len(stops)
    for payload, answer in starts.values():
        log = logs[answer["transactionId"]]
        assert log.state is ChargeState.FINISHED
        assert (log.charge_point_number, log.token) == (payload["connectorId"], payload["idTag"])
        assert (log.started_at, log.meter_start_wh) == (at(payload["timestamp"]), payload["meterStart"])
    for payload in stops.values():
        log = logs[payload["transactionId"]]
        assert (log.stopped_at, log.meter_stop_wh) == (at(payload["timestamp"]), payload["meterStop"])
        registers = [(one.measured_at, one.energy_wh) for one in rows.samples if one.charge_log_id == log.id]
        assert log.energy_wh == payload["meterStop"] - log.meter_start_wh, (log, registers)
        assert log.stop_reason == payload["reason"]


def check_samples(record: Record, rows: Rows) -> None:
    """Promise 2: each moment of each meter once, however often it was sent."""
    stored = Counter(sample_text(one.charge_point_number, one.measured_at, one.sampled_values) for one in rows.samples)
    assert not [text for text, count in stored.items() if count > 1], "a sample was stored twice"
    told = set(sample_texts(payload for payload, _ in record.answered("MeterValues")))
    unknown = set(sample_texts(one.payload for one in record.said if one.action == "MeterValues" and one.is_unknown))
    assert told <= stored.keys()
    assert stored.keys() <= told | unknown


def sample_texts(payloads: Iterable[dict[str, Any]]) -> Iterable[str]:
    for payload in payloads:
        for value in payload["meterValue"]:
            yield sample_text(payload["connectorId"], at(value["timestamp"]), value["sampledValue"])


def sample_text(number: int, measured_at: Any, values: Any) -> str:
    return f"{number} {measured_at.isoformat()} {json.dumps(values, sort_keys=True)}"


def check_connections(record: Record, rows: Rows, fences: list[int]) -> None:
    """Promises 3 and 5: one opened and one closed row each, under fences that grow."""
    served = sum(record.connections)
    assert served <= len(rows.connections) <= len(record.connections)
    for row in rows.connections:
        assert row.closed_at is not None
        assert row.closed_at >= row.opened_at
        assert row.code not in (None, "0000")
    assert fences == sorted(set(fences)), "a fence was given twice, or went back"
    assert rows.station.fence == fences[-1] == len(rows.connections)
    assert not rows.station.is_online


def check_asked(record: Record, rows: Rows, sent: list[dict[str, Any]]) -> None:
    """Promise 4 on the wire: no command twice, none that nobody sent, every answer from the station itself."""
    asked = Counter(text_of(action, payload) for action, payload in record.asked)
    wanted = Counter(text_of(one["action"], one["request"]) for one in sent)
    settled = [one for one in sent if one["outcome"] in ("answered", "refused")]
    assert not asked - wanted, "the station was asked for more than operators sent"
    assert not Counter(text_of(one["action"], one["request"]) for one in settled) - asked
    answered = Counter(frame.action for frame in rows.to_station if frame.outcome is FrameOutcome.ANSWERED)
    assert answered == Counter(one["action"] for one in sent if one["outcome"] == "answered")


async def check_statuses(system: System, fleet: RecordedFleet, rows: dict[str, Rows]) -> None:
    """The last status that a connector told is the one that is shown."""
    async with system.store.reading() as work:
        points = (await work.session.exec(select(ChargePoint))).all()
    words = {(point.station_id, point.number): point.status_word for point in points}
    for identity, record in fleet.records.items():
        for number, told in told_last(record).items():
            assert words.get((rows[identity].station.id, number)) in told


def told_last(record: Record) -> dict[int, set[str | None]]:
    """By connector: the last status that was acknowledged (None: none was), and those after it without an answer."""
    told: dict[int, set[str | None]] = {}
    for one in record.said:
        if one.action != "StatusNotification" or not one.payload["connectorId"]:
            continue
        if one.answer is not None:
            told[one.payload["connectorId"]] = set()
        told.setdefault(one.payload["connectorId"], {None}).add(one.payload["status"])
    return told


async def check_commands(system: System, sent: list[dict[str, Any]]) -> None:
    """Promise 4: every command ended, in one outcome, which is the one that its operator was told."""
    async with system.store.reading() as work:
        commands = (await work.session.exec(select(Command).order_by(col(Command.id)))).all()
    assert len(commands) == len(sent)
    stored = {str(command.id): command for command in commands}
    for one in sent:
        command = stored[one["id"]]
        assert command.outcome is not CommandOutcome.WAITING
        assert command.outcome is not CommandOutcome.UNKNOWN
        assert (command.outcome, command.payload, command.error) == (one["outcome"], one["payload"], one["error"])
        has = (command.payload is not None, command.error is not None, command.reason is not None)
        assert has.count(True) == 1, "an answer, or a refusal, or a reason why there is none"
        assert command.answered_at is not None
