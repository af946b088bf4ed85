"""B6, B7: TransactionEvent and MeterValues of OCPP 2.0.1 and 2.1, and what other messages say of open charges."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from csms.ocpp import timestamps
from csms.ocpp.errors import OcppError
from csms.ocpp.reading import integer_of
from csms.ocpp.versions import VERSIONS_2, Version
from csms.routing import Answered, ConnectedStation, Observe, Payload, Route
from csms.station.charge_logs.model import ChargeLog, EventKind
from csms.station.charge_logs.rules import Flag, Moment, moment, repeat_key
from csms.station.charge_logs.service.ending import POWER_LOSS, UNKNOWN_REASON, abandon, stored_transaction
from csms.station.charge_logs.service.events import take
from csms.station.charge_logs.service.measuring import measure_unnamed
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction
from csms.station.charge_logs.service.samples import read_samples
from csms.station.charge_logs.service.told import ENERGY_FLOWS, TransactionEvent
from csms.station.charge_points import set_charging
from csms.station.tokens import TokenKind, read_id_token, token_key
from csms.store import Work

_KINDS: Final[Mapping[str, EventKind]] = {
    "Started": EventKind.STARTED,
    "Updated": EventKind.UPDATED,
    "Ended": EventKind.ENDED,
}
_STORED_ELSEWHERE: Final = frozenset(
    {
        "costDetails",
        "eventType",
        "evse",
        "idToken",
        "meterValue",
        "offline",
        "seqNo",
        "timestamp",
        "transactionInfo",
        "triggerReason",
    }
)
_INFO_STORED_ELSEWHERE: Final = frozenset({"chargingState", "transactionId"})
_OF_THE_WHOLE: Final = ("costDetails", "customData", "evseSleep", "preconditioningStatus")
_INFO_OF_THE_WHOLE: Final = ("customData", "operationMode", "tariffId", "transactionLimit")


async def transaction_event(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 E01 to E15: never refused, or the station would repeat it for ever and keep all behind it waiting."""
    return await take(work, station, _read(payload, station, moment_of(payload, work)))


def moment_of(payload: Payload, work: Work) -> Moment:
    """When it happened; what the station calls offline is so, however soon it comes."""
    reading = timestamps.read(payload.get("timestamp"))
    at = moment(None if reading is None else reading.at, work.now)
    return Moment(at.at, at.flags | {Flag.OFFLINE}) if payload.get("offline") is True else at


def _read(payload: Payload, station: ConnectedStation, at: Moment) -> TransactionEvent:
    info, evse = _object(payload, "transactionInfo"), _object(payload, "evse")
    trigger, state = _text(payload, "triggerReason"), _text(info, "chargingState")
    kind, seq_no = _KINDS[payload["eventType"]], _integer(payload, "seqNo") or 0
    token = payload.get("idToken")
    return TransactionEvent(
        transaction_id=str(info["transactionId"]),
        kind=kind,
        seq_no=seq_no,
        moment=at,
        key=repeat_key("event", kind, seq_no, payload.get("timestamp"), trigger, state),
        trigger=trigger,
        charging_state=state,
        is_offline=payload.get("offline") is True,
        charge_point_number=_integer(evse, "id"),
        connector_number=_integer(evse, "connectorId"),
        token=read_id_token(token) if isinstance(token, dict) else None,
        meter_values=payload.get("meterValue"),
        stopped_reason=_text(info, "stoppedReason"),
        columns=_columns(payload, info),
        whole=_whole(payload, info),
        details=_details(payload, info) or None,
        is_21=station.version is Version.V21,
    )


