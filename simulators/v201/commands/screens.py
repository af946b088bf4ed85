"""F5: answers about display messages and customers' data (2.0.1, N09, N10, O)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.v201.commands.core import ACCEPTED
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

MESSAGES_A_PAGE = 5


def _set(station: "Station", payload: Payload) -> Reply:
    return Reply({"status": station.displays.set(payload["message"])})


def _clear(station: "Station", payload: Payload) -> Reply:
    return Reply(ACCEPTED if station.displays.clear(payload["id"]) else {"status": "Unknown"})


def _get(station: "Station", payload: Payload) -> Reply:
    found = station.displays.find(payload)
    if not found:
        return Reply({"status": "Unknown"})
    cut = [found[start : start + MESSAGES_A_PAGE] for start in range(0, len(found), MESSAGES_A_PAGE)]
    pages = [
        {"requestId": payload["requestId"], "tbc": number + 1 < len(cut), "messageInfo": page}
        for number, page in enumerate(cut)
    ]
    return Reply(ACCEPTED, lambda: station.spawn(station.send_each("NotifyDisplayMessages", pages)))


def _customer(station: "Station", payload: Payload) -> Reply:
    """N09, N10: exactly one way to name the customer, and something to do."""
    names = [name for name in ("idToken", "customerIdentifier", "customerCertificate") if name in payload]
    if len(names) != 1 or not (payload["report"] or payload["clear"]):
        return Reply({"status": "Invalid"})
    told = station.customers.report(payload) if payload["report"] else [""]
    pages = [
        {
            "requestId": payload["requestId"],
            "generatedAt": station.charging.now,
            "seqNo": number,
            "tbc": number + 1 < len(told),
            "data": data,
        }
        for number, data in enumerate(told)
    ]
    if payload["clear"]:
        station.customers.clear(payload)
    return Reply(ACCEPTED, lambda: station.spawn(station.send_each("NotifyCustomerInformation", pages)))


HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "ClearDisplayMessage": _clear,
    "CustomerInformation": _customer,
    "GetDisplayMessages": _get,
    "SetDisplayMessage": _set,
}
