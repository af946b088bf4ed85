"""B2: streams of monitored values that a 2.1 station sends by itself, at its own pace, without being answered."""

NEEDS = ("station.commands", "station.information")
__all__: list[str] = []
