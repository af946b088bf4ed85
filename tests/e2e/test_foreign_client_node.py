"""Stations of OCPP 1.6 and 2.0.1 made with `ocpp-rpc` of the npm registry; it checks every frame by its own schemas."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.system import System, eventually

pytestmark = [pytest.mark.slow, pytest.mark.feature("B1", "B2", "B3", "B6", "B7")]

SOURCE = Path(__file__).parent / "ocpp_rpc"
STATION = "NODE-1"
TOKEN = "NODETAG"
LINE_TIMEOUT_S = 30.0
INSTALL_TIMEOUT_S = 180.0


@pytest.fixture(scope="session")
def node_station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the station's folder with its packages installed exactly as the lock file says."""
    for program in ("node", "npm"):
        assert shutil.which(program), (
            f"this test needs {program} (Node.js 18 or newer): install it, as in `apt install npm`"
        )
    folder = tmp_path_factory.mktemp("node") / "ocpp_rpc"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
    assert done.returncode == 0, f"npm ci failed:\n{done.stderr}"
    return folder


class NodeStation:
    """The running station; `events` is what it told so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []

    async def told(self, event: str) -> dict[str, Any]:
        """Wait until it tells that; what it said."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LINE_TIMEOUT_S):
            while line := await self.process.stdout.readline():
                self.events.append(json.loads(line))
                if self.events[-1]["event"] == event:
                    return self.events[-1]
        assert self.process.stderr is not None
        raise AssertionError(f"the station ended before «{event}»:\n{(await self.process.stderr.read()).decode()}")


