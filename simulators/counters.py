"""F5: what a fleet of simulated stations counts, and the report made of it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simulators.latency import Latencies
from simulators.wire import Answered, Disconnected, Observer, Outcome, Refused, TimedOut

MAX_REASONS = 50


@dataclass
class Counters(Observer):
    """The sums of all stations; memory does not grow with time."""

    connected_now: int = 0
    charging_now: int = 0
    connects: int = 0
    charges: int = 0
    energy_wh: int = 0
    strays: int = 0
    timed_out: int = 0
    interrupted: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    lost_messages: Counter[str] = field(default_factory=Counter)
    connect_failures: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    charge_done: asyncio.Event = field(default_factory=asyncio.Event)

    def connected(self) -> None:
        """A connection stands."""
        self.connects += 1
        self.connected_now += 1

    def connect_failed(self, reason: str) -> None:
        """A handshake or TCP connection failed; reasons beyond fifty are counted together."""
        is_known = reason in self.connect_failures or len(self.connect_failures) < MAX_REASONS
        self.connect_failures[reason if is_known else "other"] += 1

    def disconnected(self, code: int | None) -> None:
        """A connection ended."""
        self.connected_now -= 1
        self.closes[str(code)] += 1

    def settled(self, action: str, outcome: Outcome) -> None:
        """A call came to its end."""
        match outcome:
            case Answered(after_s=after_s):
                self.answered[action] += 1
                self.latencies.add(after_s)
            case Refused(code=code, after_s=after_s):
                self.refused[f"{action}: {code[:40]}"] += 1
                self.latencies.add(after_s)
            case TimedOut():
                self.timed_out += 1
            case Disconnected():
                self.interrupted += 1

    def called(self, action: str) -> None:
        """The CSMS called a station."""
        self.commands[action[:50]] += 1

    def stray(self) -> None:
        """Something came that nobody waited for."""
        self.strays += 1

    def lost(self, action: str) -> None:
        """A transaction message was given up."""
        self.lost_messages[action] += 1

    def charge_began(self) -> None:
        """A contactor closed."""
        self.charging_now += 1

    def charge_ended(self, energy_wh: int) -> None:
        """A contactor opened."""
        self.charging_now -= 1
        self.charges += 1
        self.energy_wh += energy_wh
        self.charge_done.set()

    @property
    def errors(self) -> int:
        """What should not happen with a sound CSMS."""
        return self.refused.total() + self.timed_out + self.lost_messages.total()

    def report(self) -> dict[str, Any]:
        """All counts as JSON values; answer times in ms."""
        return {
            "connects": self.connects,
            "connect_failures": dict(self.connect_failures),
            "closes": dict(self.closes),
            "calls_answered": self.answered.total(),
            "calls_answered_by_action": dict(self.answered),
            "calls_refused": dict(self.refused),
            "calls_timed_out": self.timed_out,
            "calls_interrupted": self.interrupted,
            "transaction_messages_lost": dict(self.lost_messages),
            "stray_answers": self.strays,
            "commands": dict(self.commands),
            "charges": self.charges,
            "energy_wh": self.energy_wh,
            "answer_ms": self.latencies.report_ms(),
        }
