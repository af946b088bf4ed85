"""S5: errors that stations tell of, and stations that are offline for too long."""

from csms.station.errors.model import StationError
from csms.station.errors.rules import Resolution, Severity, Source, began_at
from csms.station.errors.service import (
    OpenErrors,
    get_error,
    noticed_stations,
    open_error_counts,
    raise_noticed,
    resolve_noticed,
)

NEEDS = (
    "station.charge_points",
    "station.connections",
    "station.information",
    "station.maintenance_windows",
    "station.monitoring",
)
__all__ = [
    "OpenErrors",
    "Resolution",
    "Severity",
    "Source",
    "StationError",
    "began_at",
    "get_error",
    "noticed_stations",
    "open_error_counts",
    "raise_noticed",
    "resolve_noticed",
]
