"""B6, B7: a charge's start, values and stop in OCPP 1.6, and what other messages say of open charges."""

from datetime import datetime
from typing import Final

from csms.ocpp import timestamps
from csms.ocpp.versions import Version
from csms.routing import ConnectedStation, Observe, Payload, Route
from csms.station.charge_logs.rules import Moment, bounded_register, moment, repeat_key
from csms.station.charge_logs.service.ending import (
    GRACE,
    POWER_LOSS,
    UNKNOWN_REASON,
    Stop,
    abandon,
    end,
    find_transaction,
    revived,
)
from csms.station.charge_logs.service.measuring import measure, measure_unnamed
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction, remember
from csms.station.charge_logs.service.samples import read_samples
from csms.station.charge_logs.service.starting import Start, begin
from csms.station.tokens import token_key
from csms.store import Work

_CHARGING: Final = frozenset({"Charging", "SuspendedEV", "SuspendedEVSE"})
_IMPLIED_REASON: Final = "Local"
"""OCPP 1.6, 6.45: a stop without a reason was asked for at the station."""


def _sent_at(payload: Payload) -> datetime | None:
    reading = timestamps.read(payload.get("timestamp"))
    return None if reading is None else reading.at


def _integer(payload: Payload, name: str) -> int:
    value = payload.get(name)
    return value if isinstance(value, int) else 0


async def start_transaction(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.8: always stored, since it has happened; the answer says whether it may go on."""
    sent_at = _sent_at(payload)
    reservation_id = payload.get("reservationId")
    start = Start(
        charge_point_number=_integer(payload, "connectorId"),
        token=str(payload.get("idTag", "")),
        sent_at=sent_at,
        moment=moment(sent_at, work.now),
        meter_start_wh=bounded_register(_integer(payload, "meterStart")),
        reservation_id=reservation_id if isinstance(reservation_id, int) else None,
    )
    transaction = await begin(work, station, start)
    return {"idTagInfo": transaction.start_answer, "transactionId": int(transaction.transaction_id)}


async def stop_transaction(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.10: never refused, or the station would repeat it for ever and keep all behind it waiting."""
    answer = await end(work, station, _read_stop(station, payload, moment(_sent_at(payload), work.now), work.now))
    return {} if answer is None else {"idTagInfo": answer}


def _read_stop(station: ConnectedStation, payload: Payload, at: Moment, now: datetime) -> Stop:
    transaction_id, meter_stop_wh = _integer(payload, "transactionId"), _integer(payload, "meterStop")
    token = payload.get("idTag")
    known = station.recall(OpenTransactions).by_transaction_id.get(str(transaction_id))
    key_of_token = token_key(token) if isinstance(token, str) else None
    return Stop(
        transaction_id=str(transaction_id),
        token=token if isinstance(token, str) else None,
        moment=at,
        meter_stop_wh=bounded_register(meter_stop_wh),
        reason=str(payload.get("reason") or _IMPLIED_REASON),
        key=repeat_key("stop", transaction_id, payload.get("timestamp"), meter_stop_wh, key_of_token),
        samples=read_samples(payload.get("transactionData"), now, known.meter_start_wh if known else None),
        payload=payload,
    )


async def meter_values(work: Work, station: ConnectedStation, payload: Payload) -> Payload:
    """OCPP 1.6, 4.7: stored as they are, with the charge that they belong to if there is one."""
    number = _integer(payload, "connectorId")
    transaction = await _measured(work, station, number, payload)
    meter_start_wh = None if transaction is None else transaction.meter_start_wh
    samples = read_samples(payload.get("meterValue"), work.now, meter_start_wh)
    is_named = _integer(payload, "transactionId") > 0
    await (measure if is_named else measure_unnamed)(work, station, number, transaction, samples)
    return {}


async def _measured(work: Work, station: ConnectedStation, number: int, payload: Payload) -> Transaction | None:
    """The charge that is named; where none is, the one that is open at the charge point."""
    transaction_id = _integer(payload, "transactionId")
    if transaction_id > 0:
        found = await find_transaction(work, station, str(transaction_id), "MeterValues")
        return found if isinstance(found, Transaction) else None
    is_open = station.recall(OpenTransactions).open_at(number) if number > 0 else []
    return is_open[-1] if is_open else None


async def booted(work: Work, station: ConnectedStation, _payload: Payload) -> None:
    """After a boot no charge goes on; the queued stops often follow (see GRACE)."""
    for transaction in list(station.recall(OpenTransactions).by_transaction_id.values()):
        if transaction.is_open:
            abandon(work, station, transaction, POWER_LOSS)


async def status_changed(work: Work, station: ConnectedStation, payload: Payload) -> None:
    """A free charge point cannot be charging; one that charges shows that its charge has survived."""
    number, status = _integer(payload, "connectorId"), payload.get("status")
    memory = station.recall(OpenTransactions)
    is_open = memory.open_at(number) if number > 0 else []
    said_at = moment(_sent_at(payload), work.now).at
    if status == "Available":
        for transaction in is_open:
            if said_at >= transaction.started_at:
                abandon(work, station, transaction, UNKNOWN_REASON)
    elif status in _CHARGING and is_open:
        youngest = is_open[-1]
        since = youngest.abandoned_at
        if since is not None and since < said_at and work.now - since < GRACE:
            remember(work, memory, await revived(work, youngest) or youngest)


ROUTES = (
    Route(Version.V16, "StartTransaction", start_transaction),
    Route(Version.V16, "StopTransaction", stop_transaction),
    Route(Version.V16, "MeterValues", meter_values),
)
OBSERVES = (
    Observe(Version.V16, "BootNotification", booted),
    Observe(Version.V16, "StatusNotification", status_changed),
)
__all__ = ["OBSERVES", "ROUTES"]
