"""S15: the station's settings: configuration keys of OCPP 1.6 and device-model variables of 2.x, read and changed."""

from csms.station.settings.model import Setting
from csms.station.settings.rules.addresses import Address, read_address
from csms.station.settings.rules.vocabulary import resolve
from csms.station.settings.rules.words import AttributeKind, SettingOutcome
from csms.station.settings.service.changing import ChangeResult, Wish, change_settings
from csms.station.settings.service.knowledge import known_value
from csms.station.settings.service.limits import learn
from csms.station.settings.service.recommending import apply_recommended
from csms.station.settings.service.refreshing import Wanted, refresh

NEEDS = ("platform.organisations", "station.commands", "station.device_reports", "station.information")
__all__ = [
    "Address",
    "AttributeKind",
    "ChangeResult",
    "Setting",
    "SettingOutcome",
    "Wanted",
    "Wish",
    "apply_recommended",
    "change_settings",
    "known_value",
    "learn",
    "read_address",
    "refresh",
    "resolve",
]
