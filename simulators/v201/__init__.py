"""F5: the simulated OCPP 2.0.1 and 2.1 station."""

from simulators.boot import BootStatus, Timing
from simulators.fault import Fault
from simulators.running import pass_time, settled
from simulators.v201.evse import ChargingState, IdToken, Status
from simulators.v201.nameplate import Nameplate
from simulators.v201.running import running_station
from simulators.v201.station import Station

__all__ = [
    "BootStatus",
    "ChargingState",
    "Fault",
    "IdToken",
    "Nameplate",
    "Station",
    "Status",
    "Timing",
    "pass_time",
    "running_station",
    "settled",
]
