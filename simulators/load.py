"""F5: a closed-loop load generator for benchmarks, in its own process: `python -m simulators.load --url … --json -`.

Each connection sends its next message when the answer to the last one came, so the server sets the pace. The messages
are made from byte templates and sent from inside the protocol callback: the generator should cost less than what it
measures.
"""

import asyncio
import gc
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, cast

import orjson
import typer
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State
from websockets.typing import Subprotocol

from csms.ocpp.versions import Version
from simulators.fleet import DEFAULT_URL
from simulators.latency import Latencies
from simulators.wire import Endpoint

MAX_CONNECTIONS = 20_000
CONNECTS_AT_ONCE = 50
MAX_ANSWER_BYTES = 64 * 1024
ANSWER_TIMEOUT_S = 15.0
OPEN_TIMEOUT_S = 30.0
FIRST_TRANSACTION_ID = 1_000_000  # used when the server gives none

# One cycle of 20 messages: 60 % meter values, the rest heartbeats, status, start and stop. 100 sampled values a cycle,
# which is 5 a message; 783 bytes a message (PERFORMANCE.md).
_METER_PART: Final = ("Meter8", "Meter8", "Meter9")
CYCLE: Final = (
    *("Preparing", "Start", "Charging", *_METER_PART, "Heartbeat", *_METER_PART, "Heartbeat"),
    *(*_METER_PART, "Heartbeat", *_METER_PART, "Stop", "Available"),
)
NEEDS_TRANSACTION: Final = frozenset({"Meter8", "Meter9", "Stop"})

_SAMPLE = '{"value":"%s","context":"Sample.Periodic","format":"Raw","measurand":"%s"%s,"location":"Outlet","unit":"%s"}'
_SAMPLES: Final = (
    _SAMPLE % ("%(energy_wh)d", "Energy.Active.Import.Register", "", "Wh"),
    _SAMPLE % ("10986.4", "Power.Active.Import", "", "W"),
    *(_SAMPLE % ("15.93", "Current.Import", f',"phase":"{phase}"', "A") for phase in ("L1", "L2", "L3")),
    *(_SAMPLE % ("229.87", "Voltage", f',"phase":"{phase}-N"', "V") for phase in ("L1", "L2", "L3")),
    _SAMPLE % ("46.20", "SoC", "", "Percent"),
)


def _meter_values(count: int) -> bytes:
    samples = ",".join(_SAMPLES[:count])
    return (
        '[2,"%(id)b","MeterValues",{"connectorId":1,"transactionId":%(transaction_id)d,'
        f'"meterValue":[{{"timestamp":"%(at)b","sampledValue":[{samples}]}}]}}]'
    ).encode()


def _status(status: str) -> bytes:
    return (
        '[2,"%(id)b","StatusNotification",{"connectorId":1,"errorCode":"NoError",'
        f'"status":"{status}","timestamp":"%(at)b"}}]'
    ).encode()


TEMPLATES: Final[dict[str, bytes]] = {
    "Boot": b'[2,"%(id)b","BootNotification",{"chargePointModel":"Load","chargePointVendor":"Simulated Charging"}]',
    "Heartbeat": b'[2,"%(id)b","Heartbeat",{}]',
    "Preparing": _status("Preparing"),
    "Charging": _status("Charging"),
    "Available": _status("Available"),
    "Meter8": _meter_values(8),
    "Meter9": _meter_values(9),
    "Start": (
        b'[2,"%(id)b","StartTransaction",{"connectorId":1,"idTag":"%(tag)b","meterStart":%(energy_wh)d,'
        b'"timestamp":"%(at)b"}]'
    ),
    "Stop": (
        b'[2,"%(id)b","StopTransaction",{"idTag":"%(tag)b","meterStop":%(energy_wh)d,"timestamp":"%(at)b",'
        b'"transactionId":%(transaction_id)d,"reason":"Local"}]'
    ),
}


@dataclass(slots=True)
class Tally:
    """What is counted; `is_measuring` is off during warm-up, errors are counted always."""

    is_measuring: bool = False
    messages: int = 0
    sent_bytes: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    errors: Counter[str] = field(default_factory=Counter)


_seconds: dict[int, bytes] = {}


def time_text(at_ms: int) -> bytes:
    """A time as messages write it, its second remembered."""
    second, millisecond = divmod(at_ms, 1000)
    text = _seconds.get(second)
    if text is None:
        if len(_seconds) > 100:  # noqa: PLR2004 only the present second and a few stragglers are wanted
            _seconds.clear()
        text = _seconds[second] = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
    return b"%b.%03dZ" % (text, millisecond)


