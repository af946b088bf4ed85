"""F5: the simulated OCPP 1.6 station."""

from simulators.boot import BootStatus, Timing
from simulators.fault import Fault
from simulators.running import pass_time, settled
from simulators.v16.connector import Status
from simulators.v16.running import running_station
from simulators.v16.station import Nameplate, Station

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
