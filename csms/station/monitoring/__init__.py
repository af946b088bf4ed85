"""S15: what stations of OCPP 2.x watch by themselves: monitors of variables, and the events that they make."""

from csms.station.monitoring.model import DeviceEvent, VariableMonitor
from csms.station.monitoring.rules.events import ToldEvent
from csms.station.monitoring.rules.words import EventTrigger, Origin
from csms.station.monitoring.service.memory import told_events

NEEDS = ("station.commands", "station.device_reports", "station.information", "station.settings")
__all__ = ["DeviceEvent", "EventTrigger", "Origin", "ToldEvent", "VariableMonitor", "told_events"]
