import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from csms.ocpp.versions import Version
from simulators import load_v201
from simulators.load import CYCLE, TEMPLATES, Load, run
from tests.simulators.scripted_csms import DEADLINE_S, refuse, scripted_csms, validator

pytestmark = pytest.mark.feature("F5")

ROOT = Path(__file__).parents[2]
VALUES = {
    b"id": b"0123abcd-1234",
    b"tag": b"TAG00001",
    b"at": b"2026-03-01T12:00:00.000Z",
    b"energy_wh": 1_234_567,
    b"transaction_id": 123_456,
}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_every_template_is_valid_ocpp(kind: str) -> None:
    message_type, message_id, action, payload = json.loads(TEMPLATES[kind] % VALUES)
    assert (message_type, message_id) == (2, "0123abcd-1234")
    validator(Version.V16, action).validate(payload)


def test_the_mix_is_the_one_that_the_figures_are_made_with() -> None:
    texts = [TEMPLATES[kind] % VALUES for kind in CYCLE]
    frames = [json.loads(text) for text in texts]
    actions = Counter(frame[2] for frame in frames)
    samples = sum(text.count(b'"measurand"') for text in texts)
    assert len(CYCLE) == 20
    assert actions == {
        "MeterValues": 12, "Heartbeat": 3, "StatusNotification": 3, "StartTransaction": 1, "StopTransaction": 1,
    }  # fmt: skip
    assert samples / len(CYCLE) == 5
    assert sum(map(len, texts)) / len(texts) == pytest.approx(783, rel=0.01)


async def test_it_loads_a_validating_csms_in_a_closed_loop() -> None:
    async with scripted_csms() as csms:
        report = await run(Load(csms.url, connections=5, duration_s=0.4, warmup_s=0.1))
        assert report["errors"] == {}
        assert report["messages"] > 100
        assert report["messages_per_s"] == pytest.approx(report["messages"] / report["seconds"], rel=0.01)
        assert 0 < report["answer_ms"]["p50"] <= report["answer_ms"]["p99"] <= report["answer_ms"]["max"]
        assert {call.identity for call in csms.received} == {f"LOAD-{number:05d}" for number in range(5)}
        of_one = [call for call in csms.received if call.identity == "LOAD-00000"]
        assert of_one[0].action == "BootNotification"
        stops = [call.payload["transactionId"] for call in of_one if call.action == "StopTransaction"]
        assert stops
        assert all(transaction_id < 1_000_000 for transaction_id in stops)
        stamps = [call.payload["timestamp"] for call in of_one if "timestamp" in call.payload]
        assert len(set(stamps)) == len(stamps)
        assert stamps == sorted(stamps)
        assert csms.closes == [(1000, "")] * 5


VALUES_201 = {**VALUES, b"transaction": b"0123abcd-77", b"seq_no": 5}


@pytest.mark.parametrize("kind", load_v201.TEMPLATES)
@pytest.mark.parametrize("version", [Version.V201, Version.V21])
def test_every_template_of_2_0_1_is_valid(kind: str, version: Version) -> None:
    _, _, action, payload = json.loads(load_v201.TEMPLATES[kind] % VALUES_201)
    validator(version, f"{action}Request").validate(payload)


def test_the_mix_of_2_0_1_is_that_of_1_6() -> None:
    frames = [json.loads(load_v201.TEMPLATES[kind] % VALUES_201) for kind in load_v201.CYCLE]
    assert len(frames) == len(CYCLE)
    told = Counter(frame[3].get("triggerReason", frame[2]) for frame in frames)
    assert told == {
        "MeterValuePeriodic": 12, "Heartbeat": 3, "StatusNotification": 2, "Authorized": 1, "ChargingStateChanged": 1,
        "StopAuthorized": 1,
    }  # fmt: skip


async def test_load_of_2_0_1_makes_whole_transactions() -> None:
    async with scripted_csms() as csms:
        load = Load(
            csms.url,
            connections=3,
            duration_s=0.4,
            warmup_s=0.1,
            version=Version.V201,
            station=load_v201.LoadConnection201,
        )
        report = await run(load)
        assert report["errors"] == {}
        assert report["messages"] > 100
        assert set(csms.versions.values()) == {Version.V201}
        own = [call.payload for call in csms.received if call.identity == "LOAD-00000"]
        numbers: dict[str, list[int]] = {}
        for payload in own:
            if "seqNo" in payload:
                numbers.setdefault(payload["transactionInfo"]["transactionId"], []).append(payload["seqNo"])
        assert len(numbers) > 1
        assert all(told == list(range(len(told))) for told in numbers.values())
        assert len(next(iter(numbers.values()))) == 15


async def test_refusals_are_counted_by_kind() -> None:
    async with scripted_csms(answers={"StartTransaction": refuse}) as csms:
        report = await run(Load(csms.url, connections=1, duration_s=0.2, warmup_s=0.0))
        assert set(report["errors"]) == {"refused: Start: InternalError"}


async def test_calls_of_the_server_are_declined_and_blanks_in_answers_are_fine() -> None:
    declined: list[str] = []

    async def handle(connection: ServerConnection) -> None:
        try:
            async for text in connection:
                frame: list[Any] = json.loads(text)
                if frame[0] == 2:
                    payload = {"status": "Accepted", "transactionId": 3, "idTagInfo": {"status": "Accepted"}}
                    await connection.send('[2,"from-above","ClearCache",{}]')
                    await connection.send('[ 3, "nobody", {} ]')
                    await connection.send("rubbish")
                    await connection.send(["[ 3, ", json.dumps(frame[1]), ", ", json.dumps(payload), " ]"])
                else:
                    declined.append(frame[2])
        except ConnectionClosed:
            pass

    async with serve(handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        report = await run(Load(url, connections=1, duration_s=0.2, warmup_s=0.0))
    assert report["messages"] > 10
    assert set(declined) == {"NotSupported"}
    assert set(report["errors"]) == {"stray", "garbage"}


async def test_against_a_bare_echo_any_text_is_an_answer_and_the_report_is_json(tmp_path: Path) -> None:
    async def echo(connection: ServerConnection) -> None:
        try:
            async for text in connection:
                await connection.send(text)
        except ConnectionClosed:
            pass

    path = tmp_path / "report.json"
    async with serve(echo, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        options = [
            "--url",
            url,
            "--echo",
            "--connections",
            "3",
            "--duration",
            "0.3",
            "--warmup",
            "0.1",
            "--json",
            str(path),
        ]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "simulators.load", *options, cwd=ROOT)
        async with asyncio.timeout(DEADLINE_S):
            assert await process.wait() == 0
    report = json.loads(path.read_text())
    assert report["is_echo"] is True
    assert report["errors"] == {}
    assert report["messages"] > 100
    assert report["bytes_per_message"] == pytest.approx(783, rel=0.2)


async def test_a_server_that_is_not_there_is_an_error_and_no_traceback() -> None:
    report = await run(Load("ws://127.0.0.1:1/ocpp", connections=2, duration_s=0.05, warmup_s=0.0))
    assert report["errors"] == {"connect: ConnectionRefusedError": 2}
    assert report["messages"] == 0


async def test_a_server_that_closes_instead_of_answering_is_counted() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1008, "no")

    async with serve(close, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        report = await run(Load(url, connections=1, duration_s=0.05, warmup_s=0.0))
    assert report["errors"] == {"connect: ConnectionResetError": 1}
