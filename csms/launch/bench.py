"""`csms bench broker`: messages a second against a bare echo server, under the same load, in turn, in one run."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

WARM_UP_S = 12.0
"""Longer than a start is still compared with the database after a station connected (charge_logs, SKEW)."""
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the load against one server."""

    messages_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    server_cpu_us: float | None
    """CPU of the server process a message; only where /proc tells."""


def bench_broker(
    *, connections: int, seconds: float, rounds: int, database: str | None, out: Console, version: str = "1.6"
) -> None:
    """Measure and print; exit code 1 if any message was refused or lost."""
    runs: dict[str, list[Measured]] = {"echo": [], "broker": []}
    with TemporaryDirectory(prefix="csms-bench-") as folder:
        url = database or f"sqlite:///{folder}/bench.db"
        for number in range(1, rounds + 1):
            for name, measured in runs.items():
                out.print(f"round {number} of {rounds}: {name} …", style="dim")
                measured.append(_measure(name, url, Path(folder), connections, seconds, version=version))
    _print(runs, url, connections, out)
    if any(run.errors for run in runs["broker"]):
        raise SystemExit("some messages were refused or lost; see the errors column")


def _measure(name: str, database: str, folder: Path, connections: int, seconds: float, *, version: str) -> Measured:
    port = _free_port()
    with _server(name, port, database, folder) as pid:
        path = "/ocpp" if name == "broker" else ""
        command = [
            *(sys.executable, "-m", "simulators.load", "--url", f"ws://127.0.0.1:{port}{path}"),
            *("--connections", str(connections), "--duration", str(seconds), "--warmup", str(WARM_UP_S)),
            *("--json", "-", "--version", version),
            *(["--echo"] if name == "echo" else []),
        ]
        before = _cpu_s(pid)
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # our own module
        after = _cpu_s(pid)
    if not done.stdout:
        raise SystemExit(f"the load generator failed:\n{done.stderr}")
    result = json.loads(done.stdout)
    return _measured(result, None if before is None or after is None else after - before, seconds)


def _measured(result: Mapping[str, Any], cpu_s: float | None, seconds: float) -> Measured:
    answers = result["answer_ms"]
    per_s = result["messages_per_s"]
    whole = per_s * (seconds + WARM_UP_S)
    return Measured(
        messages_per_s=per_s,
        p50_ms=answers["p50"],
        p99_ms=answers["p99"],
        errors=sum(result["errors"].values()),
        server_cpu_us=cpu_s / whole * 1e6 if cpu_s is not None and whole else None,
    )


@contextlib.contextmanager
def _server(name: str, port: int, database: str, folder: Path) -> Iterator[int]:
    """The server in a process of its own; yields its process id."""
    settings = {
        "CSMS_DATABASE_URL": database,
        "CSMS_DATA_DIR": str(folder),
        "CSMS_BROKER_PORT": str(port),
        "CSMS_UNKNOWN_STATIONS": "accept",
        "CSMS_CALLS_PER_SECOND_MAX": "100000",
        "CSMS_CONNECTS_PER_SECOND_MAX": "100000",
        "CSMS_RECONNECTS_PER_MINUTE_MAX": "1000",
        "CSMS_LOG_LEVEL": "error",
    }
    command = ["-m", "simulators.echo", str(port)] if name == "echo" else ["-m", "csms", "broker"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CSMS_")} | settings
    log_path = folder / f"{name}.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(  # noqa: S603  # our own modules
            [sys.executable, *command], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(port, process, log_path)
            yield process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log_path: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server did not start:\n{log_path.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise SystemExit(f"the server was not ready within {START_TIMEOUT_S:.0f} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cpu_s(pid: int) -> float | None:
    """User and system time of a process, from /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(runs: Mapping[str, list[Measured]], database: str, connections: int, out: Console) -> None:
    kind = "PostgreSQL" if database.startswith("postgresql") else "SQLite, synchronous=FULL"
    table = Table("server", "messages/s", "p50 ms", "p99 ms", "CPU µs/message", "errors", box=None)
    for name, label in (("echo", "bare websockets echo"), ("broker", f"broker ({kind})")):
        measured = runs[name]
        cpu = [one.server_cpu_us for one in measured if one.server_cpu_us is not None]
        table.add_row(
            label,
            f"{median(one.messages_per_s for one in measured):,.0f}",
            f"{median(one.p50_ms for one in measured):.1f}",
            f"{median(one.p99_ms for one in measured):.1f}",
            f"{median(cpu):.0f}" if cpu else "-",
            str(sum(one.errors for one in measured)),
        )
    ratios = [
        broker.messages_per_s / echo.messages_per_s for echo, broker in zip(runs["echo"], runs["broker"], strict=True)
    ]
    out.print(f"\n{connections} stations, closed loop; every message validated, stored with its raw frame,")
    out.print("answered after the commit is durable; medians over the rounds\n")
    out.print(table)
    out.print(f"\nratio broker / echo: {median(ratios):.2f}   (per round: {', '.join(f'{r:.2f}' for r in ratios)})")
