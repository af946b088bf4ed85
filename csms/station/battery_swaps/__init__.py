"""B2: batteries that drivers swap at a 2.1 station: asked for here or there, what went in and came out."""

NEEDS = ("station.commands", "station.information", "station.tokens")
__all__: list[str] = []
