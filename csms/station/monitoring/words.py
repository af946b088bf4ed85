"""S15: monitors and the events that they make, in words."""

from collections.abc import Mapping
from typing import Final

from csms.station.device_reports import REPORT_VERDICTS, faults_told, item_name, item_names, part_told, shortened
from csms.wording import DONE, Ask, Example, Level, Payload, Tell, Words, count_of, items_of, said

_BASES: Final[Mapping[str, str]] = {
    "All": "have all its monitors",
    "FactoryDefault": "have the monitors of the factory alone",
    "HardWiredOnly": "have its hard-wired monitors alone",
}
_SEVERE: Final = 4
"""Up to this severity number an event is about something that does not work (2.0.1 N02)."""


def _watch(request: Payload) -> str:
    return f"watch {item_names(request, 'setMonitoringData') or 'something'}"


def _watched(answer: Payload) -> Words:
    faults = faults_told(items_of(answer, "setMonitoringResult"), "status", ("Accepted",))
    return Words("not all of it", Level.WARNING, faults) if faults else DONE


def _unwatch(request: Payload) -> str:
    count = count_of(request, "id")
    return "give up one of its monitors" if count == 1 else f"give up {count} of its monitors"


def _unwatched(answer: Payload) -> Words:
    results = items_of(answer, "clearMonitoringResult")
    left = [said(item.get("id", "?")) for item in results if item.get("status") != "Accepted"]
    if not left:
        return DONE
    why = f"It kept or does not have: {shortened(left)}."
    return Words("not all of it", Level.WARNING, why, "Refresh its monitors.")


def _base(request: Payload) -> str:
    return _BASES.get(str(request.get("monitoringBase")), "change its monitors")


def _event(item: Payload) -> Words:
    name, value = item_name(item), said(item.get("actualValue", ""))
    if item.get("cleared") is True:
        return Words(f"{name} is well again ({value}).")
    if item.get("trigger") != "Alerting":
        return Words(f"{name} is {value}.")
    severity = item.get("severity")
    level = Level.ERROR if isinstance(severity, int) and severity <= _SEVERE else Level.WARNING
    told = [said(item[field]) for field in ("techCode", "techInfo") if item.get(field)]
    return Words(f"Alert: {name} is {value}.", level, ": ".join(told) or None, "Look at the station's errors.")


def _events(request: Payload, _answer: Payload) -> Words:
    told = [_event(item) for item in items_of(request, "eventData")]
    if not told:
        return Words("The station told of no event.")
    rank = [Level.INFO, Level.WARNING, Level.ERROR]
    worst = max(told, key=lambda words: rank.index(words.level))
    more = f" And {len(told) - 1} more events." if len(told) > 1 else ""
    return Words(f"{worst.text}{more}", worst.level, worst.why, worst.what_to_do)


WORDS = (
    Tell("NotifyEvent", _events),
    Tell("NotifyMonitoringReport", part_told("monitored variables", "monitor")),
    Ask("ClearVariableMonitoring", _unwatch, told=_unwatched),
    Ask("GetMonitoringReport", "report its monitors", REPORT_VERDICTS),
    Ask("SetMonitoringBase", _base, {"Accepted": DONE}),
    Ask(
        "SetMonitoringLevel",
        lambda request: f"tell events up to severity {said(request.get('severity', ''))}",
        {"Accepted": DONE},
    ),
    Ask("SetVariableMonitoring", _watch, told=_watched),
)

EXAMPLES = (
    Example("ClearVariableMonitoring", "Remove monitors of variables", v2={"id": [1]}),
    Example(
        "GetMonitoringReport",
        "Have the monitors of variables reported",
        v2={"requestId": 1, "monitoringCriteria": ["ThresholdMonitoring"]},
    ),
    Example("SetMonitoringBase", "Choose which monitors are active", v2={"monitoringBase": "FactoryDefault"}),
    Example("SetMonitoringLevel", "Choose how severe an event must be to be told", v2={"severity": 4}),
    Example(
        "SetVariableMonitoring",
        "Set monitors of variables",
        v2={
            "setMonitoringData": [
                {
                    "component": {"name": "ChargingStation"},
                    "variable": {"name": "Temperature"},
                    "type": "UpperThreshold",
                    "value": 70,
                    "severity": 3,
                }
            ]
        },
    ),
)
