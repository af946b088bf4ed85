"""B10: password changes go with their station: their hashes must not outlive it."""

from csms.station.information import goes_with_station
from csms.station.passwords.model import PasswordChange

CONSUMERS = (goes_with_station("passwords.forget", PasswordChange),)
