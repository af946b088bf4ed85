"""F1: the list of stations with search, filters, sorting and export, and the counts of the whole fleet."""

NEEDS = ("station.charge_points", "station.errors", "station.information")
__all__: list[str] = []
