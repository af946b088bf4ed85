"""S6, B7: charge logs: every charge with its energy, meter curve, corrections, and the stops that match nothing."""

from csms.station.charge_logs.model import ChargeEvent, ChargeLog, ChargeState, MeterSample, UnmatchedStop
from csms.station.charge_logs.rules import Flag
from csms.station.charge_logs.service.memory import OpenTransactions, Transaction
from csms.station.charge_logs.service.records import get_charge_log, running_charge_logs

NEEDS = ("station.information", "station.charge_points", "station.tokens")
__all__ = [
    "ChargeEvent",
    "ChargeLog",
    "ChargeState",
    "Flag",
    "MeterSample",
    "OpenTransactions",
    "Transaction",
    "UnmatchedStop",
    "get_charge_log",
    "running_charge_logs",
]
