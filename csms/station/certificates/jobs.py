"""B10: signs, sends and watches certificates; hears of stations that are back."""

from csms.jobs import Job
from csms.outbox import Consumer, Event
from csms.station.certificates.service.signing import station_is_back, work_through
from csms.station.certificates.service.watching import watch
from csms.store import Work


async def station_connected(work: Work, event: Event) -> None:
    """What waited for it may leave now."""
    if event.station_id is not None:
        await station_is_back(work, event.station_id)


JOBS = (
    Job("certificates.sign_and_send", every_s=2, run=work_through),
    Job("certificates.watch", every_s=3600, run=watch, limit_s=1800),
)
CONSUMERS = (Consumer("certificates.station_connected", frozenset({"station_connected"}), station_connected),)
