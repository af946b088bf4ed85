"""S25: charging profiles: what limits a station and its charges, set and cleared, and what is in force."""

from csms.station.charging_profiles.model import ChargingProfile, ProfileState

NEEDS = ("station.charge_logs", "station.charge_points", "station.commands", "station.information")
__all__ = ["ChargingProfile", "ProfileState"]
