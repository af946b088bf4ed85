"""S25: plans for vehicles are sent soon after they told of their needs."""

from csms.jobs import Job
from csms.station.information import goes_with_station
from csms.station.vehicle_charging.model import VehicleCharging
from csms.station.vehicle_charging.service.planning import send_due

JOBS = (Job("vehicle_charging.send_due", every_s=2, run=send_due),)
CONSUMERS = (goes_with_station("vehicle_charging.station_deleted", VehicleCharging),)
