"""F5: answers about variable monitors (2.0.1, N02 to N06)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.v201.commands.core import ACCEPTED, REJECTED
from simulators.v201.commands.settings import limit_items, send_pages
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station


def _set(station: "Station", payload: Payload) -> Reply:
    asked = payload["setMonitoringData"]
    limit_items(station, asked, "MonitoringCtrlr", "SetVariableMonitoring")
    results = []
    for one in asked:
        status, monitor_id = station.monitors.set(one)
        named = {} if monitor_id is None else {"id": monitor_id}
        told = {name: one[name] for name in ("type", "component", "variable", "severity")}
        results.append({**named, "status": status, **told})
    return Reply({"setMonitoringResult": results}, station.monitors.look)


def _clear(station: "Station", payload: Payload) -> Reply:
    limit_items(station, payload["id"], "MonitoringCtrlr", "ClearVariableMonitoring")
    results = [{"id": one, "status": station.monitors.clear(one)} for one in payload["id"]]
    return Reply({"clearMonitoringResult": results})


def _base(station: "Station", payload: Payload) -> Reply:
    station.monitors.set_base(payload["monitoringBase"])
    return Reply(ACCEPTED)


def _level(station: "Station", payload: Payload) -> Reply:
    return Reply(ACCEPTED if station.monitors.set_level(payload["severity"]) else REJECTED)


def _report(station: "Station", payload: Payload) -> Reply:
    found = station.monitors.report(payload, station.version)
    if not found:
        return Reply({"status": "EmptyResultSet"})
    request_id = payload["requestId"]
    return Reply(ACCEPTED, lambda: send_pages(station, "NotifyMonitoringReport", request_id, "monitor", found))


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "ClearVariableMonitoring": _clear,
    "GetMonitoringReport": _report,
    "SetMonitoringBase": _base,
    "SetMonitoringLevel": _level,
    "SetVariableMonitoring": _set,
}
