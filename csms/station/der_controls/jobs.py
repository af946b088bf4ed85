"""B2: marks what a whole report of a station's controls did not name."""

from csms.outbox import Consumer, Event
from csms.station.der_controls.ocpp import TOLD
from csms.station.der_controls.service import forget_untold
from csms.store import Work


async def take_told(work: Work, event: Event) -> None:
    """The report is stored; what it left out is gone."""
    if event.station_id is not None:
        await forget_untold(work, event.station_id, int(event.data["request_id"]))


CONSUMERS = (Consumer("der_controls.told", frozenset({TOLD}), take_told),)
