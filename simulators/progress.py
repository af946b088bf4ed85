"""F5: shows how a simulated fleet is doing: a live table on a terminal, plain lines elsewhere."""

import asyncio
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulators.fleet import Fleet

REFRESH_S = 0.25
LINE_EVERY_S = 5.0


async def show(fleet: Fleet, console: Console) -> None:
    """Show until cancelled."""
    await (_show_live if console.is_terminal else _print_lines)(fleet, console)


async def _show_live(fleet: Fleet, console: Console) -> None:
    rate = Rate()
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(panel(fleet, rate.take(fleet)), refresh=True)
            await asyncio.sleep(REFRESH_S)


async def _print_lines(fleet: Fleet, console: Console) -> None:
    rate = Rate()
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        console.print(line(fleet, rate.take(fleet)), highlight=False, soft_wrap=True)


class Rate:
    """Answered calls a second, smoothed over a few looks."""

    def __init__(self) -> None:
        self._seen, self._seen_at_s, self._rate = 0, 0.0, 0.0

    def take(self, fleet: Fleet) -> float:
        """The rate now; call it at every look."""
        count, now_s = fleet.counters.latencies.count, fleet.elapsed_s
        if now_s > self._seen_at_s:
            fresh = (count - self._seen) / (now_s - self._seen_at_s)
            self._rate = fresh if not self._seen else 0.6 * self._rate + 0.4 * fresh
        self._seen, self._seen_at_s = count, now_s
        return self._rate


def _cells(fleet: Fleet, calls_per_s: float) -> dict[str, str]:
    counters = fleet.counters
    times = counters.latencies.report_ms()
    return {
        "connected": f"{counters.connected_now}/{len(fleet.stations)}",
        "charging": str(counters.charging_now),
        "charges": str(counters.charges),
        "energy": f"{counters.energy_wh / 1000:.1f} kWh",
        "calls": f"{counters.latencies.count} ({calls_per_s:.0f}/s)",
        "commands": str(counters.commands.total()),
        "errors": str(counters.errors),
        "answer p50/p95/p99": f"{times['p50']:.1f}/{times['p95']:.1f}/{times['p99']:.1f} ms",
    }


def line(fleet: Fleet, calls_per_s: float) -> str:
    """All of it on one line, for logs."""
    told = ", ".join(f"{name} {value}" for name, value in _cells(fleet, calls_per_s).items())
    return f"{fleet.clock.now():%Y-%m-%d %H:%M:%S}Z {told}"


def panel(fleet: Fleet, calls_per_s: float) -> Group:
    """The live display: a headline, a bar towards the end when there is one, and a table."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    cells = _cells(fleet, calls_per_s)
    for name in cells:
        table.add_column(name, justify="right", style="red" if name == "errors" and fleet.counters.errors else None)
    table.add_row(*cells.values())
    state = "finishing charges, closing" if fleet.is_over else f"{fleet.plan.speed:g} x real time, Ctrl-C ends"
    headline = Text(f"{len(fleet.stations)} stations at {fleet.plan.url}: {fleet.clock.now():%d %b %H:%M:%S}Z, {state}")
    return Group(headline, *_bar(fleet), table)


def _bar(fleet: Fleet) -> list[ProgressBar]:
    plan = fleet.plan
    if plan.charges is not None:
        return [ProgressBar(total=plan.charges, completed=min(plan.charges, fleet.counters.charges), width=80)]
    if plan.duration_s is not None:
        return [ProgressBar(total=plan.duration_s, completed=min(plan.duration_s, fleet.elapsed_s), width=80)]
    return []


def summary(report: dict[str, Any]) -> Table:
    """The final report as a table; nested counts on one line each."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in report.items():
        text = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
        if text:
            table.add_row(name.replace("_", " "), text)
    return table
