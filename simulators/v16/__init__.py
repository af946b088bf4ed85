"""F5: the simulated OCPP 1.6 station."""

from simulators.v16.connector import Fault, Status
from simulators.v16.running import pass_time, running_station, settled
from simulators.v16.station import BootStatus, Nameplate, Station, Timing

__all__ = [
    "BootStatus",
    "Fault",
    "Nameplate",
    "Station",
    "Status",
    "Timing",
    "pass_time",
    "running_station",
    "settled",
]
