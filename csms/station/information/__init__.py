"""S1, B9: a station's basic data, its registration, its credentials and how it communicates."""

from csms.station.information.api import (
    Password,
    PasswordProtocol,
    SecurityProfile,
    StationDep,
    StationId,
    StationToChange,
    password_hashes,
)
from csms.station.information.deleting import goes_with_station
from csms.station.information.model import Leniency, Station, StationStatus
from csms.station.information.passwords import (
    check_password,
    hashes_for,
    hashes_in_thread,
    is_made_here,
    matching_hash,
    new_password,
)
from csms.station.information.rules import are_coordinates, is_identity, key_digits, password_fault
from csms.station.information.service import (
    check_identity,
    create_unregistered,
    fact_about,
    find_station,
    get_station,
    set_password_hashes,
    stations_by_identity,
)

NEEDS = ("platform.organisations",)
__all__ = [
    "Leniency",
    "Password",
    "PasswordProtocol",
    "SecurityProfile",
    "Station",
    "StationDep",
    "StationId",
    "StationStatus",
    "StationToChange",
    "are_coordinates",
    "check_identity",
    "check_password",
    "create_unregistered",
    "fact_about",
    "find_station",
    "get_station",
    "goes_with_station",
    "hashes_for",
    "hashes_in_thread",
    "is_identity",
    "is_made_here",
    "key_digits",
    "matching_hash",
    "new_password",
    "password_fault",
    "password_hashes",
    "set_password_hashes",
    "stations_by_identity",
]
