"""F2: escalation: rules say which errors reach whom, how soon and grouped how; every delivery is stored."""

from csms.fleet.escalation.model import Delivery, DeliveryAttempt, Escalation, EscalationRule

NEEDS = ("station.errors", "station.information", "station.maintenance_windows")
__all__ = ["Delivery", "DeliveryAttempt", "Escalation", "EscalationRule"]
