"""The main job as a user does it: `csms run --demo`, the lines that it prints, Ctrl-C."""

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from csms.features import features
from csms.station.connections import Cause, Connection
from csms.station.information import Station
from csms.store import open_store
from tests.e2e.system import START_TIMEOUT_S, CsmsProcess, eventually, quiet_port, until

pytestmark = [pytest.mark.slow, pytest.mark.feature("F4", "F5", "P6", "P7")]


@dataclass(frozen=True)
class Demo:
    """A running demo with everything at its default but the ports."""

    folder: Path
    process: CsmsProcess
    api_url: str

    def key(self) -> str:
        return (self.folder / "var" / "admin.key").read_text().strip()

    def curl_lines(self) -> list[str]:
        return [line.strip() for line in self.process.output().splitlines() if line.strip().startswith("curl ")]


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    """`csms run --demo` in an empty folder; killed at the end if it still runs."""
    folder = tmp_path / "a home"
    folder.mkdir()
    broker_port, api_port = quiet_port(), quiet_port()
    process = CsmsProcess(folder, "run", "--demo", broker_port=broker_port, api_port=api_port)
    made = Demo(folder, process, f"http://127.0.0.1:{api_port}")

    def has_said_all() -> bool:
        assert process.is_running(), process.log()
        return "Ctrl-C stops" in process.output()

    try:
        await until(has_said_all, timeout_s=START_TIMEOUT_S)
        yield made
    finally:
        process.kill()


def run_as_printed(line: str, folder: Path) -> Any:
    """The JSON that a printed line gives when it is pasted into a shell."""
    assert shutil.which("curl"), "this test needs curl: install it"
    done = subprocess.run(["bash", "-c", line], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout)


async def test_the_demo_does_what_it_says(demo: Demo) -> None:
    said = demo.process.output()
    assert re.search(r"ws://127\.0\.0\.1:\d+/ocpp/\{station_id\}", said)
    assert f"{demo.api_url}/api/v1" in said
    assert f"{demo.api_url}/docs" in said
    stations_line, charges_line, feed_line = demo.curl_lines()

    stations = run_as_printed(stations_line, demo.folder)["items"]
    assert len(stations) >= 5
    assert {station["is_demo"] for station in stations} == {True}

    logs = run_as_printed(charges_line, demo.folder)["items"]
    assert any(log["state"] == "finished" and log["energy_wh"] > 0 for log in logs)
    feed = run_as_printed(feed_line, demo.folder)
    assert feed["type"] == "FeatureCollection"
    assert len(feed["features"]) >= 5
    assert "DEMO-" not in json.dumps(feed), "a public feed tells no OCPP identity"


async def test_the_demo_answers_everywhere_and_ctrl_c_ends_it_well(demo: Demo) -> None:
    features()
    async with httpx.AsyncClient(base_url=demo.api_url, headers={"Authorization": f"Bearer {demo.key()}"}) as api:
        for path in ("/docs", "/openapi.json", "/health", "/ready", "/metrics", "/feeds/geojson", "/api/v1/me"):
            response = await api.get(path)
            assert response.status_code == httpx.codes.OK, f"{path}: {response.text}"

        async def are_online() -> bool:
            rows = (await api.get("/api/v1/stations")).json()["items"]
            return all(row["is_online"] for row in rows)

        await eventually(are_online)

    stopped_at = datetime.now(UTC)
    assert await demo.process.end(signal.SIGINT) == 0
    said = demo.process.output()
    assert said.rstrip().endswith("Stopped.")
    assert "Traceback" not in said, said[said.find("Traceback") - 500 :]
    assert demo.key() not in said
    await check_closed(f"sqlite:///{demo.folder / 'var' / 'csms.db'}", stopped_at)


async def test_what_the_demo_lived_through_looks_as_if_the_system_had_run_meanwhile(demo: Demo) -> None:
    """From the first second on, and also when the demo is ended and begun again."""
    first = await charges_of(demo)
    assert {log["state"] for log in first} == {"finished", "running"}
    assert first[-1]["started_at"] < (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    for log in first:
        told_after = datetime.fromisoformat(log["received_at"]) - datetime.fromisoformat(log["started_at"])
        assert not log["flags"], log
        assert timedelta(0) <= told_after < timedelta(minutes=1)
        assert log["duration_s"] < 4 * 3600

    assert await demo.process.end(signal.SIGINT) == 0
    again = CsmsProcess(
        demo.folder, "run", "--demo", broker_port=quiet_port(), api_port=demo.api_url.rpartition(":")[2]
    )
    try:
        await until(lambda: demo.process.output().count("Ctrl-C stops") == 2, timeout_s=START_TIMEOUT_S)
        known = {log["id"] for log in first}

        async def charge_anew() -> list[dict[str, Any]]:
            return [log for log in await charges_of(demo) if log["id"] not in known and log["state"] == "running"]

        for log in await eventually(charge_anew, timeout_s=60):
            assert not log["flags"], log
    finally:
        again.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_who_ends_it_while_it_starts_gets_no_traceback_and_leaves_no_open_connection(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    features()
    process = CsmsProcess(tmp_path, "run", "--demo", broker_port=quiet_port(), api_port=quiet_port())
    try:
        await until(lambda: "Five simulated stations" in process.output(), timeout_s=START_TIMEOUT_S)
        database = tmp_path / "var" / "csms.db"
        await eventually(lambda: has_opened(database), timeout_s=START_TIMEOUT_S)
        assert await process.end(number) == code
    finally:
        process.kill()
    said = process.output()
    assert "Traceback" not in said, said
    assert "is running" not in said
    store = open_store(f"sqlite:///{database}")
    try:
        async with store.reading() as work:
            rows = (await work.session.exec(select(Connection))).all()
    finally:
        await store.close()
    assert all(row.closed_at for row in rows)


async def has_opened(database: Path) -> bool:
    """Whether a station has connected."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database)) as connection:
        return bool(connection.execute(f"SELECT count(*) FROM {Connection.__tablename__}").fetchone()[0])  # noqa: S608
    return False


async def charges_of(demo: Demo) -> list[dict[str, Any]]:
    """Those of all stations, the youngest first."""
    async with httpx.AsyncClient(base_url=demo.api_url, headers={"Authorization": f"Bearer {demo.key()}"}) as api:
        found = []
        for number in range(1, 6):
            answer = (await api.get(f"/api/v1/stations/DEMO-{number:04d}/charge-logs")).json()
            assert answer["next_cursor"] is None
            found += answer["items"]
    return sorted(found, key=lambda log: log["started_at"], reverse=True)


async def check_closed(database_url: str, stopped_at: datetime) -> None:
    """Every connection is closed in the history, those that were open at the end with 1001 by us."""
    store = open_store(database_url)
    try:
        async with store.reading() as work:
            rows = (await work.session.exec(select(Connection).order_by(col(Connection.id)))).all()
            stations = (await work.session.exec(select(Station))).all()
    finally:
        await store.close()
    assert all(row.closed_at for row in rows)
    last = [row for row in rows if row.closed_at and row.closed_at > stopped_at]
    assert len(last) > len(stations) / 2, "a station may be away for a moment, being simulated with faults"
    assert {(row.code, row.cause) for row in last} == {("1001", Cause.BROKER_SHUTDOWN)}
    assert not any(station.is_online for station in stations)
