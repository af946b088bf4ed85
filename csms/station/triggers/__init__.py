"""S15: asking a station to send a message now: its state, meter values, a boot notification, a certificate request."""

NEEDS = ("station.commands", "station.information")
__all__: list[str] = []
