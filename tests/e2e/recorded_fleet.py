"""A fleet of simulated stations that writes down everything said on the wire."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulators.fleet import Fleet, FleetPlan
from simulators.v16 import Station
from simulators.wire import Answered, Disconnected, Observer, Outcome, Reply, TimedOut, Wire

SAMPLE_INTERVAL_S = 300


@dataclass
class Said:
    """A call of the station and its end so far."""

    action: str
    payload: dict[str, Any]
    outcome: Outcome

    @property
    def answer(self) -> dict[str, Any] | None:
        return self.outcome.payload if isinstance(self.outcome, Answered) else None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody at the station knows if it arrived."""
        return isinstance(self.outcome, Disconnected | TimedOut)


@dataclass
class Record:
    """One station's history; `connections` says for each whether anything was answered on it."""

    said: list[Said] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    connections: list[bool] = field(default_factory=list)

    def answered(self, action: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Payload and answer of every acknowledged message of that kind."""
        return ((one.payload, one.answer) for one in self.said if one.action == action and one.answer is not None)


class RecordingObserver(Observer):
    """Writes down for its own station, and lets the fleet count as it always does."""

    def __init__(self, record: Record, counters: Observer) -> None:
        self._record = record
        self._counters = counters

    def connected(self) -> None:
        self._counters.connected()

    def settled(self, action: str, outcome: Outcome) -> None:
        if isinstance(outcome, Answered):
            self._record.connections[-1] = True
        self._counters.settled(action, outcome)

    def connect_failed(self, reason: str) -> None:
        self._counters.connect_failed(reason)

    def disconnected(self, code: int | None) -> None:
        self._counters.disconnected(code)

    def called(self, action: str) -> None:
        self._counters.called(action)

    def stray(self) -> None:
        self._counters.stray()

    def lost(self, action: str) -> None:
        self._counters.lost(action)

    def charge_began(self) -> None:
        self._counters.charge_began()

    def charge_ended(self, energy_wh: int) -> None:
        self._counters.charge_ended(energy_wh)


class RecordedStation(Station):
    """A simulated station that keeps the payloads, which an observer is not told."""

    def __init__(self, plain: Station, record: Record) -> None:
        super().__init__(
            plain.endpoint,
            plain.nameplate,
            clock=plain.clock,
            rng=plain.rng,
            observer=RecordingObserver(record, plain.observer),
            configuration={"MeterValueSampleInterval": str(SAMPLE_INTERVAL_S)},
        )
        self._record = record

    async def _open(self) -> Wire | None:
        wire = await super()._open()
        if wire is not None:  # also when the station closes it at once, being told to end
            self._record.connections.append(False)
        return wire

    async def _call(self, wire: Wire, action: str, payload: dict[str, Any]) -> Outcome:
        said = Said(action, payload, Disconnected())  # so it stays if this task is cancelled by the link's end
        self._record.said.append(said)
        said.outcome = await super()._call(wire, action, payload)
        return said.outcome

    def _on_call(self, action: str, payload: dict[str, Any]) -> Reply:
        self._record.asked.append((action, payload))
        return super()._on_call(action, payload)


class RecordedFleet(Fleet):
    """The fleet of a plan, recorded; `records` is by identity."""

    def __init__(self, plan: FleetPlan) -> None:
        self.records: defaultdict[str, Record] = defaultdict(Record)
        super().__init__(plan)

    def _station(self, number: int) -> Station:
        plain = super()._station(number)
        assert isinstance(plain, Station)
        return RecordedStation(plain, self.records[plain.endpoint.identity])