class LoadConnection(ClientConnection):
    """One closed-loop station. The reading queue of `websockets` is bypassed: at most one answer is ever awaited."""

    templates: ClassVar[Mapping[str, bytes]] = TEMPLATES

    def prepare(self, tally: Tally, tag: bytes, *, is_echo: bool, first_step: int) -> None:
        """Set what to send; nothing is sent before `begin`."""
        self.tally = tally
        self.is_echo = is_echo
        self.is_going = False
        self.is_booted = asyncio.get_running_loop().create_future()
        # Message ids are unique over all connections: the server may remember those of earlier ones.
        self.id_prefix = secrets.token_hex(4).encode()
        self.sent_count = 0
        self.step = first_step
        self.current = ""
        self.sent_at_s = 0.0
        self.parts: list[bytes] = []
        self.values: dict[bytes, Any] = {b"tag": tag, b"energy_wh": 0, b"transaction_id": 0}
        self.last_ms = 0
        self.waits_for = b""

    def send_kind(self, kind: str) -> None:
        """Send one message of this kind; nothing when the server is closing."""
        if self.protocol.state is not State.OPEN:
            return
        self.sent_count += 1
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)  # no two messages of one time: no repeats
        self.values[b"at"] = time_text(self.last_ms)
        self.values[b"id"] = message_id = b"%b-%d" % (self.id_prefix, self.sent_count)
        text = self.templates[kind] % self.values
        self.current, self.waits_for = kind, b'[3,"%b",' % message_id
        self.tally.sent_bytes += len(text)
        self.sent_at_s = time.perf_counter()
        self.protocol.send_text(text)
        self.send_data()

    def send_next(self) -> None:
        """Send the next message of the cycle; before the first start, heartbeats stand in for what needs one."""
        kind = CYCLE[self.step]
        self.step = (self.step + 1) % len(CYCLE)
        if kind in NEEDS_TRANSACTION and not self.values[b"transaction_id"]:
            kind = "Heartbeat"
        self.values[b"energy_wh"] += 37
        self.send_kind(kind)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for the boot that it will not come."""
        super().connection_lost(exc)
        booted: asyncio.Future[bytes] | None = getattr(self, "is_booted", None)
        if booted is not None and not booted.done():
            booted.set_exception(ConnectionResetError("closed before the boot was answered"))

    def process_event(self, event: Event) -> None:
        """Take answers right where they are decoded; all else is left to `websockets`."""
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.CONT):
            super().process_event(event)
            return
        if not event.fin:
            self.parts.append(bytes(event.data))
            return
        text = b"".join((*self.parts, bytes(event.data))) if self.parts else bytes(event.data)
        self.parts.clear()
        self.take(text)

    def take(self, text: bytes) -> None:
        """Count an answer and send on."""
        if not self.is_echo and not text.startswith(self.waits_for) and not self._is_answer(text):
            return
        tally = self.tally
        if tally.is_measuring:
            tally.messages += 1
            tally.latencies.add(time.perf_counter() - self.sent_at_s)
        if self.current == "Start":
            self.values[b"transaction_id"] = self._transaction_id(text)
        elif self.current == "Stop":
            self.values[b"transaction_id"] = 0
        self.waits_for = b""
        if self.is_going:
            self.send_next()
        elif not self.is_booted.done():
            self.is_booted.set_result(text)

    def _is_answer(self, text: bytes) -> bool:
        """The slow way, for answers with blanks in them, refusals, calls of the server and rubbish."""
        try:
            frame = orjson.loads(text)
            kind, message_id = frame[0], frame[1]
        except (ValueError, LookupError, TypeError):
            self.tally.errors["garbage"] += 1
            return False
        if kind == 2:  # noqa: PLR2004 CALL: this station can do nothing
            refusal = b'[4,%b,"NotSupported","",{}]' % orjson.dumps(message_id)
            self.protocol.send_text(refusal)
            self.send_data()
            return False
        expected = self.waits_for[4:-2].decode()
        if message_id != expected:
            self.tally.errors["stray"] += 1
            return False
        if kind == 4:  # noqa: PLR2004 CALLERROR
            self.tally.errors[f"refused: {self.current}: {frame[2]}"] += 1
        return True

    def _transaction_id(self, text: bytes) -> int:
        if not self.is_echo:
            frame = orjson.loads(text)
            payload = frame[2] if frame[0] == 3 else {}  # noqa: PLR2004 CALLRESULT
            if isinstance(payload.get("transactionId"), int):
                return cast(int, payload["transactionId"])
        return FIRST_TRANSACTION_ID + self.sent_count


@dataclass(frozen=True, slots=True)
class Load:
    """One run: how many connections, how long (real seconds), against what."""

    url: str
    connections: int = 200
    duration_s: float = 10.0
    warmup_s: float = 2.0
    is_echo: bool = False
    prefix: str = "LOAD-"
    password: str | None = None
    version: Version = Version.V16
    station: type[LoadConnection] = LoadConnection


async def run(load: Load) -> dict[str, Any]:
    """Connect, warm up, measure; the report as JSON values. Raises no error of the server: they are counted in it."""
    tally = Tally()
    connections = await _connect_all(load, tally)
    gc.collect()
    gc.freeze()
    for connection in connections:
        connection.is_going = True
        connection.send_next()
    await asyncio.sleep(load.warmup_s)
    tally.sent_bytes, tally.is_measuring = 0, True
    cpu_s, began_s = time.process_time(), time.perf_counter()
    await asyncio.sleep(load.duration_s)
    tally.is_measuring = False
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    sent_bytes = tally.sent_bytes
    await _wind_down(connections, tally)
    return _report(load, tally, took_s, cpu_s, sent_bytes)


async def _connect_all(load: Load, tally: Tally) -> list[LoadConnection]:
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one(number: int) -> LoadConnection | None:
        async with gate:
            try:
                return await _connect(load, tally, number)
            except (OSError, TimeoutError, InvalidHandshake) as error:
                tally.errors[f"connect: {type(error).__name__}"] += 1
                return None

    made = await asyncio.gather(*(one(number) for number in range(load.connections)))
    return [connection for connection in made if connection is not None]


async def _connect(load: Load, tally: Tally, number: int) -> LoadConnection:
    identity = f"{load.prefix}{number:05d}"
    endpoint = Endpoint(load.url, identity, None if load.password is None else load.password.encode())
    connection = await connect(
        endpoint.address,
        subprotocols=None if load.is_echo else [Subprotocol(load.version)],
        additional_headers=endpoint.headers,
        user_agent_header=None,
        compression=None,
        proxy=None,
        open_timeout=OPEN_TIMEOUT_S,
        ping_interval=None,
        max_size=MAX_ANSWER_BYTES,
        create_connection=load.station,
    )
    made = cast(LoadConnection, connection)
    made.prepare(tally, f"TAG{number:05d}".encode(), is_echo=load.is_echo, first_step=number % len(CYCLE))
    made.send_kind("Boot")
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        answer = await made.is_booted
    if not load.is_echo and b'"Accepted"' not in answer:
        tally.errors["boot not accepted"] += 1
    return made


async def _wind_down(connections: list[LoadConnection], tally: Tally) -> None:
    """Let the last answers come, count what did not, close."""
    for connection in connections:
        connection.is_going = False
    deadline_s = time.perf_counter() + ANSWER_TIMEOUT_S
    waiting = [connection for connection in connections if connection.waits_for]
    while waiting and time.perf_counter() < deadline_s:
        await asyncio.sleep(0.01)
        waiting = [connection for connection in waiting if connection.waits_for and connection.state is State.OPEN]
    for connection in connections:
        if connection.state is not State.OPEN:
            tally.errors[f"disconnected: {connection.close_code}"] += 1
        elif connection.waits_for:
            tally.errors["unanswered"] += 1
    await asyncio.gather(*(connection.close() for connection in connections))


def _report(load: Load, tally: Tally, took_s: float, cpu_s: float, sent_bytes: int) -> dict[str, Any]:
    messages = max(1, tally.messages)
    return {
        "url": load.url,
        "is_echo": load.is_echo,
        "connections": load.connections,
        "seconds": round(took_s, 3),
        "messages": tally.messages,
        "messages_per_s": round(tally.messages / took_s, 1),
        "bytes_per_message": round(sent_bytes / messages),
        "answer_ms": tally.latencies.report_ms(),
        "client_cpu_us_per_message": round(cpu_s / messages * 1e6, 1),
        "errors": dict(tally.errors),
    }


def main(  # noqa: PLR0917 typer's options are the parameters, given by name on the command line
    url: Annotated[str, typer.Option(help="WebSocket URL up to the station id.")] = DEFAULT_URL,
    connections: Annotated[int, typer.Option(help="Stations at once.", min=1, max=MAX_CONNECTIONS)] = 200,
    duration: Annotated[float, typer.Option(help="Seconds measured.", min=0.1, max=3600)] = 10.0,
    warmup: Annotated[float, typer.Option(help="Seconds of load before, not measured.", min=0, max=600)] = 2.0,
    echo: Annotated[bool, typer.Option("--echo", help="The server is a bare echo: any text is an answer.")] = False,
    prefix: Annotated[str, typer.Option(help="Identities are this and a number of five digits.")] = "LOAD-",
    password: Annotated[str | None, typer.Option(help="Basic password of all stations.")] = None,
    version: Annotated[str, typer.Option(help="OCPP 1.6 or 2.0.1.")] = "1.6",
    report: Annotated[str, typer.Option("--json", help="File for the report, - for standard output.")] = "-",
) -> None:
    """Load a CSMS with stations in a closed loop and report rate, answer times and errors as JSON."""
    load = Load(url, connections, duration, warmup, echo, prefix, password, **_spoken(version))
    result = uvloop.run(run(load))
    text = json.dumps(result, indent=2) + "\n"
    if report == "-":
        sys.stdout.write(text)
    else:
        Path(report).write_text(text)
    raise typer.Exit(1 if result["errors"] or not result["messages"] else 0)


def _spoken(version: str) -> dict[str, Any]:
    """The version and its stations, as options of `Load`. Raises typer.BadParameter."""
    if version == "1.6":
        return {}
    if version != "2.0.1":
        raise typer.BadParameter(f"Load is made of OCPP 1.6 or 2.0.1, not {version}.")
    from simulators.load_v201 import LoadConnection201  # noqa: PLC0415 it builds on this module

    return {"version": Version.V201, "station": LoadConnection201}


if __name__ == "__main__":
    typer.run(main)
