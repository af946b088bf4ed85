"""F5: variable monitors of a simulated 2.x station that fire from its simulated values (2.0.1, N02 to N08)."""

import asyncio
import functools
import itertools
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from csms.ocpp.timestamps import write as timestamp
from csms.ocpp.versions import Version
from simulators.life import LONGEST_WAIT_S
from simulators.v201.device_model import Variable
from simulators.v201.evse import Evse
from simulators.v201.parts import Parts
from simulators.v201.reporting import is_meant

HARD_WIRED, PRECONFIGURED, CUSTOM = "HardWiredMonitor", "PreconfiguredMonitor", "CustomMonitor"
THRESHOLDS: Final = ("UpperThreshold", "LowerThreshold")
PERIODIC: Final = ("Periodic", "PeriodicClockAligned")
NUMBERS: Final = ("integer", "decimal")
MAX_MONITORS: Final = 200
EVENTS_A_MESSAGE: Final = 20
SECONDS_PER_DAY: Final = 86_400
CRITERIA: Final = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": ("Delta", "TargetDelta", "TargetDeltaRelative"),
    "PeriodicMonitoring": PERIODIC,
}
_FILE: Final = Path(__file__).with_name("monitors.toml")


@dataclass(slots=True, eq=False)
class Monitor:
    """One monitor; `seen` is what a delta is measured from, `is_exceeded` whether a threshold's alarm is on."""

    monitor_id: int
    variable: Variable
    kind: str
    value: float
    severity: int
    origin: str
    is_for_transactions: bool = False
    seen: str = ""
    is_exceeded: bool = False
    due_s: float = 0.0

    @property
    def key(self) -> tuple[Any, ...]:
        """Of which there is one only (N04.FR.16)."""
        return self.variable.key, self.kind, self.severity

    def payload(self, version: Version) -> dict[str, Any]:
        """VariableMonitoringType; 2.1 wants to know who made it."""
        told = {"type": self.kind, "value": self.value, "severity": self.severity}
        origin = {"eventNotificationType": self.origin} if version is Version.V21 else {}
        return {"id": self.monitor_id, "transaction": self.is_for_transactions, **told, **origin}

    def fires(self, actual: str) -> bool | None:
        """Whether this value is worth an event: True when an alarm comes, False when it goes, None for neither."""
        if self.kind == "Delta":
            return self._is_changed(actual)
        if self.kind not in THRESHOLDS:
            return None
        number = _number(actual)
        is_over = number > self.value if self.kind == "UpperThreshold" else number < self.value
        if is_over == self.is_exceeded:
            return None
        self.is_exceeded = is_over
        return is_over

    def _is_changed(self, actual: str) -> bool | None:
        if self.variable.characteristics.data_type in NUMBERS:
            is_changed = abs(_number(actual) - _number(self.seen)) >= self.value
        else:
            is_changed = actual != self.seen
        if is_changed:
            self.seen = actual
        return True if is_changed else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Monitors:
    """All monitors of the station. `look` is called whenever simulated values moved."""

    def __init__(self, parts: Parts, evses: dict[int, Evse], event_ids: "itertools.count[int]") -> None:
        self.base = "FactoryDefault"
        self.level = 9
        self._parts = parts
        self._evses = evses
        self._event_ids = event_ids
        self._ids = itertools.count(1)
        self._changed = asyncio.Event()
        self.held: dict[int, Monitor] = {}
        self._add(self._from_works(is_hard_wired=True))
        self._add(self._from_works(is_hard_wired=False))
        parts.on_values = self.look

    def _from_works(self, *, is_hard_wired: bool) -> Iterator[Monitor]:
        origin = HARD_WIRED if is_hard_wired else PRECONFIGURED
        for rule in _file()["monitor"]:
            if rule.get("hard_wired", False) is is_hard_wired:
                for evse_id in self._evses:
                    variable = self._parts.model.variable(rule["variable"], evse_id)
                    yield self._new(variable, rule["kind"], rule["value"], rule["severity"], origin)

    def _new(self, variable: Variable, kind: str, value: float, severity: int, origin: str) -> Monitor:
        made = Monitor(next(self._ids), variable, kind, value, severity, origin)
        made.seen = variable.actual
        made.due_s = self._next_due_s(made)
        return made

    def _add(self, monitors: Iterable[Monitor]) -> None:
        for monitor in monitors:
            self.held[monitor.monitor_id] = monitor

    # --- what the CSMS sets

    def set(self, asked: dict[str, Any]) -> tuple[str, int | None]:
        """Status and id of one SetMonitoringData (N04)."""
        variable = self._parts.model.find(asked["component"], asked["variable"])
        if isinstance(variable, str):
            return variable, None
        refusal = self._refusal(variable, asked)
        if refusal is not None:
            return refusal, asked.get("id")
        monitor = self._new(variable, asked["type"], float(asked["value"]), asked["severity"], CUSTOM)
        monitor.monitor_id = asked.get("id", monitor.monitor_id)
        monitor.is_for_transactions = asked.get("transaction", False)
        self.held[monitor.monitor_id] = monitor
        self._changed.set()
        return "Accepted", monitor.monitor_id

    def _refusal(self, variable: Variable, asked: dict[str, Any]) -> str | None:
        is_number = variable.characteristics.data_type in NUMBERS
        if asked["type"] in THRESHOLDS and not is_number:
            return "UnsupportedMonitorType"
        if asked["type"] not in (*THRESHOLDS, *PERIODIC, "Delta"):
            return "UnsupportedMonitorType"
        if not variable.characteristics.can_watch or not self._is_sound(variable, asked):
            return "Rejected"
        old = self.held.get(asked["id"]) if "id" in asked else None
        if "id" in asked and (old is None or old.origin == HARD_WIRED or old.variable is not variable):
            return "Rejected"
        if old is None and len(self.held) >= MAX_MONITORS:
            return "Rejected"
        key = (variable.key, asked["type"], asked["severity"])
        is_twin = any(monitor.key == key and monitor is not old for monitor in self.held.values())
        return "Duplicate" if is_twin else None

    @staticmethod
    def _is_sound(variable: Variable, asked: dict[str, Any]) -> bool:
        value, rule = float(asked["value"]), variable.characteristics
        if asked["type"] in THRESHOLDS:
            is_high = rule.maximum is not None and value > rule.maximum
            return not is_high and (rule.minimum is None or value >= rule.minimum)
        return value >= (1 if asked["type"] in PERIODIC else 0)

    def clear(self, monitor_id: int) -> str:
        """ClearMonitoringResult's status (N06)."""
        monitor = self.held.get(monitor_id)
        if monitor is None:
            return "NotFound"
        if monitor.origin == HARD_WIRED:
            return "Rejected"
        del self.held[monitor_id]
        return "Accepted"

    def set_base(self, base: str) -> None:
        """SetMonitoringBase: what the works made comes back, what was added goes or stays (N05)."""
        kept = {HARD_WIRED} if base != "All" else {HARD_WIRED, CUSTOM}
        self.held = {key: monitor for key, monitor in self.held.items() if monitor.origin in kept}
        if base != "HardWiredOnly":
            taken = {monitor.key for monitor in self.held.values()}
            self._add(one for one in self._from_works(is_hard_wired=False) if one.key not in taken)
        self.base = base
        self._parts.model.change("MonitoringCtrlr.ActiveMonitoringBase", base)
        self._changed.set()

    def set_level(self, severity: int) -> bool:
        """SetMonitoringLevel: events less severe than this stay unsaid (N05)."""
        if not 0 <= severity <= 9:  # noqa: PLR2004 the severities of 2.0.1
            return False
        self.level = severity
        self._parts.model.change("MonitoringCtrlr.ActiveMonitoringLevel", str(severity))
        return True

    def report(self, payload: dict[str, Any], version: Version) -> list[dict[str, Any]]:
        """`monitor` of NotifyMonitoringReport: one entry a variable (N02)."""
        criteria = payload.get("monitoringCriteria")
        kinds = None if not criteria else [kind for name in criteria for kind in CRITERIA.get(name, ())]
        wanted = payload.get("componentVariable")
        entries: dict[int, dict[str, Any]] = {}
        for monitor in self.held.values():
            is_asked = wanted is None or any(is_meant(monitor.variable, one) for one in wanted)
            if is_asked and (kinds is None or monitor.kind in kinds):
                fresh = {**monitor.variable.place, "variableMonitoring": []}
                entry = entries.setdefault(id(monitor.variable), fresh)
                entry["variableMonitoring"].append(monitor.payload(version))
        return list(entries.values())

    # --- what happens

    def look(self) -> None:
        """Thresholds and deltas: tell what came and what went (N07)."""
        events = []
        for monitor in self.held.values():
            actual = monitor.variable.actual
            verdict = monitor.fires(actual)
            if verdict is not None:
                trigger = "Alerting" if monitor.kind in THRESHOLDS else "Delta"
                is_threshold = monitor.kind in THRESHOLDS
                events.append(self._event(monitor, actual, trigger, is_cleared=not verdict if is_threshold else None))
        self._tell(events)

    def _event(
        self, monitor: Monitor, actual: str, trigger: str, *, is_cleared: bool | None = None
    ) -> tuple[Monitor, dict[str, Any]]:
        evse = self._evses.get(monitor.variable.evse_id or 0)
        transaction = None if evse is None else evse.transaction
        return monitor, {
            "eventId": next(self._event_ids),
            "timestamp": timestamp(self._parts.clock.now()),
            "trigger": trigger,
            "actualValue": actual,
            **({} if is_cleared is None else {"cleared": is_cleared}),
            **({} if transaction is None else {"transactionId": transaction.transaction_id}),
            **monitor.variable.place,
            "variableMonitoringId": monitor.monitor_id,
            "eventNotificationType": monitor.origin,
        }

    def _tell(self, events: list[tuple[Monitor, dict[str, Any]]]) -> None:
        """Send what is severe enough; what is not that severe is not kept for an absent CSMS (N07)."""
        model = self._parts.model
        if not events or not model.flag("MonitoringCtrlr.Enabled"):
            return
        queued = model.integer("MonitoringCtrlr.OfflineQueuingSeverity")
        told = [
            (monitor, event)
            for monitor, event in events
            if monitor.severity <= self.level and not (monitor.is_for_transactions and "transactionId" not in event)
        ]
        for is_kept in (True, False):
            chosen = [event for monitor, event in told if (monitor.severity <= queued) is is_kept]
            for start in range(0, len(chosen), EVENTS_A_MESSAGE):
                page = chosen[start : start + EVENTS_A_MESSAGE]
                now = timestamp(self._parts.clock.now())
                payload = {"generatedAt": now, "seqNo": 0, "tbc": False, "eventData": page}
                self._parts.report("NotifyEvent", payload, is_kept=is_kept)

    # --- periodic monitors

    async def run(self) -> None:
        """Tell periodic values on time, until cancelled."""
        clock = self._parts.clock
        while True:
            self._changed.clear()
            periodic = [monitor for monitor in self.held.values() if monitor.kind in PERIODIC]
            due_s = min((monitor.due_s for monitor in periodic), default=clock.monotonic() + LONGEST_WAIT_S)
            if await clock.wait(self._changed, max(0.0, due_s - clock.monotonic())):
                continue
            now_s = clock.monotonic() + 1e-6
            self._advance()
            due = [monitor for monitor in periodic if monitor.due_s <= now_s]
            self._tell([self._event(monitor, monitor.variable.actual, "Periodic") for monitor in due])
            for monitor in due:
                monitor.due_s = self._next_due_s(monitor)

    def _advance(self) -> None:
        for evse in self._evses.values():
            evse.advance_to(self._parts.clock.monotonic())

    def _next_due_s(self, monitor: Monitor) -> float:
        clock = self._parts.clock
        if monitor.kind == "PeriodicClockAligned":
            into_s = clock.now().timestamp() % SECONDS_PER_DAY % monitor.value
            left_s = monitor.value - into_s
            return clock.monotonic() + (left_s if left_s > 0.05 * monitor.value else left_s + monitor.value)
        return clock.monotonic() + monitor.value if monitor.kind in PERIODIC else 0.0


@functools.cache
def _file() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
