"""S27: local authorisation lists: which tokens a station knows by itself, sent and kept in step."""

NEEDS = ("station.commands", "station.information", "station.settings", "station.tokens")
__all__: list[str] = []
