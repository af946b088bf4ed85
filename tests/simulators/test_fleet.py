import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from simulators import progress
from simulators.cli import app
from simulators.driver import Driver, Habits, Mischief, supply_for
from simulators.fleet import Fleet, FleetPlan
from simulators.v16 import Nameplate
from tests.simulators.bench_v201 import bench201
from tests.simulators.scripted_csms import DEADLINE_S, refuse, scripted_csms
from tests.simulators.station_bench import bench, dice

pytestmark = pytest.mark.feature("F5")

ROOT = Path(__file__).parents[2]
BUSY = Habits(first_arrival_s=30.0, mean_gap_s=300.0, hurried_share=1.0, mean_linger_s=60.0)


async def test_drivers_come_charge_and_leave_and_the_same_seed_does_the_same_again() -> None:
    async def day(seed: int) -> list[tuple[str, object]]:
        async with bench(nameplate=Nameplate(supply=supply_for("dc", dice(1)))) as b:
            driver = asyncio.create_task(Driver(b.station, 1, BUSY, dice(seed)).run())
            await b.wait(6 * 3600)
            driver.cancel()
            return [(call.action, call.payload) for call in b.csms.received]

    first, again, other = await day(7), await day(7), await day(8)
    assert first == again
    assert first != other
    stops = [payload for action, payload in first if action == "StopTransaction"]
    assert len(stops) > 3
    assert {payload["reason"] for payload in stops} == {"Local"}  # type: ignore[index]


async def test_bad_luck_of_every_kind_strikes_and_passes() -> None:
    async with bench() as b:
        rng = dice(3)
        unlucky = asyncio.create_task(Mischief(b.station, Habits(faults_per_hour=2.0), rng).run())
        await b.wait(24 * 3600)
        unlucky.cancel()
        b.station.charging.repair(1)
        await b.wait(3_600)
        assert "Faulted" in b.csms.statuses(1)
        assert len(b.csms.payloads("BootNotification")) > 1
        assert len(b.csms.closes) > 5
        assert b.csms.strays
        assert b.station.is_online


@pytest.mark.parametrize("kind", ["ac1", "ac3", "dc", "mix"])
def test_supplies_have_short_names(kind: str) -> None:
    supply = supply_for(kind, dice(1))
    assert kind == "mix" or supply.is_dc == (kind == "dc")


def test_an_unknown_supply_is_refused() -> None:
    with pytest.raises(ValueError, match="ac1, ac3, dc or mix"):
        supply_for("steam", dice(1))


async def test_a_fleet_charges_until_it_has_enough_and_delivers_all() -> None:
    async with scripted_csms() as csms:
        fleet = Fleet(FleetPlan(url=csms.url, count=20, speed=1200.0, charges=20, habits=BUSY, starts_per_s=500.0))
        report = await fleet.run()
        assert report["is_sound"], report
        assert report["stations"] == 20
        assert report["charges"] >= 20
        assert report["calls_answered_by_action"]["StopTransaction"] == report["charges"]
        assert report["closes"] == {"1000": 20}
        assert report["answer_ms"]["p99"] > 0
        started = csms.payloads("StartTransaction")
        stopped = csms.payloads("StopTransaction")
        assert len(started) == len(stopped) == report["charges"]
        assert sum(p["meterStop"] for p in stopped) - sum(p["meterStart"] for p in started) == report["energy_wh"]


async def test_a_fleet_of_both_versions_charges_and_delivers_all() -> None:
    versions = ("1.6", "2.0.1", "2.1")
    async with scripted_csms() as csms:
        fleet = Fleet(FleetPlan(url=csms.url, count=12, versions=versions, speed=1200.0, charges=24, habits=BUSY))
        report = await fleet.run()
        assert report["is_sound"], report
        assert sorted(csms.versions.values()).count("ocpp2.1") == 4
        events = csms.events()
        started = {one["transactionInfo"]["transactionId"] for one in events if one["eventType"] == "Started"}
        ended = [one["transactionInfo"]["transactionId"] for one in events if one["eventType"] == "Ended"]
        assert len(ended) == len(set(ended)) == len(started) > 4
        assert len(csms.payloads("StartTransaction")) == len(csms.payloads("StopTransaction")) > 4


