"""S25: profiles end with their charges and by time; their history is forgotten in time."""

from datetime import timedelta

from csms.jobs import Job
from csms.runtime import Runtime
from csms.station.charging_profiles.model import (
    ChargingLimit,
    ChargingProfile,
    CompositeSchedule,
    PriorityCharge,
    ProfileReport,
)
from csms.station.charging_profiles.service.ending import (
    ROWS_PER_RUN,
    bind_to_charges,
    end_overdue,
    end_with_charges,
    forget_old,
)
from csms.station.information import goes_with_station


async def settle(runtime: Runtime) -> None:
    """What charges and time decide. Nothing that is in force waits for it: only the states do."""
    for act in (bind_to_charges, end_with_charges, end_overdue):
        async with runtime.store.writing() as work:
            await act(work)


async def forget(runtime: Runtime) -> None:
    """In slices, so that each unit of work stays short."""
    count = ROWS_PER_RUN
    while count == ROWS_PER_RUN:
        async with runtime.store.writing() as work:
            count = await forget_old(work, work.now - timedelta(days=runtime.settings.history_kept_days))


JOBS = (
    Job("charging_profiles.settle", every_s=10, run=settle),
    Job("charging_profiles.forget", every_s=6 * 3600, run=forget),
)
CONSUMERS = (
    goes_with_station(
        "charging_profiles.station_deleted",
        ChargingProfile,
        ChargingLimit,
        CompositeSchedule,
        PriorityCharge,
        ProfileReport,
    ),
)
