"""B3: every message that the CSMS may send to a station, with its outcome kept as a command log."""

from csms.station.commands.api import SaidShown, Timeout
from csms.station.commands.asking import send_for, why_unanswered
from csms.station.commands.guards import Guard, check_may_manage
from csms.station.commands.model import Command, CommandOutcome
from csms.station.commands.service import send, version_of

NEEDS = ("station.charge_logs", "station.information", "station.tokens")
__all__ = [
    "Command",
    "CommandOutcome",
    "Guard",
    "SaidShown",
    "Timeout",
    "check_may_manage",
    "send",
    "send_for",
    "version_of",
    "why_unanswered",
]