async def test_bad_luck_strikes_stations_of_2_0_1_too() -> None:
    async with bench201() as b:
        unlucky = asyncio.create_task(Mischief(b.station, Habits(faults_per_hour=2.0), dice(3)).run())
        driver = asyncio.create_task(Driver(b.station, 1, BUSY, dice(4)).run())
        await b.wait(12 * 3600)
        unlucky.cancel()
        driver.cancel()
        b.station.charging.repair(0)
        await b.wait(3_600)
        assert "Faulted" in b.statuses()
        assert "AbnormalCondition" in b.csms.triggers()
        assert b.station.is_online
        assert len(b.station.messages) == 0


async def test_a_refusing_csms_makes_the_report_unsound() -> None:
    async with scripted_csms(answers={"Authorize": refuse}) as csms:
        fleet = Fleet(FleetPlan(url=csms.url, count=2, speed=600.0, duration_s=0.5, habits=BUSY))
        report = await fleet.run()
        assert not report["is_sound"]
        assert report["calls_refused"]["Authorize: InternalError"] > 0


async def test_without_a_csms_the_report_says_so() -> None:
    fleet = Fleet(FleetPlan(url="ws://127.0.0.1:1/ocpp", count=2, duration_s=0.1))
    report = await fleet.run()
    assert not report["is_sound"]
    assert report["stations_never_connected"] == 2
    assert sum(report["connect_failures"].values()) >= 2


async def test_the_display_shows_what_is_counted() -> None:
    async with scripted_csms() as csms:
        fleet = Fleet(FleetPlan(url=csms.url, count=3, speed=600.0, duration_s=60.0, habits=BUSY))
        running = asyncio.create_task(fleet.run())
        await csms.until(lambda: fleet.counters.charging_now)
        out = io.StringIO()
        console = Console(file=out, width=200, force_terminal=True)
        console.print(progress.panel(fleet, 12.0))
        console.print(progress.line(fleet, 12.0))
        showing = asyncio.create_task(progress.show(fleet, console))
        await csms.expect("StopTransaction")
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
        fleet.stop()
        report = await running
        console.print(progress.summary(report))
    shown = out.getvalue()
    assert "connected" in shown
    assert "3/3" in shown
    assert "12/s" in shown
    assert "is sound" in shown


@pytest.mark.parametrize("count", [0, 5_001])
def test_a_fleet_has_limits(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 5000"):
        FleetPlan(count=count)


async def test_ctrl_c_ends_charges_closes_properly_and_writes_the_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    async with scripted_csms() as csms:
        options = ["--url", csms.url, "-n", "5", "--speed", "600", "--gap", "1", "--report", str(path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulators.cli",
            *options,
            cwd=ROOT,
            env=dict(os.environ),
            stderr=asyncio.subprocess.PIPE,
        )
        await csms.expect("StartTransaction", 3)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE_S):
            _, told = await process.communicate()
        report = json.loads(path.read_text())
        assert process.returncode == 0, told.decode()
        assert report["is_sound"]
        await csms.until(lambda: len(csms.closes) == report["connects"])
        assert {code for code, _ in csms.closes} == {1000}
        assert len(csms.payloads("StartTransaction")) == len(csms.payloads("StopTransaction"))


def test_the_command_explains_itself_and_refuses_nonsense() -> None:
    runner = CliRunner()
    shown = runner.invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    assert "--speed" in shown.output
    assert "--version" in shown.output
    assert runner.invoke(app, ["--speed", "0"]).exit_code == 2
    assert runner.invoke(app, ["--version", "3.0"]).exit_code == 2
    assert runner.invoke(app, ["--url", "wss://127.0.0.1/", "--ca", "/nowhere.pem"]).exit_code == 2
    assert runner.invoke(app, ["--id-tags", "T" * 21]).exit_code == 2
    assert runner.invoke(app, ["--behind", "5", "--speed", "1"]).exit_code == 2
    assert runner.invoke(app, ["--url", "http://127.0.0.1/"]).exit_code == 2
    assert runner.invoke(app, ["--id", "CP-1", "-n", "2"]).exit_code == 2


def test_the_exit_code_tells_of_trouble() -> None:
    options = ["--url", "ws://127.0.0.1:1/ocpp", "--duration", "0.2", "--report", "-"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["is_sound"] is False
