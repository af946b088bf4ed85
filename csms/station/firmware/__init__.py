"""S24: firmware: images with their signatures, updates followed until the station runs them, local controllers."""

from csms.station.firmware.model import FirmwareImage, FirmwarePublication, FirmwareUpdate
from csms.station.firmware.rules import PublicationState, UpdateState

NEEDS = ("station.commands", "station.file_transfers", "station.information")
__all__ = ["FirmwareImage", "FirmwarePublication", "FirmwareUpdate", "PublicationState", "UpdateState"]
