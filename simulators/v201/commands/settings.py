"""F5: answers about variables and reports (2.0.1, B05 to B08)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from csms.ocpp.errors import ErrorKind, OcppError
from simulators.v201.device_model import SetResult, Variable
from simulators.v201.reporting import base_report, custom_report, pages
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

ACCEPTED: Payload = {"status": "Accepted"}


def limit_items(station: "Station", items: list[Any], controller: str, message: str) -> None:
    """Refuse more items than ItemsPerMessage allows (B05.FR.11, B06.FR.16). Raises OcppError."""
    limit = station.model.integer(f"{controller}.ItemsPerMessage[{message}]")
    if len(items) > limit:
        raise OcppError(ErrorKind.OCCURRENCE_CONSTRAINT, f"at most {limit} items in one {message}")


def _get_variables(station: "Station", payload: Payload) -> Reply:
    asked = payload["getVariableData"]
    limit_items(station, asked, "DeviceDataCtrlr", "GetVariables")
    return Reply({"getVariableResult": [_got(station, one) for one in asked]})


def _got(station: "Station", asked: Payload) -> Payload:
    status, value = station.model.get(asked)
    kind = {"attributeType": asked["attributeType"]} if "attributeType" in asked else {}
    place = {"component": asked["component"], "variable": asked["variable"]}
    return {**place, **kind, "attributeStatus": status, **({} if value is None else {"attributeValue": value})}


def _set_variables(station: "Station", payload: Payload) -> Reply:
    asked = payload["setVariableData"]
    limit_items(station, asked, "DeviceDataCtrlr", "SetVariables")
    results = [(one, station.set_variable(one)) for one in asked]
    changed = [result.variable for _, result in results if result.status == "Accepted" and result.variable is not None]
    return Reply(
        {"setVariableResult": [_was_set(one, result) for one, result in results]}, lambda: station.changed(changed)
    )


def _was_set(asked: Payload, result: SetResult) -> Payload:
    kind = {"attributeType": asked["attributeType"]} if "attributeType" in asked else {}
    place = {"component": asked["component"], "variable": asked["variable"]}
    why = {"attributeStatusInfo": {"reasonCode": result.reason}} if result.reason else {}
    return {**place, **kind, "attributeStatus": result.status, **why}


def _base_report(station: "Station", payload: Payload) -> Reply:
    return _report(station, payload["requestId"], base_report(station.model, payload["reportBase"]))


def _get_report(station: "Station", payload: Payload) -> Reply:
    wanted = payload.get("componentVariable", [])
    limit_items(station, wanted, "DeviceDataCtrlr", "GetReport")
    return _report(station, payload["requestId"], custom_report(station.model, payload))


def _report(station: "Station", request_id: int, variables: Iterable[Variable]) -> Reply:
    items = [variable.report() for variable in variables]
    if not items:
        return Reply({"status": "EmptyResultSet"})
    return Reply(ACCEPTED, lambda: send_pages(station, "NotifyReport", request_id, "reportData", items))


def send_pages(station: "Station", action: str, request_id: int, name: str, items: list[Any]) -> None:
    """Send a long answer page after page: seqNo from 0, tbc while more is to come; no page beyond BytesPerMessage."""
    model = station.model
    max_bytes = model.integer("DeviceDataCtrlr.BytesPerMessage[GetReport]")
    cut = list(pages(items, max_bytes - 200, model.integer("DeviceDataCtrlr.ItemsPerMessage[GetReport]")))
    now = station.charging.now
    payloads = [
        {"requestId": request_id, "generatedAt": now, "seqNo": number, "tbc": number + 1 < len(cut), name: page}
        for number, page in enumerate(cut)
    ]
    station.spawn(station.send_each(action, payloads))


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "GetBaseReport": _base_report,
    "GetReport": _get_report,
    "GetVariables": _get_variables,
    "SetVariables": _set_variables,
}
