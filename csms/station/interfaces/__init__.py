"""S18: switches that publish a station to map and roaming services, each on its own."""

from csms.station.interfaces.model import InterfaceKind, StationInterface
from csms.station.interfaces.service import published_on, switch_interface

NEEDS = ("station.charge_points", "station.information")
__all__ = ["InterfaceKind", "StationInterface", "published_on", "switch_interface"]
