"""S27: the tokens that a station remembers by itself: forgotten on demand, and when a token is blocked or removed."""

NEEDS = ("station.commands", "station.information", "station.settings", "station.tokens")
__all__: list[str] = []
