"""F5: `csms simulate`: the command line of the simulated stations."""

import asyncio
import json
import secrets
import signal
import ssl
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console

from simulators import progress
from simulators.clock import MAX_SPEED
from simulators.driver import Habits
from simulators.fleet import DEFAULT_URL, MAX_STATIONS, PROTOCOLS, Fleet, FleetPlan
from simulators.wire import tls_context

MAX_CONNECTORS = 20


class Kind(StrEnum):
    """What the stations give."""

    AC1 = "ac1"
    AC3 = "ac3"
    DC = "dc"
    MIX = "mix"


def simulate(  # noqa: PLR0917 typer's options are the parameters, given by name on the command line
    url: Annotated[str, typer.Option(help="WebSocket URL of the CSMS, without the station id.")] = DEFAULT_URL,
    count: Annotated[int, typer.Option("--count", "-n", help="Stations.", min=1, max=MAX_STATIONS)] = 1,
    prefix: Annotated[str, typer.Option(help="Station ids are this and a number: SIM-0001, SIM-0002, …")] = "SIM-",
    identity: Annotated[str | None, typer.Option("--id", help="The id of a single station, as it is.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Basic password of all stations; none by default.", envvar="CSMS_SIM_PASSWORD")
    ] = None,
    connectors: Annotated[int, typer.Option(help="Connectors a station.", min=1, max=MAX_CONNECTORS)] = 2,
    kind: Annotated[
        Kind, typer.Option(help="ac1: 7.4 kW on one phase; ac3: 11 or 22 kW; dc: 50 to 350 kW; mix: some of each.")
    ] = Kind.MIX,
    version: Annotated[
        str, typer.Option(help="OCPP 1.6, 2.0.1 or 2.1; several parted by commas are dealt out in turn; mix: all.")
    ] = "1.6",
    speed: Annotated[
        float, typer.Option(help="Simulated seconds a real second; 60 is a minute a second.", min=0.01, max=MAX_SPEED)
    ] = 1.0,
    behind: Annotated[
        float,
        typer.Option(help="Start this many hours in the past and slow to real time when caught up.", min=0, max=720),
    ] = 0.0,
    duration: Annotated[float | None, typer.Option(help="End after so many real seconds.", min=0.1)] = None,
    charges: Annotated[int | None, typer.Option(help="End after so many charges.", min=1)] = None,
    gap: Annotated[float, typer.Option(help="Mean simulated minutes between two cars at a connector.", min=0.1)] = 15.0,
    id_tags: Annotated[str, typer.Option(help="Tags that the drivers use, parted by commas.")] = ",".join(
        Habits().id_tags
    ),
    faults: Annotated[
        float, typer.Option(help="Faults a station and simulated hour: defects, power cuts, lost links.", min=0)
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(help="The same seed rolls the same dice; other ones each time if left out.")
    ] = None,
    starts: Annotated[float, typer.Option(help="Stations that connect a second.", min=0.1, max=10_000)] = 100.0,
    roots: Annotated[
        Path | None, typer.Option("--ca", help="PEM file with the root that signed the CSMS's certificate.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with the station's own chain, for security profile 3.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with its key, where that is a file of its own.")] = None,
    report: Annotated[str | None, typer.Option("--report", help="File for the report as JSON, - for output.")] = None,
) -> None:
    """Simulate OCPP stations that boot, charge cars along battery curves, go offline, break and obey commands.

    Ends after the duration, the charges or Ctrl-C: charges are stopped and delivered, connections closed. The exit
    code is 1 when a call was refused or timed out, a message was lost, or a station never got a connection.
    """
    if report not in {None, "-"} and not Path(str(report)).parent.is_dir():
        raise typer.BadParameter(f"There is no folder {Path(str(report)).parent} for the report.")
    habits = Habits(id_tags=_tags(id_tags), mean_gap_s=gap * 60.0, faults_per_hour=faults)
    try:
        plan = FleetPlan(
            url=url,
            count=count,
            prefix=prefix,
            identity=identity,
            password=password,
            connectors=connectors,
            kind=kind,
            versions=_versions(version),
            speed=speed,
            behind_s=behind * 3600.0,
            seed=secrets.randbelow(2**31) if seed is None else seed,
            habits=habits,
            duration_s=duration,
            charges=charges,
            starts_per_s=starts,
            tls=_tls(url, roots, certificate, key),
        )
        result = uvloop.run(_run(plan, Console(stderr=True)))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _write(result, report)
    raise typer.Exit(0 if result["is_sound"] else 1)


def _tags(text: str) -> tuple[str, ...]:
    tags = tuple(tag.strip() for tag in text.split(",") if tag.strip())
    if not tags or any(len(tag) > 20 for tag in tags):  # noqa: PLR2004 IdToken is CiString20Type
        raise typer.BadParameter("Give one or more tags of at most 20 characters, parted by commas.")
    return tags


def _tls(url: str, roots: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if not url.startswith("wss:"):
        return None
    try:
        return tls_context(roots, certificate, key)
    except OSError as error:
        raise typer.BadParameter(f"The certificates cannot be used: {error}") from error


def _versions(text: str) -> tuple[str, ...]:
    if text.strip() == "mix":
        return tuple(PROTOCOLS)
    return tuple(version.strip() for version in text.split(",") if version.strip())


async def _run(plan: FleetPlan, console: Console) -> dict[str, Any]:
    fleet = Fleet(plan)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _interrupt, fleet, asyncio.current_task())
    showing = asyncio.create_task(progress.show(fleet, console))
    try:
        return await fleet.run()
    except asyncio.CancelledError:
        return {**fleet.report(), "is_sound": False}  # ended at once: nobody knows what was under way
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


def _interrupt(fleet: Fleet, running: asyncio.Task[Any] | None) -> None:
    """The first signal ends politely, the second at once."""
    if fleet.is_over and running is not None:
        running.cancel()
    fleet.stop()


def _write(result: dict[str, Any], report: str | None) -> None:
    if report == "-":
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
        return
    Console(stderr=True).print(progress.summary(result))
    if report is not None:
        Path(report).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


app = typer.Typer(add_completion=False)
app.command("simulate")(simulate)


if __name__ == "__main__":
    app()
