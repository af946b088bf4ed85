"""B10: network profiles go with their station."""

from csms.station.information import goes_with_station
from csms.station.network_profiles.model import NetworkProfile

CONSUMERS = (goes_with_station("network_profiles.forget", NetworkProfile),)
