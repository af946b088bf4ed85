"""F4: what map and roaming services may see: published stations with live state, never what identifies hardware."""

NEEDS = (
    "platform.organisations",
    "station.charge_points",
    "station.information",
    "station.interfaces",
)
__all__: list[str] = []
