"""B2, B10: security events: what stations tell of their own security, and what this system notices about them."""

from csms.station.security_events.model import EventSource, SecurityEvent

NEEDS = ("station.errors", "station.information")
__all__ = ["EventSource", "SecurityEvent"]
