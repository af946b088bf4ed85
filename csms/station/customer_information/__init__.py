"""B3: what a station knows of a customer: asked for and put together from its parts, or deleted there (2.x)."""

NEEDS = ("station.commands", "station.information", "station.tokens")
__all__: list[str] = []
