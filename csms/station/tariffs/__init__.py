"""S26: tariffs that a 2.1 station holds and shows, settled payments, VAT numbers."""

NEEDS = ("station.charge_logs", "station.commands", "station.information")
__all__: list[str] = []