def _columns(payload: Payload, info: Payload) -> dict[str, Any]:
    """What goes to the charge log as it is, where it is told."""
    told = {
        "reservation_id": _integer(payload, "reservationId"),
        "remote_start_id": _integer(info, "remoteStartId"),
        "charging_state": _text(info, "chargingState"),
        "charging_s": _integer(info, "timeSpentCharging"),
        "phases_used": _integer(payload, "numberOfPhasesUsed"),
        "cable_max_a": _integer(payload, "cableMaxCurrent"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _whole(payload: Payload, info: Payload) -> dict[str, Any]:
    """What else is told of the transaction as a whole: the latest is kept."""
    told = {name: payload[name] for name in _OF_THE_WHOLE if name in payload}
    return told | {name: info[name] for name in _INFO_OF_THE_WHOLE if name in info}


def _details(payload: Payload, info: Payload) -> dict[str, Any]:
    """What else this event tells."""
    told = {name: value for name, value in payload.items() if name not in _STORED_ELSEWHERE}
    return told | {name: value for name, value in info.items() if name not in _INFO_STORED_ELSEWHERE}


def _object(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def _integer(payload: Payload, name: str) -> int | None:
    return integer_of(payload.get(name))


def _text(payload: Payload, name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) and value else None


async def meter_values(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 2.0.1 J01: values of the clock; some stations send those of a transaction this way too."""
    number = _integer(payload, "evseId") or 0
    is_open = station.recall(OpenTransactions).open_at(number) if number > 0 else []
    transaction = is_open[-1] if is_open else None
    meter_start_wh = transaction.meter_start_wh if transaction is not None and transaction.has_register else None
    samples = read_samples(payload.get("meterValue"), work.now, meter_start_wh)
    await measure_unnamed(work, station, number, transaction, samples)
    return {}


async def booted(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """After a boot hardly a charge goes on; an event of one that does shows it, and so does its Ended (see GRACE)."""
    if payload.get("reason") == "Triggered":  # it was only asked to say who it is
        return
    for transaction in list(station.recall(OpenTransactions).by_transaction_id.values()):
        if transaction.is_open:
            abandon(work, station, transaction, POWER_LOSS)
            await _show_idle(work, station, transaction.charge_point_number)


async def status_changed(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """Energy does not flow through a free connector: the Ended of that charge was lost, or is late."""
    number, word = _integer(payload, "evseId") or 0, payload.get("connectorStatus")
    if word != "Available" or number <= 0:
        return
    said_at = moment_of(payload, work).at
    for transaction in station.recall(OpenTransactions).open_at(number):
        if transaction.charging_state in ENERGY_FLOWS and said_at >= transaction.started_at:
            abandon(work, station, transaction, UNKNOWN_REASON)
            await _show_idle(work, station, number)


async def _show_idle(work: Work, station: ConnectedStation, number: int) -> None:
    with suppress(OcppError):  # a number that no charge point can have
        if number > 0:
            await set_charging(work, station, number, None, work.now)


async def status_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """GetTransactionStatus (2.0.1 E14): whether the transaction goes on, and whether messages of it wait."""
    transaction = await _named(work, station, request)
    if transaction is not None:
        told = {"has_queued_messages": answer.get("messagesInQueue") is True, "status_told_at": work.now}
        if isinstance(answer.get("ongoingIndicator"), bool):
            told["is_ongoing"] = answer["ongoingIndicator"]
        work.change(ChargeLog, transaction.id, **told)


async def cost_answered(work: Work, station: ConnectedStation, request: Payload, _answer: Payload) -> None:
    """CostUpdated (2.0.1 I02) arrived."""
    transaction = await _named(work, station, request)
    cost = request.get("totalCost")
    if transaction is not None and isinstance(cost, int | float):
        work.change(ChargeLog, transaction.id, cost_told=float(cost), cost_told_at=work.now)


async def remote_start_answered(work: Work, station: ConnectedStation, request: Payload, answer: Payload) -> None:
    """RequestStartTransaction (2.0.1 F01): the token of an accepted one was ours to hand out."""
    uid, kind = read_id_token(request.get("idToken"))
    number = _integer(request, "remoteStartId")
    if answer.get("status") == "Accepted" and kind is TokenKind.CENTRAL and number is not None:
        memory = station.recall(OpenTransactions)
        work.after_commit(lambda: memory.remember_remote_start(number, token_key(uid)))


async def _named(work: Work, station: ConnectedStation, request: Payload) -> Transaction | None:
    transaction_id = _text(request, "transactionId")
    if transaction_id is None:
        return None
    known = station.recall(OpenTransactions).by_transaction_id.get(transaction_id)
    return known or await stored_transaction(work, station, transaction_id)


ROUTES = (
    Route(VERSIONS_2, "TransactionEvent", transaction_event),
    Route(VERSIONS_2, "MeterValues", meter_values),
)
OBSERVES = (
    Observe(VERSIONS_2, "BootNotification", booted),
    Observe(VERSIONS_2, "StatusNotification", status_changed),
)
ANSWERED = (
    Answered(VERSIONS_2, "GetTransactionStatus", status_answered),
    Answered(VERSIONS_2, "CostUpdated", cost_answered),
    Answered(VERSIONS_2, "RequestStartTransaction", remote_start_answered),
)
