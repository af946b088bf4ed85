"""S16: the windows of connected stations, in memory for the handlers of errors."""

from csms.station.maintenance_windows.service import load_memory

load = load_memory
RELOADS = frozenset({"maintenance_window_changed"})
