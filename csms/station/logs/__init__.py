"""S10: the communication with a station in words that an operator understands."""

from csms.station.logs.rules import Exchange
from csms.station.logs.service import describe

NEEDS = ("station.communication_logs", "station.information")
__all__ = ["Exchange", "describe"]
