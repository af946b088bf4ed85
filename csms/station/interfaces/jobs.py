"""S18: switches go with their station."""

from csms.station.information import goes_with_station
from csms.station.interfaces.model import StationInterface

CONSUMERS = (goes_with_station("interfaces.forget", StationInterface),)
