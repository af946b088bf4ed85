"""S9: reservations: a place is kept for somebody, carried to the station, used, cancelled or expired."""

NEEDS = (
    "station.charge_logs",
    "station.charge_points",
    "station.commands",
    "station.information",
    "station.tokens",
)
__all__: list[str] = []
