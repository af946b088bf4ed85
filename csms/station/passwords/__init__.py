"""B10: changes the password that a station logs in with, by an order that locks nobody out."""

from csms.station.passwords.model import PasswordChange
from csms.station.passwords.rules import ChangeState
from csms.station.passwords.service import Candidate, candidates_of, decide_by_login, has_password

NEEDS = ("station.commands", "station.information")
__all__ = ["Candidate", "ChangeState", "PasswordChange", "candidates_of", "decide_by_login", "has_password"]
