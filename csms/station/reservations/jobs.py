"""S9: reservations end by time, and cancelling is tried again when a station is back."""

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.information import goes_with_station
from csms.station.reservations.model import Reservation, ReservationPolicy
from csms.station.reservations.service.records import EXPIRED_PER_RUN, expire
from csms.station.reservations.service.sending import cancel_pending


async def end_by_time(runtime: Runtime) -> None:
    """Expire every reservation whose time has passed."""
    count = EXPIRED_PER_RUN
    while count == EXPIRED_PER_RUN:
        async with runtime.store.writing() as work:
            count = await expire(work)


JOBS = (
    Job("reservations.end_by_time", every_s=5, run=end_by_time),
    Job("reservations.cancel_pending", every_s=30, run=cancel_pending, limit_s=900),
)
CONSUMERS = (goes_with_station("reservations.forget", Reservation, ReservationPolicy),)
