"""B10: raises a station's security profile over OCPP, never down, so that it is not locked out on the way (A05)."""

from csms.station.security_profiles.model import ProfileUpgrade
from csms.station.security_profiles.rules import UpgradeState
from csms.station.security_profiles.service import finish

NEEDS = (
    "station.certificates",
    "station.commands",
    "station.information",
    "station.network_profiles",
    "station.passwords",
)
__all__ = ["ProfileUpgrade", "UpgradeState", "finish"]
