"""S21: packages go with their station; who switched them when stays."""

from csms.station.information import goes_with_station
from csms.station.operational_management.model import ActivePackage

CONSUMERS = (goes_with_station("operational_management.forget", ActivePackage),)
