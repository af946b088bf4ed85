"""F5: answers about transactions, availability, restarts and what the CSMS wants to be told (2.0.1, E, F, G, B11)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulators.fault import Fault
from simulators.v201.evse import Evse, IdToken
from simulators.wire import Payload, Reply

if TYPE_CHECKING:
    from simulators.v201.station import Station

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}
ECHO = "Echo"  # the one message of DataTransfer that these stations know


def refused(reason: str, info: str = "") -> Payload:
    """A refusal with its reason (StatusInfoType)."""
    more = {"additionalInfo": info} if info else {}
    return {**REJECTED, "statusInfo": {"reasonCode": reason[:20], **more}}


def _request_start(station: "Station", payload: Payload) -> Reply:
    """F01, F02: the id of a transaction that already runs is told with the answer."""
    token = IdToken.read(payload["idToken"])
    group = IdToken.read(payload["groupIdToken"]) if "groupIdToken" in payload else None
    evse = _evse_for(station, payload.get("evseId"), token, group)
    if isinstance(evse, str):
        return Reply(refused(evse))
    profile = payload.get("chargingProfile")
    if profile is not None and (reason := station.profiles.refusal(evse.evse_id, profile, is_request=True)):
        return Reply(refused(reason))
    running = {} if evse.transaction is None else {"transactionId": evse.transaction.transaction_id}

    def begin() -> None:
        if profile is not None:
            station.profiles.expect(evse.evse_id, profile)
        station.spawn(_start(station, evse, token, group, payload["remoteStartId"]))

    return Reply({**ACCEPTED, **running}, begin)


def _evse_for(station: "Station", evse_id: int | None, token: IdToken, group: IdToken | None) -> Evse | str:
    """The EVSE that a remote start is for, or why there is none; without a choice one with a waiting car goes first."""
    charging = station.charging
    if evse_id is not None and evse_id not in charging.evses:
        return "UnknownEvse"
    wanted = list(charging.evses.values()) if evse_id is None else [charging.evses[evse_id]]
    for evse in sorted(wanted, key=lambda one: one.battery is None):
        if evse.can_start and charging.may_use(evse, token, group):
            return evse
    return "Occupied" if any(evse.is_charging for evse in wanted) else "NotReady"


async def _start(station: "Station", evse: Evse, token: IdToken, group: IdToken | None, remote_start_id: int) -> None:
    if station.model.flag("AuthCtrlr.AuthorizeRemoteStart"):
        verdict = await station.authorization.admit(token)
        if verdict is None or not evse.can_start:
            return
        group = verdict.group or group
    await station.charging.admit(evse.evse_id, token, group, "RemoteStart", remote_start_id)


def _request_stop(station: "Station", payload: Payload) -> Reply:
    evse = station.charging.find(payload["transactionId"])
    if evse is None:
        return Reply(refused("TxNotFound"))
    return Reply(ACCEPTED, lambda: station.charging.stop_remotely(evse))


def _transaction_status(station: "Station", payload: Payload) -> Reply:
    """E14: what runs, and what still waits to be sent."""
    transaction_id = payload.get("transactionId")
    waiting = {"messagesInQueue": station.messages.of(transaction_id) > 0}
    if transaction_id is None:
        return Reply(waiting)
    return Reply({"ongoingIndicator": station.charging.find(transaction_id) is not None, **waiting})


def _change_availability(station: "Station", payload: Payload) -> Reply:
    charging, place = station.charging, payload.get("evse")
    is_operative = payload["operationalStatus"] == "Operative"
    connector_id = None if place is None else place.get("connectorId")
    if place is not None and not _is_there(station, place["id"], connector_id):
        return Reply(refused("UnknownEvse"))
    wanted = list(charging.evses.values()) if place is None else [charging.evses[place["id"]]]
    is_busy = not is_operative and any(evse.transaction is not None for evse in wanted)

    def change() -> None:
        for evse in wanted:
            charging.set_operative(evse, connector_id, is_operative=is_operative)

    return Reply({"status": "Scheduled"} if is_busy else ACCEPTED, change)


def _is_there(station: "Station", evse_id: int, connector_id: int | None) -> bool:
    evse = station.charging.evses.get(evse_id)
    return evse is not None and (connector_id is None or connector_id in evse.connectors)


def _unlock(station: "Station", payload: Payload) -> Reply:
    evse = station.charging.evses.get(payload["evseId"])
    if evse is None or payload["connectorId"] not in evse.connectors:
        return Reply({"status": "UnknownConnector"})
    if evse.is_charging:
        return Reply({"status": "OngoingAuthorizedTransaction"})  # F05.FR.02
    fault = evse.fault or Fault("")
    if fault.error_code == "ConnectorLockFailure":
        return Reply({"status": "UnlockFailed"})
    return Reply({"status": "Unlocked"}, lambda: station.charging.look(evse, "UnlockCommand"))


def _reset(station: "Station", payload: Payload) -> Reply:
    """B11, B12: at once or when idle, the station or one EVSE."""
    evse_id, is_at_once = payload.get("evseId"), payload["type"] in ("Immediate", "ImmediateAndResume")
    if evse_id is not None and evse_id not in station.charging.evses:
        return Reply(refused("UnknownEvse"))
    if evse_id is not None and not station.allows_reset(evse_id):
        return Reply(refused("NotEnabled"))
    is_later = not is_at_once and station.is_charging(evse_id)
    return Reply({"status": "Scheduled"} if is_later else ACCEPTED, lambda: station.reset(evse_id, is_later=is_later))


def _data_transfer(station: "Station", payload: Payload) -> Reply:
    if payload["vendorId"] != station.nameplate.vendor:
        return Reply({"status": "UnknownVendorId"})
    if payload.get("messageId") != ECHO:
        return Reply({"status": "UnknownMessageId"})
    return Reply({**ACCEPTED, "data": payload["data"]} if "data" in payload else ACCEPTED)


def _cost_updated(station: "Station", payload: Payload) -> Reply:
    evse = station.charging.find(payload["transactionId"])
    if evse is not None and evse.transaction is not None:
        evse.transaction.total_cost = float(payload["totalCost"])
        station.charging.wake()
    return Reply({})


# --- triggers


def _trigger(station: "Station", payload: Payload) -> Reply:
    wanted, place = payload["requestedMessage"], payload.get("evse")
    trigger = TRIGGERS.get(wanted)
    if trigger is None:
        return Reply({"status": "NotImplemented"})
    if place is not None and not _is_there(station, place["id"], place.get("connectorId")):
        return Reply(REJECTED)
    if wanted == "BootNotification" and station.is_online:
        return Reply(REJECTED)  # F06.FR.17
    evses = list(station.charging.evses.values()) if place is None else [station.charging.evses[place["id"]]]
    connector_id = None if place is None else place.get("connectorId")
    if wanted == "TransactionEvent" and all(evse.transaction is None for evse in evses):
        return Reply(REJECTED)
    return Reply(ACCEPTED, lambda: trigger(station, evses, connector_id))


Trigger = Callable[["Station", list[Evse], int | None], None]


def _trigger_boot(station: "Station", _evses: list[Evse], _connector_id: int | None) -> None:
    station.boot_reason = "Triggered"
    station.boot_asked.set()


def _trigger_heartbeat(station: "Station", _evses: list[Evse], _connector_id: int | None) -> None:
    station.spawn(station.send("Heartbeat", {}))


def _trigger_status(station: "Station", evses: list[Evse], connector_id: int | None) -> None:
    for evse in evses:
        for number in evse.connectors if connector_id is None else (connector_id,):
            station.spawn(station.send("StatusNotification", station.charging.statuses.payload(evse, number)))


def _trigger_values(station: "Station", evses: list[Evse], _connector_id: int | None) -> None:
    for evse in evses:
        evse.advance_to(station.clock.monotonic())
        values = station.charging.events.sample(evse, "AlignedDataCtrlr.Measurands", "Trigger")
        if values:
            station.spawn(station.send("MeterValues", {"evseId": evse.evse_id, "meterValue": values}))


def _trigger_event(station: "Station", evses: list[Evse], _connector_id: int | None) -> None:
    for evse in evses:
        station.charging.ask_state(evse)


TRIGGERS: dict[str, Trigger] = {
    "BootNotification": _trigger_boot,
    "Heartbeat": _trigger_heartbeat,
    "MeterValues": _trigger_values,
    "StatusNotification": _trigger_status,
    "TransactionEvent": _trigger_event,
}

HANDLERS: dict[str, Callable[["Station", Payload], Reply]] = {
    "ChangeAvailability": _change_availability,
    "CostUpdated": _cost_updated,
    "DataTransfer": _data_transfer,
    "GetTransactionStatus": _transaction_status,
    "RequestStartTransaction": _request_start,
    "RequestStopTransaction": _request_stop,
    "Reset": _reset,
    "TriggerMessage": _trigger,
    "UnlockConnector": _unlock,
}
