"""S25: what vehicles ask for over ISO 15118, what they plan, and the limits calculated for them."""

NEEDS = ("station.charging_profiles", "station.commands", "station.information")
__all__: list[str] = []
