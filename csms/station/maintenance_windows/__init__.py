"""S16: maintenance windows: planned work on a station or a charge point, during which nobody is alarmed."""

from csms.station.maintenance_windows.model import MaintenanceWindow
from csms.station.maintenance_windows.rules import Span, WindowState, covering
from csms.station.maintenance_windows.service import Windows, active_at, spans_since
from csms.station.maintenance_windows.service import load_memory as reload

NEEDS = ("station.charge_points", "station.information", "station.operational_management")
__all__ = [
    "MaintenanceWindow",
    "Span",
    "WindowState",
    "Windows",
    "active_at",
    "covering",
    "reload",
    "spans_since",
]