@asynccontextmanager
async def started(folder: Path, system: System, program: str = "station.mjs") -> AsyncIterator[NodeStation]:
    process = await asyncio.create_subprocess_exec(
        *("node", program, system.url, STATION, TOKEN),
        cwd=folder,
        env=os.environ | {"NODE_ENV": "test"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield NodeStation(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_station_made_with_ocpp_rpc_charges_and_obeys(node_station: Path, system: System) -> None:
    await system.post("tokens", {"uid": TOKEN})
    async with started(node_station, system) as station:
        booted = await station.told("booted")
        assert booted["status"] == "Accepted"
        transaction_id = (await station.told("started"))["transactionId"]
        await station.told("ready")

        await check_answer(system, "UnlockConnector", {"connectorId": 1}, {"status": "Unlocked"})
        await check_answer(
            system,
            "GetConfiguration",
            {"key": ["HeartbeatInterval", "Colour"]},
            {
                "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}],
                "unknownKey": ["Colour"],
            },
        )
        await check_answer(system, "RemoteStartTransaction", {"idTag": TOKEN}, {"status": "Rejected"})
        await check_answer(system, "TriggerMessage", {"requestedMessage": "Heartbeat"}, {"status": "Accepted"})
        assert "currentTime" in await station.told("triggered")
        refused = await system.command(STATION, "ClearCache", {})
        assert refused["error"] == {"code": "NotSupported", "description": "this station has no cache", "details": {}}
        unknown = await system.command(STATION, "GetLocalListVersion", {})
        assert (unknown["outcome"], unknown["error"]["code"]) == ("refused", "NotImplemented")
        await check_answer(system, "Reset", {"type": "Hard"}, {"status": "Accepted"})
        await station.told("closed")
        assert await station.process.wait() == 0

    assert [event for event in station.events if event["event"] == "invalid"] == [], "every frame fits the schemas"
    await check_datasheet(system, transaction_id)


async def check_answer(system: System, action: str, payload: dict[str, Any], answer: dict[str, Any]) -> None:
    command = await system.command(STATION, action, payload)
    assert (command["outcome"], command["payload"]) == ("answered", answer)


async def check_datasheet(system: System, transaction_id: int) -> None:
    async def closed() -> Any:
        rows = await system.items(f"stations/{STATION}/connection-history")
        return rows if rows[0]["closed_at"] else None

    [connection] = await eventually(closed)
    assert (connection["code"], connection["reason_received"]) == ("1001", "rebooting")
    head = await system.get(f"stations/{STATION}")
    assert (head["hardware"]["vendor"], head["hardware"]["model"]) == ("Node Works", "NW 11")
    assert head["status"] == "available"
    [point] = await system.items(f"stations/{STATION}/charge-points")
    assert (point["number"], point["status"]) == (1, "available")

    [log] = await system.items(f"stations/{STATION}/charge-logs")
    assert log["transaction_id"] == str(transaction_id)
    assert (log["state"], log["energy_wh"], log["duration_s"]) == ("finished", 800, 240)
    assert (log["stop_reason"], log["verdict"], log["flags"]) == ("EVDisconnected", "accepted", [])
    samples = await system.items(f"stations/{STATION}/charge-logs/{log['id']}/meter-values")
    assert [sample["energy_wh"] for sample in samples] == [50_200, 50_400, 50_600, 50_800]

    frames = await system.items(f"stations/{STATION}/communication-logs")
    assert [frame for frame in frames if frame["violation"]] == []
    assert {frame["outcome"] for frame in frames} == {"answered", "refused"}
    commands = await system.items(f"stations/{STATION}/commands")
    assert len(commands) == sum(frame["asked_by"] == "csms" for frame in frames) == 7


@pytest.mark.ocpp("2.0.1 BootNotification", "2.0.1 Authorize", "2.0.1 TransactionEvent", "2.0.1 GetVariables")
async def test_a_2_0_1_station_made_with_ocpp_rpc_charges_and_obeys(node_station: Path, system: System) -> None:
    await system.post("tokens", {"uid": TOKEN})
    async with started(node_station, system, "station_201.mjs") as station:
        assert (await station.told("booted"))["status"] == "Accepted"
        assert (await station.told("authorised"))["idTokenInfo"]["status"] == "Accepted"
        await station.told("ready")

        asked = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
        known = {**asked, "attributeStatus": "Accepted", "attributeValue": "300"}
        await check_answer(system, "GetVariables", {"getVariableData": [asked]}, {"getVariableResult": [known]})
        start = {"idToken": {"idToken": TOKEN, "type": "ISO14443"}, "remoteStartId": 7}
        await check_answer(system, "RequestStartTransaction", start, {"status": "Rejected"})
        over = {"ongoingIndicator": False, "messagesInQueue": False}
        await check_answer(system, "GetTransactionStatus", {"transactionId": "node-transaction-1"}, over)
        await check_answer(system, "TriggerMessage", {"requestedMessage": "Heartbeat"}, {"status": "Accepted"})
        assert "currentTime" in await station.told("triggered")
        refused = await system.command(STATION, "ClearCache", {})
        assert refused["error"] == {"code": "NotSupported", "description": "this station has no cache", "details": {}}
        await check_answer(system, "Reset", {"type": "Immediate"}, {"status": "Accepted"})
        await station.told("closed")
        assert await station.process.wait() == 0

    assert [event for event in station.events if event["event"] == "invalid"] == [], "every frame fits the schemas"
    head = await system.get(f"stations/{STATION}")
    assert (head["hardware"]["model"], head["communication"]["protocol"]) == ("NW 22", "ocpp2.0.1")
    [log] = await system.items(f"stations/{STATION}/charge-logs")
    assert (log["transaction_id"], log["state"], log["energy_wh"]) == ("node-transaction-1", "finished", 800)
    assert (log["duration_s"], log["stop_reason"], log["verdict"], log["flags"]) == (
        240,
        "EVDisconnected",
        "accepted",
        [],
    )
    frames = await system.items(f"stations/{STATION}/communication-logs")
    assert [frame for frame in frames if frame["violation"]] == []
    settings = await system.items(f"stations/{STATION}/settings")
    assert [(one["name"], one["value"]) for one in settings] == [("OCPPCommCtrlr.HeartbeatInterval", "300")]
