"""S1, B9: a station's basic data, its registration, its credentials and how it communicates."""

from csms.station.information.api import StationDep, StationToChange
from csms.station.information.model import Leniency, Station, StationStatus
from csms.station.information.passwords import check_password, matching_hash
from csms.station.information.rules import are_coordinates, is_identity
from csms.station.information.service import (
    create_unregistered,
    find_station,
    get_station,
    stations_by_identity,
)

NEEDS = ("platform.organisations",)
__all__ = [
    "Leniency",
    "Station",
    "StationDep",
    "StationStatus",
    "StationToChange",
    "are_coordinates",
    "check_password",
    "create_unregistered",
    "find_station",
    "get_station",
    "is_identity",
    "matching_hash",
    "stations_by_identity",
]
