"""S3: messages on a station's displays: set, shown while a state or a charge lasts, read back, cleared (2.x)."""

NEEDS = ("station.charge_logs", "station.commands", "station.device_reports", "station.information")
__all__: list[str] = []
