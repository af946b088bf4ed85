"""The main job as a user does it: `csms run --demo`, the lines that it prints, Ctrl-C."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
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

    async def has_charged() -> bool:
        logs = run_as_printed(charges_line, demo.folder)["items"]
        return any(log["state"] == "finished" and log["energy_wh"] > 0 for log in logs)

    await eventually(has_charged)
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
