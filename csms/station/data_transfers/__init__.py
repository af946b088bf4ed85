"""B6: vendors' own messages: kept as they came, answered by the rules of the standard."""

from csms.station.data_transfers.model import DataTransfer

NEEDS = ("station.information",)
__all__ = ["DataTransfer"]
