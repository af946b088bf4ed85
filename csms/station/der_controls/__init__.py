"""B2: a 2.1 station as a distributed energy resource: grid controls that are in force, and alarms."""

NEEDS = ("station.commands", "station.device_reports", "station.information")
__all__: list[str] = []
