"""S10: the communication with a station in words that an operator understands."""

from csms.station.logs.rules import Level, Words, describe

NEEDS = ("station.communication_logs", "station.information")
__all__ = ["Level", "Words", "describe"]
