"""S25: charging profiles: what limits a station and its charges, set and cleared, and what is in force."""

from csms.station.charging_profiles.model import ChargingProfile, ProfileState
from csms.station.charging_profiles.rules.checks import Circumstances
from csms.station.charging_profiles.rules.composite import Charge, Installed, Site, composite, told_curve
from csms.station.charging_profiles.rules.curve import Curve, Limit, Step, Supply, Window, converted, in_unit
from csms.station.charging_profiles.rules.profile import Kind, Period, Profile, Purpose, Schedule, Unit
from csms.station.charging_profiles.rules.wire import read_schedule, read_time
from csms.station.charging_profiles.service.known import running_at, site_of, transaction_of
from csms.station.charging_profiles.service.sending import level_above, send_made
from csms.station.charging_profiles.shapes import CommandResult, ProfileShown

NEEDS = (
    "station.charge_logs",
    "station.charge_points",
    "station.commands",
    "station.information",
    "station.settings",
)
__all__ = [
    "Charge",
    "ChargingProfile",
    "Circumstances",
    "CommandResult",
    "Curve",
    "Installed",
    "Kind",
    "Limit",
    "Period",
    "Profile",
    "ProfileShown",
    "ProfileState",
    "Purpose",
    "Schedule",
    "Site",
    "Step",
    "Supply",
    "Unit",
    "Window",
    "composite",
    "converted",
    "in_unit",
    "level_above",
    "read_schedule",
    "read_time",
    "running_at",
    "send_made",
    "site_of",
    "told_curve",
    "transaction_of",
]
